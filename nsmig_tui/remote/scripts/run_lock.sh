# One run a vhost, one configuration editor a vnode: by flock where there is one, else by a file that
# says who made it.
LOCK=
open_lock() { # before the hand begins, which is to share it
  exec 9>>"$J/lock" # also where it is not used: all that the run begins is known by it
  LOCK=open
}

# The hand locks the runner's own descriptor, as flock does, and keeps nothing of it. When nobody knows whether it
# did, flock does it once more: who has a lock gets it again.
flock_on() { # descriptor, seconds to wait
  if hand lock "$1" "$2"; then [ "$SAID" != taken ]; return; fi
  if [ "$2" = 0 ]; then flock -n "$1"; else flock -w "$2" "$1"; fi
}

take_lock() {
  if have flock; then
    if [ -z "$LOCK" ]; then open_lock; fi
    flock_on 9 0 || { end_leftovers && flock_on 9 0; } || return 1
  else
    claim "$J/lock.owner" || return 1
    end_leftovers || return 1
  fi
  tell_time
  printf '%s\t%s\t%s\n' "$RUN" "$OPERATOR" "${NOW%.*}" >"$J/owner"
}

# What a runner that was killed began (tar, gzip and others) goes on writing where the next run is to write, and holds
# the vhost's lock for as long: it is ended. It is of the dead runner's session and has the lock's file open, as
# nobody else does who began elsewhere. Answers 1 when some of it does not end.
end_leftovers() {
  IFS="$TAB" read -r left _ 2>/dev/null <"$J/owner" || return 0
  read -r pid start boot 2>/dev/null <"$J/runs/$left/pid" || return 0
  boot_id
  start_of "$pid"
  if [ "$boot" != "$BOOT" ] || [ -n "$START" ]; then return 0; fi
  tries=0
  while leftovers "$pid"; do
    # shellcheck disable=SC2086 # numbers
    kill -9 $LEFT 2>/dev/null
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ]; then return 1; fi
    sleep 0.1
  done
}

# shellcheck disable=SC3013 # dash, BusyBox and POSIX 2024 have -ef
leftovers() { # number of a session whose first process has ended: who is left of it, in LEFT
  LEFT=
  for there in /proc/[0-9]*; do
    if ! [ "$there/fd/9" -ef "$J/lock" ]; then continue; fi
    line=
    read -r line 2>/dev/null <"$there/stat" || continue
    # shellcheck disable=SC2086 # words of a line of numbers, after the program's name
    set -- "$1" ${line##*) }
    if [ "$5" = "$1" ]; then LEFT="$LEFT ${there#/proc/}"; fi
  done
  [ -n "$LEFT" ]
}

# A lock without flock: a file made by one hard link, its owner already in it. When the owner is gone,
# only the one who holds the lock "LOCK.PID.START" named after that owner may put itself in its place.
claim() { # lock file
  boot_id
  start_of $$
  me="$BOOT $$ $START" held=
  printf '%s\n' "$me" >"$1.by.$$"
  if ln "$1.by.$$" "$1" 2>/dev/null; then rm -f "$1.by.$$"; return 0; fi
  read -r held 2>/dev/null <"$1"
  pid=${held#* }
  start=${pid#* } pid=${pid%% *}
  start_of "$pid"
  if [ -z "$held" ] || [ "$held" = "$me" ] || [ "$held" = "$BOOT $pid $START" ]; then
    rm -f "$1.by.$$"
    [ "$held" = "$me" ]
    return
  fi
  set -- "$1" "$1.$pid.$start" "$held"
  if ! claim "$2"; then rm -f "$1.by.$$"; return 1; fi
  if [ "$(cat "$1" 2>/dev/null)" = "$3" ]; then mv -f "$1.by.$$" "$1"; else rm -f "$1.by.$$"; set -- "$1" "$2"; fi
  rm -f "$2"
  [ $# = 3 ]
}

# One configuration editor a vnode at a time.
PATIENCE=300 LATE=
vnode_lock() {
  if have flock; then
    exec 8>>"$VAR/node.lock"
    until flock_on 8 "$PATIENCE"; do lock_is_late; done
  else
    i=0
    until claim "$VAR/node.owner"; do
      i=$((i + 1))
      if [ "$i" -gt $((PATIENCE * 10)) ]; then lock_is_late; i=0; fi
      sleep 0.1
    done
  fi
}

# On the way back nothing is better than to go on waiting: to stop half-way would leave it to a person.
lock_is_late() {
  late="the vnode's configuration lock stayed taken for $PATIENCE s"
  if [ "$PHASE" != undo ]; then fail "$late"; fi
  if [ -z "$LATE" ]; then warn "$late; the way back waits for the run that has it"; fi
  LATE=1
  sleep 1
}

vnode_unlock() {
  if have flock; then exec 8>&-
  elif boot_id && read -r boot pid start 2>/dev/null <"$VAR/node.owner" && [ "$pid" = $$ ] && [ "$boot" = "$BOOT" ]; then rm -f "$VAR/node.owner"; fi
}
