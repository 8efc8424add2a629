# What the runner writes down: the journal, flags, words that the way back relies on. Where there is no room for
# them, what they tell of is not begun.
j() { # kind detail
  if [ -z "$SEQ" ]; then
    SEQ=$(wc -l <"$J/journal" 2>/dev/null || echo 0)
    if [ -n "$TORN" ]; then SEQ=$((SEQ + 1)); fi
  fi
  SEQ=$((SEQ + 1))
  detail=$2
  case $detail in *"$NL"*|*"$TAB"*) detail=$(printf %s "$detail" | tr '\n\t' '  ') ;; esac
  tell_time
  set -- "$1" "$2" 120
  until printf '%s%s\t%s\t%s\t%s\t%s\n' "$TORN" "$SEQ" "$NOW" "$RUN" "$1" "$detail" 2>/dev/null >>"$J/journal"; do
    unwritten "$1" "$3" || return 0
    set -- "$1" "$2" $(($3 - 1))
  done
  TORN=
  # a step's beginning reaches the disk with what the step records first, or before its first act
  case $1 in step_done|warning|reloaded|shared|points|carried|step) ;; *) sync_file "$J/journal" ;; esac
  case "$1 $2" in await*|end*|attention*|'step_done backup_creation') echo "$SEQ" >"$RD/urgent" ;; esac # somebody waits to hear it
}

# A line of the journal found no room. How a run ends is worth waiting for; a step that nobody could read of
# does not begin; without any other line the run goes on.
unwritten() { # kind, tries left: answers 0 when it is to be tried again
  if [ -z "$TORN" ]; then TORN=$NL SEQ=$((SEQ + 1)); fi # what was written of it is a line of its own
  case $1 in
    committed|end|attention) if [ "$2" -gt 0 ]; then rm -f "$J/reserve"; sleep 0.5; return 0; fi ;;
    step|await)
      if [ "$PHASE" = forward ] && [ -z "$MUTE" ]; then
        MUTE=1 SEQ=
        fail "$J/journal cannot be written; is there room in $VAR?"
      fi ;;
  esac
  SEQ=
  return 1
}

flag() { if [ ! -e "$CUR/flag.$1" ]; then printf '' 2>/dev/null >"$CUR/flag.$1" && sync_all "$CUR" "$J/journal"; fi; }
flagged() { [ -e "$CUR/flag.$1" ]; }
must_flag() { flag "$1" || fail "cannot write $CUR/flag.$1; is there room in $VAR?"; }

# What a later step or the undo relies on stands on disk, whole, before the act that it describes, or that is not done.
note() { # file, a word that is never empty
  [ -n "$2" ] && printf '%s\n' "$2" 2>/dev/null >"$1.new" && sync_file "$1.new" && mv -T "$1.new" "$1" && sync_dir "${1%/*}" || fail "cannot write $1; is there room in $VAR?"
}

note_inode() { # file, path
  inode_of "$2"
  note "$1" "$INODE"
}
