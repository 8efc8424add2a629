# Entry of validation and planning: all about one vhost's tree. Changes nothing on the vnode's disks.
# Arguments: DOMAIN UPATH UID WUID MODE, MODE "test" (run nginx -t and php-fpm -t) or "dry"; then three texts that
# an earlier inspection gave (see surroundings.sh), or nothing.
# Output: sections with KEY=VALUE or TAB-separated rows; paths as b64.
D=$1 U=$2 UIDN=$3 WUIDN=$4 MODE=$5 PLACES=${6:-} STATES=${7:-} MASTERS_THEN=${8:-}

# Asked before anything else: what changes from here on is found by the runner, which compares again.
SAME=
if unchanged "$PLACES" "$STATES" "$MASTERS_THEN"; then
  SAME=${MASTERS_THEN%%"$NL"*}
  SAME=${SAME##* }
fi
ask_tools "$SAME"

# The structural places, all by one stat.
stat_rows() {
  set --
  for e in "$U" "$U/.ssh" "$U/bin" "$U/etc" "$U/var" "$U/web" "$U/msg" "$U/var/log" "$U/var/run" "$U/var/tmp" \
    "$U/web/app" "$U/web/app/public" "$U/web/log" "$U/web/run" "$U/web/tmp" "$U/.archive" "${U%/*}/." "${U%/*}/.nsmig/$D"; do
    if [ -e "$e" ] || [ -L "$e" ]; then set -- "$@" "$e"; fi
  done
  rows=$(stat -c '%u:%g:%a:%i:%d %n' -- "$@" 2>/dev/null)
  old_ifs=$IFS
  IFS=$NL
  set -f
  for row in $rows; do
    IFS=$old_ifs
    values=${row%%" /"*} e=${row#"${row%%" /"*} "}
    case $e in
      "$U") name=upath ;;
      "$U"/*) name=${e#"$U"/} ;;
      "${U%/*}/.") name=vpath ;; # it may be a link
      *) name=staging ;;
    esac
    k=dir target=
    if [ -L "$e" ]; then k="link" target=$(readlink -- "$e" | tr -d '\n' | b64)
    elif [ ! -d "$e" ]; then k=other; fi
    printf 'stat\t%s\t%s\t%s\t%s\n' "$name" "$k" "$values" "$target"
  done
  set +f
  IFS=$old_ifs
}

tree_rows() {
  # awk judges the one walk: counts, sizes, short lists of what deserves a word, the names at the top and in var
  # and web (NUL-ended, as one base64 text), and links anywhere in web that climb out of it or name an old path
  cd "$U" || return
  kept=
  if [ -e .archive ] || [ -L .archive ]; then kept=1; fi
  walk "$scratch/nsmig-walk.$$" | awk -v uid="$UIDN" -v wuid="$WUIDN" -v u="$U" -v kept="$kept" -v oneline="$ONE_LINE" "$B64"'
    function note(dir, name) { if (++entries[dir] <= 300) names[dir] = names[dir] name "\n" }
    function tell(kind, dir) {
      if (!(dir in folder)) return
      printf "names\t%s\t", kind
      if (entries[dir] <= 300) { print b64(names[dir]); return }
      fflush() # awk is slow with long texts
      system("cd " dir " && find . -maxdepth 1 ! -path . -print0 | base64 " (oneline ? "-w 0" : "| tr -d \"\\012\""))
      print "" }
    # each ".." takes one level of the folder of the link; where none is left, it leaves web on its way
    function follow(link, to,   above, rest, i) {
      if (substr(to, 1, 1) == "/") { if (index(to, u "/") == 1) row("oldlink", link, to); return }
      above = substr(link, 7); rest = to
      while ((i = index(rest, "..")) > 0) {
        rest = substr(rest, i + 2)
        if ((i = index(above, "/")) == 0) { row("climb", link, to); return }
        above = substr(above, i + 1) } }
    # a link beside web that leads into what moves or leaves, by the path that it means
    function outside(link, to,   part, n, i, at) {
      if (substr(to, 1, 1) != "/") { sub("[^/]*$", "", link); to = u substr(link, 2) to }
      n = split(to, part, "/"); to = ""
      for (i = 1; i <= n; i++) {
        if (part[i] == "..") sub("/[^/]*$", "", to)
        else if (part[i] != "" && part[i] != ".") to = to "/" part[i] }
      if (index(to, u "/") == 1 && substr(to, length(u) + 2) ~ /^(web|var|bin|etc|\.ssh)(\/|$)/) row("oldlink", path, to) }
    function row(kind, link, to) { rows[++told] = kind "\t" b64(u substr(link, 2)) "\t" b64(to) }
    BEGIN { b64(""); code["\n"] = 0; if (kept) note(".", "./.archive") } # no name holds a newline here
    function odd(kind) { n[kind]++; if (n[kind] <= 20) { list[kind] = list[kind] "odd\t" kind "\t" b64(path) "\n" } }
    NR % 3 == 1 { split($0, m, " "); next }
    NR % 3 == 2 { path = $0; next }
    { t = m[1]; mode = m[2]; all++; count[t]++
      if (!(m[6] in seen)) { alloc += m[9] * 512; if (t == "f") bytes += m[7] } ; seen[m[6]]++
      if (t == "f") apparent += m[7]
      inweb = (path == "./web" || substr(path, 1, 6) == "./web/")
      if (inweb) { if (length(path) > longest) longest = length(path)
        if (m[5] > 1 && t != "d" && t != "s") { links[m[6]] = m[5] "\t" path; inside[m[6]]++ }
        if (m[3] != uid && m[3] != wuid) odd("foreign")
        if (t == "s" || t == "p" || t == "c" || t == "b") odd("special") }
      if (t == "f" && length(mode) == 4 && substr(mode, 1, 1) ~ /[2-7]/) odd("setuid")
      if (t == "d" && substr(mode, length(mode)) ~ /[2367]/ && !(length(mode) == 4 && substr(mode, 1, 1) ~ /[1357]/)) odd("writable")
      if (path ~ /[\001-\037\177\\]/) { odd("oddname"); if (path ~ /\001/) unclear++ }
      if (path ~ /^\.\/msg\//) mail++
      if (path == ".") device = m[11]
      if (t == "d" && m[11] != device && ++apart <= 20) rows[++told] = "apart\t" b64(u substr(path, 2))
      if (path == "." || path == "./var" || path == "./web" || path == "./var/run") { if (t == "d") folder[path] }
      if (path != "." && index(substr(path, 3), "/") == 0) note(".", path)
      else if (path ~ "^[.]/(var|web)/[^/]*$") note(substr(path, 1, 5), "." substr(path, 6))
      else if (t != "s" && substr(path, 1, 10) == "./var/run/" && index(substr(path, 11), "/") == 0) note("./var/run", "." substr(path, 10))
      if (t == "s" && path ~ /^\.\/var\/run\//) rows[++told] = "entry\tsocket\t" b64(u substr(path, 2))
      if (t == "l" && inweb) follow(path, $0)
      else if (t == "l" && path !~ /^\.\/(msg|bin|etc|\.ssh|var\/run)\//) outside(path, $0) }
    END { for (i in links) { split(links[i], l, "\t"); if (l[1] > inside[i]) { path = l[2]; odd("hardlink") } }
      printf "entries=%d\nalloc=%.0f\nbytes=%.0f\napparent=%.0f\nlongest=%d\nmail=%d\n", all, alloc, bytes, apparent, longest, mail
      for (k in n) printf "n_%s=%d\n", k, n[k]
      for (k in list) printf "%s", list[k]
      print "@entries"
      tell("top", "."); tell("var", "./var"); tell("web", "./web"); tell("run", "./var/run")
      if (unclear) { # newlines, or the byte that stands for one
        printf "names\tsoh\t"; fflush()
        system("find . -xdev -path ./.archive -prune -o -name \"*\001*\" -print0 | head -c 4000 | base64 " (oneline ? "-w 0" : "| tr -d \"\\012\""))
        print "" }
      for (i = 1; i <= told; i++) print rows[i] }'
}

# Mounts, flags, sockets and the account: tables that one awk looks through. It may end at a file that is missing.
table_rows() {
  set --
  if have lsattr; then set -- kind=flags -; fi
  if [ -r /proc/self/mountinfo ]; then set -- "$@" kind=mounts /proc/self/mountinfo; fi
  if [ -r /proc/net/unix ]; then set -- "$@" kind=sockets /proc/net/unix; fi
  if [ -r "$R/etc/passwd" ]; then set -- "$@" kind=accounts FS=: "$R/etc/passwd"; fi
  if [ $# = 0 ]; then return; fi
  real=$U # mounts are listed by where links lead
  if cd -P "$U" 2>/dev/null; then real=$PWD; cd /; fi
  if [ "$real" != "$U" ]; then printf '@mounts\nreal\t%s\n' "$(printf %s "$real" | b64)"; fi
  # "P": quotas count by project; between folders of different ones nothing can be renamed
  lsattr -d "${U%/*}/." "$U" "$U/.ssh" "$U/bin" "$U/etc" "$U/web" "$U/var" "$U"/var/* 2>/dev/null | awk -v u="$U" -v real="$real" -v r="$R" -v uid="$UIDN" '
    function row(section, text) { if (section != at) { at = section; print "@" at } print text }
    kind == "flags" && $2 ~ /\/\.$/ { above = $1 ~ /P/; next }
    kind == "flags" && $2 == u && above != ($1 ~ /P/) { row("mounts", "project\t" $2) }
    kind == "flags" && $1 ~ /[ia]/ { row("mounts", "immutable\t" $2) }
    kind == "mounts" && ($5 == real || index($5, real "/") == 1) { row("mounts", "mount\t" $5) }
    kind == "sockets" && $4 == "00010000" && $8 != "" && index($8, r) == 1 && !seen[$8]++ { row("pools", "listening\t" $8) }
    kind == "accounts" && index($6, u "/") == 1 { row("account", "home\t" $1 "\t" $6) }
    kind == "accounts" && $3 == uid { row("account", "account\t" $1 "\t" $3 "\t" $4 "\t" $6 "\t" $7) }' "$@"
}

mail_row() { # name, a pattern for the command line of its main process
  if ! have "$1"; then return; fi
  if grep -qas "$2" /proc/[0-9]*/cmdline; then printf 'mail\t%s\tyes\n' "$1"; else printf 'mail\t%s\tno\n' "$1"; fi
}

everything() {
  printf '@stat\n'
  stat_rows
  printf '@tree\n'
  scratch=/tmp
  if [ -d /dev/shm ]; then scratch=/dev/shm; fi
  (tree_rows)
  printf '@entries\n'
  for s in "${U%/*}"/*; do
    case ${s##*/} in *[!a-z0-9.-]*) continue ;; esac
    if [ -L "$s" ]; then if [ "$(readlink -f -- "$s")" = "$U" ]; then printf 'entry\talias\t%s\n' "$(printf %s "${s##*/}" | b64)"; fi
    elif [ -d "$s" ]; then printf 'sibling\t%s\n' "${s##*/}"; fi
  done
  table_rows
  printf '@refs\n'
  if is_dir "$U/web"; then
    application_refs
  fi
  system_refs
  printf '@journal\n'
  if [ -f "$VAR/$D/journal" ]; then
    printf 'journal\t'
    $ENCODE <"$VAR/$D/journal"
    echo
  fi
  printf '@mail\n'
  if [ -z "$R" ] && [ -r /proc/self/cmdline ]; then
    mail_row dovecot '^/[^ ]*/dovecot'
    mail_row postfix '^/[^ ]*/postfix/[^ ]*master'
    mail_row exim4 '^/[^ ]*/exim4'
  fi
  if [ -f "$R/root/.vhosts/$D" ]; then
    printf '@settings\n'
    printf 'settings\t'
    grep -Ev '^[[:space:]]*(export[[:space:]]+)?[A-Za-z0-9_]*(PASS|PASSWD|PASSWORD|SECRET|TOKEN|KEY)[[:space:]]*=' "$R/root/.vhosts/$D" | $ENCODE
    echo
  fi
  printf '@copies\n'
  for f in "$R"/etc/nginx/*ns3* "$R"/etc/nginx/*/*ns3* "$R"/etc/php*/*ns3* "$R"/etc/php/*/fpm/*ns3* "$R"/etc/php/*/fpm/*/*ns3*; do
    if [ -f "$f" ]; then printf 'copy\t%s\t%s\n' "$(printf %s "$f" | b64)" "$(b64 <"$f")"; fi
  done
  if [ -n "$SAME" ]; then printf '@unchanged\n'; return; fi
  printf '@capabilities\n'
  capabilities "$U"
  cat_config "$MODE"
  hangs_row "$NOW"
}

# In few and large pieces: each line by itself would be a packet, which costs the operator's side more than
# its text. Without a 0 from both sides of the pipe there may be something missing.
exec 4>&1
status=$({ { everything; echo $? >&3; } | dd obs=65536 2>/dev/null >&4 || echo dd >&3; } 3>&1)
[ "$status" = 0 ] || die "the inspection ended early: $status"
