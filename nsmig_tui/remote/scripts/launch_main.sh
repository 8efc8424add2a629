# Takes a run's files (a tar on standard input) into the vnode's root-only place, checks the runner by
# length and hash, and starts it detached. Arguments: DOMAIN RUN SHA256 BYTES. Prints "started PID LINES": so
# many the journal had before.
# A runner that is not among the files is taken from what earlier runs brought; where there is none that
# passes the check, it prints "wanted" and starts nothing.
main() {
  case $3 in ''|*[!0-9a-f]*) die "no hash: $3" ;; esac
  RD=$VAR/$1/runs/$2 KEPT=$VAR/.runners/$3
  { [ -d "$VAR" ] || mkdir -p "$VAR"; } && chmod 700 "$VAR" || die "cannot make $VAR"
  { [ -d "$VAR/$1/runs" ] || mkdir -p "$VAR/$1/runs"; } && mkdir "$RD" 2>/dev/null || { if [ -e "$RD/pid" ]; then echo "started again 0"; exit 0; fi; mkdir -p "$RD" || die "cannot make $RD"; }
  if [ -e "$RD/runner.sh" ] || [ -L "$RD/runner.sh" ]; then rm -f "$RD/runner.sh"; fi
  tar -xf - -C "$RD" || die "cannot unpack the run's files"
  if [ -f "$RD/runner.sh" ]; then
    is_whole "$RD/runner.sh" "$3" "$4" || die "the runner did not arrive whole"
    keep
  elif ! { [ -f "$KEPT" ] && cp "$KEPT" "$RD/runner.sh" && is_whole "$RD/runner.sh" "$3" "$4"; } 2>/dev/null; then
    if [ -e "$RD/runner.sh" ]; then rm -f "$RD/runner.sh"; fi
    echo wanted
    exit 0
  fi
  sync_dir "$RD"
  cd / || exit 1
  lines=0
  if [ -s "$VAR/$1/journal" ]; then lines=$(wc -l <"$VAR/$1/journal"); fi
  if have setsid; then setsid sh "$RD/runner.sh" "$RD" </dev/null >"$RD/log" 2>&1 &
  else nohup sh "$RD/runner.sh" "$RD" </dev/null >"$RD/log" 2>&1 & fi
  echo "started $! $lines"
  printf '%s %s\n' "$1" "$2" >"$VAR/.started"
}

is_whole() { # file sha256 bytes
  sum=$(sha256sum <"$1")
  [ "$(wc -c <"$1")" -eq "$3" ] && [ "${sum%% *}" = "$2" ]
}

# Keeps the runner for the next runs; only the newest: a version of ours has one. Nothing depends on it.
keep() {
  mkdir -p "${KEPT%/*}" && rm -f "${KEPT%/*}"/* && cp "$RD/runner.sh" "$KEPT.$$" && mv "$KEPT.$$" "$KEPT" || :
}

main "$@"
