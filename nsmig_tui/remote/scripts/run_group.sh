# In a batch, runs of one vnode share tests and reloads. Each asks in $J/wants.KIND (one line a fact: stage,
# stage before, sockets to come, sockets to go, who asks) and waits in line; whoever is first leads: it gathers
# for a moment, then writes for all, tests once and reloads once. The answer is $J/got.KIND: "ok" or a reason.
shares_reloads() { [ "$GATHER" != 0 ] && have flock && [ "$PHASE" = forward ]; }

# Runs that switch together keep in step: $J/coming says which change a run asks for next, "PLACE PID FOLLOW",
# so that whoever leads one waits for those on their way, and for nobody else. Places: 1 and 2 the first changes of
# nginx and php-fpm, $FIRST first, 3 nginx's last, 4 php-fpm's; nothing for a run that asks no more. FOLLOW: how many
# runs the operator would begin after this one without waiting for any to end.
place_of() { # kind stage, in PLACE
  case $1.$2 in
    nginx.final) PLACE=3 ;;
    fpm.final) PLACE=4 ;;
    *) if [ "$1" = "${FIRST:-nginx}" ]; then PLACE=1; else PLACE=2; fi ;;
  esac
}

come_to() { # place
  if ! shares_reloads; then return 0; fi
  printf '%s %s %s\n' "$1" $$ "$FOLLOW" >"$J/coming"
}

passes() { # kind stage: a change that this run has no part in
  place_of "$1" "$2"
  come_to $((PLACE + 1))
}

comes_no_more() { if [ -s "$J/coming" ]; then printf '' >"$J/coming"; fi; }

# Is this process the run of that vhost? It has the vhost's lock open then, which is seen without reading anything.
# shellcheck disable=SC3013 # dash, BusyBox and POSIX 2024 have -ef
is_run() { [ "/proc/$1/fd/9" -ef "$2/lock" ]; } # process number, vhost's folder

# What an earlier run of this vhost that was killed has left must not pass for ours.
want_nothing_yet() {
  for left in "$J"/wants.* "$J"/got.* "$J/coming"; do
    if [ -e "$left" ]; then rm -f "$left"; fi
  done
}

# Is a run on its way to this change that has not asked yet? ASKED: how many have; FEWEST: of those at this
# place, the fewest that are still to be begun after one.
others_come() { # kind place
  ASKED=0 FEWEST=
  way=1
  case $1 in nginx) other=fpm ;; *) other=nginx ;; esac # who has another change first stands in the other line
  for mark in "$VAR"/*/coming; do
    read -r at pid follow _ 2>/dev/null <"$mark" || continue
    if [ "$at" != "$2" ] || ! is_run "$pid" "${mark%/*}"; then continue; fi
    if [ -z "$FEWEST" ] || [ "$follow" -lt "$FEWEST" ]; then FEWEST=$follow; fi
    said='' its=''
    read -r said 2>/dev/null <"${mark%/*}/got.$1" || :
    read -r its 2>/dev/null <"${mark%/*}/got.$other" || :
    case $said/$its in
      ok/*|*/ok) way=0 ;; # the answer to the change before, not heard yet
      /*)
        if [ -e "${mark%/*}/wants.$1" ]; then ASKED=$((ASKED + 1))
        elif [ ! -e "${mark%/*}/wants.$other" ]; then way=0; fi ;;
      *) ASKED=$((ASKED + 1)) ;;
    esac
  done
  return "$way"
}

# A group waits for those on their way, and before its first change for those not begun yet: 15 s at most
# after the last arrival there, 5 s at a later change, and never longer than others wait in line.
gather() { # kind place
  most=50
  if [ "$2" = 1 ]; then most=150; fi
  left=$most before=0 all=900
  while [ "$left" -gt 0 ] && [ "$all" -gt 0 ]; do
    if ! others_come "$1" "$2" && { [ "$2" != 1 ] || [ "${FEWEST:-0}" = 0 ]; }; then return 0; fi
    if [ "$ASKED" != "$before" ]; then before=$ASKED left=$most; fi
    sleep 0.1
    left=$((left - 1)) all=$((all - 1))
  done
}

shared_change() { # kind stage accept go
  place_of "$1" "$2"
  stage_at "$1"
  rm -f "$J/got.$1"
  printf '%s\n%s\n%s\n%s\n%s\n' "$2" "$AT" "$3" "$4" $$ >"$J/wants.$1.part"
  mv "$J/wants.$1.part" "$J/wants.$1"
  exec 7>>"$VAR/group.$PLACE.lock" # a line for each place: who gathers for the next keeps nobody from an answer
  if ! flock_on 7 300; then rm -f "$J/wants.$1"; fail "the configuration of others took longer than 300 s"; fi
  if [ -e "$J/got.$1" ]; then j shared "$1"; else lead "$1" "$PLACE"; fi
  exec 7>&-
  WHY=
  read -r WHY 2>/dev/null <"$J/got.$1" || :
  # noted before the answer goes: who finds php-fpm down meanwhile takes what is noted for what is live
  if [ "$WHY" = ok ] && ! note_live "$CUR" "$1" "$2"; then WHY="cannot note that $1 is at $2"; fi
  rm -f "$J/wants.$1" "$J/got.$1" # in this order: a wish without an answer is a new one
  if [ "$WHY" != ok ]; then fail "${WHY:-the group of this run gave no answer}"; fi
}

lead() { # kind place
  gather "$1" "$2"
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
  { read -r want_new; read -r want_old; read -r want_come; read -r want_go; read -r want_pid _; } <"$1"
  is_run "$want_pid" "${1%/*}"
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

# Read by the one who asked as soon as the place in line is free. Whoever has gone on comes to the next change.
answer() { # run's folder, kind, words
  if [ "$3" = ok ] && read -r at who 2>/dev/null <"$1/coming"; then
    printf '%s %s\n' $((at + 1)) "$who" >"$1/coming"
  fi
  printf '%s\n' "$3" >"$1/got.$2"
}
