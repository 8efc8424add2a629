# Judging the result on the vnode itself, and waiting for the operator's word on the HTTP answers.
# Lines: KIND TAB PATH for what differs without an excuse, "live" TAB PATH for what somebody changed since. The kernel's
# own time of a change says so, since no tool sets that; but not for what we changed ourselves: the content's folder,
# and what was given to the account. Of these the time that writing sets must be new.
# What is missing or new is so because of the topmost of its folders that is: live when that came since, or when
# the folder that this stands in was changed since.
differences() { # manifest, start of the manifest in epoch seconds
  ours=
  if [ -s "$CUR/made.known" ]; then ours=./.well-known; fi
  if [ -s "$CUR/owners" ]; then tr '\n\000' '\001\n' <"$CUR/owners" >"$S/owners.lines"; else printf '' >"$S/owners.lines"; fi
  seek_content
  in_dir "$CONTENT" "$WEB_INO" walk "$S/verify" >"$S/after.walk" || return 1
  awk -v ours="$ours" -v owners="$S/owners.lines" -v manifest="$1" -v t0="$2" -v owner="$OWNER" "$ESC"'
    function up(p) { sub("/[^/]*$", "", p); return p }
    function touched(p) { return mtime[p] >= t0 || p == "." && mtime[p] != top || p != "." && !(p in given) && ctime[p] >= t0 }
    function moved(p) { # it, or a folder on the way to it, was put there since
      for (; p != "."; p = up(p)) if (touched(p)) return 1
      return 0 }
    function live(p) { return touched(p) || !(p in given) && moved(p) }
    function came(p) { # nothing of it was there
      while (up(p) != "." && !(up(p) in was)) { if (touched(p)) return 1; p = up(p) }
      return touched(p) || touched(up(p)) }
    function went(p) { # nothing of it is there
      while (up(p) != "." && !(up(p) in now)) p = up(p)
      return touched(up(p)) }
    BEGIN { FS = "\t"
      while ((getline l < owners) > 0) { match(l, /^[0-9]+ [0-9]+ [0-9]+ /); given[esc(substr(l, RLENGTH + 1))] = 1 }
      while ((getline l < manifest) > 0) { n = split(l, f, "\t"); p = f[9]
        if (p == "./web") top = f[7]
        if (substr(p, 1, 6) != "./web/" || f[1] == "s") continue
        p = "." substr(p, 6); was[p] = (p in given ? owner : f[3] ":" f[4]) " " f[1] " " f[2] " " f[5] " " f[6] " " f[7] " " f[10] } }
    NR % 3 == 1 { split($0, m, " "); next }
    NR % 3 == 2 { p = esc($0); next }
    { if (m[1] == "s") next
      is = m[3] ":" m[4] " " m[1] " " m[2] " " m[5] " " m[7] " " m[8] " " esc($0)
      if (m[1] != "d" && p in was && was[p] == is) { delete was[p]; next } # there may be a million of these
      mtime[p] = m[8]; ctime[p] = m[10]; now[p] = is }
    END { for (p in was) {
        if (!(p in now)) { print (went(p) ? "live" : "missing") "\t" p; continue }
        if (now[p] == was[p]) continue
        if (live(p)) print "live\t" p
        else print (substr(now[p], index(now[p], " ")) != substr(was[p], index(was[p], " ")) ? "changed" : "owner") "\t" p }
      for (p in now) if (p != "." && p != ours && !(p in was)) print (came(p) ? "live" : "new") "\t" p }' "$S/after.walk" >"$S/differences"
}

expect_dirs() { # "MODE" path... "MODE" path...: one look for all of them
  mode='' want=''
  for d in "$@"; do
    case $d in /*) ;; *) mode=$d; shift; continue ;; esac
    is_dir "$d" || fail "$d is not a folder"
    want="$want$mode $OWNER $d$NL"
    set -- "$@" "$d"
    shift
  done
  now=
  for d in "$@"; do
    if ! hand look "$d"; then now=$(stat -c '%a %u:%g %n' "$@")$NL; break; fi
    SAID=${SAID#* }
    SAID=${SAID% * *}
    now="$now${SAID#* } ${SAID% *} $d$NL"
  done
  if [ "$now" != "$want" ]; then fail "not as it should be: $(printf %s "$now" | grep -vxF -e "$want" | head -n 1)"; fi
}

verify_here() {
  if ! content_is "$UPATH/web/app/public"; then fail "the content is not at web/app/public"; fi
  expect_dirs 755 "$UPATH/web" "$UPATH/web/app" "$UPATH/web/app/public" 750 "$UPATH/web/log" "$UPATH/web/run"
  if [ -n "$MSG_INO" ]; then
    inode_of "$UPATH/msg"
    if [ "$INODE" != "$MSG_INO" ]; then fail "msg is not the folder that it was"; fi
  fi
  progress verification tree "$TOTAL_BYTES"
  read -r start 2>/dev/null <"$CUR/manifest.start" || :
  differences "$CUR/manifest" "$start" || fail "cannot read the new tree, or note it in $VPATH; is there room?"
  if [ -s "$S/differences" ]; then
    if grep -v '^live' "$S/differences" >"$S/differences.bad"; then
      fail "the tree differs from its manifest: $(head -n 3 "$S/differences.bad" | tr '\t\n' ' ,')"
    fi
    warn "$(wc -l <"$S/differences") entr(ies) written while the migration ran: $(cut -f2 "$S/differences" | head -n 3 | tr '\n' ' ')"
  fi
  # under the lock: without it, files that another run is just writing would be judged
  vnode_lock
  drop_unplaced
  start_from_disk || fail "$WHY"
  vnode_unlock
  # shellcheck disable=SC2086
  if [ -n "$NEW_SOCKETS" ]; then accepts $NEW_SOCKETS || fail "php-fpm does not accept on the new socket"; fi
}

# Whoever restarts a service from here on starts it without the old paths; with several runs one asks for all.
start_from_disk() {
  for side in nginx ${FPM_CONF:+fpm}; do
    if config_good_since "$side" "$S/after.walk"; then continue; fi
    case $WHY in *"$UPATH"*) WHY="$WHY; nsmig does not change what names this path: name the new one there, or keep the old ones with --compat always" ;; esac
    return 1
  done
}

# The operator compares HTTP answers and says commit or undo; silence undoes.
await_verdict() {
  j await "$CONFIRM_WAIT"
  pt await
  i=0
  while [ "$i" -lt $((CONFIRM_WAIT * 10)) ]; do
    if [ -s "$RD/verdict" ]; then
      read -r word why <"$RD/verdict"
      if [ "$word" = commit ]; then return 0; fi
      fail "${why:-the operator asked for an undo}"
    fi
    sleep 0.1
    i=$((i + 1))
  done
  fail "nobody confirmed the HTTP answers within $CONFIRM_WAIT s"
}
