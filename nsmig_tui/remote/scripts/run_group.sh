# In a batch, runs of one vnode share tests and reloads. Each asks in $J/wants.KIND (one line a fact: stage,
# stage before, sockets to come, sockets to go, who asks) and waits in line; whoever is first leads: it gathers
# for a moment, then writes for all, tests once and reloads once. The answer is $J/got.KIND: "ok" or a reason.
shares_reloads() { [ "$GATHER" != 0 ] && have flock && [ "$PHASE" = forward ]; }

shared_change() { # kind stage accept go
  stage_at "$1"
  rm -f "$J/got.$1"
  start_of $$
  printf '%s\n%s\n%s\n%s\n%s %s\n' "$2" "$AT" "$3" "$4" $$ "$START" >"$J/wants.$1.part"
  mv "$J/wants.$1.part" "$J/wants.$1"
  exec 7>>"$VAR/group.$1.lock"
  if ! flock -w 300 7; then rm -f "$J/wants.$1"; fail "the configuration of others took longer than 300 s"; fi
  if [ -e "$J/got.$1" ]; then j shared "$1"; else lead "$1"; fi
  exec 7>&-
  WHY=
  read -r WHY 2>/dev/null <"$J/got.$1" || :
  rm -f "$J/got.$1" "$J/wants.$1"
  if [ "$WHY" != ok ]; then fail "${WHY:-the group of this run gave no answer}"; fi
}

lead() { # kind
  sleep "$GATHER"
  vnode_lock
  GROUP='' COME='' GO=''
  for want in "$VAR"/*/wants."$1"; do
    who=${want%/*}
    if [ ! -s "$want" ] || [ -e "$who/got.$1" ]; then continue; fi
    if ! asker_lives "$want"; then rm -f "$want"; continue; fi
    if member "$who" "$1" new; then GROUP="$GROUP ${who##*/}" COME="$COME $want_come" GO="$GO $want_go"
    else answer "$who" "$1" "$WHY"; fi
  done
  if [ "$1" = fpm ]; then note_pools "$COME $GO"; fi
  if [ -n "$GROUP" ] && ! config_is_good "$1"; then one_by_one "$1"; fi
  if [ -n "$GROUP" ]; then
    pt "$1-group-written"
    if make_live "$1" "$COME" "$GO"; then verdict=ok; else verdict=$WHY; fi
    for name in $GROUP; do answer "$VAR/$name" "$1" "$verdict"; done
  fi
  vnode_unlock
}

# Sets want_new, want_old, want_come, want_go; answers whether who asks is still there to hear.
asker_lives() { # want file
  want_new='' want_old='' want_come='' want_go=''
  { read -r want_new; read -r want_old; read -r want_come; read -r want_go; read -r want_pid want_start; } <"$1"
  start_of "$want_pid"
  [ -n "$START" ] && [ "$START" = "$want_start" ]
}

# Write one run's files: the new stage, or back the stage before. A failure takes back what it wrote itself.
member() { # run's folder, kind, new|old
  stage=$want_new
  if [ "$3" = old ]; then stage=$want_old; fi
  if [ -z "$stage" ]; then return 0; fi
  if [ "$1" != "$J" ]; then ALIEN=1; fi
  J_WAS=$J CUR_WAS=$CUR DOMAIN_WAS=$DOMAIN
  J=$1 CUR=$1/cur DOMAIN=${1##*/}
  WHY=
  if ! write_stage "$2" "$stage"; then
    why=$WHY
    if [ "$3" = new ] && [ -n "$want_old" ]; then write_stage "$2" "$want_old" || why="$why; $WHY"; fi
    WHY=$why
  fi
  J=$J_WAS CUR=$CUR_WAS DOMAIN=$DOMAIN_WAS ALIEN=
  [ -z "$WHY" ]
}

# Together they do not hold: all back, then each by itself, so that one bad vhost stops only itself.
one_by_one() { # kind
  for name in $GROUP; do
    asker_lives "$VAR/$name/wants.$1" || : # also what was written for one that died meanwhile
    member "$VAR/$name" "$1" old || :
  done
  good='' COME='' GO=''
  for name in $GROUP; do
    if ! asker_lives "$VAR/$name/wants.$1"; then continue; fi
    if ! member "$VAR/$name" "$1" new; then answer "$VAR/$name" "$1" "$WHY"
    elif config_is_good "$1"; then good="$good $name" COME="$COME $want_come" GO="$GO $want_go"
    else
      why=$WHY
      member "$VAR/$name" "$1" old || why="$why; $WHY"
      answer "$VAR/$name" "$1" "$why"
    fi
  done
  GROUP=$good
}

answer() { # run's folder, kind, words
  printf '%s\n' "$3" >"$1/got.$2.part" && mv "$1/got.$2.part" "$1/got.$2"
  rm -f "$1/wants.$2"
}
