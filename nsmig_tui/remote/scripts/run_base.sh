# The runner's ground: journal, crash points, failure, locks, exchange, files put in place.
# Every function here is called by name from run_*.sh; nothing runs until the last line of run_main.sh.
# The journal is append-only: SEQ TAB EPOCH TAB RUN TAB KIND TAB DETAIL; what we act on next is synced first.
# Processes are what a small vhost costs most: here a clock, a pin and a comparison cost none.
K=0
STEP=
SEQ=
TORN=
MUTE=
FPM_AT=
PHASE=preflight
MINE=0
NOW=
EPOCH0=
UP0=
HELD3=
HELD4=
HELD5=
HELD6=
ALIEN=
ARCHIVE_INO=
SAME_DEVICE=
AT=
FPM_PID=
SEEN_STAGING=
RENAMEAT2=
HAND= # the process number of run_hand.sh's perl
ORDER=0

# Have the hand do something; what it answers beside "ok" is in SAID. Answers 1 when nothing was done that the
# command could not do again, 2 when nobody knows. Whether it is still there is asked by its pipe's identity.
# shellcheck disable=SC3013 # dash, BusyBox and POSIX 2024 have -ef
hand() { # word argument...
  SAID=
  if [ -z "$HAND" ] || ! [ "/proc/$HAND/fd/4" -ef "$RD/hand.says" ]; then return 1; fi
  ORDER=$((ORDER + 1))
  printf '%s\0' $(($# + 1)) "$ORDER.$1" "$@" 2>/dev/null >"/proc/$HAND/fd/3" || return 1
  tag=
  until [ "$tag" = "$ORDER.$1" ]; do # an answer that nobody fetched was meant for a subshell that is gone
    read -r tag SAID 2>/dev/null <"/proc/$HAND/fd/4" || return 2
  done
  case $SAID in
    "ok "*) SAID=${SAID#ok } ;;
    ok) ;;
    no) return 1 ;;
    where) # names from where we stand, which may be a subshell
      read -r asker _ 2>/dev/null </proc/self/stat || return 1
      hand here "$asker" "$@" ;;
    *) return 2 ;;
  esac
}

# The time, in NOW: seconds since the epoch with two digits behind the point, by way of the uptime.
tell_time() {
  if ! read -r up rest 2>/dev/null </proc/uptime; then NOW=$(date +%s).00; return; fi
  if [ -z "$EPOCH0" ]; then
    UP0=${up%.*}
    if hand clock; then EPOCH0=$SAID; else EPOCH0=$(date +%s); fi
  fi
  NOW=$((EPOCH0 + ${up%.*} - UP0)).${up#*.}
}

# A point at which tests kill or fail the runner: CRASH_AT counts points, FAIL_AT names one.
pt() {
  if [ -n "$ALIEN" ]; then return 0; fi # what is written for another run is no point of this one
  K=$((K + 1))
  if [ "$K" = "$CRASH_AT" ]; then printf '%s\n' "$1" >"$RD/died-at"; kill -9 $$; fi
  if [ -n "$FAIL_AT" ] && [ "$FAIL_AT" = "$1" ] && [ "$PHASE" != undo ]; then fail "failure injected at $1"; fi
}

step() {
  if [ -n "$STEP" ] && [ "$PHASE" != undo ]; then j step_done "$STEP"; fi
  STEP=$1
  if [ -n "$1" ]; then j step "$1"; fi
}

warn() { j warning "$*"; }

finish() { # outcome exit-code
  rm -f "$J/reserve"
  j points "$K"
  j end "$1"
  hand bye
  if [ $? = 2 ]; then wait "$HAND" 2>/dev/null; fi # it shares the lock: what is begun next must find that free
  exit "$2"
}

# Before anything was touched: refuse. Later: undo all, newest first. While undoing: call a person.
fail() {
  case $PHASE in
    preflight)
      j error "$*"
      if [ "$MINE" = 1 ]; then rm -rf "$CUR"; fi # nothing was touched: the next run begins afresh
      finish refused 4 ;;
    prepare) # only a copy was made, beside the vhost
      j error "$*"
      vnode_unlock
      cd /
      drop_copy
      finish refused 4 ;;
    forward)
      j step_failed "$STEP${TAB}$*"
      undo_everything "$*" ;;
    restore)
      j step_failed "$STEP${TAB}$*"
      PHASE=undo
      vnode_unlock
      cd /
      take_back
      finish undone 5 ;;
    *)
      j error "$*"
      j attention "undo stopped: $*. Everything saved is in $J/cur; see the README, 'By hand'"
      finish attention 6 ;;
  esac
}

# Files, and folders whose entries were renamed, reach the disk. Never the whole file system: on a busy
# server that would be everybody's data. What is not there (any more) has nothing to write.
sync_all() {
  sync "$@" 2>/dev/null || {
    for unsynced in "$@"; do # whoever calls this goes by x
      if [ -e "$unsynced" ]; then sync_file "$unsynced"; fi
    done
  }
}

# Swap pairs of paths atomically, all in one process: xchg A B [C D].
xchg() {
  case $XCHG in
    mv) while [ $# -ge 2 ]; do mv --exchange -T "$1" "$2" || return 1; shift 2; done ;;
    perl)
      hand xchg "$@"
      case $? in 0) return 0 ;; 2) return 1 ;; esac
      syscall_numbers
      # shellcheck disable=SC2016 # perl expands
      perl -e '$n = shift; while (@ARGV) { ($a, $b) = splice(@ARGV, 0, 2); syscall($n, -100, $a, -100, $b, 2) == 0 or die "exchange: $!\n" }' "$RENAMEAT2" "$@" ;;
    *) return 1 ;;
  esac
}

# What VPATH hands down, a group and a default ACL, would go on to all that is made in staging.
shed_acl() { # folder
  if have setfacl && ! hand noacl "$1"; then setfacl -b "$1" 2>/dev/null || :; fi
}

# Root's own place beside the vhosts. Another run that ends takes the folder above away when it is empty,
# perhaps between two steps of ours.
make_staging() {
  if [ -d "$S" ]; then
    if [ -z "$SEEN_STAGING" ]; then
      mount_below "$S"
      if [ -n "$MOUNT" ]; then fail "$MOUNT is a mount point; unmount it first"; fi
      SEEN_STAGING=1
    fi
    return 0
  fi
  tries=0
  until mkdir -p "$S" 2>/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ]; then fail "cannot make $S; is there room in $VPATH?"; fi
  done
  shed_acl "${S%/*}" && shed_acl "$S"
  chmod u=rwx,g=x,o=x,u-s,g-s,o-t "${S%/*}" "$S" || fail "cannot make $S"
}

# Exchange needs the file system's help too; it is asked once a boot with two scratch folders.
probe_exchange() {
  if [ "$XCHG" = none ]; then return 0; fi
  boot_id
  before=
  read -r before 2>/dev/null <"$VAR/exchange" || :
  if [ "$before" = "$BOOT $XCHG $VPATH" ]; then return 0; fi
  mkdir -p "$S/probe.a/x" "$S/probe.b"
  if ! xchg "$S/probe.a" "$S/probe.b" 2>/dev/null || [ ! -d "$S/probe.b/x" ]; then XCHG=none; fi
  rm -rf "$S/probe.a" "$S/probe.b"
  if [ "$XCHG" != none ]; then printf '%s\n' "$BOOT $XCHG $VPATH" >"$VAR/exchange"; fi
}

# The device of a path, the link itself when it is one, in DEVICE.
device_of() {
  if hand look "$1"; then
    # shellcheck disable=SC2086 # words
    set -- $SAID
    DEVICE=$4
  else DEVICE=$(stat -c %d "$1"); fi
}

# The content of a file into another, new or not, by one process at most.
fill() { hand fill "$1" "$2" || cat "$1" >"$2"; } # from to

add() { # from, to the end of
  hand add "$1" "$2"
  case $? in 0) ;; 1) cat "$1" >>"$2" ;; *) return 1 ;; esac
}

# Put a file in place of another: whole or not at all, owner and mode kept, temporary name
# outside the folder that nginx or php-fpm include from.
put() { # source destination ["exact": owner, mode and time of the source]
  dir=${2%/*}
  tmp=${dir%/*}/.nsmig-$DOMAIN.$$
  if [ "$dir" != "$SAME_DEVICE" ]; then # asked once a folder
    device_of "$dir"
    device=$DEVICE
    device_of "${dir%/*}"
    if [ "$device" = "$DEVICE" ]; then SAME_DEVICE=$dir; else tmp=$dir/.nsmig-$DOMAIN.$$; fi
  fi
  if [ "${3:-}" = exact ]; then copy_exactly "$1" "$tmp"
  elif [ -e "$2" ]; then copy_exactly "$2" "$tmp" && fill "$1" "$tmp"
  else cp "$1" "$tmp" && chmod 644 "$tmp"; fi || { rm -f "$tmp"; return 1; }
  sync_file "$tmp"
  mv -T "$tmp" "$2" || { rm -f "$tmp"; return 1; }
  sync_dir "$dir"
}

# With owner, mode, times, ACL and, where cp can, extended attributes and the label of SELinux.
copy_exactly() { # from to
  hand copy "$1" "$2"
  case $? in
    0) ;;
    1) cp --preserve=all "$1" "$2" 2>/dev/null || cp -p "$1" "$2" ;;
    *) return 1 ;;
  esac
}

# Are two files equal? One process at most where there is cmp.
same() {
  if hand same "$1" "$2"; then [ "$SAID" = same ]
  elif have cmp; then cmp -s "$1" "$2"; else [ "$(sha "$1")" = "$(sha "$2")" ]; fi
}

sha() {
  sum_of "$1" && printf '%s\n' "$SUM"
}

sum_of() { # file; its SHA-256 in SUM, by one process
  SUM=$(sha256sum <"$1") || return 1
  SUM=${SUM%% *}
}

# A link put in place by one rename. What stands there must be a link or nothing.
put_link() { # target path
  hand put "$1" "$2" "$S/ln.$$"
  case $? in 0) return 0 ;; 2) return 1 ;; esac
  if [ -L "$S/ln.$$" ]; then rm -f "$S/ln.$$"; fi
  ln -s "$1" "$S/ln.$$" || return 1
  if mv -T "$S/ln.$$" "$2"; then return 0; fi
  # BusyBox's mv wants to know where the old one leads; what leads nowhere is missed by nobody
  [ -L "$2" ] && [ ! -e "$2" ] && rm "$2" && mv -T "$S/ln.$$" "$2"
}
