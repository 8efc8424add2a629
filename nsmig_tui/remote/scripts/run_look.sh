# Looking: what is where, whose it is, how much room there is. By the hand, else by one process for all that is asked.
# Which of the paths is the folder with inode $1? In FOUND, or nothing. One look for all of them.
look_for() {
  FOUND=
  if hand where "$@"; then
    if [ "$SAID" != 0 ]; then
      shift "$SAID"
      FOUND=$1
    fi
    return 0
  fi
  sought=$1/directory/ # whoever asks may use shorter names
  shift
  looked=$(stat -c '%i/%F/%n' -- "$@" 2>/dev/null)
  asked_ifs=$IFS
  IFS=$NL
  for looked_at in $looked; do
    case $looked_at in "$sought"*) FOUND=${looked_at#"$sought"}; break ;; esac
  done
  IFS=$asked_ifs
}

is_among() { look_for "$@"; [ -n "$FOUND" ]; } # inode path...

inode_of() { # path, the link itself when it is one: in INODE, empty when it is not there
  if hand look "$1"; then INODE=${SAID%% *}; else INODE=$(stat -c %i -- "$1" 2>/dev/null); fi
}

own_of() { # path: "UID:GID MODE" in OWN
  if hand look "$1"; then
    SAID=${SAID#* }
    OWN=${SAID% * *}
  else OWN=$(stat -c '%u:%g %a' -- "$1"); fi
}

note_own() { # path, file; nothing is noted of what is not there
  own_of "$1"
  printf %s "${OWN:+$OWN$NL}" >"$2"
}

# Devices of paths in DEVICES, each between blanks or newlines. One process at most.
devices_of() {
  DEVICES=
  for placed in "$@"; do
    if ! hand look "$placed"; then DEVICES=$(stat -c %d -- "$@"); return; fi
    SAID=${SAID% *}
    DEVICES="$DEVICES ${SAID##* }"
  done
}

look_at() { # path...: in seen a line for each, as stat would say it
  seen=
  for x in "$@"; do
    if ! hand look "$x"; then seen=$(stat -c '%d %i/%F/%n' "$@" 2>/dev/null); return; fi
    inode=${SAID%% *}
    SAID=${SAID% *}
    if is_dir "$x"; then kind=directory; else kind=other; fi
    seen="$seen${seen:+$NL}${SAID##* } $inode/$kind/$x"
  done
}

room_at() { # path: KiB in avail, inodes in inodes
  if hand room "$1"; then
    avail=${SAID% *} inodes=${SAID#* }
    return 0
  fi
  free_of -Pk "$1"
  avail=$FREE
  free_of -Pi "$1"
  inodes=$FREE
}

# What is mounted there cannot be renamed along, and what is in it is not ours to delete.
mount_below() { # folder [folders in it that do not matter]: in MOUNT, empty when there is none; also the folder itself
  MOUNT=
  real=$(cd -P "$1" 2>/dev/null && pwd -P) || return 0
  mount_at "$real" "$@"
}

mount_at() { # path without links in it [another name of it, folders by that name that do not matter]: in MOUNT
  MOUNT=
  as_mounted "$1"
  top=$SPELLED called=${2:-$1}
  while read -r _ _ _ _ at _; do
    case $at in "$top"|"$top"/*) ;; *) continue ;; esac
    for but in "$@"; do
      if [ "$but" = "$1" ] || [ "$but" = "$called" ]; then continue; fi
      as_mounted "${but#"$called"}"
      case ${at#"$top"} in "$SPELLED"/*) continue 2 ;; esac
    done
    MOUNT=$at
  done 2>/dev/null </proc/self/mountinfo
}

as_mounted() { # path: as mountinfo spells it, in SPELLED
  SPELLED=$1
  case $1 in *[\\\ ]*) SPELLED=$(printf %s "$1" | sed 's/\\/\\134/g; s/ /\\040/g') ;; esac
}
