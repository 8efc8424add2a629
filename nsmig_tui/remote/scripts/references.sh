# What names an old path of one vhost: the site's own files, and the system's. All files are read to their end: what
# is named at all decides which old paths stay valid. Few lines are shown.
# Rows: "ref TAB kind TAB b64(file) TAB line TAB b64(path)", at least one for each old place that is named;
# "more TAB kind TAB how many lines are not told"; "php TAB b64(file) TAB line TAB b64(expression)", one for each
# way in which PHP climbs above web; "glob TAB kind TAB b64(file) TAB line TAB b64(pattern)". Line 0 stands for a
# link's target; "unread TAB b64(file)" for what was not searched, or from where on it was not.
# U is the vhost's top directory. Nothing else of a line is told: there may be passwords in it.

# Lines "file:line:text" that hold what was looked for, as rows. The end of a pipe. Where the file says the kind, what
# glob_lines says comes first.
ref_rows() { # kind, or nothing
  exec awk -v r="$R" -v kind="$1" -v u="$U" "$B64"'
    function kind_of(f,   i) {
      if (index(f, u "/") == 1) { # of the vhost itself: what leaves the live tree, if nothing names it, apart
        f = substr(f, length(u) + 2); i = index(f, "/")
        return i && substr(f, 1, i - 1) ~ /^(bin|etc|\.ssh)$/ ? "vhost/" substr(f, 1, i - 1) : "vhost" }
      f = substr(f, length(r) + 1)
      if (f ~ /^\/etc\/(cron|anacron|periodic)/ || f ~ /^\/var\/spool\//) return "cron"
      if (f ~ /^\/etc\/logrotate/) return "logrotate"
      if (f ~ /\/systemd\//) return "systemd"
      if (f ~ /^\/etc\/letsencrypt\// || f ~ /^\/root\/\.acme\.sh\//) return "certbot"
      if (f ~ /^\/etc\/php([0-9.\/]|-fpm|-zts)/) return "php.ini"
      if (f ~ /^\/etc\/ssh\//) return "sshd"
      if (f ~ /^\/var\/lib\/(docker|containers)\//) return "container"
      if (f !~ /^\/etc\//) return f ~ /^\/usr\/local\// ? "/usr/local" : "system"
      if (match(f, /^\/etc\/(fstab|supervisor|monit)/)) return substr(f, 6, RLENGTH - 5)
      f = substr(f, 6); i = index(f, "/")
      return i ? substr(f, 1, i - 1) : f }
    # the old place at whose mention something is decided
    function place(path,   part, n) {
      n = split(substr(path, length(u) + 2), part, "/")
      if (part[1] == "web") {
        if (part[2] == "app") return "web/app/" (n > 2 ? (part[3] == "public" ? "public" : "x") : "")
        return part[2] ~ /^(log|run|tmp)$/ ? "web/" part[2] : "web" }
      return part[1] == "var" && part[2] ~ /^(log|run|tmp)$/ ? "var/" part[2] : part[1] }
    function named(path,   k, p) {
      k = kind != "" ? kind : kind_of(f)
      p = place(path) (f ~ /\.log(\.[0-9]+)?$|error_log$/ ? " in a log" : "")
      if (!seen[k, p]++ || (++of[f] <= 5 && shown[k] < 20)) { shown[k]++; printf "ref\t%s\t%s\t%s\t%s\n", k, b64(f), line, b64(path) }
      else more[k]++ }
    # the base with dirname() around it, and what follows; a string that begins with ".."; ".." between separators
    function climbs(text,   up, rest, depth) {
      while (match(text, /((dirname[ \t]*\([ \t]*)*(__DIR__|__FILE__|ABSPATH|\$_SERVER\[["\047]?DOCUMENT_ROOT["\047]?\])([ \t]*(,[ \t]*[0-9]+[ \t]*)?\))*[ \t}]*(\.[ \t]*["\047])?(\/[^"\047;,) \t]*)?)|(["\047](\/\.\.|\.\.\/)[^"\047;,) \t]*["\047]?)|((DIRECTORY_SEPARATOR|DS)[ \t]*\.[ \t]*["\047]\.\.)/)) {
        found = substr(text, RSTART, RLENGTH); text = substr(text, RSTART + RLENGTH)
        if (found ~ /ABSPATH/ && f !~ /\/wp-load\.php$/) continue
        rest = substr(f, length(u "/web/") + 1)
        depth = found ~ /DOCUMENT_ROOT/ ? 0 : gsub("/", "", rest)
        rest = found; up = gsub(/\.\./, "", rest) + gsub(/dirname/, "", rest) - (found ~ /__FILE__/)
        while (match(rest, /, *[0-9]+/)) { up += substr(rest, RSTART + 1, RLENGTH - 1) - 1; rest = substr(rest, RSTART + RLENGTH) }
        if (up > depth && !told[depth, found]++) printf "php\t%s\t%s\t%s\n", b64(f), line, b64(found) } }
    # what finds many vhosts at once: a pattern, or a variable where a name of one would be
    function patterns(text,   part, n, i, word) {
      n = split(text, part, beside)
      for (i = 2; i <= n; i++) {
        word = part[i]; sub(/[ \t"\047`;,)(|&<>:].*/, "", word)
        if (word ~ "^[^/]*[*?[$%{][^/]*/." && part[i - 1] !~ /[A-Za-z0-9._-]$/ && !told[f, word]++ && ++globs[f] <= 20)
          printf "glob\t%s\t%s\t%s\t%s\n", kind_of(f), b64(f), line, b64(top word) } }
    BEGIN { pattern = u; gsub(/[^A-Za-z0-9\/_-]/, "[&]", pattern)
      top = u; sub(/[^\/]*$/, "", top); beside = top; gsub(/[^A-Za-z0-9\/_-]/, "[&]", beside)
      first = u; sub(/^\/[^\/]*\//, "", first); first = substr(u, 1, length(u) - length(first)); globbing = kind == "" }
    globbing && /^end of patterns$/ { globbing = 0; next }
    globbing { if (!match($0, /:[0-9]+:/)) next
      f = substr($0, 1, RSTART - 1); line = substr($0, RSTART + 1, RLENGTH - 2); rest = substr($0, RSTART + RLENGTH)
      if (index(rest, first) == 1 || rest ~ "^/[^/]*[*?[]") printf "glob\t%s\t%s\t%s\t%s\n", (f ~ /fail2ban/ ? "fail2ban" : "logrotate"), b64(f), line, b64(rest)
      next }
    /^unread\t/ { print "unread\t" b64(substr($0, 8)); next }
    !match($0, /:[0-9]+:/) { next }
    { f = substr($0, 1, RSTART - 1); line = substr($0, RSTART + 1, RLENGTH - 2); rest = substr($0, RSTART + RLENGTH)
      if (line == "0") sub(/^(\.\.?\/)+\/?/, "/", rest)
      if (kind == "" && rest ~ /[*?[$%{]/ && f !~ /\/etc\/(logrotate|fail2ban)/) patterns(rest)
      if (index(f, u "/") == 1 && kind == "" && match(rest, /\.\.\/(web|var)([^A-Za-z0-9._-]|$)/)) named(u substr(rest, RSTART + 2, 4))
      if (kind != "" && (f ~ /\.(php[0-9]?|phtml|inc|module|class|lib|tpl)$/ || f ~ "/[^./]*$")) climbs(rest)
      if (index(rest, "\\/")) gsub(/\\\//, "/", rest)
      n = split(rest, piece, pattern) # not by substr, which is slow with thousands in a long line
      for (i = 2; i <= n; i++) {
        if (piece[i - 1] ~ /[A-Za-z0-9._-]$/ || (i > 2 && piece[i - 1] == "")) continue
        rest = piece[i]
        if (rest ~ /^\/(web|var|etc|bin|\.ssh)([^A-Za-z0-9._-]|$)/) { match(rest, /^[^ \t"\047`;,)&|<>]*/); path = substr(rest, 1, RLENGTH)
          sub(/(\?[A-Za-z0-9_.-]+=|:[^\/.]).*/, "", path); sub(/[\/:]$/, "", path); named(u path) }
        else if (rest ~ /^\/?([^A-Za-z0-9._\/-]|$)/) named(u) } }
    END { for (k in more) printf "more\t%s\t%d\n", k, more[k] }'
}

TEXT_ONLY=
ask_grep() {
  grep -qI x /dev/null 2>/dev/null
  if [ $? = 1 ]; then TEXT_ONLY=-I; fi
}

# The path as it stands in JSON, in ESCAPED.
escape() {
  rest=$1 ESCAPED=
  while :; do
    case $rest in */*) ESCAPED=$ESCAPED${rest%%/*}'\/' rest=${rest#*/} ;; *) break ;; esac
  done
  ESCAPED=$ESCAPED$rest
}

# shellcheck disable=SC2086 # TEXT_ONLY is one option or nothing
application_refs() { # text files up to 1 MiB are worth reading; lines that hold fixed strings are found fast
  escape "$U"
  find "$U/web" -xdev -type f -size -2049 -print0 2>/dev/null |
    xargs -0 grep -snF $TEXT_ONLY -e "$U" -e "$ESCAPED" -e dirname -e DOCUMENT_ROOT -e '/..' -e '"..' -e "'.." /dev/null 2>/dev/null | ref_rows application
}
