# What any number of runs have journaled beyond the lines already known, waiting for news: soon for what
# somebody must answer, else gathered for a moment. While nothing happens, only `sleep` costs a process.
# Arguments: WAIT (tenths of a second, 0 changes nothing on the vnode), then four for each run: DOMAIN RUN LINES
# WORD, the operator's word on a run that awaits it: "commit", "undo REASON" or nothing. Output rows, N the run's
# place among the arguments from 0: "alive TAB N TAB yes|no|none|locked", "progress TAB N TAB what TAB phase TAB
# done TAB total", "j TAB N TAB line", "unsaid TAB N" when the word could not be written: it is to be said again.
WAIT=$1
shift
GATHERED=4
TOGETHER=4
MARK=$VAR/.poll.$$

each_run() { # function, then the runs
  what=$1 N=0
  shift
  while [ $# -ge 4 ]; do
    RUN=$2 KNOWN=$3 WORD=$4 J=$VAR/$1 RD=$VAR/$1/runs/$2
    "$what"
    shift 4
    N=$((N + 1))
  done
}

say_word() { # whole or not at all
  if [ -z "$WORD" ] || [ ! -d "$RD" ]; then return 0; fi
  if ! { printf '%s\n' "$WORD" >"$RD/verdict.new" && mv "$RD/verdict.new" "$RD/verdict"; } 2>/dev/null; then printf 'unsaid\t%s\n' "$N"; fi
}

# Sets ALIVE.
alive() {
  if [ -e "$RD/locked" ]; then ALIVE=locked; return; fi
  if ! read -r pid start boot 2>/dev/null <"$RD/pid"; then ALIVE=none; return; fi
  start_of "$pid"
  if [ "$boot" = "$BOOT" ] && [ "$START" = "$start" ]; then ALIVE=yes
  elif [ -e "$RD/locked" ]; then ALIVE=locked # it said so and ended while we looked
  else ALIVE=no; fi
}

# shellcheck disable=SC3013 # dash, BusyBox and POSIX 2024 have -nt
newer() { [ "$1" -nt "$MARK" ]; }

look() {
  if [ -z "$NEWS" ] && newer "$J/journal"; then NEWS=1; fi
  if newer "$RD/urgent"; then URGENT=1; fi
  # who is the runner was asked when this poll began, and is asked again at its end; here it is enough that it goes on
  eval "pid=\${PID$N:-}"
  if [ -z "$pid" ] || [ ! -d "/proc/$pid" ]; then
    alive
    case $ALIVE in no|locked) OVER=1 ;; yes) eval "PID$N=\$pid" ;; esac
  fi
  # while an archive grows, its progress is news enough
  if [ "$WAIT" -gt 10 ] && read -r step phase total 2>/dev/null <"$RD/progress" && [ "$phase" = gzip ]; then WAIT=10; fi
}

list() { if [ -f "$J/journal" ]; then LISTED="$LISTED $J/journal"; fi; }

# Is there more than is known already? COUNTS: "LINES PATH", a pair for each run that has a journal.
known() {
  case " $LISTED " in *" $J/journal "*) ;; *) return 0 ;; esac
  # shellcheck disable=SC2086 # pairs of words
  set -- $COUNTS
  lines=$1
  shift 2
  COUNTS=$*
  if [ "$lines" -le "$KNOWN" ]; then return 0; fi
  NEWS=1
  if read -r line 2>/dev/null <"$RD/urgent" && [ "$line" -gt "$KNOWN" ]; then URGENT=1; fi
}

tell() {
  alive
  printf 'alive\t%s\t%s\n' "$N" "$ALIVE"
  if read -r step phase total 2>/dev/null <"$RD/progress"; then
    copied=0
    if [ "$phase" = gzip ] && read -r gz 2>/dev/null <"$RD/gzip.pid" && [ -r "/proc/$gz/io" ]; then
      read -r _ copied 2>/dev/null <"/proc/$gz/io" || : # the first line is rchar
    elif [ "$phase" = check ]; then copied=$total; fi
    printf 'progress\t%s\t%s\t%s\t%s\t%s\n' "$N" "$step" "$phase" "${copied:-0}" "$total"
  fi
  if [ -f "$J/journal" ]; then JOURNALS="$JOURNALS n=$N seen=$KNOWN $J/journal"; fi
}

wait_for_news() {
  NEWS='' URGENT='' OVER='' LISTED='' COUNTS='' looks=0
  trap 'rm -f "$MARK"; exit 1' HUP PIPE TERM
  true >"$MARK" || return
  # what a poll that was killed outright left behind
  for mark in "$VAR"/.poll.*; do if [ ! -d "/proc/${mark##*.}" ]; then rm -f "$mark"; fi; done
  each_run list "$@"
  # shellcheck disable=SC2086 # one path a word
  if [ -n "$LISTED" ]; then COUNTS=$(wc -l $LISTED); fi
  each_run known "$@"
  while :; do
    each_run look "$@"
    # a run that nobody asks after yet has been started: one question for it as well is better than two
    if newer "$VAR/.started"; then OVER=1; fi
    if [ -n "$OVER" ]; then break; fi
    if [ -n "$NEWS" ] && [ "$WAIT" -gt "$GATHERED" ]; then WAIT=$GATHERED; fi
    # of many runs one or the other always has something urgent: they are heard together
    if [ -n "$URGENT" ]; then if [ $# -gt $((4 * TOGETHER)) ] && [ "$looks" = 0 ]; then WAIT=2; else break; fi; fi
    if [ "$WAIT" -le 0 ]; then break; fi
    # the longer nothing happens, the less often it is looked for
    looks=$((looks + 1))
    if [ "$looks" -le 5 ] || [ "$WAIT" -le "$GATHERED" ]; then sleep 0.1; WAIT=$((WAIT - 1))
    else sleep 0.3; WAIT=$((WAIT - 3)); fi
  done
  rm -f "$MARK"
}

# shellcheck disable=SC2016 # perl expands
quickly() { have perl && PERL5OPT='' PERL_UNICODE=0 perl -e "$QUICK_POLL" "$VAR" "$GATHERED" "$TOGETHER" "$WAIT" "$@" 2>/dev/null; }

quickly "$@"
told=$?
if [ "$told" = 0 ] || [ "$told" -gt 128 ]; then exit "$told"; fi # ended by a signal: nobody listens any more
boot_id
each_run say_word "$@"
if [ "$WAIT" -gt 0 ]; then wait_for_news "$@"; fi
JOURNALS=
each_run tell "$@"
# shellcheck disable=SC2016,SC2086 # awk's own; one path a word: domains hold no blanks
if [ -n "$JOURNALS" ]; then exec awk 'FNR > seen { printf "j\t%s\t%s\n", n, $0 }' $JOURNALS; fi
