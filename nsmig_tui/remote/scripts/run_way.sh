# Does what is renamed into the vhost stay what it is?
renames_hold() { # folder in staging
  archive_folder
  printf '' >"$1/probe" || fail "cannot write in $1; is there room?"
  publish_by_rename "$1/probe" .probe
  in_archive rm -f ./.probe
}

# Before the way back: is every folder that it needs where it must be, and does nothing stand in its way? Whoever asks
# for an undo is refused before the first act when not. What takes the place of a folder of ours and is of its kind
# takes its part too; what stands in the way goes aside into .archive/since-TS, where it is found again.
way_is_clear() {
  if ! flagged touched; then return 0; fi
  SKEL=
  read -r SKEL 2>/dev/null <"$CUR/skeleton.ino" || :
  if ! is_among "$UPATH_INO" "$UPATH"; then fail "$UPATH is not the folder that was migrated; put that back, then undo again"; fi
  nothing_mounted
  seek_content
  if [ -z "$CONTENT" ] && ! { flagged committed && may_adopt "$UPATH/web/app/public"; }; then
    fail "web/app/public is not the folder that was migrated$(found_at "$WEB_INO"); put that, or another real folder of the account, there, then undo again"
  fi
  case $CONTENT in
    "$UPATH/web") ;;
    *) if [ -n "$SKEL" ] && ! is_among "$SKEL" "$UPATH/web" "$S/new"; then
      fail "web is not the folder that the migration made$(found_at "$SKEL"); put that back, then undo again"
    fi ;;
  esac
  which_legacy
  nothing_fixed
  if [ -n "$LEGACY" ]; then archive_folder; fi
  if is_dir "$UPATH/.archive"; then
    make_staging
    renames_hold "$S"
  fi
  if [ -n "$VAR_INO" ] && ! is_among "$VAR_INO" "$UPATH/var" "$UPATH/.archive/${LEGACY:-.}/var"; then
    fail "the old var is neither in $UPATH nor in .archive/$LEGACY$(found_at "$VAR_INO"); put it back, then undo again"
  fi
  for part in log tmp; do
    if is_known "$part" || may_adopt "$UPATH/web/$part" || may_adopt "$UPATH/var/$part"; then continue; fi
    if [ -e "$UPATH/web/$part" ] || [ -L "$UPATH/web/$part" ]; then fail "web/$part is no folder of the account on this file system; put one there, then undo again"; fi
  done
  # what php-fpm does not serve now it would not serve after a reload either; an undo that broke off has the old ones
  # shellcheck disable=SC2086 # one socket a word
  if flagged committed && flagged fpm && [ -n "$NEW_SOCKETS" ] && fpm_alive && ! accepts $NEW_SOCKETS && ! accepts $OLD_SOCKETS; then
    fail "php-fpm runs, but does not accept on $NEW_SOCKETS; restart it (${FPM_UNIT:-php-fpm}), then ask again"
  fi
}

found_at() { # inode: " (it is at PLACE)", when it is anywhere in the vhost
  place=$(find "$UPATH" -xdev \( -path "$UPATH/msg" -o -path "$UPATH/.archive" \) -prune -o -type d -inum "$1" -print 2>/dev/null | head -n 1)
  if [ -n "$place" ]; then printf ' (it is at %s)' "$place"; fi
}

# A file system that somebody mounted in the vhost since cannot be renamed along, and what is in it is not ours to
# delete. Below the content it goes along.
nothing_mounted() {
  seek_content
  MOUNT=
  mount_below "$UPATH" "${CONTENT:-$UPATH/web/app/public}" "$UPATH/msg"
  if [ -n "$MOUNT" ]; then fail "$MOUNT is a mount point; unmount it, then undo again"; fi
}

# What chattr made immutable or append-only cannot be renamed, nor anything in it.
nothing_fixed() {
  if ! have lsattr; then return 0; fi
  set --
  for e in "$UPATH" "$UPATH/web" "$UPATH/web/app" "$CONTENT" "$UPATH/web/log" "$UPATH/web/run" "$UPATH/web/tmp" \
    "$UPATH/var" "$UPATH/var/log" "$UPATH/var/run" "$UPATH/var/tmp" "$UPATH/.archive" "${UPATH%/*}/.nsmig" "$S"; do
    if is_dir "$e"; then set -- "$@" "$e"; fi
  done
  if [ -n "$LEGACY" ]; then
    for e in . .ssh bin etc var var/log var/run var/tmp; do
      if is_dir "$UPATH/.archive/$LEGACY/$e"; then set -- "$@" "$UPATH/.archive/$LEGACY/$e"; fi
    done
  fi
  fixed=$(lsattr -d -- "$@" 2>/dev/null | sed -n 's/^[^ ]*[ia][^ ]* //p' | head -n 1)
  if [ -n "$fixed" ]; then fail "$fixed is immutable or append-only; chattr -i -a it, then undo again"; fi
}

is_known() { # log|tmp: is that folder at one of its places, or was there none?
  if [ "$1" = log ]; then sought=$LOG_INO; else sought=${TMP_INO:-}; fi
  [ -z "$sought" ] || is_among "$sought" "$UPATH/web/$1" "$S/$1" "$UPATH/var/$1"
}

may_adopt() { # path: a real folder of the account's, the web server's or root's, on the vhost's file system
  if ! is_dir "$1"; then return 1; fi
  own_of "$1"
  case ${OWN%%:*} in "$UIDN"|"$WUIDN"|"${ROOT_ID%:*}") ;; *) return 1 ;; esac
  devices_of "$UPATH" "$1"
  # shellcheck disable=SC2086 # two words
  set -- $DEVICES
  [ "$1" = "$2" ]
}

plan_says() { # variable, number: from here on, and for whoever goes on after us
  { cat "$CUR/plan" && printf "%s='%s'\n" "$1" "$2"; } >"$CUR/plan.new" && sync_file "$CUR/plan.new" && mv -T "$CUR/plan.new" "$CUR/plan" && sync_dir "$CUR" || fail "cannot write $CUR/plan; is there room in $VAR?"
  eval "$1=\$2"
}

adopt() { # what replaced a folder of ours
  seek_content
  if [ -z "$CONTENT" ] && flagged committed && may_adopt "$UPATH/web/app/public"; then
    adopt_content
    hold_places
  fi
  for part in log tmp; do
    if ! is_known "$part"; then adopt_relayed "$part"; fi
  done
}

adopt_relayed() { # log|tmp
  place=$UPATH/web/$1
  if ! may_adopt "$place" && is_dir "$UPATH/var/$1"; then place=$UPATH/var/$1
  elif ! may_adopt "$place"; then
    if ! is_among "$SKEL" "$UPATH/web"; then place=$UPATH/var/$1; fi
    case $place in
      "$UPATH/web/$1") set_aside "$UPATH/web" "$SKEL" "$1" web ;;
      *) in_var drop_link "$1" ;;
    esac
    stage_anew folder
    mkdir -m 750 "$S/folder" && chown "$OWNER" "$S/folder" && in_dir "${place%/*}" "$(ino "${place%/*}")" mv -T "$S/folder" "./$1" || fail "$place has gone and cannot be made anew"
  fi
  inode_of "$place"
  if [ "$1" = log ]; then plan_says LOG_INO "$INODE"; else plan_says TMP_INO "$INODE"; fi
  warn "web/$1 was replaced since the migration; what is in the folder that is there goes to var/$1"
}

# Out of a folder that others can write to, under a name that is free; a warning at the end says where to.
set_aside() { # folder, its inode, name, where it was
  if [ ! -e "$1/$3" ] && [ ! -L "$1/$3" ]; then return 0; fi
  aside=$S/kept/$4/$3
  mkdir -p "$S/kept/$4" || fail "cannot make $S/kept"
  while [ -e "$aside" ] || [ -L "$aside" ]; do aside=$aside-2; done
  in_dir "$1" "$2" mv -T "./$3" "$aside"
}

# Where the old folders were put away, in LEGACY; empty when nowhere.
which_legacy() {
  LEGACY='' NAME_TS=
  read -r LEGACY 2>/dev/null <"$CUR/legacy" || :
  if [ -n "$LEGACY" ]; then return 0; fi
  read -r NAME_TS 2>/dev/null <"$CUR/ts" || :
  if [ -n "$NAME_TS" ] && is_dir "$UPATH/.archive/legacy-$NAME_TS"; then LEGACY=legacy-$NAME_TS; fi
}

# A var that is not the old one, and what stands where the old one's folders belong: what is in them comes along when
# those are back.
var_aside() {
  if flagged madevar; then
    for x in log run tmp; do in_dir "$UPATH/var" "$(cat "$CUR/made.var")" drop_link "$x"; done
    rmdir "$UPATH/var" 2>/dev/null
    rm -f "$CUR/flag.madevar"
  fi
  if [ -z "$VAR_INO" ]; then return 0; fi
  if ! is_among "$VAR_INO" "$UPATH/var"; then
    if is_dir "$UPATH/var" && [ ! -e "$S/var.since" ]; then in_dir "$UPATH" "$UPATH_INO" mv -T ./var "$S/var.since"
    else set_aside "$UPATH" "$UPATH_INO" var .; fi || fail "$UPATH/var is in the way of the old var and cannot be put aside"
    return 0
  fi
  for x in log run tmp; do
    if [ -L "$UPATH/var/$x" ] || [ ! -e "$UPATH/var/$x" ]; then continue; fi
    case $x in log) i=$LOG_INO ;; tmp) i=${TMP_INO:-} ;; run) i= ;; esac
    if [ -e "$UPATH/.archive/${LEGACY:-.}/var/$x" ] || { [ -n "$i" ] && is_among "$i" "$UPATH/web/$x" "$S/$x"; }; then
      if is_dir "$UPATH/var/$x" && [ ! -e "$S/var.since/$x" ]; then mkdir -p "$S/var.since" && in_var mv -T "./$x" "$S/var.since/$x"
      else set_aside "$UPATH/var" "$VAR_INO" "$x" var; fi || fail "$UPATH/var/$x is in the way and cannot be put aside"
    fi
  done
}

# What a var that was made since held; what finds no place, having the name of something, is kept with the rest.
var_since_home() {
  for x in log run tmp; do
    if is_dir "$S/var.since/$x" && is_dir "$UPATH/var/$x"; then
      move_run_entries "$S/var.since/$x" "$UPATH/var/$x" || warn "not all that var/$x held since could be brought back"
      rmdir "$S/var.since/$x" 2>/dev/null
    fi
  done
  if is_dir "$S/var.since"; then
    if is_dir "$UPATH/var"; then move_run_entries "$S/var.since" "$UPATH/var" || warn "not all that var held since could be brought back"; fi
    rmdir "$S/var.since" 2>/dev/null
  fi
  return 0
}

# What somebody put beside the document root, or beside the folder that it is in: never into it, where the world
# would see it.
keep_beside() { # the new layout's web, wherever it stands
  if ! is_among "$SKEL" "$1"; then return 0; fi
  for e in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    n=${e##*/}
    case $n in app|log|run|tmp|.nsmig-*) continue ;; esac
    if [ -L "$e" ] && { leads_to_content "$e" || is_bridge "web/$n" "$e"; }; then continue; fi
    set_aside "$1" "$SKEL" "$n" web || warn "$e cannot be put aside"
  done
  # the site's own app, where its old path is in use: what came there is for that, see drop_app
  if ! is_dir "$1/app" || [ "${COMPAT_APP:-none}" = all ]; then return 0; fi
  inode_of "$1/app"
  app=$INODE
  for e in "$1"/app/* "$1"/app/.[!.]* "$1"/app/..?*; do
    n=${e##*/}
    case $n in .nsmig-*) continue ;; public) if [ -L "$e" ] || content_is "$e"; then continue; fi ;; esac
    if [ -L "$e" ] && { [ "$HOLD" != app ] && leads_to_app "$e" || is_bridge "web/app/$n" "$e"; }; then continue; fi
    set_aside "$1/app" "$app" "$n" web/app || warn "$e cannot be put aside"
  done
}

leads_to_app() { # link in web/app: one for the old path of an entry of the content's own app
  case $(readlink -- "$1") in "public/app/${1##*/}") return 0 ;; esac
  leads_to_content "$1"
}

is_bridge() { # place, link: one of those that the migration made for links that leave web
  leads=$(readlink -- "$2")
  while IFS="$TAB" read -r at to; do
    if [ "$at" = "$1" ] && [ "$to" = "$leads" ]; then return 0; fi
  done <"$CUR/climb"
  return 1
}
