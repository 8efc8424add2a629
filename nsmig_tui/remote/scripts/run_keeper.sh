# Without an exchange nginx reaches the content by way of a process: one of the web server's own user that
# does nothing but stand in the content's folder. /proc/PID/cwd leads there wherever the folder is renamed
# to, and the kernel lets this user go that way. A keeper ends by itself, should its run be killed; while
# there is none, nginx goes by what it finds on disk.
KEEPER_LIFE=900

# php-fpm does not start, for no site, where the directory of a pool is missing, and web is for a moment: should
# the machine go down in it, all would be without PHP. So pools that begin in web begin elsewhere meanwhile.
fpm_apart() { # sockets-that-must-go
  if ! has_stage fpm apart; then return 0; fi
  own_change fpm apart "$OLD_SOCKETS" "$1"
  FPM_AT=apart
  pt fpm-apart-live
}

keep_at_hand() {
  if ! keeper_holds; then warn "nginx cannot hold the content while it moves: a request in the instant of the rename can miss a file"; fi
  pt kept-at-hand
}

keeper_holds() { # a new one, and $S/held leads there for nginx
  if ! web_ids; then return 1; fi
  seek_content
  rm -f "$CUR/keeper.pid"
  if ! in_dir "$CONTENT" "$WEB_INO" start_keeper || ! keeper_stands; then return 1; fi
  printf '%s %s\n' "$KEEPER" "$START" >>"$CUR/keepers"
  put_link "/proc/$KEEPER/cwd" "$S/held" || fail "cannot stage the link that nginx goes by"
  if nginx_could_go "$S/held"; then return 0; fi
  rm -f "$S/held"
  return 1
}

# User and group of nginx's workers, in WEB_UID and WEB_GID.
web_ids() {
  WEB_UID=
  WEB_GID=
  if ! nginx_pid; then return 1; fi
  children "$MASTER"
  for c in $CHILDREN; do
    while read -r key _ id _; do
      case $key in Uid:) WEB_UID=$id ;; Gid:) WEB_GID=$id ;; esac
    done 2>/dev/null <"/proc/$c/status"
    if [ -n "$WEB_GID" ]; then return 0; fi
  done
  return 1
}

become_web() { # shell command, and $ARG for its environment; the shell that calls this ends
  export ARG="$2"
  if [ "$ROOT_ID" = "$WEB_UID:$WEB_GID" ]; then exec sh -c "$1"; fi
  if setpriv --reuid "$WEB_UID" --regid "$WEB_GID" --clear-groups true 2>/dev/null; then
    exec setpriv --reuid "$WEB_UID" --regid "$WEB_GID" --clear-groups sh -c "$1"
  fi
  exec su -s /bin/sh -c "$1" "$(id -un "$WEB_UID")" # BusyBox's setpriv cannot
}

start_keeper() { # runs inside the content folder
  (
    exec >"$CUR/keeper.pid" 2>/dev/null </dev/null 3<&- 4<&- 5<&- 6<&- 7>&- 8>&- 9>&- # our locks must not live on in it
    # shellcheck disable=SC2016 # the keeper's shell expands
    become_web 'echo $$; exec sleep "$ARG" >/dev/null' "$KEEPER_LIFE"
  ) &
}

nginx_could_go() ( # link: does it lead somewhere for the web server's user?
  # shellcheck disable=SC2016 # the other shell expands
  become_web '[ -d "$ARG" ]' "$1" 2>/dev/null
)

keeper_stands() { # has it said its number? In KEEPER, and when it began in START
  i=0
  until read -r KEEPER 2>/dev/null <"$CUR/keeper.pid"; do
    i=$((i + 1))
    if [ "$i" -gt 50 ]; then return 1; fi
    sleep 0.02
  done
  start_of "$KEEPER"
  [ -n "$START" ]
}

end_keepers() {
  if [ ! -s "$CUR/keepers" ]; then return 0; fi
  rm -f "$S/held"
  while read -r pid began; do
    start_of "$pid"
    if [ "$START" = "$began" ]; then kill "$pid" 2>/dev/null; fi
  done <"$CUR/keepers"
  rm -f "$CUR/keepers" "$CUR/keeper.pid"
}
