# Services, and nginx: test, reload, prove by effect. Never stopped; started only when found dead.
nginx_pid() { # in MASTER; empty when it is not running
  MASTER=
  read -r MASTER 2>/dev/null <"$NGINX_PID" || :
  if [ -n "$MASTER" ] && [ ! -d "/proc/$MASTER" ]; then MASTER=; fi
  [ -n "$MASTER" ]
}

children() { # of a process, in CHILDREN, each between blanks
  if [ -e "/proc/$1/task/$1/children" ]; then
    read -r CHILDREN 2>/dev/null <"/proc/$1/task/$1/children" || :
  else
    CHILDREN=$(grep -ls "^PPid:${TAB}$1\$" /proc/[0-9]*/status | sed 's|/proc/||; s|/status||' | tr '\n' ' ')
  fi
  CHILDREN=" $CHILDREN "
}

nginx_test() {
  if ! NGINX_SAYS=$(umask 022; nginx -t 2>&1); then
    NGINX_SAYS=$(printf %s "$NGINX_SAYS" | grep -v 'test failed' | tail -n 1)
    return 1
  fi
}

service() { # verb unit command
  umask 022 # a daemon started here, and all that it writes, would have ours
  case $MANAGER in
    systemd) systemctl "$1" "$2" ;;
    openrc) rc-service "${2%.service}" "$1" ;;
    sysvinit) "$R/etc/init.d/${2%.service}" "$1" ;;
    command) sh -c "$3" ;;
    *) false ;;
  esac 3<&- 4<&- 5<&- 6<&- 7>&- 8>&- 9>&- # nor must it keep our locks
  set -- $?
  umask 077
  return "$1"
}

start_dead() { # unit: a service that is down is started once, its start limit cleared first
  warn "$1 was found down and is started"
  case $MANAGER in
    systemd) systemctl reset-failed "$1" 2>/dev/null ;;
    openrc) rc-service "${1%.service}" zap >/dev/null 2>&1 ;; # which may still take it for started
  esac
  service start "$1" "${2:-}"
}

# Old workers go on accepting until the master's word reaches them; then they say so in their title.
workers_left() {
  for c in $1; do
    title=
    read -r title 2>/dev/null <"/proc/$c/cmdline" || :
    case $title in ''|*'shutting down'*) ;; *) return 0 ;; esac
  done
  return 1
}

# An upgrade, or a person, may restart nginx while we reload it: then the master that came is asked in its turn.
nginx_reload() {
  tries=1
  until nginx_takes; do
    if [ "$tries" = 5 ] || ! nginx_is_another "$ASKED_MASTER"; then return 1; fi
    tries=$((tries + 1))
  done
}

# Reload and wait until a new worker of the same master is there and no old one accepts any more: the
# exit status proves nothing. Who was asked is in ASKED_MASTER.
nginx_takes() {
  ASKED_MASTER=
  if ! nginx_pid; then
    start_dead "$NGINX_UNIT" "$NGINX_CMD" || return 1
    return 0
  fi
  ASKED_MASTER=$MASTER
  children "$MASTER"
  before=$CHILDREN
  service reload "$NGINX_UNIT" "$NGINX_CMD" || return 1
  i=0
  while [ "$i" -lt 250 ] && [ -d "/proc/$ASKED_MASTER" ]; do
    children "$ASKED_MASTER"
    for c in $CHILDREN; do
      case $before in
        *" $c "*) ;;
        *)
          if workers_left "$before"; then continue; fi
          note_leaving "$before"
          j reloaded nginx
          return 0 ;;
      esac
    done
    sleep 0.04
    i=$((i + 1))
  done
  return 1
}

# Is the master that was asked gone, or about to go? Whoever stops it may start it again at once, and is left to it.
nginx_is_another() { # process number
  if [ -z "$1" ]; then return 1; fi
  i=0 none=0
  while [ "$i" -lt 100 ] && [ "$none" -lt 10 ]; do
    if nginx_pid; then
      if [ "$MASTER" != "$1" ]; then return 0; fi
      children "$MASTER"
      if workers_left "$CHILDREN"; then return 1; fi
    else none=$((none + 1)); fi
    sleep 0.1
    i=$((i + 1))
  done
}

is_leaving() { # process number: an old worker that still answers a request
  title=
  read -r title 2>/dev/null <"/proc/$1/cmdline" || :
  case $title in 'nginx: worker process is shutting down'*) ;; *) return 1 ;; esac
}

# Old workers finish what they began, by the paths and sockets that they know. All runs of the vnode see who was told
# when to go, by a clock that nobody sets: "PROCESS SECONDS-SINCE-BOOT", one a line.
note_leaving() { # process numbers
  tell_uptime
  left=
  for c in $1; do
    if is_leaving "$c"; then left="$left$c $UP$NL"; fi
  done
  while read -r c told; do
    if is_leaving "$c"; then left="$left$c $told$NL"; fi
  done 2>/dev/null <"$VAR/nginx.leaving"
  printf %s "$left" 2>/dev/null >"$VAR/nginx.leaving" || :
}

tell_uptime() { # whole seconds, in UP
  UP=
  read -r UP _ 2>/dev/null </proc/uptime || UP=$(date +%s)
  UP=${UP%.*}
}

# Before what old workers know goes, they get some time from when they were told: shared so by all who ask.
let_leave() { # seconds
  nap=0.02
  while :; do
    tell_uptime
    left='' due=1
    while read -r c told; do
      if ! is_leaving "$c"; then continue; fi
      left="$left $c"
      # told later than now: before the last boot, by another process of this number
      if [ $((told + $1)) -gt "$UP" ] && [ "$told" -le "$UP" ]; then due=; fi
    done 2>/dev/null <"$VAR/nginx.leaving"
    if [ -z "$left" ]; then return 0; fi
    if [ -n "$due" ]; then break; fi
    sleep "$nap"
    nap=0.2
  done
  warn "$1 s after its reload nginx still answers requests that began before, in process(es)$left: a slow upload or download among them may end in 404 or 502"
}
