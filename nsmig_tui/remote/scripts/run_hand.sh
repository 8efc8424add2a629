# The hand: a perl that lives as long as the runner and renames, links, syncs and looks for it, because a process
# for each of these is most of what the migration of a small vhost costs. It does one order at a time while the
# runner waits for the answer, so nothing happens in another order than by commands. What it cannot do, or cannot
# be asked, the command does: without perl, and where somebody has put tools of his own before the system's, which
# are then meant to be used.
# An order comes through a pipe as words that end in NUL: their count, a mark, what to do, with what. The answer is
# one line: the mark, then "ok WORDS", "no" when nothing was done that the command could not do again, else "half".
# The hand is killed with the runner: no order outlives who gave it. Like any child it shares the vhost's lock.

ino() {
  if hand look "$1"; then printf '%s\n' "${SAID%% *}"; else stat -c %i -- "$1" 2>/dev/null; fi
}

# Tools that come before the system's in the path.
own_tools() {
  old_ifs=$IFS
  IFS=:
  for folder in $PATH; do
    case $folder in /bin|/usr/bin|/sbin|/usr/sbin) break ;; esac
    for tool in cat chmod chown cmp cp date df find flock getfacl ionice ln mkdir mv nice rm rmdir sleep stat sync touch; do
      if [ -e "$folder/$tool" ]; then IFS=$old_ifs; return 0; fi
    done
  done
  IFS=$old_ifs
  return 1
}

# It says when it is up, or is gone: the pipe is its own by then, so that neither is missed.
start_hand() {
  if ! have perl || ! have mkfifo || own_tools; then return 0; fi
  syscall_numbers
  if [ -z "$NUMBERS" ] || ! mkfifo "$RD/hand.asks" "$RD/hand.says" 2>/dev/null; then return 0; fi
  up=
  {
    # shellcheck disable=SC2086 # names and numbers
    PERL5OPT='' PERL_UNICODE=0 perl -e "$HAND_PROGRAM" "$RD" $$ $NUMBERS </dev/null >&4 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- &
    HAND=$!
    exec 3<"$RD/hand.says"
  } 4<>"$RD/hand.says"
  read -r up <&3 || HAND=
  exec 3<&-
}

# Commands as the hand does them. Forms that it does not know are the commands' own.
else_do() { # what hand answered, command...
  case $1 in
    0) ;;
    1) shift; command "$@" ;;
    *) return 1 ;;
  esac
}

mv() {
  case $#/$1 in
    3/-T) hand mv "$2" "$3" ;;
    2/[!-]*) hand mvinto "$1" "$2" ;;
    [3-9]/[!-]*) hand mvall "$@" ;;
    *) false ;;
  esac
  else_do $? mv "$@"
}

into_folder() { shift; hand lninto "$@"; } # -s target... folder

ln() {
  case $#/$1/${3:-} in
    3/-s/.) hand lninto "$2" . ;;
    3/-s/*) hand ln "$2" "$3" ;;
    */-s/?*) into_folder "$@" ;;
    *) false ;;
  esac
  else_do $? ln "$@"
}

rm() {
  case $1 in
    -f) shift; hand rmf "$@"; set -- $? -f "$@" ;;
    -rf) shift; hand rmrf "$@"; set -- $? -rf "$@" ;;
    -*) set -- 1 "$@" ;;
    *) hand rm "$@"; set -- $? "$@" ;;
  esac
  how=$1
  shift
  else_do "$how" rm "$@"
}

rmdir() {
  case $#/$1 in
    1/[!-]*)
      hand rmempty "$1"
      case $?$SAID in 0full) printf 'rmdir: %s is not empty\n' "$1" >&2; return 1 ;; 0*) return 0 ;; 1*) false ;; *) return 1 ;; esac ;;
    *) false ;;
  esac
  else_do $? rmdir "$@"
}

mkdir() {
  case $#/$1 in
    2/-p) hand mkdirs "$2" ;;
    3/-m) hand mkdir "$2" "$3" ;;
    4/-m) hand mkdir "$2" "$3" "$4" ;;
    1/[!-]*) hand mkdir 700 "$1" ;;
    *) false ;;
  esac
  else_do $? mkdir "$@"
}

chown() {
  owner=$1
  shift
  case $owner in
    *[!0-9:]*|:*|*:|*:*:*) false ;;
    *:*) hand chown "${owner%:*}" "${owner#*:}" "$@" ;;
    *) false ;;
  esac
  else_do $? chown "$owner" "$@"
}

all_bits() { # octal, symbolic, path...
  bits=$1
  shift 2
  hand mode "$bits" "$@"
}

chmod() {
  case $1 in
    [0-7][0-7][0-7]) hand chmod "$@" ;;
    u=rwx,g=rx,o=rx,u-s,g-s,o-t) all_bits 755 "$@" ;;
    u=rwx,g=rx,o=,u-s,g-s,o-t) all_bits 750 "$@" ;;
    u=rwx,g=x,o=x,u-s,g-s,o-t) all_bits 711 "$@" ;;
    *) false ;;
  esac
  else_do $? chmod "$@"
}

take_along() { shift; hand take "$@"; } # -R from... folder

cp() {
  case $#/$1 in
    3/-p) hand copy "$2" "$3" ;;
    */-R) take_along "$@" ;;
    *) false ;;
  esac
  else_do $? cp "$@"
}

touch() {
  case $#/$1 in
    3/-r) hand touch "$2" "$3" ;;
    *) false ;;
  esac
  else_do $? touch "$@"
}

sync() {
  if [ $# = 0 ]; then false; else hand sync "$@"; fi
  else_do $? sync "$@"
}

sleep() {
  hand nap "$1"
  else_do $? sleep "$@"
}
