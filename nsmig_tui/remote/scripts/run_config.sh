# Configuration in stages. $CUR/conf/list: "N TAB KIND TAB SHA|absent TAB PATH"; N.orig is the saved
# original, N.STAGE the planned text of a stage. A file that is none of these was changed by someone
# else, and stops us.
save_originals() {
  while IFS="$TAB" read -r n kind sum path; do
    if [ "$sum" = absent ]; then
      if [ -e "$path" ] && [ "$(sha "$path")" != "$(sha "$CUR/conf/$n.final")" ]; then fail "$path exists already and is not what we would write"; fi
      continue
    fi
    if [ ! -f "$path" ]; then fail "$path has gone since the plan was made"; fi
    if [ ! -e "$CUR/conf/$n.orig" ]; then
      if [ "$(sha "$path")" != "$sum" ]; then fail "$path changed since the plan was made; plan again"; fi
      cp -p "$path" "$CUR/conf/$n.orig.part" && sync_file "$CUR/conf/$n.orig.part" && mv "$CUR/conf/$n.orig.part" "$CUR/conf/$n.orig" || fail "cannot save $path"
    fi
  done <"$CUR/conf/list"
  sync_dir "$CUR/conf"
}

is_ours() { # N path
  now=$(sha "$2")
  for f in "$CUR/conf/$1".*; do
    if [ "$now" = "$(sha "$f")" ]; then return 0; fi
  done
  return 1
}

write_stage() { # kind stage
  while IFS="$TAB" read -r n kind sum path; do
    if [ "$kind" != "$1" ]; then continue; fi
    new=$CUR/conf/$n.$2
    if [ ! -e "$new" ]; then continue; fi
    if [ -e "$path" ]; then
      if ! is_ours "$n" "$path"; then fail "$path was changed by someone else; nothing of it is overwritten"; fi
      if [ "$(sha "$path")" = "$(sha "$new")" ]; then continue; fi
    fi
    flag "$1"
    if [ "$2" = orig ]; then put "$new" "$path" exact; else put "$new" "$path"; fi || fail "cannot write $path"
    pt "config-$1-$2-$n"
  done <"$CUR/conf/list"
}

has_stage() { # kind stage
  while IFS="$TAB" read -r n kind sum path; do
    if [ "$kind" = "$1" ] && [ -e "$CUR/conf/$n.$2" ]; then return 0; fi
  done <"$CUR/conf/list"
  return 1
}

# Write a stage and make it live, under the vnode's lock.
nginx_to() { # stage
  if ! has_stage nginx "$1"; then return 0; fi
  vnode_lock
  write_stage nginx "$1"
  nginx_test || fail "nginx -t: $NGINX_SAYS"
  pt "nginx-$1-written"
  nginx_reload || fail "nginx did not take the new configuration"
  vnode_unlock
  pt "nginx-$1-live"
}

fpm_to() { # stage sockets-that-must-accept sockets-that-must-go
  if ! has_stage fpm "$1"; then return 0; fi
  vnode_lock
  note_pools
  write_stage fpm "$1"
  fpm_test || fail "php-fpm -t: $FPM_SAYS"
  pt "fpm-$1-written"
  if ! fpm_reload "$2" "$3"; then
    rescue_fpm
    fail "php-fpm did not come up with the new pools"
  fi
  vnode_unlock
  pt "fpm-$1-live"
}

# PHP of every site on the vnode hangs on this: originals back, then start. The runner's own
# undo goes on from there.
rescue_fpm() {
  if [ "$PHASE" = undo ]; then return; fi
  j rescue php-fpm
  if ! fpm_alive; then
    mkdir -p "$UPATH/var/run" 2>/dev/null
    while IFS="$TAB" read -r n kind sum path; do
      if [ "$kind" = fpm ] && [ -e "$CUR/conf/$n.orig" ]; then put "$CUR/conf/$n.orig" "$path" exact; fi
    done <"$CUR/conf/list"
    start_dead "$FPM_UNIT" "$FPM_CMD"
  fi
}

# Copies of shared includes that we made go when no file includes them any more.
remove_created() {
  while IFS="$TAB" read -r n kind sum path; do
    if [ "$sum" != absent ] || [ ! -e "$path" ]; then continue; fi
    if ! is_ours "$n" "$path"; then warn "$path was changed since; it stays"; continue; fi
    if grep -rlsF -e "$path" -e "${path##*/}" "${path%/*}" "$R"/etc/nginx "$R"/etc/php* "${FPM_CONF%/*}" 2>/dev/null | grep -vxF "$path" | grep -q .; then continue; fi
    rm -f "$path"
    sync_dir "${path%/*}"
  done <"$CUR/conf/list"
}
