# Who changed a configuration file that is not as a run left it: another vhost's run, or a person.
# Vhosts may stand in one file. The last run that changed the file after ours did, in LATER, and what it made of it,
# in LAST: each run's original is what the one before it had made.
later_run() { # path, what we made of it
  LATER='' LAST=$2 more=1
  while [ -n "$more" ]; do
    more=
    for other in "$VAR"/*/cur/conf/list; do
      conf=${other%/list}
      if [ "$conf" = "$CUR/conf" ]; then continue; fi
      while IFS="$TAB" read -r number _ _ at; do
        if [ "$at" != "$1" ] || [ "$conf/$number.final" = "$LAST" ]; then continue; fi
        if ! [ -e "$conf/$number.orig" ] || ! [ -e "$conf/$number.final" ] || ! same "$conf/$number.orig" "$LAST"; then continue; fi
        if same "$conf/$number.final" "$LAST"; then continue; fi # it had nothing to change there
        LATER=${conf%/cur/conf} LAST=$conf/$number.final more=1
      done 2>/dev/null <"$other"
    done
    LATER=${LATER##*/}
  done
}

# Asked before an undo touches anything: a file that somebody edited since is not overwritten, and what a later
# migration of another vhost did to it is not reverted.
nobody_edited() {
  can_change_all
  while IFS="$TAB" read -r n kind sum path; do
    if [ "$sum" = absent ] || [ ! -e "$path" ] || is_ours "$n" "$path"; then continue; fi
    later_run "$path" "$CUR/conf/$n.final"
    for its in "${LAST%.final}".*; do
      if [ -n "$LATER" ] && same "$its" "$path"; then fail "$path has been changed by the migration of $LATER since: undo $LATER first"; fi
    done
    what="then ask again"
    if [ -n "$LATER" ]; then what="then undo $LATER first"; fi
    fail "$path was edited since the migration${LATER:+ of $LATER}; save the edit, put $LAST back in its place, $what"
  done <"$CUR/conf/list"
}

# Whose run wrote what is in a file that is none of ours, in WHOSE.
whose() { # path
  WHOSE=
  for other in "$VAR"/*/cur/conf/list; do
    while IFS="$TAB" read -r number _ _ at; do
      if [ "$at" != "$1" ] || [ "${other%/list}" = "$CUR/conf" ]; then continue; fi
      for its in "${other%/list}/$number".*; do
        case $its in *.orig*) continue ;; esac
        if same "$its" "$1"; then WHOSE=${other%/cur/conf/list}; fi
      done
    done 2>/dev/null <"$other"
  done
  WHOSE=${WHOSE##*/}
}
