# What is the same for every vhost of a vnode, what it can do and how nginx and php-fpm are configured, is read
# anew only when something of it may have changed: whoever asks says what it hung on when it was read.
# Output section @surroundings, a row "hangs TAB b64(places) TAB b64(their states) TAB b64(masters)", where
# all of that has a name and nothing of it has changed in the second in which it was read or since; the masters
# after a line with this boot's name and TRAITS. Or a section @unchanged instead of @capabilities, @nginx and @fpm.

# Change times are of the kernel's making: no tool sets them back.
states_of() { # places, one a line; for a subshell
  IFS=$NL
  set -f
  # shellcheck disable=SC2086 # one path a word, by IFS
  exec stat -c '%Z %z %i %s %n' -- $1 2>/dev/null
}

# How the vnode's tools take what only some of them know, in ONE_LINE, FIND_PRINTS and TEXT_ONLY, and all in TRAITS.
# They are asked only where nobody can say what they said before.
ask_tools() { # what they said, or nothing
  TRAITS=$1
  case $TRAITS in
    [01][01][01])
      case $TRAITS in 1??) know_base64 ;; esac
      case $TRAITS in ?1?) FIND_PRINTS=yes ;; *) FIND_PRINTS=no ;; esac
      case $TRAITS in ??1) TEXT_ONLY=-I ;; esac
      return ;;
  esac
  ask_base64
  find_prints || :
  ask_grep
  TRAITS=${ONE_LINE:-0}
  case $FIND_PRINTS in yes) TRAITS=${TRAITS}1 ;; *) TRAITS=${TRAITS}0 ;; esac
  case $TEXT_ONLY in '') TRAITS=${TRAITS}0 ;; *) TRAITS=${TRAITS}1 ;; esac
}

unchanged() { # places, their states, masters
  if [ -z "$1" ]; then return 1; fi
  boot_id
  case ${3%%"$NL"*} in "$BOOT "???) ;; *) return 1 ;; esac
  old_ifs=$IFS
  IFS=$NL
  for master in ${3#*"$NL"}; do
    IFS=$old_ifs
    start_of "${master% *}"
    if [ -z "$START" ] || [ "$START" != "${master#* }" ]; then return 1; fi
  done
  IFS=$old_ifs
  [ "$(states_of "$1")" = "$2" ]
}

hangs_row() { # second in which reading began
  printf '@surroundings\n'
  if [ -n "$UNNAMED" ]; then return; fi
  # A service that does not run may be started, and nothing that is watched would show it.
  if have nginx && [ -z "$STARTED" ] || [ -z "$MASTERS" ] && [ -n "$(fpm_confs)" ]; then return; fi
  running=$STARTED
  old_ifs=$IFS
  IFS=$NL
  for master in $MASTERS; do
    IFS=$old_ifs
    master=${master#fpm=} master=${master%%"$TAB"*}
    start_of "$master"
    running="$running$master $START$NL"
  done
  IFS=$old_ifs
  boot_id
  places=$(printf '%s\n' "$WATCH" "$R/etc/passwd" "$R/etc/group" "$R/etc/os-release" "$R/etc/machine-id" "$R/etc/hostname" \
    "$R/etc/" "$R"/etc/php*/ "$R"/etc/php/*/ "$R"/etc/php/*/fpm/ "$R"/etc/init.d/ "$R"/run/systemd/ \
    /usr/local/sbin/ /usr/local/bin/ /usr/sbin/ /usr/bin/ /sbin/ /bin/ | awk 'NF && !seen[$0]++')
  states=$(states_of "$places")
  # a change within the second of reading may have come before or after it
  if printf '%s\n' "$states" | awk -v from="$1" '$1 >= from { late = 1; exit } END { exit !late }'; then return; fi
  printf 'hangs\t%s\t%s\t%s\n' "$(printf %s "$places" | b64)" "$(printf %s "$states" | b64)" "$(printf %s "$BOOT $TRAITS$NL$running" | b64)"
}
