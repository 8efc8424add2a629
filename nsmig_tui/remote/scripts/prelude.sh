# Shared by every script. Gives: R (prefix of system places, empty on a real server), VAR, ROOT_ID,
# TAB, NL, die, have, b64, ino, is_dir, sync_file, sync_dir. Prints nothing by itself.
# BusyBox and GNU both; no bashisms. Exit codes of die: 64.
set -u
LC_ALL=C
export LC_ALL
umask 077
R=${NSMIG_ROOT:-}
VAR=$R/var/lib/nsmig
case ":$PATH:" in *:/usr/sbin:*) ;; *) PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin ;; esac
export PATH
ROOT_ID=0:0
if [ "${NSMIG_UNPRIVILEGED:-}" = 1 ]; then ROOT_ID=$(id -u):$(id -g); fi
TAB='	'
NL='
'

die() { printf '%s\n' "$*" >&2; exit 64; }

have() { command -v "$1" >/dev/null 2>&1; }

# base64 on one line; whether base64 does that by itself is asked once by scripts that encode a lot
ONE_LINE=
b64() { if [ -n "$ONE_LINE" ]; then base64 -w 0; else base64 | tr -d '\n'; fi; }
know_base64() { ONE_LINE=1 ENCODE='base64 -w 0'; }
ask_base64() { if base64 -w 0 </dev/null >/dev/null 2>&1; then know_base64; fi; }
ENCODE=b64 # as the end of a pipe one process less than b64

# inode number of a path, the link itself when it is one; empty when it is not there
ino() { stat -c %i -- "$1" 2>/dev/null; }

# When process $1 began, as the kernel counts, in START; empty when it is gone.
start_of() {
  START=
  read -r START 2>/dev/null <"/proc/$1/stat" || return 0
  # shellcheck disable=SC2086 # words of a line of numbers, after the program's name
  set -- ${START##*) }
  START=${20:-}
}

# This boot's name, in BOOT.
boot_id() {
  BOOT=none
  read -r BOOT 2>/dev/null </proc/sys/kernel/random/boot_id || BOOT=none
}

# What df says of a path's file system, in SIZE and FREE; nothing where it says nothing.
free_of() { # -Pk or -Pi, path
  SIZE='' FREE='' table=$(df "$1" "$2" 2>/dev/null)
  case $table in *"$NL"*) ;; *) return 0 ;; esac
  # shellcheck disable=SC2086 # the words of the line after the heading
  set -- ${table#*"$NL"}
  SIZE=${2:-} FREE=${4:-}
}

# a real directory, not a link to one
is_dir() { [ -d "$1" ] && [ ! -L "$1" ]; }

# BusyBox without FANCY_SYNC ignores the argument and syncs everything: slower, as safe
sync_file() { sync "$1" 2>/dev/null || sync; }
sync_dir() { sync "$1" 2>/dev/null || sync; }
