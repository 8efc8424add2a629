# What names an old path of one vhost: the site's own files, and the system's. All files are read to their end: what
# is named at all decides which old paths stay valid. Few lines are shown.
# Rows: "ref TAB kind TAB b64(file) TAB line TAB b64(path)", at least one for each old place that is named;
# "more TAB kind TAB how many lines are not told"; "php TAB b64(file) TAB line TAB b64(expression)", one for each
# way in which PHP climbs above web; "glob TAB kind TAB b64(file) TAB line TAB b64(pattern)".
# U is the vhost's top directory. Nothing else of a line is told: there may be passwords in it.

# Lines "file:line:text" that hold what was looked for, as rows.
ref_rows() { # kind, or nothing where the file says it
  awk -v r="$R" -v kind="$1" -v u="$U" "$B64"'
    function kind_of(f) { f = substr(f, length(r) + 1)
      if (f ~ /^\/etc\/(cron|anacron|periodic)/ || f ~ /^\/var\/spool\//) return "cron"
      if (f ~ /^\/etc\/logrotate/) return "logrotate"
      if (f ~ /^\/etc\/systemd\//) return "systemd"
      if (f ~ /^\/etc\/letsencrypt\// || f ~ /^\/root\//) return "certbot"
      if (f ~ /^\/etc\/fstab/) return "fstab"
      if (f ~ /^\/etc\/php/) return "php.ini"
      if (f ~ /^\/etc\/supervisor/) return "supervisor"
      if (f ~ /^\/etc\/monit/) return "monit"
      return f ~ /^\/etc\/fail2ban\// ? "fail2ban" : "sshd" }
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
      if (!seen[p]++ || (++of[f] <= 5 && shown[k] < 20)) { shown[k]++; printf "ref\t%s\t%s\t%s\t%s\n", k, b64(f), line, b64(path) }
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
    BEGIN { pattern = u; gsub(/[^A-Za-z0-9\/_-]/, "[&]", pattern) }
    !match($0, /:[0-9]+:/) { next }
    { f = substr($0, 1, RSTART - 1); line = substr($0, RSTART + 1, RLENGTH - 2); rest = substr($0, RSTART + RLENGTH)
      if (kind != "" && (f ~ /\.(php[0-9]?|phtml|inc|module|class|lib|tpl)$/ || f ~ /\/[^.\/]*$/)) climbs(rest)
      if (index(rest, "\\/")) gsub(/\\\//, "/", rest)
      n = split(rest, piece, pattern) # not by substr, which is slow with thousands in a long line
      for (i = 2; i <= n; i++) {
        if (piece[i - 1] ~ /[A-Za-z0-9._-]$/ || (i > 2 && piece[i - 1] == "")) continue
        rest = piece[i]
        if (rest ~ /^\/(web|var|etc|bin|\.ssh)([^A-Za-z0-9._-]|$)/) { match(rest, /^[^ \t"\047;,)]*/); path = substr(rest, 1, RLENGTH); sub(/\/$/, "", path); named(u path) }
        else if (rest ~ /^\/?([^A-Za-z0-9._\/-]|$)/) named(u) } }
    END { for (k in more) printf "more\t%s\t%d\n", k, more[k] }'
}

# What of the system may know an old path.
system_refs() {
  set --
  for e in "$R"/etc/crontab "$R"/etc/anacrontab "$R"/etc/cron.* "$R"/etc/periodic "$R"/var/spool/cron \
    "$R"/etc/logrotate.d "$R"/etc/logrotate.conf "$R"/etc/systemd/system "$R"/etc/letsencrypt/renewal "$R"/root/.acme.sh \
    "$R"/etc/fstab "$R"/etc/fail2ban "$R"/etc/ssh/sshd_config "$R"/etc/ssh/sshd_config.d \
    "$R"/etc/supervisor "$R"/etc/supervisord.conf "$R"/etc/supervisor.d "$R"/etc/supervisord.d \
    "$R"/etc/monit "$R"/etc/monitrc "$R"/etc/monit.d "$R"/etc/php.ini "$R"/etc/php*/php.ini "$R"/etc/php/*/*/php.ini \
    "$R"/etc/php.d/*.ini "$R"/etc/php*/conf.d/*.ini "$R"/etc/php/*/*/conf.d/*.ini; do
    if [ -e "$e" ]; then set -- "$@" "$e"; fi
  done
  if [ $# = 0 ]; then return; fi
  { grep -rsnF -e "$U" "$@" /dev/null 2>/dev/null; home_refs; } | ref_rows ""
  glob_rows
}

# Patterns by which logs of many vhosts are found at once.
glob_rows() {
  set --
  for e in "$R"/etc/logrotate.d "$R"/etc/logrotate.conf "$R"/etc/fail2ban; do
    if [ -e "$e" ]; then set -- "$@" "$e"; fi
  done
  if [ $# = 0 ]; then return; fi
  found=$(grep -rsnoE -e '/[^][:space:]"{},;]*[*?[][^[:space:]"{},;]*' "$@" /dev/null 2>/dev/null)
  if [ -z "$found" ]; then return; fi
  printf '%s\n' "$found" | awk -v top="${U%"${U#/*/}"}" "$B64"'
    match($0, /:[0-9]+:/) { f = substr($0, 1, RSTART - 1); line = substr($0, RSTART + 1, RLENGTH - 2); rest = substr($0, RSTART + RLENGTH)
      if (index(rest, top) == 1 || rest ~ /^\/[^\/]*[*?[]/) printf "glob\t%s\t%s\t%s\t%s\n", (f ~ /fail2ban/ ? "fail2ban" : "logrotate"), b64(f), line, b64(rest) }'
}

# What crontabs of accounts that live in the vhost name by "~", by $HOME, or from where cron starts them: their home.
home_refs() {
  if [ ! -r "$R/etc/passwd" ]; then return; fi
  homes=$(awk -F: -v u="$U" '{ h = $6; sub(/\/+$/, "", h) } h == u || index(h, u "/") == 1 { print $1 ":" h }' "$R/etc/passwd")
  if [ -z "$homes" ]; then return; fi
  set --
  for e in "$R"/etc/crontab "$R"/etc/cron.d/* "$R"/var/spool/cron/* "$R"/var/spool/cron/crontabs/* "$R"/etc/crontabs/*; do
    if [ -f "$e" ] && [ -r "$e" ]; then set -- "$@" "$e"; fi
  done
  if [ $# = 0 ]; then return; fi
  printf '%s\n' "$homes" | awk -v u="$U" '
    FILENAME == "-" { i = index($0, ":"); home[substr($0, 1, i - 1)] = substr($0, i + 1); next }
    /^[ \t]*(#|$)/ { next }
    { who = FILENAME; sub(/.*\//, "", who)
      if (FILENAME ~ /\/etc\/cron(tab|\.d\/.*)$/) who = $1 ~ /^@/ ? $2 : $6
      mine = home[who]; rest = $0
      while (match(rest, /(~[A-Za-z0-9_.-]*|\$HOME|\$[{]HOME[}])(\/[^ \t"\047;,)&|<>]*)?/)) {
        text = substr(rest, RSTART, RLENGTH); rest = substr(rest, RSTART + RLENGTH)
        at = mine
        if (text ~ /^~[A-Za-z0-9_]/) { name = substr(text, 2); sub(/\/.*/, "", name); at = home[name] }
        sub(/^[^\/]*/, "", text)
        if (at != "") print FILENAME ":" FNR ":" at text }
      if (mine == "") next
      if (mine != u) { print FILENAME ":" FNR ":" mine; next }
      n = split($0, word, /[ \t"\047=;&|()<>]+/)
      for (i = 1; i <= n; i++) { sub(/^\.\//, "", word[i])
        if (word[i] ~ /^(web|var|etc|bin|\.ssh)(\/|$)/) print FILENAME ":" FNR ":" mine "/" word[i] } }' - "$@"
}

TEXT_ONLY=
grep -qI x /dev/null 2>/dev/null
if [ $? = 1 ]; then TEXT_ONLY=-I; fi

# shellcheck disable=SC2086 # TEXT_ONLY is one option or nothing
application_refs() { # text files up to 1 MiB are worth reading; lines that hold fixed strings are found fast
  find "$U/web" -xdev -type f -size -2049 -print0 2>/dev/null |
    xargs -0 grep -snF $TEXT_ONLY -e "$U" -e "$(printf %s "$U" | sed 's|/|\\/|g')" -e dirname -e DOCUMENT_ROOT -e '/..' -e '"..' -e "'.." /dev/null 2>/dev/null | ref_rows application
}
