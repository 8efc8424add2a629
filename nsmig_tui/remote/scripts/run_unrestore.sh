# Back from a restore, finished or not, and what may be deleted of a restore's staging. A restore exchanges what is
# live with what was unpacked: until its end, staging is where the originals are.

# Is nothing in the restore's staging one of the entries that its record names? Who cannot tell says no. With "full"
# only one in which something is: what went has left its inode's number to the next empty folder.
nothing_of_value() { # [full]
  if ! is_dir "$S/restore"; then return 0; fi
  live=$(find "$S/restore" -xdev -mindepth 1 -maxdepth 3 -exec stat -c '%i %n' {} +) || return 1
  live=$(printf '%s\n' "$live" | awk -v list="$J/restored/list" '
    BEGIN { while ((getline l < list) > 0) { split(l, c, "\t"); known[c[2]]; known[c[3]] } }
    $1 != "" && $1 in known { sub(/^[0-9]+ /, ""); print }')
  if [ "${1:-}" != full ]; then [ -z "$live" ]; return; fi
  while IFS= read -r entry; do
    if [ -n "$entry" ] && [ -n "$(find "$entry" -xdev ! -type d 2>&1 | head -n 1)" ]; then return 1; fi
  done <<EOF
$live
EOF
}

# All of staging goes, but for the copy of a restore that is yet to begin, and never with what was live.
clear_staging() {
  if open_restore && ! nothing_of_value; then
    fail "$S/restore holds what was live before a restore; nothing of it is deleted"
  fi
  # shellcheck disable=SC2016 # the inner shell expands
  if [ -n "$B" ]; then find "$S" -xdev -mindepth 1 -maxdepth 1 ! -name restore -exec sh -c 'rm -rf "$@"' sh {} +
  elif not_ours; then # a run of a migration left it; the next one that ends puts it into .archive
    warn "in $S is more than a restore's copy; it stays there until the next run of this vhost"
    rm -rf "$S/restore"
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

unswitch_component() { # name in the pinned folder, what was there before (or nothing), where the restored one goes
  if [ ! -e "./$1" ] && [ ! -L "./$1" ]; then
    if [ -n "$2" ]; then mv -T "$2" "./$1"; fi
  elif [ -z "$2" ]; then mv -T "./$1" "$3"
  elif [ "$XCHG" = none ]; then mv -T "./$1" "$3" && mv -T "$2" "./$1"
  else swap_kept "./$1" "$2"; fi
}

# A file system that is mounted in a component would leave the site with it.
none_mounted_in() { # component; a link is none of the places that it leads to
  mount_at "$(cd -P "$UPATH" && pwd -P)/$1"
  if [ -n "$MOUNT" ]; then fail "$MOUNT is a mount point and would be taken out of the site: unmount it, then ask again"; fi
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

lived_as() { # component: in LIVED a free place for what was live
  LIVED=$B/lived/$1
  while [ -e "$LIVED" ] || [ -L "$LIVED" ]; do LIVED=$LIVED-2; done
}

# The restored tree was live for a while: what somebody wrote there since is not thrown away. Nor is an original
# whose place somebody else has taken.
keep_what_was_live() {
  mkdir -p "$B/lived/var" || fail "cannot keep what was live"
  while IFS="$TAB" read -r c new old; do
    for from in "$B/tree/$c" "$B/was/$c" "$B/gone/$c" "$B/old/$c"; do
      i=$(ino "$from")
      if [ -z "$i" ] || { [ "$i" != "$new" ] && [ "$i" != "$old" ]; }; then continue; fi
      lived_as "$c"
      mv -T "$from" "$LIVED" || fail "cannot keep $c, which was live"
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
      if [ "$(ino "$UPATH/$c")" != "$old" ]; then none_mounted_in "$c"; fi
    done <"$J/restored/list"
    PHASE=undo
    step restore_back
    mkdir -p "$B/tree/var" "$B/was/var" "$B/lived/var" || fail "cannot make room to take the restore back"
    if [ ! -e "$J/restored/since" ]; then cp -p "$J/restored/done" "$J/restored/since" 2>/dev/null || cp -p "$J/restored/begun" "$J/restored/since"; fi
    printf '' >"$J/restored/begun" && rm -f "$J/restored/done" && sync_all "$J/restored" "$J/journal" || fail "cannot keep a record"
    pt unrestore-begun
    while IFS="$TAB" read -r c new old; do take_component_back; done <"$J/restored/list"
    vnode_lock # without it, files that another run is just writing would be judged
    if nginx_test; then nginx_reload || fail "nginx did not reload"
    elif [ -e "$J/restored/sick" ]; then warn "nginx -t fails as it did before the restore: $NGINX_SAYS"
    else fail "nginx -t: $NGINX_SAYS"; fi
    php_anew || warn "php-fpm -t: $FPM_SAYS; it is not reloaded, and may go on with what it has read"
    vnode_unlock
    mail_along
    keep_what_was_live
    pt unrestore-kept
  fi
  clear_staging_of_restore
}

take_component_back() { # $c: $new, $old
  now=$(ino "$UPATH/$c")
  if [ "${now:--}" = "$old" ]; then return 0; fi
  find_original "$c" "$old" || fail "what $c was before the restore is not to be found"
  if [ -n "$now" ] && [ "$now" != "$new" ]; then note_newcomer; fi
  if [ "$WAS" = "$aside/$c" ]; then
    in_dir "$UPATH/.archive" "$(ino "$UPATH/.archive")" mv -T "./${aside##*/}/$c" "$B/was/$c" || fail "cannot take $c out of .archive"
    WAS=$B/was/$c
    pt "unrestore-was-$c"
  fi
  case $c in var/*) var_again ;; esac
  at=$(component_folder "$c")
  lived_as "$c"
  in_dir "$at" "$(ino "$at")" unswitch_component "${c##*/}" "$WAS" "$LIVED" || fail "cannot bring $c back"
  sync_all "$at" "$B/tree" "$B/lived" "$B/was"
  pt "unrestore-$c"
}

# Somebody put another entry in the place of the restored one: that is what goes, kept like the restored one would be,
# and it is written down as such before it moves.
note_newcomer() { # $c: $now
  awk 'BEGIN { FS = OFS = "\t"; c = ARGV[1]; i = ARGV[2]; ARGV[1] = ARGV[2] = "" } $1 == c { $2 = i } { print }' "$c" "$now" "$J/restored/list" >"$J/restored/list.new" &&
    sync_file "$J/restored/list.new" && mv -T "$J/restored/list.new" "$J/restored/list" || fail "cannot write $J/restored/list; is there room in $VAR?"
  sync_dir "$J/restored"
  warn "$c was replaced since the restore; what stood there is kept with what was restored"
  pt "unrestore-newcomer-$c"
}

# Mail that came to a restored mailbox goes along into the one that comes back. What that has under another flag, or
# what came with the archive, is no new mail.
mail_along() {
  while IFS="$TAB" read -r c new old; do
    if [ "$c" != msg ] || [ "$(ino "$UPATH/msg")" != "$old" ]; then continue; fi
    for from in "$B/tree/msg" "$B/was/msg" "$B/old/msg" "$B/lived/msg"*; do
      if is_dir "$from" && [ "$(ino "$from")" = "$new" ]; then mail_from "$from"; fi
    done
  done <"$J/restored/list"
}

mail_from() { # the mailbox that was live
  since=$(stat -c %Y "$J/restored/since") && names_below "$1" >"$B/lived.mail" && names_below "$UPATH/msg" >"$B/home.mail" || fail "cannot tell which mail is new"
  awk 'function key(p) { if (p !~ "/(new|cur)/[^/]+$") return p; sub(/.*\//, "", p); sub(/:2,.*/, "", p); return "mail " p }
    FNR == NR { home[key($0)]; next }
    !(key($0) in home)' "$B/home.mail" "$B/lived.mail" >"$B/new.mail"
  taken=0
  while IFS= read -r name; do
    newlines "$name"
    if is_dir "$1/$NAMED" || [ "$(stat -c %Z "$1/$NAMED" 2>/dev/null || echo 0)" -lt "$since" ]; then continue; fi
    first_missing "$UPATH/msg" "${name#./}"
    late_entry "$1" msg no
    taken=$((taken + 1))
  done <"$B/new.mail"
  warn "$taken new file(s) of mail went along; all the restored mail, as it was in the end, is kept with what was restored"
}

first_missing() { # folder, path in it: in name the shortest way to it that is not there
  name=. rest=$2
  until [ -z "$rest" ]; do
    name=$name/${rest%%/*}
    newlines "$name"
    if [ ! -e "$1/$NAMED" ] && [ ! -L "$1/$NAMED" ]; then return 0; fi
    case $rest in */*) rest=${rest#*/} ;; *) rest= ;; esac
  done
}

clear_staging_of_restore() {
  if open_restore && ! nothing_of_value full; then fail "$S/restore still holds what was live; nothing of it is deleted"; fi
  rm -rf "$J/restored"
  pt unrestore-done
  drop_copy
}
