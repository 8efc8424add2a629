# The way back: everything by rename and from the record, newest first; what was written since stays.
legacy_back() {
  which_legacy
  var_aside
  if [ -z "$LEGACY" ]; then return 0; fi
  archive_folder
  L=$UPATH/.archive/$LEGACY
  for e in .ssh bin etc var; do
    if [ ! -e "$L/$e" ] && [ ! -L "$L/$e" ]; then continue; fi
    if [ "$e" = var ] && is_dir "$UPATH/var"; then
      for x in run tmp log; do
        if [ -e "$L/var/$x" ]; then
          in_var drop_link "$x"
          carry "$x" "$L/var" "$(ino "$L/var")" "$UPATH/var" "$VAR_INO" || fail "cannot bring var/$x back"
        fi
      done
      in_archive rmdir "./$LEGACY/var"
    elif [ -e "$UPATH/$e" ] || [ -L "$UPATH/$e" ]; then
      warn "$e exists anew; the old one stays at $L/$e"
    else
      in_archive mv -T "./$LEGACY/$e" "$UPATH/$e" || fail "cannot bring $e back"
    fi
    pt "undo-legacy-$e"
  done
  in_archive rmdir "./$LEGACY" 2>/dev/null
  return 0
}

# New place -> staging, both paths valid.
relay_back() { # name inode
  if [ -z "$2" ] || ! is_among "$2" "$UPATH/web/$1"; then return 0; fi
  in_var put_link "../web/$1" "./$1" || fail "cannot point var/$1 to web/$1"
  rm -f "$S/$1"
  if [ "$XCHG" = none ]; then
    in_web mv -T "./$1" "$S/$1" && in_web put_link "$S/$1" "./$1"
  else
    ln -s "$S/$1" "$S/$1" && in_web xchg "./$1" "$S/$1"
  fi || fail "cannot take web/$1 back"
  pt "undo-relay-$1-back"
  in_var put_link "$S/$1" "./$1" || fail "cannot point var/$1"
}

# Staging -> old place.
relay_home() { # name inode
  if [ -z "$2" ] || ! is_among "$2" "$S/$1"; then return 0; fi
  if [ -s "$CUR/was.$1" ]; then
    read -r own mode <"$CUR/was.$1"
    chown "$own" "$S/$1" && chmod "$mode" "$S/$1" || fail "cannot give var/$1 its owner back"
  fi
  if [ "$XCHG" = none ]; then in_var drop_link "$1" && in_var mv -T "$S/$1" "./$1"; else in_var xchg "./$1" "$S/$1"; fi || fail "cannot bring var/$1 back"
  if [ -L "$S/$1" ]; then rm "$S/$1"; fi
  sync_all "$UPATH/var" "$S"
  pt "undo-relay-$1-home"
}

# A folder that only the new layout had: empty it goes, else its entries find a place.
unmake() { # name
  if ! is_dir "$UPATH/web/$1"; then in_web drop_link "$1"; return 0; fi
  if [ "$(ino "$UPATH/web/$1")" != "$(cat "$CUR/made.$1" 2>/dev/null)" ]; then return 0; fi
  if is_dir "$UPATH/var/$1"; then move_run_entries "$UPATH/web/$1" "$UPATH/var/$1" || fail "cannot bring the entries of web/$1 back"; fi
  if ! in_web rmdir "$1" 2>/dev/null; then # kept until the undo ends, which puts it into .archive and says so
    set_aside "$UPATH/web" "$SKEL" "$1" web || fail "web/$1 is not empty and cannot be put aside"
  fi
  pt "undo-unmake-$1"
}

tree_back() {
  seek_content
  case $CONTENT in
    "$UPATH/web") ;;
    "$S/new/$HOLD/public") mv -T "$S/new/$HOLD/public" "$UPATH/web" || fail "cannot bring web back" ;;
    "$UPATH/web/$HOLD/public")
      if [ "$XCHG" = none ]; then
        mv -T "$UPATH/web" "$S/new" || fail "cannot take the new web away"
        pt undo-half
        mv -T "$S/new/$HOLD/public" "$UPATH/web" || fail "cannot bring web back"
      else
        put_mirror || fail "cannot stage the link that leads back"
        rm -rf "$S/new.link"
        ln -s "../../../.nsmig/$DOMAIN/new" "$S/new.link" && mv -T "$S/new.link" "$S/new" || fail "cannot stage the link"
        if [ "$CRASH_AT" != 0 ]; then
          xchg "$UPATH/web/$HOLD/public" "$S/new" || fail "cannot exchange the content out"
          pt undo-half
          xchg "$UPATH/web" "$S/new" || fail "cannot exchange web back"
        else
          xchg "$UPATH/web/$HOLD/public" "$S/new" "$UPATH/web" "$S/new" || fail "cannot exchange web back"
        fi
      fi ;;
    "$S/new") xchg "$UPATH/web" "$S/new" || fail "cannot exchange web back" ;;
    *) fail "the content of web is not where it should be" ;;
  esac
  sync_all "$UPATH" "$UPATH/web" "$S"
  pt undo-tree
  if is_dir "$S/new"; then
    # before the migration was done, who wrote to the old document root meant it
    if ! flagged committed; then sweep_strays "$S/new"; fi
    keep_beside "$S/new"
  fi
}

content_back() { # runs inside the content folder
  if [ -s "$1/owners" ]; then restore_owners || return 1; fi
  if [ -s "$1/was.content" ]; then
    read -r own mode <"$1/was.content"
    chown "$own" . && chmod "$mode" . || return 1
  fi
  if [ -s "$1/was.acl" ] && have setfacl && grep -qE '^(user|group|default):[^:]|^default:' "$1/was.acl"; then setfacl --restore="$1/was.acl" || return 1; fi
  if [ -e "$1/times/web" ]; then touch -r "$1/times/web" .; fi
}

# Once a migration: a run that goes on where another stopped finds times that we made ourselves.
take_times() {
  if [ -d "$CUR/times" ]; then return 0; fi
  if [ -e "$CUR/times.part" ]; then rm -rf "$CUR/times.part"; fi
  mkdir -p "$CUR/times.part/var" && touch -r "$UPATH" "$CUR/times.part/top" || fail "cannot keep the folders' times"
  for x in web var/log var/run var/tmp; do
    if is_dir "$UPATH/$x"; then touch -r "$UPATH/$x" "$CUR/times.part/$x" || fail "cannot keep the folders' times"; fi
  done
  if is_dir "$UPATH/var"; then touch -r "$UPATH/var" "$CUR/times.part/var" || fail "cannot keep the folders' times"; fi
  mv "$CUR/times.part" "$CUR/times" || fail "cannot keep the folders' times"
}

# The vhost's own folders get the times that they had before the migration.
times_back() {
  for x in var/log var/run var/tmp var; do
    if [ -e "$CUR/times/$x" ] && is_dir "$UPATH/$x"; then touch -r "$CUR/times/$x" "$UPATH/$x"; fi
  done
  if [ -e "$CUR/times/top" ]; then touch -r "$CUR/times/top" "$UPATH"; fi
}

undo_everything() { # reason
  PHASE=undo
  comes_no_more
  vnode_unlock
  exec 7>&- # the place in line for shared reloads
  rm -f "$J/reserve" "$S/reserve" # room for what the undo writes
  j undo_started "$1"
  cd /
  undo_all
  keep_undone
  if [ "$VERB" = undo ]; then finish ok 0; else finish undone 5; fi
}

# Room beside the vhosts that the way back may need, for folders, links and configuration files: asked for before
# anything moves, and kept where a killed run has it already.
keep_room() {
  if [ -s "$S/reserve" ] || fill "$RD/runner.sh" "$S/reserve" 2>/dev/null; then return 0; fi
  rm -f "$S/reserve"
  rmdir "$S" "${S%/*}" 2>/dev/null
  fail "no room is left in $VPATH, and the way back needs some; make room there, then ask again"
}

keep_undone() { # the record of what was undone stays readable, out of the way of the next run
  if [ -s "$CUR/archive" ] && [ -s "$CUR/ts" ]; then write_record undone; fi
  drop_staging
  mkdir -p "$J/undone" # on a full disk there is room for it only when the staging has gone
  rm -rf "$J/undone/$RUN"
  times_back
  sync_dir "$UPATH" # and with it what went before on its file system
  mv "$CUR" "$J/undone/$RUN" || warn "all is undone, but $CUR could not be put into $J/undone; make room in $VAR, then ask for the undo once more"
  sync_dir "$J"
}

undo_all() {
  flag back || : # from here on there is no way but back
  make_staging
  modes_of_switch # where logs go without an exchange must be there again: the way there may have cleared it away
  hold_places
  finish_carry || carry_aside
  if flagged touched; then
    put_back_untested
    adopt
    legacy_back
    relay_back log "$LOG_INO"
    relay_back tmp "$TMP_INO"
    content_to_hold
    old_paths_back
    sync_all "$UPATH" "$UPATH/var" "$UPATH/web" "$S" # before a configuration names the old places
    # what is back already does not return to a stage whose places may be gone
    if flagged fpm && ! flagged fpmback && has_left fpm orig apart && [ -s "$CUR/made.run" ]; then fpm_to "$BOTH" "$OLD_SOCKETS $NEW_SOCKETS" ""; fi
    if [ "$XCHG" = none ]; then mark_switched; keep_at_hand; fi
    if flagged nginx && ! flagged nginxback && has_left nginx orig; then nginx_to "$BRIDGE"; fi
    hold_takes_content
    relay_home log "$LOG_INO"
    relay_home tmp "$TMP_INO"
    if flagged committed; then patience=10; else patience=3; fi # a site that may be broken waits for fewer
    let_leave "$patience"
    if flagged fpm || { ! has_stage fpm orig && ! flagged fpmback && ! content_is "$UPATH/web"; }; then
      if [ "$XCHG" = none ] && has_stage fpm apart && has_left fpm orig; then fpm_apart "$NEW_SOCKETS"
      else fpm_to orig "$OLD_SOCKETS" "$NEW_SOCKETS"; fi
    fi
    flag fpmback
    if ! content_is "$UPATH/web" && [ -n "$FPM_CONF" ]; then flag refresh; fi
    if ! content_is "$UPATH/web" && ! content_is "$S/new" && ! content_is "$S/new/$HOLD/public"; then
      for x in log run tmp; do unmake "$x"; done
      if flagged committed; then keep_beside "$UPATH/web"; fi
      if [ "$HOLD" != app ]; then in_web compat_links . "$HOLD/public" "$UPATH/web/$HOLD/public"; fi
      drop_app
      if [ "$XCHG" != none ]; then in_web compat_links . "$HOLD/public" "$UPATH/web/$HOLD/public"; fi
      pt undo-links
      deep_path_stays
    fi
    if [ "$XCHG" != none ] && flagged nginx; then nginx_to orig; fi
    if [ "$XCHG" != none ]; then flag nginxback; fi
    let_leave "$patience"
    tree_back
    if [ "$XCHG" = none ]; then
      if flagged fpm && has_stage fpm apart; then fpm_to orig "$OLD_SOCKETS" ""; fi
      if flagged nginx; then nginx_to orig; fi
    fi
    keep_transition_logs "$UPATH/var/log"
    var_since_home
    php_forgets
    drop_well_known
    in_dir "$UPATH/web" "$WEB_INO" content_back "$CUR" || fail "cannot give the content its owners and modes back"
    pt undo-owners
    # under the lock: without it, files that another run is just writing would be judged
    vnode_lock
    drop_unplaced
    remove_created
    nginx_test || fail "nginx -t after the undo: $NGINX_SAYS"
    vnode_unlock
    times_back
    rm -f "$CUR/flag.touched"
  fi
}
