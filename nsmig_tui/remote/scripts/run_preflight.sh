# What must hold before anything is touched; whatever does not refuses the run.
preflight() {
  step pre_flight_checks
  id=
  read -r id 2>/dev/null <"$R/etc/machine-id" || :
  if [ "$id" != "$MACHINE_ID" ]; then fail "this is not the machine that was discovered"; fi
  structure_is_sound
  has_room "$UPATH" "$NEED_KB" "$NEED_INODES"
  has_room "$VAR" "${NEED_VAR_KB:-2048}" 128
  # not tried with a file: the folder's time says whether somebody changed the configuration
  if [ ! -w "$R/etc/nginx" ]; then fail "$R/etc/nginx cannot be written"; fi
  # given up when the run ends or goes back, so that the undo and its last words find room on a full disk
  fill "$RD/runner.sh" "$J/reserve" || fail "cannot write $J/reserve; is there room in $VAR?"
  vnode_lock
  save_originals
  config_was_good nginx || fail "before we begin: $WHY"
  if ! nginx_pid; then fail "nginx is not running"; fi
  if [ -n "$FPM_CONF" ]; then config_was_good fpm || fail "before we begin: $WHY"; fi
  vnode_unlock
  if [ -n "$FPM_CONF" ]; then
    # another run's reload may be under way: php-fpm replaces itself and is back in a moment
    tries=0
    # shellcheck disable=SC2086
    until fpm_alive && accepts $OLD_SOCKETS; do
      tries=$((tries + 1))
      if [ "$tries" -gt 30 ]; then fail "php-fpm is not running, or does not accept on the old socket"; fi
      sleep 0.1
    done
  fi
}

# Real folders, the very ones that were examined, on the file system of VPATH. One look for all of them.
structure_is_sound() {
  set -- "$VPATH/." "$UPATH" "$UPATH/web" # it may be a link
  for x in var var/log var/run var/tmp msg; do
    if [ -L "$UPATH/$x" ]; then fail "$x is a link"; fi
    if is_dir "$UPATH/$x"; then set -- "$@" "$UPATH/$x"; fi
  done
  look_at "$@"
  device=${seen%% *}
  case $seen$NL in *" $UPATH_INO/directory/$UPATH$NL"*) ;; *) fail "$UPATH is not the folder that was examined" ;; esac
  case $seen$NL in *" $WEB_INO/directory/$UPATH/web$NL"*) ;; *) fail "web is not the folder that was examined" ;; esac
  old_ifs=$IFS
  IFS=$NL
  for x in $seen; do
    case $x in
      "$device "*) ;;
      *"/$UPATH") IFS=$old_ifs; fail "$UPATH is a file system of its own; this shape is not supported" ;;
      *) IFS=$old_ifs; fail "${x#*/*/} is on another file system" ;;
    esac
  done
  IFS=$old_ifs
}

has_room() { # path, KiB, inodes
  room_at "$1"
  case $avail in ''|*[!0-9]*) fail "cannot tell how much room there is in $1" ;; esac
  if [ "$avail" -lt "$2" ]; then fail "not enough space in $1: $2 KiB needed, $avail KiB free"; fi
  case $inodes in ''|*[!0-9]*|0) ;; *) if [ "$inodes" -lt "$3" ]; then fail "not enough inodes in $1: $3 needed, $inodes free"; fi ;; esac
}
