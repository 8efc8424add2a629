# The runner's ground: journal, crash points, failure, locks, exchange, files put in place.
# Every function here is called by name from run_*.sh; nothing runs until the last line of run_main.sh.
# The journal is append-only: SEQ TAB EPOCH TAB RUN TAB KIND TAB DETAIL, each line synced before we act on.
K=0
STEP=
SEQ=
NGINX_AT=
FPM_AT=
PHASE=preflight
MINE=0

j() { # kind detail
  if [ -z "$SEQ" ]; then SEQ=$(wc -l <"$J/journal" 2>/dev/null || echo 0); fi
  SEQ=$((SEQ + 1))
  detail=$2
  case $detail in *"$NL"*|*"$TAB"*) detail=$(printf %s "$detail" | tr '\n\t' '  ') ;; esac
  printf '%s\t%s\t%s\t%s\t%s\n' "$SEQ" "$(date +%s)" "$RUN" "$1" "$detail" >>"$J/journal"
  sync_file "$J/journal"
}

# A point at which tests kill or fail the runner: CRASH_AT counts points, FAIL_AT names one.
pt() {
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
  j points "$K"
  j end "$1"
  exit "$2"
}

# Before anything was touched: refuse. Later: undo all, newest first. While undoing: call a person.
fail() {
  case $PHASE in
    preflight)
      j error "$*"
      if [ "$MINE" = 1 ]; then rm -rf "$CUR"; fi # nothing was touched: the next run begins afresh
      finish refused 4 ;;
    forward)
      j step_failed "$STEP${TAB}$*"
      undo_everything "$*" ;;
    restore)
      j step_failed "$STEP${TAB}$*"
      PHASE=undo
      vnode_unlock
      cd /
      unrestore
      finish undone 5 ;;
    *)
      j error "$*"
      j attention "undo stopped: $*. Everything saved is in $J/cur; see the README, 'By hand'"
      finish attention 6 ;;
  esac
}

take_lock() {
  if have flock; then
    exec 9>>"$J/lock"
    flock -n 9 || return 1
  else
    claim "$J/lock.owner" || return 1
  fi
  printf '%s\t%s\t%s\n' "$RUN" "$OPERATOR" "$(date +%s)" >"$J/owner"
}

# A lock without flock: a file made by one hard link, its owner already in it. When the owner is gone,
# only the one who holds the lock "LOCK.PID.START" named after that owner may put itself in its place.
claim() { # lock file
  me="$(boot_id) $$ $(start_time $$)" held=
  printf '%s\n' "$me" >"$1.by.$$"
  if ln "$1.by.$$" "$1" 2>/dev/null; then rm -f "$1.by.$$"; return 0; fi
  read -r held 2>/dev/null <"$1"
  pid=${held#* }
  start=${pid#* } pid=${pid%% *}
  if [ -z "$held" ] || [ "$held" = "$me" ] || [ "$held" = "$(boot_id) $pid $(start_time "$pid")" ]; then
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

boot_id() { cat /proc/sys/kernel/random/boot_id 2>/dev/null || echo none; }

start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# One configuration editor a vnode at a time.
vnode_lock() {
  if have flock; then
    exec 8>>"$VAR/node.lock"
    flock -w 300 8 || fail "the vnode's configuration lock stayed taken for 300 s"
  else
    i=0
    until claim "$VAR/node.owner"; do
      i=$((i + 1))
      if [ "$i" -gt 3000 ]; then fail "the vnode's configuration lock stayed taken for 300 s"; fi
      sleep 0.1
    done
  fi
}

vnode_unlock() {
  if have flock; then exec 8>&-
  elif read -r boot pid start 2>/dev/null <"$VAR/node.owner" && [ "$pid" = $$ ] && [ "$boot" = "$(boot_id)" ]; then rm -f "$VAR/node.owner"; fi
}

sync_tree() { sync -f "$UPATH" 2>/dev/null || sync; }

renameat2_number() {
  case $(uname -m) in
    x86_64) echo 316 ;; aarch64|riscv64|loongarch64) echo 276 ;; i?86) echo 353 ;;
    arm*) echo 382 ;; ppc*) echo 357 ;; s390*) echo 347 ;; *) echo 0 ;;
  esac
}

# Swap pairs of paths atomically, all in one process: xchg A B [C D].
xchg() {
  case $XCHG in
    mv) while [ $# -ge 2 ]; do mv --exchange -T "$1" "$2" || return 1; shift 2; done ;;
    perl)
      # shellcheck disable=SC2016 # perl expands
      perl -e '$n = shift; while (@ARGV) { ($a, $b) = splice(@ARGV, 0, 2); syscall($n, -100, $a, -100, $b, 2) == 0 or die "exchange: $!\n" }' "$(renameat2_number)" "$@" ;;
    *) return 1 ;;
  esac
}

# Exchange needs the file system's help too; ask it with two scratch folders.
probe_exchange() {
  mkdir -p "$S/probe.a/x" "$S/probe.b"
  if ! xchg "$S/probe.a" "$S/probe.b" 2>/dev/null || [ ! -d "$S/probe.b/x" ]; then XCHG=none; fi
  rm -rf "$S/probe.a" "$S/probe.b"
}

# Which of the paths is the folder with inode $1? Prints it, or nothing. One look for all of them.
where() {
  w=$1/directory/
  shift
  seen=$(stat -c '%i/%F/%n' -- "$@" 2>/dev/null)
  old_ifs=$IFS
  IFS=$NL
  for p in $seen; do
    case $p in "$w"*) printf %s "${p#"$w"}"; break ;; esac
  done
  IFS=$old_ifs
}

# Put a file in place of another: whole or not at all, owner and mode kept, temporary name
# outside the folder that nginx or php-fpm include from.
put() { # source destination
  dir=${2%/*}
  tmp=${dir%/*}/.nsmig-$DOMAIN.$$
  if [ "$(stat -c %d "$dir")" != "$(stat -c %d "${dir%/*}")" ]; then tmp=$dir/.nsmig-$DOMAIN.$$; fi
  cp -p "$1" "$tmp" || { rm -f "$tmp"; return 1; }
  if [ "${3:-}" != exact ]; then
    if [ -e "$2" ]; then
      chown "$(stat -c %u:%g "$2")" "$tmp" && chmod "$(stat -c %a "$2")" "$tmp" || return 1
    else
      chmod 644 "$tmp" || return 1
    fi
    touch "$tmp"
  fi
  sync_file "$tmp"
  mv -T "$tmp" "$2" || return 1
  sync_dir "$dir"
}

# Are two files equal? One process where there is cmp.
same() {
  if have cmp; then cmp -s "$1" "$2"; else [ "$(sha "$1")" = "$(sha "$2")" ]; fi
}

sha() { sha256sum <"$1" | cut -d' ' -f1; }

# Enter a folder that a vhost's user could swap, and make sure that it is the one we mean.
pin() { # path inode
  cd -P "$1" 2>/dev/null || return 1
  [ "$(stat -c %i .)" = "$2" ]
}

# Run a command inside a folder that must be the inode we know; never through a link.
in_dir() { # path inode command...
  d=$1 di=$2
  shift 2
  (pin "$d" "$di" && "$@")
}

# Move one entry between two folders that a vhost's user could swap for links while we work: each side
# is entered and known by its inode, and between them the entry waits where only root can reach it.
# Written down before, so that a crash between the two renames loses nothing.
carry() { # name from-folder its-inode to-folder its-inode
  rm -rf "$S/carry"
  mkdir -p "$S/carry" || return 1
  printf '%s\n%s\n%s' "$4" "$5" "$1" >"$CUR/carry" && sync_file "$CUR/carry"
  in_dir "$2" "$3" mv -T "./$1" "$S/carry/x" || return 1
  pt "carry-half"
  in_dir "$4" "$5" mv -T "$S/carry/x" "./$1" || return 1
  rm -f "$CUR/carry"
}

finish_carry() {
  if [ ! -s "$CUR/carry" ]; then return 0; fi
  if [ -e "$S/carry/x" ] || [ -L "$S/carry/x" ]; then
    to=$(sed -n 1p "$CUR/carry") inode=$(sed -n 2p "$CUR/carry") name=$(sed '1,2d' "$CUR/carry"; printf .)
    in_dir "$to" "$inode" mv -T "$S/carry/x" "./${name%.}" || return 1
  fi
  rm -f "$CUR/carry"
}

# A link put in place by one rename. What stands there must be a link or nothing.
put_link() { # target path
  rm -f "$S/ln.$$"
  ln -s "$1" "$S/ln.$$" && mv -T "$S/ln.$$" "$2"
}

flag() { : >"$CUR/flag.$1" && sync_dir "$CUR"; }
flagged() { [ -e "$CUR/flag.$1" ]; }
