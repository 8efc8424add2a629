# php-fpm is down after a reload, and with it the PHP of every site on the vnode. It is started with what is on disk.
# Only when that does not start gives way what nobody has seen start: what this change wrote, and what a run that was
# killed left untested; and only to what php-fpm took last from there, whose places are still there.

# Is it, started, what the reload was to make of it?
fpm_rises() { # sockets-that-must-accept sockets-that-must-go
  if fpm_alive; then return 1; fi
  j rescue php-fpm
  fpm_starts || return 1
  for s in $2; do drop_dead_socket "$s"; done
  fpm_settles "$1" "$2" && pools_answer || return 1
  j reloaded php-fpm
}

# Who dies takes none of its sockets away; who is started does not know of those that are to go.
drop_dead_socket() ( # path
  if [ ! -S "$1" ] || accepts "$1"; then exit 0; fi
  HAND='' # it stands elsewhere
  at=${1%/*}
  case $at in "${VPATH:-none}"/*) at=$(cd -P "$VPATH" && pwd -P)${at#"$VPATH"} ;; esac # the folder of all vhosts may be a link
  cd -P "${1%/*}" 2>/dev/null || exit 0
  n=./${1##*/}
  if [ "$(pwd -P)" = "$at" ] && [ ! -L "$n" ] && [ -S "$n" ]; then rm -f "$n"; fi
)

fpm_starts() { # why not is in FPM_SAYS
  find_fpm_log
  start_dead "$FPM_UNIT" "$FPM_CMD" && fpm_settles "" "" && return 0
  fpm_says
  return 1
}

# The reason in WHY.
fpm_goes_back() {
  WHY="php-fpm did not come up with the new pools"
  if fpm_alive; then return 0; fi
  BACK=
  for run in "$VAR"/*/cur; do
    # a run with an answer has gone on, or is about to
    if [ -e "$run/flag.fpm" ] && [ ! -s "${run%/cur}/got.fpm" ]; then pools_back "${run%/cur}" live; fi
  done
  started=1
  if ! fpm_starts; then
    started=
    if [ "$PHASE" = forward ]; then # what these took last may never have held; their first places are there yet
      for name in ${GROUP:-$DOMAIN}; do
        if [ ! -e "$VAR/$name/cur/flag.finals" ]; then pools_back "$VAR/$name" orig; fi
      done
      if fpm_starts; then started=1; fi
    fi
  fi
  if [ -n "$started" ]; then
    WHY="$WHY${FPM_SAID:+ ($FPM_SAID)}; it runs with those that it had"
    for name in $BACK; do rm -f "$VAR/$name/cur/flag.fpm"; done # an undo need not go through php-fpm again
  else WHY="php-fpm is down and does not start: $FPM_SAYS"; fi
}

pools_back() { # a run's folder, live|orig: its pools as php-fpm took them last, or at first, where a run wrote them
  if [ "$1" != "$J" ]; then ALIEN=1; fi
  OWN_J=$J OWN_CUR=$CUR OWN_DOMAIN=$DOMAIN
  J=$1 CUR=$1/cur DOMAIN=${1##*/} said=
  stage_at fpm
  if [ "$2" = orig ] && note_live "$CUR" fpm orig; then AT=orig; fi
  if [ -n "$AT" ] && is_untested "$AT"; then
    said="the pools of $DOMAIN are again as they were ($AT)"
    if ! write_stage fpm "$AT"; then said="the pools of $DOMAIN stay as they are: $WHY"
    elif [ "$AT" = orig ]; then BACK="$BACK $DOMAIN"; fi
  fi
  J=$OWN_J CUR=$OWN_CUR DOMAIN=$OWN_DOMAIN ALIEN=
  if [ -n "$said" ]; then warn "$said"; fi
  WHY="php-fpm did not come up with the new pools"
}

is_untested() { # stage that is live: is one of the pools another on disk?
  while IFS="$TAB" read -r n kind sum path; do
    if [ "$kind" = fpm ] && [ -e "$CUR/conf/$n.$1" ] && ! same "$CUR/conf/$n.$1" "$path"; then return 0; fi
  done <"$CUR/conf/list"
  return 1
}

find_fpm_log() { # in FPM_LOG, and how much it holds in LOGGED
  FPM_SAID=${FPM_SAYS:-}
  FPM_SAYS='' LOGGED=0
  FPM_LOG=$(sed -n 's/^[[:space:]]*error_log[[:space:]]*=[[:space:]]*//p' "$FPM_CONF" 2>/dev/null | tail -n 1 | tr -d "\"' ")
  if [ -f "$FPM_LOG" ]; then LOGGED=$(stat -c %s "$FPM_LOG"); fi
}

# Its own words on why it did not start, and the file that they are about, in FPM_SAYS.
fpm_says() {
  words=
  if [ -f "$FPM_LOG" ]; then words=$(tail -c "+$((LOGGED + 1))" "$FPM_LOG" | fpm_errors); fi
  if [ -z "$words" ] && [ "$MANAGER" = systemd ]; then words=$(journalctl -u "$FPM_UNIT" -n 20 -o cat --no-pager 2>/dev/null | fpm_errors); fi
  if [ -z "$words" ] && ! fpm_test; then words=$FPM_SAYS; fi
  FPM_SAYS=${words:-it does not say why, see its log}
  case $words in *\'/*\'*) ;; *) return 0 ;; esac
  address=${words#*"'"}
  pool=$(grep -rlsF -e "${address%%"'"*}" "${FPM_CONF%/*}" | head -n 1)
  FPM_SAYS=$FPM_SAYS${pool:+ (in $pool)}
}

fpm_errors() { # the last one in a log that says something of its own
  sed -n 's/^\(\[[^]]*\] \)\{0,1\}\(ERROR\|ALERT\): /\2: /p' | grep -v -e 'FPM initialization failed' -e 'failed to post process' | tail -n 1
}
