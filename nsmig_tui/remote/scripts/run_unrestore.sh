# Back from a restore, finished or not, and what may be deleted of a restore's staging. A restore exchanges what is
# live with what was unpacked: until its end, staging is where the originals are.

# Is nothing in the restore's staging one of the entries that its record names? Who cannot tell says no.
nothing_of_value() {
  if ! is_dir "$S/restore"; then return 0; fi
  inodes=$(find "$S/restore" -xdev -mindepth 1 -maxdepth 3 -exec stat -c %i {} +) || return 1
  printf '%s\n' "$inodes" | awk -v list="$J/restored/list" '
    BEGIN { FS = "\t"; while ((getline < list) > 0) { known[$2]; known[$3] } }
    $0 != "" && $0 in known { found = 1; exit }
    END { exit found + 0 }'
}

# All of staging goes, but for the copy of a restore that is yet to begin, and never with what was live.
clear_staging() {
  if open_restore && ! nothing_of_value; then
    fail "$S/restore holds what was live before a restore; nothing of it is deleted"
  fi
  # shellcheck disable=SC2016 # the inner shell expands
  if [ -n "$B" ]; then find "$S" -xdev -mindepth 1 -maxdepth 1 ! -name restore -exec sh -c 'rm -rf "$@"' sh {} +
  else rm -rf "$S"; fi
}

# What a restore has copied goes; what else is in staging goes only without a migration on record: with one, it may
# be the site itself. Nor does anything go in which a file system is mounted.
drop_copy() {
  B=
  mount_below "$S"
  if [ -n "$MOUNT" ]; then warn "$MOUNT is a mount point; nothing of $S is deleted: unmount it"; return 0; fi
  if [ ! -d "$CUR" ]; then clear_staging
  elif open_restore && ! nothing_of_value; then fail "$S/restore holds what was live before a restore; nothing of it is deleted"
  else
    rm -rf "$S/restore"
    rmdir "$S" 2>/dev/null
  fi
  rmdir "$VPATH/.nsmig" 2>/dev/null
  return 0
}

# What a restore that fails has done goes back; the record of an earlier one stays.
take_back() {
  if open_restore; then unrestore; else drop_copy; fi
}

unswitch_component() { # name in the pinned folder, component, what was there before (or nothing)
  if [ ! -e "./$1" ] && [ ! -L "./$1" ]; then
    if [ -n "$3" ]; then mv -T "$3" "./$1"; fi
  elif [ -z "$3" ]; then mv -T "./$1" "$B/lived/$2"
  elif [ "$XCHG" = none ]; then mv -T "./$1" "$B/lived/$2" && mv -T "$3" "./$1"
  else xchg "./$1" "$3"; fi
}

# Where the original of a component is, in WAS; what is in .archive is only looked at.
find_original() { # component, its inode
  WAS=
  if [ "$2" = - ]; then return 0; fi
  for at in "$UPATH/$1" "$B/was/$1" "$B/gone/$1" "$B/tree/$1" "$B/old/$1" "$B/lived/$1" "$aside/$1"; do
    if [ "$(ino "$at")" = "$2" ]; then WAS=$at; return 0; fi
  done
  return 1
}

# The restored tree was live for a while: what somebody wrote there since is not thrown away. Nor is an original
# whose place somebody else has taken.
keep_what_was_live() {
  mkdir -p "$B/lived/var" || fail "cannot keep what was live"
  while IFS="$TAB" read -r c new old; do
    for from in "$B/tree/$c" "$B/was/$c" "$B/gone/$c" "$B/old/$c"; do
      i=$(ino "$from")
      if [ -z "$i" ] || { [ "$i" != "$new" ] && [ "$i" != "$old" ]; }; then continue; fi
      to=$B/lived/$c
      while [ -e "$to" ] || [ -L "$to" ]; do to=$to-2; done
      mv -T "$from" "$to" || fail "cannot keep $c, which was live"
      pt "unrestore-kept-$c"
    done
  done <"$J/restored/list"
  rmdir "$B/lived/var" 2>/dev/null
  if rmdir "$B/lived" 2>/dev/null; then return 0; fi
  put_into_archive "$B/lived" "replaced-$TS"
  warn "what was restored before is in .archive/$PLACED"
}

# Every component that is the restored one is exchanged again. Safe to run again wherever it stopped.
unrestore() {
  B=$S/restore
  if [ -s "$J/restored/list" ]; then
    aside=$B/nowhere
    if [ -s "$J/restored/replaced" ]; then aside=$UPATH/.archive/$(cat "$J/restored/replaced"); fi
    while IFS="$TAB" read -r c _ old; do
      find_original "$c" "$old" || fail "what $c was before the restore is not to be found; nothing was taken back"
    done <"$J/restored/list"
    PHASE=undo
    step restore_back
    mkdir -p "$B/tree/var" "$B/was/var" "$B/lived/var" || fail "cannot make room to take the restore back"
    printf '' >"$J/restored/begun" && rm -f "$J/restored/done" && sync_all "$J/restored" "$J/journal" || fail "cannot keep a record"
    pt unrestore-begun
    while IFS="$TAB" read -r c new old; do take_component_back; done <"$J/restored/list"
    nginx_test || fail "nginx -t: $NGINX_SAYS"
    nginx_reload || fail "nginx did not reload"
    keep_what_was_live
    pt unrestore-kept
  fi
  clear_staging_of_restore
}

take_component_back() { # $c: $new, $old
  if [ -e "$UPATH/$c" ] || [ -L "$UPATH/$c" ]; then
    if [ "$(ino "$UPATH/$c")" != "$new" ]; then return 0; fi
  elif [ "$old" = - ]; then return 0; fi
  find_original "$c" "$old" || fail "what $c was before the restore is not to be found"
  if [ "$WAS" = "$aside/$c" ]; then
    in_dir "$UPATH/.archive" "$(ino "$UPATH/.archive")" mv -T "./${aside##*/}/$c" "$B/was/$c" || fail "cannot take $c out of .archive"
    WAS=$B/was/$c
    pt "unrestore-was-$c"
  fi
  at=$(component_folder "$c")
  in_dir "$at" "$(ino "$at")" unswitch_component "${c##*/}" "$c" "$WAS" || fail "cannot bring $c back"
  sync_all "$at" "$B/tree" "$B/lived" "$B/was"
  pt "unrestore-$c"
}

clear_staging_of_restore() {
  if open_restore && ! nothing_of_value; then fail "$S/restore still holds what was live; nothing of it is deleted"; fi
  rm -rf "$J/restored"
  pt unrestore-done
  drop_copy
}
