# What a live site wrote to, moved or replaced while its archive was written goes into a second one beside it.

changed_names() { sed -n 's/^[a-z]*tar: \(.*\): file changed as we read it$/\1/p' "$S/tar.err"; }

# What is not as the manifest's walk met it, and so may be in the archive as it was at another moment, or not at all:
# another inode or time of change at its place, a place that was not there, or a change since the walk began. A
# folder that was moved brings old files to new places, so it takes more than their times. Names in changed, with a
# newline as \001. In folders those that may be in the archive with another owner or mode than in the manifest; they
# are in changed too where the archive does not have them. What it lacks though nobody touched it is not: a fault.
note_changed() {
  (step_back && walk "$S/again.links" >"$S/again.walk") || fail "cannot look again at what was archived"
  if hand when "$CUR/manifest.start"; then since=$SAID
  elif find_prints; then since=$(find "$CUR/manifest.start" -prune -printf '%T@'); else since=$(stat -c %Y "$CUR/manifest.start"); fi
  awk -v since="$since" -v missing="$S/names.missing" -v folders="$S/folders" -v walked="$S/manifest.part.walk" '
    function met(p,   l, q, is) { # the first walk there: INODE CHANGED TYPE; both walks mostly have one order
      if (p in first) { is = first[p]; delete first[p]; return is }
      while ((getline l < walked) > 0) {
        split(l, w, " ")
        is = w[6] " " w[10] " " w[1]
        if ((getline q < walked) <= 0 || (getline l < walked) <= 0) break
        if (q == p) return is
        first[q] = is }
      return "" }
    function is_back(up) { # the archive lacks it with a folder that was touched
      if (!(p in lost)) return 0
      up = p
      while (sub("/[^/]*$", "", up)) if (up in came) return 1
      return is_new }
    BEGIN { printf "" >folders
      while ((getline l < missing) > 0 && (getline name < missing) > 0) lost[name] }
    FNR % 3 == 1 { split($0, m, " "); next }
    FNR % 3 == 2 { p = $0; next }
    m[1] == "s" { next }
    { was = met(p)
      is_new = m[10] + 0 >= since + 0 || was != m[6] " " m[10] " " m[1] }
    m[1] == "d" {
      if (is_new) print p >folders
      if (p == ".") next
      if (is_back()) came[p]
      split(was, w, " ")
      if (p in came || w[1] "" != m[6] "" || w[3] != "d") print p
      next }
    is_new || is_back() { print p; if (m[5] > 1) twins[m[6]]; next }
    m[5] > 1 { name_of[++n] = p; file[n] = m[6] }
    END { for (i = 1; i <= n; i++) if (file[i] in twins) print name_of[i] }' "$S/again.walk" |
    sort >"$S/changed"
}

again() { # once more, in an archive of its own beside the first
  tries=0
  until note_changed && { [ ! -s "$S/changed" ] || write_changed; }; do # look again: it may be elsewhere by now
    tries=$((tries + 1))
    if [ "$tries" = 5 ]; then fail "cannot archive again what changed: $(tail -n 1 "$S/tar.err")"; fi
  done
  if [ ! -s "$S/changed" ]; then
    if [ -e "$S/again.part" ]; then rm -f "$S/again.part"; fi
    return 0
  fi
  warn "$(wc -l <"$S/changed") file(s) changed while they were read and were archived again: $(head -n 5 "$S/changed" | tr '\n' ' ')"
  if [ "$rc" = 1 ]; then warn "still changing while read a second time: $(changed_names | head -n 5 | tr '\n' ' ')"; fi
}

# GNU tar takes a name that went since it was listed for a failure, as it does others; did nothing else happen?
only_went() {
  ! grep -vqE ': (Cannot (stat|open): No such file or directory|File removed before we read it|file changed as we read it|socket ignored)$|: Exiting with failure status' "$S/tar.err"
}

# Of what went before it could be archived again: is any of it at another place now, of which nobody knows?
moved_on() {
  (step_back && walk "$S/again.links" >"$S/later.walk") || fail "cannot look again at what was archived"
  awk -v missing="$S/again.missing" '
    BEGIN { while ((getline l < missing) > 0 && (getline name < missing) > 0) went[name] }
    FNR == 1 { pass++ }
    FNR % 3 == 1 { split($0, m, " "); next }
    FNR % 3 == 2 { p = $0; next }
    { file = m[6] " " m[7] " " m[8] }
    pass == 1 { if (p in went) sought[file]; next }
    !(file in sought) { next }
    pass == 2 { stood[file " " p]; next }
    !((file " " p) in stood) { found = 1; exit }
    END { exit !found }' "$S/again.walk" "$S/again.walk" "$S/later.walk"
}

# It may be the only one to hold them: all of them that are still there must be found in it when it is read to its end.
write_changed() {
  if [ "$TAR" = gnu ]; then
    tr '\n\001' '\000\n' <"$S/changed" >"$S/changed.0"
    set -- --null --no-recursion --files-from="$S/changed.0"
  else
    # BusyBox takes what is in a folder along with it
    awk '{ name[++n] = $0; set[$0] }
      END { for (i = 1; i <= n; i++) {
        up = name[i]; while (sub("/[^/]*$", "", up)) if (up in set) break
        if (!(up in set)) print name[i] } }' "$S/changed" >"$S/changed.tops"
    set --
    while IFS= read -r name; do
      newlines "$name"
      if [ -e "$NAMED" ] || [ -L "$NAMED" ]; then set -- "$@" "$NAMED"; fi
    done <"$S/changed.tops"
    if [ $# = 0 ]; then return 1; fi
  fi
  write_tar "$S/again.part" "$@"
  rc=$?
  if [ "$rc" -gt 1 ]; then only_went || return 1; fi
  awk "$ESC"'{ print "f\t\t\t\t\t\t\t\t" esc($0) "\t" }' "$S/changed" >"$S/again.list"
  entries=$ENTRIES
  compare_entries "$S/again.part" "$S/again.list" "$S/again.missing" || return 1
  ENTRIES=$entries
  if [ ! -s "$S/again.missing" ]; then return 0; fi
  while IFS= read -r _ && IFS= read -r name; do
    newlines "$name"
    if [ -e "$NAMED" ] || [ -L "$NAMED" ]; then return 1; fi
  done <"$S/again.missing"
  if moved_on; then return 1; fi
  awk 'NR == FNR { if (NR % 2 == 0) went[$0]; next } !($0 in went)' "$S/again.missing" "$S/changed" >"$S/changed.kept" && mv "$S/changed.kept" "$S/changed"
}

# What is missing in the archive and there again must be in the second one; what is gone leaves the manifest.
settle_missing() { # manifest
  if [ ! -s "$S/names.missing" ]; then return 0; fi
  printf '' >"$1.gone"
  while IFS= read -r entry && IFS= read -r name; do
    newlines "$name"
    if [ ! -e "$NAMED" ] && [ ! -L "$NAMED" ]; then printf '%s\n' "$entry" >>"$1.gone"
    elif ! grep -qxF -e "$name" "$S/changed"; then return 1; fi
  done <"$S/names.missing"
  awk -F "$TAB" 'NR == FNR { gone[$0]; next } !($9 in gone)' "$1.gone" "$1" >"$1.kept" && mv "$1.kept" "$1" && low "$GZ" -c "$1" >"${1%.part}.gz.part" || return 1
  ENTRIES=$(wc -l <"$1")
}
