# Configuration in stages. $CUR/conf/list: "N TAB KIND TAB SHA|absent TAB PATH"; N.orig is the saved
# original, N.STAGE the planned text of a stage. A file that is none of these was changed by someone
# else, and stops us.
save_originals() {
  can_change_all
  set --
  while IFS="$TAB" read -r n kind sum path; do
    if [ "$sum" = absent ]; then
      if [ -e "$path" ] && ! same "$path" "$CUR/conf/$n.final"; then fail "$path exists already and is not what we would write"; fi
      continue
    fi
    if [ ! -f "$path" ]; then fail "$path has gone since the plan was made"; fi
    if [ ! -e "$CUR/conf/$n.orig" ]; then
      copy_exactly "$path" "$CUR/conf/$n.orig.part" || fail "cannot save $path"
      set -- "$@" "$CUR/conf/$n.orig.part"
    fi
  done <"$CUR/conf/list"
  if [ $# = 0 ]; then return 0; fi
  sums_are_planned "$@"
  sync_all "$@"
  for part in "$@"; do
    mv "$part" "${part%.part}" || fail "cannot save ${part%.part}"
  done
  sync_dir "$CUR/conf"
}

# Asked before anything is touched: root is kept from a file, which may be missing, or its folder by chattr, or by a
# file system that is read-only. BusyBox's -w takes root's word for it, and none knows of append-only.
can_change_all() {
  set --
  while IFS="$TAB" read -r n kind sum path; do
    for x in "${path%/*}" "$path"; do
      if [ ! -e "$x" ]; then continue; fi
      if [ ! -w "$x" ] || { [ -f "$x" ] && ! printf '' 2>/dev/null >>"$x"; }; then cannot_change "$x" "immutable or read-only"; fi
      set -- "$@" "$x"
    done
  done <"$CUR/conf/list"
  if [ $# = 0 ] || ! have lsattr; then return 0; fi
  flags=$(lsattr -d -- "$@" 2>/dev/null) || : # not every file system has them
  old_ifs=$IFS
  IFS=$NL
  set -f
  for x in $flags; do
    case ${x%% *} in *[ia]*) IFS=$old_ifs; cannot_change "${x#* }" "immutable or append-only" ;; esac
  done
  set +f
  IFS=$old_ifs
}

cannot_change() { fail "$1 is $2, so the configuration cannot be changed; chattr -i -a it, then ask again"; } # path, what

# What was saved is what the plan was made for. One process for all of them.
sums_are_planned() { # path of N.orig.part...
  sums=$(sha256sum -- "$@") || fail "cannot read what was saved"
  while IFS="$TAB" read -r n kind sum path; do
    case " $* " in *" $CUR/conf/$n.orig.part "*) ;; *) continue ;; esac
    case $NL$sums$NL in *"$NL$sum  $CUR/conf/$n.orig.part$NL"*) ;; *) fail "$path changed since the plan was made; plan again" ;; esac
  done <"$CUR/conf/list"
}

is_ours() { # N path [the stage that is most likely]
  if [ -n "${3:-}" ] && [ -e "$CUR/conf/$1.$3" ] && same "$CUR/conf/$1.$3" "$2"; then return 0; fi
  for f in "$CUR/conf/$1".*; do
    if same "$f" "$2"; then return 0; fi
  done
  return 1
}

# Answers 1, and the reason in WHY, when a file cannot be written; what is written already stays.
write_stage() { # kind stage
  while IFS="$TAB" read -r n kind sum path; do
    if [ "$kind" != "$1" ]; then continue; fi
    new=$CUR/conf/$n.$2
    if [ ! -e "$new" ]; then continue; fi
    if [ -e "$path" ]; then
      if same "$new" "$path"; then continue; fi
      if ! is_ours "$n" "$path" "$AT"; then
        whose "$path"
        WHY="$path was changed by ${WHOSE:+the migration of }${WHOSE:-someone else}; nothing of it is overwritten"
        return 1
      fi
    fi
    if ! flagged "$1" && ! { note_live "$CUR" "$1" orig && flag "$1"; }; then WHY="cannot note what is live"; return 1; fi
    if [ "$2" = orig ]; then put "$new" "$path" exact; else put "$new" "$path"; fi || { WHY="cannot write $path"; return 1; }
    pt "config-$1-$2-$n"
  done <"$CUR/conf/list"
}

has_stage() { # kind stage
  while IFS="$TAB" read -r n kind sum path; do
    if [ "$kind" = "$1" ] && [ -e "$CUR/conf/$n.$2" ]; then return 0; fi
  done <"$CUR/conf/list"
  return 1
}

# What nginx or php-fpm says of the files as they are on disk; the reason in WHY. Asked under the vnode's lock.
config_is_good() { # nginx|fpm
  rm -f "$VAR/$1.good.part"
  printf '' 2>/dev/null >"$VAR/$1.good.part" || : # without it the next one asks again
  if [ "$1" = nginx ]; then
    nginx_test || { WHY="nginx -t: $NGINX_SAYS"; return 1; }
  else
    fpm_test || { WHY="php-fpm -t: $FPM_SAYS"; return 1; }
  fi
  if [ -e "$VAR/$1.good.part" ]; then mv "$VAR/$1.good.part" "$VAR/$1.good" || :; fi
}

is_newer() { # folder, file: did anything in the folder change since?
  if hand newer "$2" "$1"; then [ "$SAID" != none ]; else [ -n "$(find "$1" -newer "$2" 2>&1)" ]; fi
}

# The same, but not asked again while nothing changed since the last good answer that a run got here.
config_was_good() { # nginx|fpm
  if [ "$1" = nginx ]; then folder=$R/etc/nginx; else folder=${FPM_CONF%/*}; fi
  if [ -e "$VAR/$1.good" ] && ! is_newer "$folder" "$VAR/$1.good"; then return 0; fi
  config_is_good "$1"
}

# What another run was told after a file of ours was written, when nothing changed since, holds for us too.
# shellcheck disable=SC3013 # dash, BusyBox and POSIX 2024 have -nt
config_good_since() { # nginx|fpm, file
  if [ "$VAR/$1.good" -nt "$2" ]; then config_was_good "$1"; else config_is_good "$1"; fi
}

# Which stage is live is known from disk: $CUR/live.KIND has a line for each that nginx or php-fpm took, the
# last one last. It is there before a file is changed for the first time.
note_live() { printf '%s\n' "$3" >>"$1/live.$2" && sync_all "$1/live.$2" "$1"; } # a run's record, kind, stage

stage_at() { # kind; in AT, empty when nobody knows
  AT=
  if ! flagged "$1"; then AT=orig; return 0; fi
  if [ ! -e "$CUR/live.$1" ]; then return 0; fi
  while read -r stage; do AT=$stage; done <"$CUR/live.$1" # a line that a power cut left unfinished does not count
}

# On the way back a stage in between is gone through by who was there already; else it may be the very one that
# does not hold, and nothing that leads through it has been done.
has_left() { # kind stage...: is what is live none of these?
  stage_at "$1"
  shift
  case " $* " in *" $AT "*) return 1 ;; esac
}

# What a killed run wrote, and nobody has tested, gives way to what is live: that starts.
put_back_untested() {
  vnode_lock
  for side in nginx fpm; do
    stage_at "$side"
    if flagged "$side" && [ -n "$AT" ]; then write_stage "$side" "$AT" || fail "$WHY"; fi
  done
  vnode_unlock
}

# A change of stage. Files are written, tested and, when that fails, put back in one go under the vnode's
# lock, so that nobody else's reload ever meets files that do not hold.
nginx_to() { # stage
  if ! has_stage nginx "$1"; then passes nginx "$1"; return 0; fi
  if shares_reloads; then shared_change nginx "$1" "" ""
  else own_change nginx "$1" "" ""; fi
  pt "nginx-$1-live"
}

fpm_to() { # stage sockets-that-must-accept sockets-that-must-go
  if ! has_stage fpm "$1"; then # a pool that names no path of the vhost; what it remembers of them has to go all the same
    case ${FPM_CONF:+$HOLD/$1} in ''|app/final) passes fpm "$1"; return 0 ;; esac
  fi
  case $FPM_AT/$1 in
    */orig|*/apart) ;; # the way back needs none of the new sockets
    orig/*|apart/*)
      for s in $NEW_SOCKETS; do # php-fpm would refuse to start, for every site
        if accepts "$s"; then fail "something else listens on $s already"; fi
      done ;;
  esac
  if shares_reloads; then shared_change fpm "$@"
  else own_change fpm "$@"; fi
  FPM_AT=$1
  pt "fpm-$1-live"
}

own_change() { # kind stage accept go
  GROUP=
  vnode_lock
  if [ "$1" = fpm ]; then note_pools "$3 $4"; fi
  stage_at "$1"
  if ! write_stage "$1" "$2" || ! config_is_good "$1"; then
    why=$WHY
    if [ -n "$AT" ]; then write_stage "$1" "$AT" || why="$why; $WHY"; fi
    fail "$why"
  fi
  pt "$1-$2-written"
  make_live "$1" "$3" "$4" || fail "$WHY"
  note_live "$CUR" "$1" "$2" || fail "cannot note that $1 is at $2"
  vnode_unlock
}

make_live() { # kind accept go; the reason in WHY
  if [ "$1" = nginx ]; then
    nginx_reload || { WHY="nginx did not take the new configuration"; return 1; }
  elif ! fpm_reload "$2" "$3" && ! fpm_rises "$2" "$3"; then
    fpm_goes_back
    return 1
  fi
}

# What a run that was killed was about to put in place. Asked under the vnode's lock, where nobody else writes.
drop_unplaced() {
  while IFS="$TAB" read -r n kind sum path; do
    path=${path%/*}
    for unplaced in "$path/.nsmig-$DOMAIN".* "${path%/*}/.nsmig-$DOMAIN".*; do
      if [ -f "$unplaced" ]; then rm -f "$unplaced"; fi
    done
  done <"$CUR/conf/list"
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
