# php-fpm: test, reload, prove by effect: who listens, and which program the master is.
# Does something accept on every one of these sockets? The kernel's table says so without a connection;
# only what listens in a network of its own (systemd's PrivateNetwork=) has to be asked.
accepts() {
  if hand accepts "$@"; then [ "$SAID" = all ]; return; fi
  now=" $(listening) "
  ask=
  for s in "$@"; do
    [ -S "$s" ] || return 1
    case $now in *" $s "*) ;; *) ask="$ask $s" ;; esac
  done
  if [ -z "$ask" ]; then return 0; fi
  have perl || return 1
  # shellcheck disable=SC2016,SC2086 # perl expands; one socket a word
  perl -e 'use Socket; for (@ARGV) { socket(S, PF_UNIX, SOCK_STREAM, 0) or exit 1; connect(S, pack_sockaddr_un($_)) or exit 1; close S }' $ask 2>/dev/null
}

fpm_test() {
  if ! FPM_SAYS=$("$FPM_BIN" -t --fpm-config "$FPM_CONF" 2>&1); then
    FPM_SAYS=$(printf %s "$FPM_SAYS" | grep -v -e 'test failed' -e 'FPM initialization failed' -e 'failed to post process' | tail -n 1)
    return 1
  fi
}

# The master keeps its process when it reloads; it is searched for only when it is not where it was.
fpm_alive() {
  title=
  if [ -n "$FPM_PID" ]; then read -r title 2>/dev/null <"/proc/$FPM_PID/cmdline" || :; fi
  case $title in "php-fpm: master process ($FPM_CONF)"*) return 0 ;; esac
  # another run may have found it a moment ago
  FPM_PID=
  read -r FPM_PID 2>/dev/null <"$VAR/fpm.master" || :
  title=
  if [ -n "$FPM_PID" ]; then read -r title 2>/dev/null <"/proc/$FPM_PID/cmdline" || :; fi
  case $title in "php-fpm: master process ($FPM_CONF)"*) return 0 ;; esac
  FPM_PID=$(fpm_masters | awk -F "$TAB" -v conf="$FPM_CONF" '$2 == conf { print substr($1, 5); exit }')
  if [ -n "$FPM_PID" ]; then printf '%s\n' "$FPM_PID" >"$VAR/fpm.master"; fi
  [ -n "$FPM_PID" ]
}

# Reload php-fpm; prove that it reads the configuration that is on disk by the time this returns, that $1 (one
# socket a line) accept and that $2 are gone.
fpm_reload() {
  if fpm_alive; then
    fpm_image
    service reload "$FPM_UNIT" "$FPM_CMD" && fpm_replaced "$IMAGE" || return 1
  else start_dead "$FPM_UNIT" "$FPM_CMD" || return 1; fi
  for s in $2; do # a machine that goes down takes none away, and php-fpm, started without them, none that it does not know
    if [ -S "$s" ]; then drop_dead_socket "$s"; fi
  done
  if ! fpm_settles "$1" "$2"; then return 1; fi
  j reloaded php-fpm
  pools_answer
}

# What tells the program that the master is now from the one that it becomes by a reload, in IMAGE: where its stack
# begins, which the kernel draws by lot for each; where it does not, the sockets that it has, since the pair for its
# own signals is new in each.
fpm_image() {
  IMAGE='' lot=0
  read -r line 2>/dev/null <"/proc/$FPM_PID/stat" || return 0
  read -r lot 2>/dev/null </proc/sys/kernel/randomize_va_space || :
  read -r way 2>/dev/null <"/proc/$FPM_PID/personality" || way=
  case $way in ???[4-7c-f]????) lot=0 ;; esac # it was begun without
  # shellcheck disable=SC2086 # words of a line of numbers, after the program's name
  set -- ${line##*) }
  IMAGE=${26:-0}
  if [ "$lot" = 0 ] || [ "$IMAGE" = 0 ]; then
    # shellcheck disable=SC2012 # links, whose names are numbers
    IMAGE=$(ls -l "/proc/$FPM_PID/fd" 2>/dev/null | sed -n 's/.*-> socket:/ /p')
  fi
  IMAGE=$FPM_PID.$IMAGE
}

# Until it replaces itself, which its children's last requests can hold up, the master would read what somebody
# else writes meanwhile. Its title tells that the new one has read all.
fpm_replaced() { # image before the reload
  i=0 none=0
  while [ "$i" -lt 2400 ] && [ "$none" -lt 8 ]; do
    if [ -n "$FPM_PID" ] && [ -d "/proc/$FPM_PID" ] || fpm_alive; then
      title=
      read -r title 2>/dev/null <"/proc/$FPM_PID/cmdline" || :
      case $title in
        "php-fpm: master process ($FPM_CONF)"*)
          fpm_image
          if [ "$IMAGE" != "$1" ]; then return 0; fi ;;
      esac
    else none=$((none + 1)); fi
    sleep 0.05
    i=$((i + 1))
  done
  return 1
}

fpm_settles() { # sockets-that-must-accept sockets-that-must-go
  i=0
  while [ "$i" -lt 600 ]; do
    if fpm_state "$1" "$2"; then return 0; fi
    sleep 0.05
    i=$((i + 1))
    if [ $((i % 20)) = 0 ] && ! fpm_alive; then return 1; fi
  done
  return 1
}

fpm_state() {
  for s in $2; do
    if [ -e "$s" ]; then return 1; fi
  done
  # shellcheck disable=SC2086 # one socket a word: domains and our names hold no blanks
  case $1 in *[!\ ]*) accepts $1 ;; *) fpm_alive ;; esac
}

# Paths of Unix sockets that the kernel takes connections for. Other vhosts' pools are looked at here and
# not by connecting: each connection would make an "ondemand" pool start a worker, and a connection
# proves no more than that the kernel queues it.
listening() { awk '$4 == "00010000" && $8 != "" { printf "%s ", $8 }' /proc/net/unix; }

# Sockets of other vhosts' pools that are there right now; asked under the vnode's lock, before a reload.
note_pools() { # sockets that are to come or to go, and so not missed
  OTHER_SOCKETS=
  if ! hand sockets; then SAID=$(listening); fi
  for s in $SAID; do
    case $s in "$VPATH/"*|"$R/"*php*|"$R/"*fpm*) ;; *) continue ;; esac
    case " $OLD_SOCKETS $NEW_SOCKETS $1 " in *" $s "*) continue ;; esac
    if [ -S "$s" ]; then OTHER_SOCKETS="$OTHER_SOCKETS $s"; fi
  done
}

# The other vhosts' pools that were there before the reload must be there after it.
pools_answer() {
  i=0
  until others_listen; do
    i=$((i + 1))
    if [ "$i" -gt 100 ]; then return 1; fi
    sleep 0.05
  done
}

others_listen() {
  # shellcheck disable=SC2086 # one socket a word
  if hand listen $OTHER_SOCKETS; then [ "$SAID" = all ]; return; fi
  now=" $(listening) "
  for s in $OTHER_SOCKETS; do
    case $now in *" $s "*) ;; *) return 1 ;; esac
    [ -S "$s" ] || return 1
  done
}
