# What of the system names an old path of one vhost, and what of the vhost itself outside of web and mail. Nobody can
# list who may: so all of /etc is searched, and where else administrators put what is theirs. Comes after references.
SEARCH_FOR=20 # seconds; what is left then is told as not searched

# Seconds since boot, which cost no process, where the kernel tells; else of the clock.
# shellcheck disable=SC2016 # also for an inner shell
TELL_SECOND='second() { read -r SECOND _ 2>/dev/null </proc/uptime && SECOND=${SECOND%%.*} || SECOND=$(date +%s); }'
eval "$TELL_SECOND"

# For find: lines of files that hold a text, as "file:line:text". Arguments: text, until when, options, how to go on;
# files. BusyBox's find leaves out what comes after a program that did not end well, as grep does that found nothing;
# where that is no matter, "exec" spares a process.
# shellcheck disable=SC2016 # the inner shell expands
LINES_OF=$TELL_SECOND'
  u=$1 until=$2 only=$3 go=$4; shift 4
  second
  if [ "$SECOND" -gt "$until" ]; then printf "unread\t%s\n" "$1"; exit 0; fi
  $go grep -snF $only -e "$u" /dev/null "$@" 2>/dev/null
  exit 0'

# For a find that cannot say it of links: the same, and where they lead as line 0.
# shellcheck disable=SC2016
LINKS_OF=$TELL_SECOND'
  u=$1 until=$2 only=$3; shift 3
  ls -ld -- "$@" 2>/dev/null | sed -n "s|^[^/]*\(/.*\) -> \(.*\)|\1:0:\2|p" | grep -F -e "$u"
  second
  if [ "$SECOND" -gt "$until" ]; then exit 0; fi
  for l; do if [ -f "$l" ]; then printf "%s\0" "$l"; fi; done | xargs -0 grep -snF $only -e "$u" /dev/null 2>/dev/null
  exit 0'

# For find: large files that are not read; programs and databases are none that anybody wrote a path into.
# shellcheck disable=SC2016
LARGE='for f; do
  if [ "$(head -c 4096 -- "$f" | tr -d "\000" | wc -c)" -eq 4096 ]; then printf "unread\t%s\n" "$f"; fi
done
exit 0'

# All in one search. Of nginx's and php-fpm's folders only what is no configuration of theirs: that is read as they read
# it (configs.sh), and what they do not include is no use of a path. Of the vhost what stays at its top, such as a
# repository with its hooks, and what may stay because something names it; never by a link.
searched_lines() {
  set --
  for e in etc usr/local/etc usr/local/bin usr/local/sbin usr/local/lib/systemd var/spool/cron var/spool/at \
    var/spool/incron run/systemd/transient run/systemd/system root/.acme.sh root/.config/systemd/user; do
    if [ -d "$R/$e" ]; then set -- "$@" "$R/$e"; fi
  done
  # where a folder of these is a link
  for e in "$R"/etc/cron* "$R"/etc/periodic "$R"/etc/logrotate.d "$R"/etc/fail2ban "$R"/etc/supervisor* "$R"/etc/monit*; do
    if [ -L "$e" ] && [ -d "$e" ]; then set -- "$@" "$e"; fi
  done
  # scripts that root's cron jobs are wont to call, and what is mounted in containers
  for e in "$R"/root/bin "$R"/root/scripts "$R"/root/*.sh "$R"/opt/bin "$R"/opt/scripts "$R"/opt/*.sh "$R"/opt/*/*.sh \
    "$R"/root/*compose*.y*ml "$R"/root/*/*compose*.y*ml "$R"/opt/*/*compose*.y*ml \
    "$R"/home/*/.config/systemd/user "$R"/var/lib/docker/containers/*/hostconfig.json \
    "$R"/var/lib/containers/storage/overlay-containers/*/userdata/config.json; do
    if [ -e "$e" ]; then set -- "$@" "$e"; fi
  done
  # the top itself, not what is in it: of a name that is given to -H an account could make a link a moment before
  if [ -d "$U" ]; then set -- "$@" "$U"; fi
  if [ $# = 0 ]; then return; fi
  top=${U%/*}/ here=$U
  case $U in *[\*\?\[\\]*) here=$(printf %s "$U" | sed 's/[]*?[\\]/\\&/g') ;; esac
  set -- "$@" -xdev \( -path "$here/web" -o -path "$here/msg" -o -path "$here/var/log" -o -path "$here/var/run" \
    -o -path "$here/var/tmp" -o -path "$here/.archive" \) -prune -o \
    -type d \( -path '*.git/objects' -o ! -path "$here" ! -path "$here/*" \
    \( -name .git -o -name .bzr -o -name .hg -o -name '*.wants' -o -name '*.requires' \) -o -path "$R/etc/rc*.d" -o -path "$R/etc/alternatives" -o -path "$R/etc/fonts" -o -path "$R/etc/selinux" \
    -o -path "$R/etc/ssl/certs" -o -path "$R/etc/letsencrypt/archive" -o -path "$R/etc/letsencrypt/live" \
    -o -path "$R/etc/letsencrypt/accounts" -o -path "$R/etc/letsencrypt/csr" -o -path "$R/etc/letsencrypt/keys" \) -prune -o \
    \( -path "$R/etc/nginx/*" -o -path "$R/etc/p*" \( -path "$R/etc/passwd*" -o -path "$R/etc/php/*" -o -path "$R/etc/php[0-9]*" \
    -o -path "$R/etc/php-fpm*" \) -o -path "$R/etc/mtab" -o -path "$R/usr/local/etc/nginx/*" -o -path "$R/usr/local/etc/php*" \) \
    ! -name '*.ini' ! -name '*.lua' ! -name '*.js' ! -name '*.p[lmy]' ! -name '*.sh' ! -name '*.php' -o
  go=
  if find_prints; then
    go="exec"
    set -- "$@" \( -path "$here/*" -type f -o ! -path "$here/*" \( ! -lname "*$top*" -o -printf '%p:0:%l\n' \) -xtype f \)
  else set -- "$@" ! -path "$here/*" -type l -exec sh -c "$LINKS_OF" sh "$top" "$until" "$TEXT_ONLY" {} + -o -type f; fi
  find -H "$@" -size -32769 -exec sh -c "$LINES_OF" sh "$top$NL../web$NL../var" "$until" "$TEXT_ONLY" "$go" {} + -o \
    -type f -exec sh -c "$LARGE" sh {} + 2>/dev/null
}

system_refs() {
  second
  until=$((SECOND + SEARCH_FOR))
  { glob_lines; echo end of patterns; searched_lines; home_lines; } | ref_rows ""
}

# Patterns by which logs of many vhosts are found at once.
glob_lines() {
  set --
  for e in "$R"/etc/logrotate.d "$R"/etc/logrotate.conf "$R"/etc/fail2ban; do
    if [ -e "$e" ]; then set -- "$@" "$e"; fi
  done
  if [ $# = 0 ]; then return; fi
  grep -rsnoE -e '/[^][:space:]"{},;]*[*?[][^[:space:]"{},;]*' "$@" /dev/null 2>/dev/null
}

# What crontabs of accounts that live in the vhost name by "~", by $HOME, or from where cron starts them: their home.
home_lines() {
  if [ ! -r "$R/etc/passwd" ]; then return; fi
  set --
  for e in "$R"/etc/crontab "$R"/etc/cron.d/* "$R"/var/spool/cron/* "$R"/var/spool/cron/crontabs/* "$R"/etc/crontabs/*; do
    if [ -f "$e" ] && [ -r "$e" ]; then set -- "$@" "$e"; fi
  done
  if [ $# = 0 ]; then return; fi
  awk -v u="$U" '
    kind == "homes" { h = $6; sub(/\/+$/, "", h); if (h == u || index(h, u "/") == 1) { home[$1] = h; some = 1 }; next }
    !some { exit }
    /^[ \t]*(#|$)/ { next }
    { who = FILENAME; sub(/.*\//, "", who)
      if (FILENAME ~ /\/etc\/cron(tab|\.d\/.*)$/) who = $1 ~ /^@/ ? $2 : $6
      mine = home[who]; rest = $0
      while (match(rest, /(~[A-Za-z0-9_.-]*|\$HOME|\$[{]HOME[}])(\/[^ \t"\047;,)&|<>]*)?/)) {
        text = substr(rest, RSTART, RLENGTH); rest = substr(rest, RSTART + RLENGTH)
        at = mine
        if (text ~ /^~[A-Za-z0-9_]/) { name = substr(text, 2); sub(/\/.*/, "", name); at = home[name] }
        sub("^[^/]*", "", text)
        if (at != "") print FILENAME ":" FNR ":" at text }
      if (mine == "") next
      if (mine != u) { print FILENAME ":" FNR ":" mine; next }
      n = split($0, word, /[ \t"\047=;&|()<>]+/)
      for (i = 1; i <= n; i++) { sub(/^\.\//, "", word[i])
        if (word[i] ~ /^(web|var|etc|bin|\.ssh)(\/|$)/) print FILENAME ":" FNR ":" mine "/" word[i] } }' kind=homes FS=: "$R/etc/passwd" kind=crons FS=' ' "$@"
}

