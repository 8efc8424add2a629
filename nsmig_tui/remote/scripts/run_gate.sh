# May the run's verb begin? Judged by what is on disk, under the vhost's lock, where nobody changes it: what the
# operator's program saw before it asked may be of another hour.

# Is a migration on record that is neither finished nor wholly undone? Then the site may stand in staging.
half_way() { [ -d "$CUR" ] && { ! flagged committed || flagged back; }; }

newest_run() { awk -F "$TAB" '$4 == "begin" { r = $3 } END { print r }' "$J/journal" 2>/dev/null; }

verb_may_begin() { # the newest run before this one
  if [ "$VERB" != unrestore ] && open_restore; then
    fail "a restore broke off half-way and what is live may stand in its staging: first take it back with nsmig resume"
  fi
  case $VERB in
    migrate)
      if half_way; then fail "an earlier run is not finished: resume or undo it first"; fi
      if [ -d "$CUR" ]; then
        fail "a finished migration is on record here: nsmig rollback undoes it; if the tree is right as it is, put the record aside (mkdir -p $J/undone && mv $CUR $J/undone/$RUN) and ask again"
      fi ;;
    resume)
      if [ ! -e "$CUR/plan" ] || ! half_way; then fail "nothing is left half-done here"; fi
      if flagged back; then fail "an undo is half-done here, and there is no way but on: nsmig resume with --undo"; fi ;;
    undo) if [ ! -e "$CUR/plan" ]; then fail "there is no record of a migration here to undo"; fi ;;
    restore) if half_way; then fail "a migration or its undo is unfinished: first finish it with nsmig resume, or go back with --undo"; fi ;;
    unrestore)
      if [ -d "$CUR" ]; then fail "a migration is on record: undo it first"; fi
      if [ ! -d "$J/restored" ]; then fail "there is no restore on record here to take back"; fi ;;
    tidy) if half_way; then fail "a migration or its undo is unfinished, and staging may be where the site is: ask nsmig resume again"; fi ;;
    *) fail "unknown verb $VERB" ;;
  esac
  if [ -n "${SEEN_RUN:-}" ] && [ "$1" != "$SEEN_RUN" ]; then
    fail "another run has been at work here since this one was asked for ($1): look again, then ask again"
  fi
}
