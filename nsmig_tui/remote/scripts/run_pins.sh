# Folders that a vhost's user could swap for links while we work are known by their inode, never by name.
# Hold a folder open, under a number from 3 to 6: as long as we do, its inode can be given to nothing
# else, and whether a path leads to it is seen without a process. Without /proc nothing is held.
hold() { # number inode path...
  slot=$1 inode=$2
  shift 2
  eval "was=\$HELD$slot HELD$slot=\$inode"
  if [ "$was" = "$inode" ]; then return 0; fi
  eval "HELD$slot="
  # the first of the paths that is there is nearly always the one; else one look tells which
  for at in "$@"; do
    if is_dir "$at"; then break; fi
  done
  if ! hold_it; then
    at=$(where "$inode" "$@")
    if [ -n "$at" ]; then hold_it || :; fi
  fi
  cd /
}

hold_it() { # the folder at $at under the number $slot, when its inode is $inode
  if ! cd -P "$at" 2>/dev/null || [ "$(stat -c %i .)" != "$inode" ]; then return 1; fi
  eval "exec $slot<."
  if same_dir . "$slot"; then eval "HELD$slot=\$inode"; fi
}

# shellcheck disable=SC3013 # dash, BusyBox and POSIX 2024 have -ef
same_dir() { [ "$1" -ef "/proc/$$/fd/$2" ] 2>/dev/null; } # path, number of a held folder

# Enter a folder that a vhost's user could swap, and make sure that it is the one we mean.
pin() { # path inode
  cd -P "$1" 2>/dev/null || return 1
  case $2 in
    '') return 1 ;;
    "$HELD3") same_dir . 3 ;;
    "$HELD4") same_dir . 4 ;;
    "$HELD5") same_dir . 5 ;;
    "$HELD6") same_dir . 6 ;;
    *) [ "$(stat -c %i .)" = "$2" ] ;;
  esac
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
