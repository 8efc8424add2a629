# Entry of the runner: `sh runner.sh RUNDIR`, detached by launch. Verbs: migrate, resume, undo, restore, unrestore, tidy.
# Exit codes: 0 done, 4 refused, 5 undone, 6 a person must look, 75 locked.
staging() {
  make_staging
  # shellcheck disable=SC3067 # dash, BusyBox and POSIX 2024 have -O
  if [ -L "$VPATH/.nsmig" ] || [ ! -O "$VPATH/.nsmig" ]; then fail "$VPATH/.nsmig does not belong to root"; fi
  probe_exchange
  # a choice once made holds until the run is finished or undone
  if [ -s "$CUR/xchg" ]; then XCHG=$(cat "$CUR/xchg"); else note "$CUR/xchg" "$XCHG"; fi
  if [ "$PHASE$XCHG" = forwardnone ] && [ -n "${NEEDS_XCHG:-}" ]; then
    fail "directories cannot change places in one step in $VPATH, and something in nginx's or PHP's configuration needs that; see the warnings of nsmig validate"
  fi
  modes_of_switch
}

staging_for_restore() {
  make_staging
  probe_exchange
}

modes_of_switch() {
  BRIDGE=bridge BOTH=both
  if [ "$XCHG" = none ]; then
    BRIDGE=transition BOTH=both_t
    if [ ! -d "$S/tlog" ]; then mkdir -p "$S/tlog" && chown "$OWNER" "$S/tlog" && chmod 770 "$S/tlog" && sync_all "$S"; fi
  fi
}

# From the old places to the new ones, with the sites answering at every moment.
switch_over() {
  stage_tree
  if [ "$XCHG" = none ]; then
    seek_content
    case $CONTENT in "$UPATH"/web/*) ;; *) fpm_apart "" ;; esac # what has switched already needs it no more
    keep_at_hand
    nginx_to transition
  fi
  switch_tree
  step permissions_update
  seek_content
  in_dir "$CONTENT" "$WEB_INO" content_modes "$CUR" "$OWNER" || fail "cannot set owner and mode of the content's folder"
  fix_owners
  step configuration_update
  # PHP remembers where old paths led. Told new ones before it forgets, it would read a file twice that a site asks
  # for by both, and stop. Where web/run comes nginx may serve an entry called run by a link: it has to leave first.
  if [ "$XCHG" = none ] || [ -z "$FPM_CONF" ] || [ -L "$UPATH/web/run" ]; then
    if [ "$XCHG" != none ]; then
      if [ -n "$FPM_CONF" ]; then own_change fpm orig "$OLD_SOCKETS" ""; fi
      nginx_to bridge
    fi
    make_app
    new_folder run 750
    fpm_to "$BOTH" "$OLD_SOCKETS $NEW_SOCKETS" ""
  else
    FIRST=fpm
    new_folder run 750
    fpm_to "$BOTH" "$OLD_SOCKETS $NEW_SOCKETS" ""
    nginx_to bridge
    make_app
  fi
  for x in log tmp; do
    if [ "$x" = log ]; then i=$LOG_INO; else i=$TMP_INO; fi
    relay_out "$x" "$i"
    own_staged "$x"
    if [ -n "$i" ]; then in_web drop_compat "$x"; fi
    relay_new "$x" "$i"
  done
  if [ -z "$LOG_INO" ]; then new_folder log 750; fi
  # what nginx holds it finds wherever it goes; without that it has to look elsewhere first
  if [ "$XCHG" = none ]; then content_to_app; nginx_to final; else nginx_to final; content_to_app; fi
  step service_reload
  let_leave 10 # what their requests need goes from here on: the old socket, the side name, links at old paths
  fpm_to final "$NEW_SOCKETS" "$OLD_SOCKETS"
  comes_no_more
  must_flag finals
}

forward() {
  PHASE=forward
  if ! flagged finals; then come_to 1; fi
  hold_places
  finish_carry || carry_aside
  step backup_creation
  take_times
  if [ "$BACKUP" = 1 ]; then make_archive; else light_manifest; fi
  write_record running
  step structural_migration
  if ! flagged touched; then keep_room; fi
  must_flag touched
  if flagged finals; then # an earlier run got this far: nothing goes back to a stage whose places are gone
    for x in permissions_update configuration_update service_reload; do step "$x"; done
  else
    switch_over
  fi
  drop_hold
  relay_in log "$LOG_INO"
  relay_in tmp "$TMP_INO"
  keep_transition_logs "$UPATH/web/log"
  if is_dir "$UPATH/var/run"; then move_run_entries "$UPATH/var/run" "$UPATH/web/run" || fail "cannot move what var/run holds"; fi
  pt run-moved
  sweep_strays "$UPATH/web"
  legacy_away
  settle_compat
  step verification
  verify_here
  await_verdict
  pt verdict
  write_record completed
  pt record
  drop_staging
  must_flag committed
  a_name=
  IFS="$TAB" read -r a_name _ 2>/dev/null <"$CUR/archive" || :
  j committed "$a_name"
  step ""
  if [ -e "$J/coming" ]; then rm -f "$J/coming"; fi
  finish ok 0
}

drop_compat() { # a compat link of the same name as a structural folder gives way
  if [ -L "./$1" ]; then case $(readlink -- "./$1") in "$HOLD/public/$1") rm "./$1" ;; esac; fi
}

# Without an archive the tree is still compared: the manifest alone, in the root-only record.
light_manifest() {
  if [ -s "$CUR/manifest" ]; then return 0; fi
  warn "no archive: there will be nothing to restore from"
  free_name "$TS"
  note "$CUR/manifest.start" "$(date +%s)"
  (cd "$UPATH" && step_back && make_manifest "$CUR/manifest.part") && sync_file "$CUR/manifest.part" && mv "$CUR/manifest.part" "$CUR/manifest" || fail "cannot write the manifest"
}

main() {
  RD=$1
  # shellcheck source=/dev/null
  . "$RD/plan"
  J=$VAR/$DOMAIN
  CUR=$J/cur
  trap '' HUP PIPE
  find_prints || : # asked here, where all parts can see the answer
  boot_id
  start_of $$
  printf '%s %s %s\n' "$$" "$START" "$BOOT" >"$RD/pid"
  open_lock
  start_hand
  if ! take_lock; then printf locked >"$RD/locked"; hand bye; exit 75; fi
  if [ "$VERB" = resume ] || [ "$VERB" = undo ] || [ "$VERB" = restore ]; then
    run=$RUN verb=$VERB crash=$CRASH_AT failing=$FAIL_AT rd=$RD who=$OPERATOR follow=${FOLLOW:-0}
    if [ -e "$CUR/plan" ]; then
      # shellcheck source=/dev/null
      . "$CUR/plan"
    fi
    RUN=$run VERB=$verb CRASH_AT=$crash FAIL_AT=$failing RD=$rd OPERATOR=$who FOLLOW=$follow
  fi
  VPATH=${UPATH%/*}
  S=$VPATH/.nsmig/$DOMAIN
  OWNER=$UIDN:$GIDN
  OTHER_SOCKETS=
  GATHER=${GATHER:-0} FOLLOW=${FOLLOW:-0}
  # a line that a power cut left unfinished must not swallow ours
  if [ ! -s "$J/journal" ]; then printf '' >"$J/journal"; SEQ=0
  elif [ -n "$(tail -c 1 "$J/journal" | tr '\000' x)" ]; then echo >>"$J/journal"; fi
  want_nothing_yet
  newest=${SEEN_RUN:+$(newest_run)}
  j begin "$VERB $OPERATOR"
  case $VERB in
    migrate|restore)
      if is_of_before; then
        put_record_aside
        # shellcheck source=/dev/null
        . "$RD/plan"
      fi ;;
  esac
  verb_may_begin "$newest"
  case $VERB in
    migrate)
      mkdir "$CUR.part" 2>/dev/null || rm -rf "$CUR.part/conf"
      cp -R "$RD/conf" "$RD/plan" "$RD/meta.json" "$RD/climb" "$RD/baseline.json" "$CUR.part/" && sync_all "$CUR.part"/* "$CUR.part"/conf/* "$CUR.part" && mv "$CUR.part" "$CUR" && sync_dir "$J" || fail "cannot keep the plan"
      MINE=1
      preflight || exit 6
      PHASE=forward
      FPM_AT=orig
      staging
      forward ;;
    resume)
      PHASE=forward
      staging
      if ! flagged touched; then # it may have been killed before it had saved what an undo puts back
        structure_is_sound
        vnode_lock
        save_originals
        vnode_unlock
      fi
      forward ;;
    undo)
      nobody_edited
      as_it_stands
      way_is_clear
      make_staging
      keep_room
      PHASE=undo
      XCHG_WAS=$(cat "$CUR/xchg" 2>/dev/null)
      if [ -n "$XCHG_WAS" ]; then XCHG=$XCHG_WAS; fi
      staging
      undo_everything "asked for by $OPERATOR" ;;
    restore)
      if [ -e "$CUR/plan" ]; then
        nobody_edited
        places_anew
        as_it_stands
        way_is_clear
        XCHG=$(cat "$CUR/xchg" 2>/dev/null || printf %s "$XCHG")
      fi
      # while this fails, a migrated vhost stays migrated
      PHASE=prepare
      make_staging
      prepare_restore
      if [ -e "$CUR/plan" ]; then
        # a migrated vhost goes back to its old layout first; what was written since is carried over
        staging
        PHASE=undo
        j undo_started "before the restore"
        undo_all
        j undone "before the restore"
        keep_undone
        # shellcheck source=/dev/null
        . "$RD/plan"
      fi
      PHASE=restore
      staging_for_restore
      restore_archive ;;
    unrestore)
      staging_for_restore
      unrestore
      finish ok 0 ;;
    tidy) # a restore was broken off before it changed anything, or after its end
      drop_copy
      finish ok 0 ;;
  esac
}

main "$@"
