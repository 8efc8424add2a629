# Staging is cleared with rm -rf: what is in it and not ours goes into $S/kept first, and from there into .archive.

# Does a staged folder hold what came there with a folder of the vhost's?
holds_more() { # name ["links": also when that is links alone]
  is_dir "$S/$1" && has_more "$S/$1" "${2:-}"
}

# Looked for without a process: mostly there is nothing, and few folders.
has_more() { # folder ["links"]
  if ! [ -r "$1" ] || ! [ -x "$1" ]; then return 0; fi # who cannot look says yes
  for one in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    if [ -L "$one" ]; then
      if [ "$2" = links ]; then return 0; fi
    elif [ -d "$one" ]; then
      if has_more "$one" "$2"; then return 0; fi
    elif [ -e "$one" ] && ! [ -S "$one" ]; then return 0; fi
  done
  return 1
}

not_ours() { # in MORE, the names of such folders
  MORE=
  for e in new folder hold; do # the links in these are ours
    if holds_more "$e"; then MORE="$MORE $e"; fi
  done
  for e in var.since log tmp run app legacy carry tlog kept; do
    if holds_more "$e" links; then MORE="$MORE $e"; fi
  done
  [ -n "$MORE" ]
}

keep_staged() { # name
  free_kept "$1"
  mv -T "$S/$1" "$ASIDE" || fail "cannot keep $S/$1"
}

# What a run that was killed has staged under this name gives way.
stage_anew() { # name
  if [ ! -e "$S/$1" ] && [ ! -L "$S/$1" ]; then return 0; fi
  if holds_more "$1"; then keep_staged "$1"; else rm -rf "${S:?}/$1"; fi
}

# Staging goes, but never with something in it that is not ours: a stray that found no place is kept.
drop_staging() {
  finish_carry || carry_aside
  mount_below "$S"
  if [ -n "$MOUNT" ]; then
    warn "$MOUNT is a mount point: unmount it. What is in $S stays there until the next run of this vhost; do not delete it unseen"
    return 0
  fi
  if not_ours; then
    for e in $MORE; do
      if [ "$e" != kept ]; then keep_staged "$e"; fi
    done
    archive_folder
    kept=$(cd "$S/kept" && find . -xdev ! -type d | sed 's|^\./||' | head -n 5 | tr '\n' ' ')
    free_place "since-$TS"
    warn "what found no place is in .archive/$PLACED: $kept" # said before, lest a kill leaves it unsaid
    put_into_archive "$S/kept" "since-$TS"
  fi
  end_keepers
  clear_staging
  drop_mirror
  rmdir "$VPATH/.nsmig" 2>/dev/null
  return 0
}

# Without an exchange, logs went to a place of their own for a moment: same files, kept by rename.
keep_transition_logs() { # folder
  if [ ! -d "$S/tlog" ]; then return 0; fi
  logs=$LOG_INO
  if [ -z "$logs" ]; then read -r logs 2>/dev/null <"$CUR/made.log" || :; fi
  for f in "$S"/tlog/* "$S"/tlog/.[!.]*; do
    if [ -s "$f" ] && is_dir "$1"; then in_dir "$1" "$logs" keep_log "$f" "$(cat "$CUR/ts" 2>/dev/null)" || :; fi
  done
  for f in "$S"/tlog/* "$S"/tlog/.[!.]*; do
    if [ -s "$f" ]; then keep_staged tlog; return 0; fi
  done
  rm -rf "$S/tlog"
}

keep_log() { # staged file, stamp; runs inside the folder of logs, where the way there may have left some already
  to=./${1##*/}.transition-$2
  while [ -e "$to" ] || [ -L "$to" ]; do to=$to-2; done
  mv -T "$1" "$to"
}
