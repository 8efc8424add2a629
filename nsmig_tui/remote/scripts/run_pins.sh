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
    look_for "$inode" "$@"
    at=$FOUND
    if [ -n "$at" ]; then hold_it || :; fi
  fi
  cd /
}

hold_it() { # the folder at $at under the number $slot, when its inode is $inode
  cd -P "$at" 2>/dev/null || return 1
  eval "exec $slot<."
  if ! hand look "/proc/$$/fd/$slot/."; then SAID=$(stat -c %i .); fi
  if [ "${SAID%% *}" != "$inode" ]; then eval "exec $slot<&-"; return 1; fi
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
  in_hand "$@"
  case $? in 0) return 0 ;; 2) return 1 ;; esac
  (pin "$d" "$di" && "$@")
}

# What the hand can do of it, having entered and looked just the same. Answers as hand does.
in_hand() { # command..., for the folder $d with the inode $di
  if [ -z "$HAND" ]; then return 1; fi
  case $di in
    '') return 1 ;;
    "$HELD3") which=/proc/$$/fd/3 ;;
    "$HELD4") which=/proc/$$/fd/4 ;;
    "$HELD5") which=/proc/$$/fd/5 ;;
    "$HELD6") which=/proc/$$/fd/6 ;;
    *) which=$di ;;
  esac
  case $#$1 in
    4mv) if [ "$2" = -T ]; then hand at "$d" "$which" mv "$3" "$4"; else return 1; fi ;;
    3put_link) hand at "$d" "$which" put "$2" "$3" "$S/ln.$$" ;;
    2drop_compat) hand at "$d" "$which" dropto "$HOLD/public/$2" "./$2" ;;
    1drop_hop) hand at "$d" "$which" dropin ./app "$HOP" ;;
    2drop_link) hand at "$d" "$which" drop "./$2" ;;
    2rm) case $2 in ./*) hand at "$d" "$which" rm "$2" ;; *) return 1 ;; esac ;;
    2rmdir) hand at "$d" "$which" rmdir "$2" ;;
    *xchg)
      if [ "$XCHG" != perl ]; then return 1; fi
      shift
      hand at "$d" "$which" xchg "$@" ;;
    *) return 1 ;;
  esac
}

# Move one entry between two folders that a vhost's user could swap for links while we work: each side
# is entered and known by its inode, and between them the entry waits where only root can reach it.
# Written down before, so that a crash between the two renames loses nothing.
carry() { # name from-folder its-inode to-folder its-inode
  finish_carry || carry_aside # an earlier one that could not be ended
  mkdir -p "$S/carry" || return 1
  printf '%s\n%s\n%s' "$4" "$5" "$1" >"$CUR/carry" && sync_file "$CUR/carry" || return 1
  in_dir "$2" "$3" mv -T "./$1" "$S/carry/x" || return 1
  pt "carry-half"
  in_dir "$4" "$5" mv -T "$S/carry/x" "./$1" || return 1
  rm -f "$CUR/carry"
}

free_kept() { # name, in ASIDE: a place for it
  mkdir -p "$S/kept" || fail "cannot make $S/kept"
  ASIDE=$S/kept/$1
  while [ -e "$ASIDE" ] || [ -L "$ASIDE" ]; do ASIDE=$ASIDE-2; done
}

# The place that it was on its way to is there no more: kept with what else finds no place.
carry_aside() {
  waits=$(sed '1,2d' "$CUR/carry"; printf .)
  free_kept "${waits%.}"
  mv -T "$S/carry/x" "$ASIDE" || fail "an entry waits in $S/carry and cannot be moved"
  rm -f "$CUR/carry"
}

come_from_carry() { # name, inside the folder that it was on its way to: nobody else may have taken it since
  [ ! -e "$1" ] && [ ! -L "$1" ] && mv -T "$S/carry/x" "$1"
}

finish_carry() {
  if [ ! -s "$CUR/carry" ]; then return 0; fi
  if [ -e "$S/carry/x" ] || [ -L "$S/carry/x" ]; then
    waits=$(sed '1,2d' "$CUR/carry"; printf .)
    in_dir "$(sed -n 1p "$CUR/carry")" "$(sed -n 2p "$CUR/carry")" come_from_carry "./${waits%.}" || return 1
  fi
  rm -f "$CUR/carry"
}
