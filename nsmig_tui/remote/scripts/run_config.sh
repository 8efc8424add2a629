# Configuration in stages. $CUR/conf/list: "N TAB KIND TAB SHA|absent TAB PATH"; N.orig is the saved
# original, N.STAGE the planned text of a stage. A file that is none of these was changed by someone
# else, and stops us.
save_originals() {
  while IFS="$TAB" read -r n kind sum path; do
    if [ "$sum" = absent ]; then
      if [ -e "$path" ] && ! same "$path" "$CUR/conf/$n.final"; then fail "$path exists already and is not what we would write"; fi
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
  for f in "$CUR/conf/$1".*; do
    if same "$f" "$2"; then return 0; fi
  done
  return 1
}

# Asked before an undo touches anything: a file that an administrator edited since is not overwritten.
nobody_edited() {
  while IFS="$TAB" read -r n kind sum path; do
    if [ "$sum" = absent ]; then continue; fi
    if [ -e "$path" ] && ! is_ours "$n" "$path"; then
      fail "$path was edited since the migration; save the edit, put $CUR/conf/$n.final back in its place, then ask again"
    fi
  done <"$CUR/conf/list"
}

write_stage() { # kind stage
  while IFS="$TAB" read -r n kind sum path; do
    if [ "$kind" != "$1" ]; then continue; fi
    new=$CUR/conf/$n.$2
    if [ ! -e "$new" ]; then continue; fi
    if [ -e "$path" ]; then
      if same "$new" "$path"; then continue; fi
      if ! is_ours "$n" "$path"; then fail "$path was changed by someone else; nothing of it is overwritten"; fi
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

# A test that fails leaves the stage before on disk, under the same lock: nobody else meets broken files.
take_back() { # kind stage-before
  if [ -n "$2" ]; then write_stage "$1" "$2"; fi
}

next_write() { # the number of this write; a reload that starts later covers it
  n=$(($(cat "$VAR/write.seq" 2>/dev/null || echo 0) + 1))
  printf '%s\n' "$n" >"$VAR/write.seq.part" && mv "$VAR/write.seq.part" "$VAR/write.seq"
  printf %s "$n"
}

# Write a stage and make it live, under the vnode's lock.
nginx_to() { # stage
  if ! has_stage nginx "$1"; then return 0; fi
  vnode_lock
  write_stage nginx "$1"
  if ! nginx_test; then
    why=$NGINX_SAYS
    take_back nginx "$NGINX_AT"
    fail "nginx -t: $why"
  fi
  NGINX_AT=$1
  write=$(next_write)
  pt "nginx-$1-written"
  if shares_reloads; then
    vnode_unlock
    shared_reload nginx "$write" || fail "nginx did not take the new configuration"
  else
    nginx_reload || fail "nginx did not take the new configuration"
    vnode_unlock
  fi
  pt "nginx-$1-live"
}

fpm_to() { # stage sockets-that-must-accept sockets-that-must-go
  if ! has_stage fpm "$1"; then return 0; fi
  vnode_lock
  note_pools
  if [ "$FPM_AT" = orig ] && [ -n "$NEW_SOCKETS" ]; then
    for s in $NEW_SOCKETS; do
      # php-fpm would refuse to start, for every site
      if accepts "$s"; then fail "something else listens on $s already"; fi
    done
  fi
  write_stage fpm "$1"
  if ! fpm_test; then
    why=$FPM_SAYS
    take_back fpm "$FPM_AT"
    fail "php-fpm -t: $why"
  fi
  FPM_AT=$1
  printf '%s\n' "$3" >"$J/going"
  write=$(next_write)
  pt "fpm-$1-written"
  if shares_reloads; then
    vnode_unlock
    shared_reload fpm "$write" "$2" "$3" && fpm_settles "$2" "$3"
  else
    fpm_reload "$2" "$3"
  fi || {
    rescue_fpm
    fail "php-fpm did not come up with the new pools"
  }
  rm -f "$J/going"
  vnode_unlock
  pt "fpm-$1-live"
}

# In a batch, runs of one vnode share reloads: whoever comes first waits a moment for the others to
# write, reloads once, and all whose files stood before that need no reload of their own.
shares_reloads() { [ "$GATHER" != 0 ] && have flock && [ "$PHASE" != undo ]; }

shared_reload() { # nginx|fpm write-number [sockets-that-must-accept sockets-that-must-go]
  exec 7>>"$VAR/reload.$1.lock"
  flock -w 300 7 || return 1
  if [ "$(cat "$VAR/reload.$1.done" 2>/dev/null || echo 0)" -ge "$2" ]; then
    exec 7>&-
    j shared "$1"
    return 0
  fi
  sleep "$GATHER"
  vnode_lock
  covers=$(cat "$VAR/write.seq")
  if [ "$1" = nginx ]; then nginx_reload; else note_pools; fpm_reload "$3" "$4"; fi
  rc=$?
  vnode_unlock
  if [ "$rc" = 0 ]; then printf '%s\n' "$covers" >"$VAR/reload.$1.done.part" && mv "$VAR/reload.$1.done.part" "$VAR/reload.$1.done"; fi
  exec 7>&-
  return "$rc"
}

# PHP of every site on the vnode hangs on this: originals back, then start. The runner's own
# undo goes on from there.
rescue_fpm() {
  j rescue php-fpm
  if ! fpm_alive; then
    if [ "$PHASE" = undo ]; then fpm_originals "$CUR"; fi
    # with shared reloads the culprit may be another run's pool: every unfinished run's originals go back
    for cur in "$VAR"/*/cur; do
      if [ -e "$cur/flag.fpm" ] && [ ! -e "$cur/flag.committed" ]; then fpm_originals "$cur"; fi
    done
    start_dead "$FPM_UNIT" "$FPM_CMD"
  fi
}

fpm_originals() { # a run's record
  while IFS="$TAB" read -r n kind sum path; do
    if [ "$kind" = fpm ] && [ -e "$1/conf/$n.orig" ]; then put "$1/conf/$n.orig" "$path" exact; fi
  done <"$1/conf/list"
  rm -f "$1/flag.fpm" # its undo need not go through pools that php-fpm did not come up with
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
