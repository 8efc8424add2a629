# A finished migration is known by the shape of its tree, not by inode numbers: a copy that was put in its place, or
# what came back from a backup, has others, and a number that is free again is given to some other folder. What stands
# at the new layout's places is what an undo works on; once it has begun, things move and are known by their inodes.
NEW_PLACES="web web/app web/app/public web/log web/run"

is_whole() { flagged committed && ! flagged back; }

has_new_shape() {
  for x in $NEW_PLACES; do
    if ! is_dir "$UPATH/$x"; then return 1; fi
  done
}

has_old_shape() { is_dir "$UPATH/web" && is_dir "$UPATH/var/log" && ! has_new_shape; }

# Before the first act of an undo: from here on the record knows the folders that are there.
as_it_stands() {
  if ! is_whole; then return 0; fi
  if is_of_before; then
    fail "tree and configuration are of before the migration: there is nothing to undo; nsmig migrate and rollback --archive put its record aside by themselves"
  fi
  SKEL=
  read -r SKEL 2>/dev/null <"$CUR/skeleton.ino" || :
  if ! is_among "$UPATH_INO" "$UPATH" || ! is_among "$SKEL" "$UPATH/web"; then
    places_are_new
    inode_of "$UPATH"
    plan_says UPATH_INO "$INODE"
    note_inode "$CUR/skeleton.ino" "$UPATH/web"
    for x in log run tmp; do
      if [ -s "$CUR/made.$x" ] && is_dir "$UPATH/web/$x"; then note_inode "$CUR/made.$x" "$UPATH/web/$x"; fi
    done
    warn "web is not the folder that the migration made, but has its shape, and goes back in its stead"
  fi
  if ! is_among "$WEB_INO" "$UPATH/web/app/public" && may_adopt "$UPATH/web/app/public"; then adopt_content; fi
  var_as_it_stands
}

places_are_new() {
  if has_old_shape; then
    fail "the tree has the old layout, but the configuration is the new one's: put each $CUR/conf/N.orig back in the place that $CUR/conf/list names (see the README, 'By hand'), then: nsmig migrate"
  fi
  for x in $NEW_PLACES; do
    if may_adopt "$UPATH/$x"; then continue; fi
    there=
    if [ "$x" = web ]; then there=$(found_at "$SKEL"); fi
    fail "$UPATH/$x is gone, or no real folder of the account on this file system$there; put it back, or make it with install -d -o $UIDN -g $GIDN $UPATH/$x, then undo again (rollback --archive makes what is gone by itself)"
  done
  if is_dir "$UPATH/var/log" && is_dir "$UPATH/var/run"; then
    fail "web is not the folder that the migration made, and the old layout's var stands beside it; put that aside (mv $UPATH/var $UPATH/var.aside), then undo again"
  fi
}

adopt_content() {
  inode_of "$UPATH/web/app/public"
  plan_says WEB_INO "$INODE"
  # its files are not those whose owners were noted
  if [ -e "$CUR/owners" ]; then mv "$CUR/owners" "$CUR/owners.replaced"; fi
  warn "web/app/public was replaced since the migration; the folder that is there goes back to web, with its owners as they are"
}

# The old var is where legacy_away put it, or left it since more was in it than it knew: then the one that was put away
# holds only log, run and tmp, which go home in either case.
var_as_it_stands() {
  which_legacy
  L=$UPATH/.archive/${LEGACY:-.}/var
  if [ -z "$VAR_INO" ] || is_among "$VAR_INO" "$UPATH/var" "$L"; then return 0; fi
  if is_dir "$L" && { ! may_adopt "$UPATH/var" || ! var_has_more; }; then inode_of "$L"
  elif may_adopt "$UPATH/var" && [ -n "$(find "$UPATH/var" -mindepth 1 -maxdepth 1 ! -type l | head -n 1)" ]; then
    rm -f "$CUR/flag.madevar"
    inode_of "$UPATH/var"
  else
    fail "the old var is neither in $UPATH nor in .archive/$LEGACY; put it back, or make one with install -d -o $UIDN -g $GIDN $UPATH/var $UPATH/var/run, then undo again"
  fi
  plan_says VAR_INO "$INODE"
}

# Somebody brought the whole vhost back from a backup of before the migration: old tree, old configuration. The record
# tells of another tree then.
is_of_before() {
  if ! is_whole || ! has_old_shape; then return 1; fi
  read -r skeleton 2>/dev/null <"$CUR/skeleton.ino" || skeleton=
  if [ -n "$skeleton" ] && is_dir "$UPATH/web/app/public" && is_among "$skeleton" "$UPATH/web"; then return 1; fi
  proof=
  while IFS="$TAB" read -r n kind sum path; do
    if [ ! -e "$CUR/conf/$n.orig" ] || [ ! -e "$CUR/conf/$n.final" ] || same "$CUR/conf/$n.orig" "$CUR/conf/$n.final"; then continue; fi
    if [ ! -e "$path" ] || { ! same "$CUR/conf/$n.orig" "$path" && is_ours "$n" "$path"; }; then return 1; fi
    proof=1
  done <"$CUR/conf/list"
  [ -n "$proof" ]
}

put_record_aside() {
  mkdir -p "$J/undone" && mv -T "$CUR" "$J/undone/$RUN.before" && sync_dir "$J" || fail "cannot put the record of the migration aside"
  j undone "the record was put aside: tree and configuration are of before the migration"
  warn "tree and configuration are of before the migration that is on record; the record is put aside in $J/undone/$RUN.before"
}

# A restore brings the content back anyway: what is gone of the new layout is made anew for it, empty.
places_anew() {
  if ! is_whole || has_old_shape; then return 0; fi
  made=
  for x in $NEW_PLACES; do
    if [ -e "$UPATH/$x" ] || [ -L "$UPATH/$x" ]; then continue; fi
    make_staging
    case $x in web/log|web/run) mode=750 ;; *) mode=755 ;; esac
    at=$UPATH/$x
    at=${at%/*}
    stage_anew folder
    mkdir -m "$mode" "$S/folder" && chown "$OWNER" "$S/folder" && in_dir "$at" "$(ino "$at")" mv -T "$S/folder" "./${x##*/}" || fail "cannot make $x anew"
    made="$made $x"
  done
  if [ -z "$made" ]; then return 0; fi
  rmdir "$S" 2>/dev/null
  warn "made anew, empty, for the restore to fill:$made"
}
