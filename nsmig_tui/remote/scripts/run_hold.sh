# Content that has an entry called "app" stands under a side name ($HOLD) while nginx and php-fpm change
# over; and what PHP remembers of where paths led is made harmless before links go.
drop_folder_of_links() { # inside the pinned folder: a folder of ours that holds nothing but links
  if ! is_dir "./$1"; then return 0; fi
  for l in "./$1"/* "./$1"/.[!.]* "./$1"/..?*; do if [ -L "$l" ]; then rm "$l"; fi; done
  rmdir "./$1"
}

# Where the content has its own app, the real app comes beside it once nginx looks elsewhere: whole, and in one
# step where that can be done. With COMPAT_APP what the content's app holds is found in it by links.
make_app() {
  if [ "$HOLD" = app ] || content_is "$UPATH/web/app/public"; then return 0; fi
  if ! is_dir "$UPATH/web/app"; then
    stage_anew app
    mkdir "$S/app" && chown "$OWNER" "$S/app" && chmod 755 "$S/app" && ln -s "../$HOLD/public" "$S/app/public" || fail "cannot stage web/app"
    put_bridges "$S/app" || fail "cannot stage web/app"
    if [ "${COMPAT_APP:-none}" = all ]; then compat_links "$S/app" public/app "$UPATH/web/$HOLD/public/app" || fail "cannot stage the links in web/app"; fi
    swap_app || fail "cannot make web/app"
    sync_all "$UPATH/web" "$UPATH/web/app"
  fi
  pt made-app
}

# What leads above web from the content finds its way beside whatever the content is called.
put_bridges() { # staged folder that the content's name is in
  while IFS="$TAB" read -r at to; do
    case $at in web/app/*) put_link "$to" "$1/${at#web/app/}" || return 1 ;; esac
  done <"$CUR/climb"
}

swap_app() { # what is staged as app stands in web, what stood there is staged
  if [ "$XCHG" != none ] && [ -L "$UPATH/web/app" ]; then in_web xchg ./app "$S/app" && drop_staged_link app
  else in_web drop_link app && in_web mv -T "$S/app" ./app; fi
}

drop_staged_link() { if [ -L "$S/$1" ]; then rm "$S/$1"; fi; }

# The side name stays as a link until php-fpm, which remembers where paths led, has been reloaded.
content_to_app() {
  if [ "$HOLD" = app ]; then return 0; fi
  if content_is "$UPATH/web/$HOLD/public"; then
    if [ "$XCHG" = none ]; then
      in_web rm ./app/public && in_web mv -T "./$HOLD/public" ./app/public
    else
      in_web put_hops && in_web put_link "$HOP" ./app/public && in_web xchg ./app/public "./$HOLD/public"
    fi || fail "cannot move the content to web/app/public"
    sync_all "$UPATH/web/app" "$UPATH/web/$HOLD"
  fi
  if is_dir "$UPATH/web/$HOLD"; then in_web put_link ../app/public "./$HOLD/public" || fail "cannot keep the side name"; fi
  pt content-in-app
}

# Beside web/app/public and beside the side name: each leads to the other.
put_hops() { # inside the pinned web
  put_link "../$HOLD/public" "./app/$HOP" && put_link ../app/public "./$HOLD/$HOP"
}

drop_hop() { # inside the pinned web
  if [ ! -L ./app ] && [ -L "./app/$HOP" ]; then rm "./app/$HOP"; fi
}

drop_hold() {
  in_web drop_hop || fail "cannot take a link away"
  if [ "$HOLD" = app ]; then return 0; fi
  in_web compat_links . app/public "$UPATH/web/app/public" && in_web drop_folder_of_links "$HOLD" || fail "cannot take the side name away"
  pt hold-gone
}

# Where the content has an entry called app, the way back leads through the side name again.
content_to_hold() {
  if [ "$HOLD" = app ] || ! content_is "$UPATH/web/app/public"; then return 0; fi
  if ! is_dir "$UPATH/web/$HOLD"; then
    mkdir -p "$S/hold" && chown "$OWNER" "$S/hold" && chmod 755 "$S/hold" && put_link ../app/public "$S/hold/public" && put_bridges "$S/hold" && in_web mv -T "$S/hold" "./$HOLD" || fail "cannot make the side name"
  else # who was killed while taking it away has left some of its links, or none
    in_web put_link ../app/public "./$HOLD/public" && in_web put_bridges "./$HOLD" || fail "cannot make the side name"
  fi
}

# A configuration that none of our stages touches may name an old path, and starts only where that leads somewhere:
# on the way back old paths are there before nginx or php-fpm is asked about any stage.
old_paths_back() {
  seek_content
  case $CONTENT in
    "$UPATH/web/app/public")
      in_web compat_links . app/public "$CONTENT" || fail "cannot make links at old paths"
      if [ "$HOLD" != app ] && is_dir "$CONTENT/app"; then in_web compat_links ./app public/app "$CONTENT/app" || fail "cannot make links at old paths"; fi ;;
    "$UPATH/web/$HOLD/public") in_web compat_links . "$HOLD/public" "$CONTENT" || fail "cannot make links at old paths" ;;
  esac
  pt undo-old-paths
}

hold_takes_content() { # web/app/public stays as a link until php-fpm has been reloaded
  if [ "$HOLD" = app ]; then return 0; fi
  if content_is "$UPATH/web/app/public"; then
    if [ "$XCHG" = none ]; then
      in_web rm "./$HOLD/public" && in_web mv -T ./app/public "./$HOLD/public" && in_web put_link "../$HOLD/public" ./app/public
    else
      in_web put_hops && in_web put_link "$HOP" "./$HOLD/public" && in_web xchg "./$HOLD/public" ./app/public
    fi || fail "cannot exchange the content"
    sync_all "$UPATH/web/app" "$UPATH/web/$HOLD"
  fi
  if content_is "$UPATH/web/$HOLD/public" && [ -L "$UPATH/web/app/public" ]; then
    in_web put_link "../$HOLD/public" ./app/public || fail "cannot keep web/app/public"
  fi
  pt undo-hold
}

# What was written to web/app itself goes to the content's app, or is kept with the staging's leftovers.
drop_app() {
  if [ "$HOLD" = app ]; then return 0; fi
  if is_dir "$UPATH/web/app" && [ -L "$UPATH/web/app/public" ]; then
    stage_anew app
    if [ "$XCHG" != none ]; then ln -s "$HOLD/public/app" "$S/app" && in_web xchg ./app "$S/app"
    else in_web mv -T ./app "$S/app" && in_web put_link "$HOLD/public/app" ./app; fi || fail "cannot take web/app away"
    pt undo-app-out
  fi
  if is_dir "$S/app"; then
    for l in "$S/app"/* "$S/app"/.[!.]* "$S/app"/..?*; do
      if [ -L "$l" ] && is_app_link "$l"; then rm "$l"; fi
    done
    seek_content
    if is_dir "$CONTENT/app"; then move_run_entries "$S/app" "$CONTENT/app" || fail "cannot bring back what web/app held"; fi
    rmdir "$S/app" 2>/dev/null || :
  fi
  pt undo-app-gone
}

# Is this link in the app that we made one of ours? Others go where files go.
is_app_link() { # link
  n=${1##*/}
  case $n in public|"$HOP") return 0 ;; esac
  leads_to_app "$1" || is_bridge "web/app/$n" "$1"
}

# The transitional nginx configuration looks for this folder to know where the content stands. Where it follows no
# links it looks by opening it, so its workers must be able to read it.
mark_switched() {
  if is_dir "$UPATH/web/.nsmig-switched"; then return 0; fi
  seek_content
  case $CONTENT in "$UPATH"/web/*) in_web mkdir -m 755 .nsmig-switched || fail "cannot mark web as switched" ;; esac
  sync_all "$UPATH/web" # nginx, started without the mark, would serve what stands beside the content
}

# PHP remembers where a path led for minutes (realpath cache): what it resolved through our links while
# the content stood deeper must lead somewhere until php-fpm has been reloaded. A link inside the
# content makes the deep path lead to the content itself, before and after it has moved.
deep_path_stays() {
  if ! flagged refresh; then return 0; fi
  seek_content
  in_dir "$CONTENT" "$WEB_INO" make_loop
  pt undo-deep-path
}

make_loop() { # runs inside the content folder
  if [ -e "./$HOLD" ] || [ -L "./$HOLD" ]; then return 0; fi
  rm -rf "$S/loop"
  mkdir "$S/loop" && chmod 755 "$S/loop" && ln -s .. "$S/loop/public" && put_bridges "$S/loop" && ino "$S/loop" >"$CUR/loop.ino" && sync_all "$CUR/loop.ino" "$CUR" && mv -T "$S/loop" "./$HOLD"
}

drop_loop() { # runs inside the content folder
  if in_dir "./$HOLD" "$1" drop_links; then rmdir "./$HOLD"; fi
}

drop_links() { # runs inside a folder of ours
  for l in * .[!.]* ..?*; do if [ -L "./$l" ]; then rm "./$l" || return 1; fi; done
}

php_forgets() {
  if ! flagged refresh; then return 0; fi
  vnode_lock
  config_is_good fpm || fail "$WHY" # what is asked once for all does not know of files elsewhere
  note_pools ""
  make_live fpm "$OLD_SOCKETS" "" || fail "$WHY"
  vnode_unlock
  pt undo-php-forgot
  if [ -s "$CUR/loop.ino" ]; then in_dir "$UPATH/web" "$WEB_INO" drop_loop "$(cat "$CUR/loop.ino")"; fi
  rm -f "$CUR/flag.refresh"
  pt undo-loop-gone
}
