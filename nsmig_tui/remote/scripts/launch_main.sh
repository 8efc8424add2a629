# Takes a run's files (a tar on standard input) into the vnode's root-only place, checks the runner by
# length and hash, and starts it detached. Arguments: DOMAIN RUN SHA256 BYTES. Prints "started PID LINES": so
# many the journal had before.
# A runner that is not among the files is taken from what earlier runs brought; where there is none that
# passes the check, it prints "wanted" and starts nothing.
# The same launch may come twice, when the answer to the first was lost: the run's folder appears whole, by one
# rename, and only who put it there starts the runner.
main() {
  case $3 in ''|*[!0-9a-f]*) die "no hash: $3" ;; esac
  RD=$VAR/$1/runs/$2 PART=$VAR/$1/runs/.$2.$$ KEPT=$VAR/.runners/$3
  { [ -d "$VAR" ] || mkdir -p "$VAR"; } && chmod 700 "$VAR" || die "cannot make $VAR"
  if [ -e "$RD" ]; then echo "started again 0"; exit 0; fi
  mkdir -p "$PART" || die "cannot make $PART"
  tar -xf - -C "$PART" || give_up "cannot unpack the run's files"
  if [ -f "$PART/runner.sh" ]; then
    is_whole "$PART/runner.sh" "$3" "$4" || give_up "the runner did not arrive whole"
    keep
  elif ! { [ -f "$KEPT" ] && cp "$KEPT" "$PART/runner.sh" && is_whole "$PART/runner.sh" "$3" "$4"; } 2>/dev/null; then
    rm -rf "$PART"
    echo wanted
    exit 0
  fi
  sync_dir "$PART"
  if ! mv -T "$PART" "$RD" 2>/dev/null; then
    if [ ! -d "$RD" ]; then give_up "cannot make $RD"; fi
    rm -rf "$PART"
    echo "started again 0"
    exit 0
  fi
  for part in "$VAR/$1/runs/.$2".*; do # of launches that were killed
    if [ -d "$part" ] && [ ! -d "/proc/${part##*.}" ]; then rm -rf "$part"; fi
  done
  cd / || exit 1
  lines=0
  if [ -s "$VAR/$1/journal" ]; then lines=$(wc -l <"$VAR/$1/journal"); fi
  leave_session "$2"
  if have setsid; then setsid sh "$RD/runner.sh" "$RD" </dev/null >"$RD/log" 2>&1 &
  else nohup sh "$RD/runner.sh" "$RD" </dev/null >"$RD/log" 2>&1 & fi
  echo "started $! $lines"
  # for the polls under way, which do without it too: a run that goes on is not to be told as one that did not begin
  { printf '%s %s\n' "$1" "$2" >"$VAR/.started"; } 2>/dev/null || :
}

# systemd may end at logout whatever a user began (KillUserProcesses=yes), by sudo too; root it leaves alone.
# This shell, and with it the runner, moves into a scope of its own; where none can be had, it stays.
leave_session() { # run
  if [ "${SUDO_UID:-0}" = 0 ] || ! in_session || ! have busctl; then return; fi
  busctl --timeout=5 call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager \
    StartTransientUnit 'ssa(sv)a(sa(sv))' "nsmig-$1.scope" fail 1 PIDs au 1 $$ 0 >/dev/null 2>&1 || return 0
  tries=0 # the answer comes before the move
  while in_session && [ "$tries" -lt 40 ]; do
    tries=$((tries + 1))
    sleep 0.05 2>/dev/null || sleep 1
  done
}

in_session() { # is this shell in the session of a login?
  while IFS= read -r group; do
    case $group in */session-*.scope) return 0 ;; esac
  done </proc/self/cgroup
  return 1
} 2>/dev/null

give_up() { rm -rf "$PART"; die "$@"; }

is_whole() { # file sha256 bytes
  sum=$(sha256sum <"$1")
  [ "$(wc -c <"$1")" -eq "$3" ] && [ "${sum%% *}" = "$2" ]
}

# Keeps the runner for the next runs; only the newest: a version of ours has one. Nothing depends on it.
keep() {
  mkdir -p "${KEPT%/*}" && rm -f "${KEPT%/*}"/* && cp "$PART/runner.sh" "$KEPT.$$" && mv "$KEPT.$$" "$KEPT" || :
}

main "$@"
