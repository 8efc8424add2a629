# Takes a run's files (a tar on standard input) into the vnode's root-only place, checks the runner by
# length and hash, and starts it detached. Arguments: DOMAIN RUN SHA256 BYTES. Prints "started PID LINES": so many the journal had before.
main() {
  RD=$VAR/$1/runs/$2
  mkdir -p "$VAR" && chmod 700 "$VAR" || die "cannot make $VAR"
  mkdir -p "$VAR/$1/runs" && mkdir "$RD" 2>/dev/null || { if [ -e "$RD/pid" ]; then echo "started again 0"; exit 0; fi; mkdir -p "$RD" || die "cannot make $RD"; }
  tar -xf - -C "$RD" || die "cannot unpack the run's files"
  if [ "$(wc -c <"$RD/runner.sh")" -ne "$4" ] || [ "$(sha256sum <"$RD/runner.sh" | cut -d' ' -f1)" != "$3" ]; then die "the runner did not arrive whole"; fi
  sync_dir "$RD"
  cd / || exit 1
  lines=0
  if [ -s "$VAR/$1/journal" ]; then lines=$(wc -l <"$VAR/$1/journal"); fi
  if have setsid; then setsid sh "$RD/runner.sh" "$RD" </dev/null >"$RD/log" 2>&1 &
  else nohup sh "$RD/runner.sh" "$RD" </dev/null >"$RD/log" 2>&1 & fi
  echo "started $! $lines"
}
main "$@"
