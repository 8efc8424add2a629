# An archive is proven before anything is touched: its hash, its members, room for it, then unpacked where only root
# can look and compared with its manifest. Whatever does not hold refuses the restore.
B= # the restore's folder in staging
SICK= # whether nginx -t fails before it for want of what it may bring back

recorded_sha() { # name: what this vnode wrote down; else, of the archive itself, what the operator's database knows
  known=$(record_of "$1")
  known=${known%%"$TAB"*}
  if [ "$1" = "$ARCHIVE" ]; then known=${known:-$WANT_SHA}; fi
  printf %s "$known"
}

fetch_archive() { # name: a root-only copy, equal to its record
  want=$(recorded_sha "$1")
  if [ -z "$want" ]; then fail "nothing is recorded of $1; an archive of unknown origin is not used"; fi
  in_dir "$UPATH/.archive" "$(ino "$UPATH/.archive")" cp "./$1" "$B/$1" || fail "cannot read $1"
  if [ "$(sha "$B/$1")" != "$want" ]; then fail "$1 is damaged: its checksum is not the recorded one"; fi
}

# Not every BusyBox tar unpacks gzip unasked.
list_names() { if [ "$TAR" = gnu ]; then tar --quoting-style=escape -tf "$1"; else gzip -dc "$1" | tar -tf -; fi; }
list_long() { if [ "$TAR" = gnu ]; then tar --quoting-style=escape --numeric-owner -tvf "$1"; else gzip -dc "$1" | tar -tvf -; fi; }

# Every member: below ".", no "..", of a harmless type or a device that the manifest lists too, never beneath a
# link of the same archive, and a hard link only to a member before it. BusyBox shows hard links as files with
# an arrow.
check_members() { # archive [manifest]
  awk -F "$TAB" '$1 == "c" || $1 == "b" { print $1 " " $9 }' "${2:-/dev/null}" >"$B/devices"
  gzip -t "$1" && list_names "$1" >"$B/names" && list_long "$1" >"$B/long" || fail "the archive cannot be listed"
  if [ "$(wc -l <"$B/names")" != "$(wc -l <"$B/long")" ]; then fail "the archive's list cannot be trusted"; fi
  bad=$(awk -v long="$B/long" -v devices="$B/devices" '
    BEGIN { while ((getline l < devices) > 0) device[l] }
    { if ((getline l < long) <= 0) { print "unlisted " $0; exit }
      t = substr(l, 1, 1); p = $0; to = ""; linked = 0
      sub(/^[^ ]+ +[^ ]+ +[^ ]+ +[^ ]+ +[^ ]+ /, "", l)
      if (l != p) { linked = 1
        if (index(l, p " -> ") == 1) to = substr(l, length(p) + 5)
        else if (index(l, p " link to ") == 1) to = substr(l, length(p) + 10)
        else { print "unclear " p; exit } }
      sub(/\/$/, "", p)
      if (t !~ /^[-dlhp]$/ && !((t " " p) in device)) { print "type " t ": " p; exit }
      if (p != "." && p !~ /^\.\//) { print p; exit }
      if (("/" p "/") ~ /\/\.\.\//) { print p; exit }
      up = p
      while (sub("/[^/]*$", "", up)) if (up in link) { print p " lies beneath a link"; exit }
      if (t != "l" && (linked || t == "h")) {
        if (!(to in met)) { print p " is another name of " to; exit }
        if (to in link) link[p] = 1 }
      if (t == "l") link[p] = 1
      if (t != "d") met[p] = 1 }' "$B/names")
  if [ -n "$bad" ]; then fail "the archive holds a member that is not accepted: $bad"; fi
}

unpack() { # archive [folder]
  if [ "$TAR" = gnu ]; then
    low tar --extract --numeric-owner --same-permissions --same-owner --acls --xattrs --xattrs-include='*' --file="$1" -C "${2:-$B/tree}"
  else
    gzip -dc "$1" | low tar -xpf - -C "${2:-$B/tree}"
  fi
}

# BusyBox's tar packed what is in the vhost's folder and not the folder itself: whose that was, with which mode and
# time, only the manifest knows.
top_as_listed() ( # manifest
  IFS="$TAB" read -r _ mode uid gid _ _ time _ <<EOF || exit 1
$(awk -F "$TAB" '$1 == "d" && $9 == "." { print; exit }' "$1")
EOF
  if [ -z "${time:-}" ]; then exit 1; fi
  chown "$uid:$gid" "$B/tree" && chmod "$mode" "$B/tree" && { touch -d "@$time" "$B/tree" || touch -d "@${time%.*}" "$B/tree"; } 2>/dev/null
)

# The unpacked tree against the manifest: everything that the archive was proven to hold is there, and as it was. A
# file that was written to meanwhile is in the archive with a later time than in the manifest, or in the second one;
# a folder that changed meanwhile is in the list beside the manifest, with newlines as \001.
check_unpacked() { # manifest [archive of what changed while the first was made]
  (cd "$B/tree" && step_back && make_manifest "$B/unpacked") || fail "cannot read the unpacked tree"
  printf '' >"$B/again"
  if [ -z "${2:-}" ]; then :
  elif [ "$TAR" = gnu ]; then tar --quoting-style=literal -tf "$2" >"$B/again"
  else gzip -dc "$2" | tar -tf - >"$B/again"; fi || fail "what changed while the archive was made cannot be listed"
  awk -F "$TAB" -v again="$B/again" -v folders="$1.folders" "$ESC"'
    function secs(x) { sub(/\..*/, "", x); return x }
    function facts() { return $1 " " $2 " " $3 " " $4 " " ($1 == "d" ? "" : $6) " " $10 }
    function is_twice(   n, i, part) { # a newline in a name makes two lines, here as there
      n = split(plain($9), part, "\n")
      for (i = 1; i <= n; i++) if (!(part[i] in twice)) return 0
      return 1 }
    function was_moved(   name) { name = plain($9); gsub(/\n/, "\001", name); return name in moved }
    BEGIN { while ((getline l < again) > 0) twice[l]; while ((getline l < folders) > 0) moved[l] }
    FNR == NR { now[$9] = secs($7) FS $8 FS facts(); next } # one text for each: there may be a million
    $1 == "s" { next }
    !($9 in now) { print "missing " $9; next }
    is_twice() || was_moved() { next }
    { split(now[$9], m) }
    $1 == "f" && m[1] != secs($7) { next }
    m[3] != facts() || m[2] != $8 && !($1 == "f" && $8 == "-") { print "differs " $9 }' "$B/unpacked" "$1" >"$B/bad"
  if [ -s "$B/bad" ]; then fail "the unpacked archive is not what its manifest says: $(head -n 3 "$B/bad" | tr '\n' ',')"; fi
}

# What was archived again goes over the first, each entry in its own folder, entered without a link on the way: a
# folder may have been a link when the first archive was made. A folder is never replaced by something else: the
# first archive may hold alone what was in it.
lay_over() { # folder
  (cd "$1" && find . -xdev ! -path . -print0 | tr '\n\000' '\001\n' | sort) >"$B/over" || fail "what was archived again cannot be listed"
  while IFS= read -r name; do
    newlines "$name"
    put_over "$1" "$NAMED" || fail "cannot put $NAMED, which was archived again, in its place"
  done <"$B/over"
}

put_over() ( # folder, path in it
  if [ ! -e "$1/$2" ] && [ ! -L "$1/$2" ]; then exit 0; fi # went with its folder
  cd -P "$B/tree" && top=$(pwd -P) && cd -P "./${2%/*}" 2>/dev/null || exit 1
  case ${2%/*} in .) ;; *) top=$top/${2#./} top=${top%/*} ;; esac
  if [ "$(pwd -P)" != "$top" ]; then exit 1; fi
  n=./${2##*/}
  if is_dir "$n"; then
    if is_dir "$1/$2"; then exit 0; fi
    warn "$2 was a folder when it was archived and not much later; the folder comes back"
    exit 0
  fi
  if is_dir "$1/$2" && { [ -e "$n" ] || [ -L "$n" ]; }; then rm -f "$n" || exit 1; fi
  mv -T "$1/$2" "$n"
)

# The archives are copied beside what they are unpacked to, and what is new since is carried over: all of it must
# find room at once. A packed entry takes at least a block; what is new is known by what the manifest does not list.
check_room() { # KiB, entries
  room_at "$VPATH"
  if [ "$avail" -lt $(($1 + 1024)) ]; then fail "not enough space to restore: $(($1 + 1024)) KiB needed, $avail KiB free"; fi
  case $inodes in ''|*[!0-9]*|0) ;; *) if [ "$inodes" -lt $(($2 + 64)) ]; then fail "not enough inodes to restore: $(($2 + 64)) needed, $inodes free"; fi ;; esac
}

kib_of() { # file: its size, rounded up
  echo $((($(in_dir "$UPATH/.archive" "$(ino "$UPATH/.archive")" stat -c %s "./$1") + 1023) / 1024))
}

unpacked_kib() { # archive
  echo $((($(gzip -dc "$1" | wc -c) + 1023) / 1024))
}

# In NEW_KIB and NEW_ENTRIES: what is there today and not in the manifest.
measure_new() { # manifest
  NEW_KIB=0 NEW_ENTRIES=0
  if [ "$EXACT" = 1 ]; then return 0; fi
  layout=old
  if [ -e "$CUR/plan" ]; then layout=new; fi
  (cd "$UPATH" && walk "$B/walk") >"$B/live" || fail "cannot look at what is there today"
  awk -F "$TAB" -v layout="$layout" -v mail="$WITH_MAIL" "$ESC"'
    function old(p) {
      if (layout == "new" && p ~ /^\.\/web\/app\/public(\/|$)/) return "./web" substr(p, 17)
      if (layout == "new" && p ~ /^\.\/web\/(log|tmp)(\/|$)/) return "./var" substr(p, 6)
      return p }
    FNR == NR { was[$9]; next }
    FNR % 3 == 1 { split($0, m, " "); next }
    FNR % 3 == 2 { p = $0; next }
    { if (m[1] == "s" || p ~ /^\.\/msg(\/|$)/ && mail != 1 || old(esc(p)) in was) next
      n++; kib += m[9] / 2 }
    END { printf "%.0f %.0f\n", kib, n }' "$1" "$B/live" >"$B/measured"
  read -r NEW_KIB NEW_ENTRIES <"$B/measured"
}

# The second archive, in SECOND; empty where there was none.
name_second() {
  SECOND=$(second_of "$ARCHIVE")
  if [ -f "$UPATH/.archive/$SECOND" ] && [ ! -L "$UPATH/.archive/$SECOND" ]; then return 0; fi
  if [ -n "$(record_of "$SECOND")" ]; then
    fail "$SECOND, which holds what changed while $ARCHIVE was written, is missing in .archive: put it back, or take another archive"
  fi
  SECOND=
}

# What nginx misses in the vhost may be what the archive brings back; it is tested again then.
nginx_is_well_or_misses_ours() {
  SICK=
  if nginx_test; then return 0; fi
  case $NGINX_SAYS in *"\"$UPATH/"*"(2: No such file or directory)"*) SICK=1 ;; esac
  if [ -z "$SICK" ] || [ -e "$CUR/plan" ]; then fail "before we begin: nginx -t: $NGINX_SAYS"; fi
}

# All of an archive that can be known before the vhost is touched.
prepare_restore() {
  B=$S/restore
  rm -rf "$B"
  mkdir -p "$B/tree" && chmod 700 "$B" || fail "cannot make room for the restore"
  step restore_checks
  renames_hold "$B"
  if [ ! -f "$UPATH/.archive/$ARCHIVE" ]; then fail "$ARCHIVE is not there"; fi
  vnode_lock
  nginx_is_well_or_misses_ours
  vnode_unlock
  name_second
  copies=$(kib_of "$ARCHIVE")
  if [ -n "$SECOND" ]; then copies=$((copies + $(kib_of "$SECOND"))); fi
  check_room "$copies" 16
  fetch_archive "$ARCHIVE"
  if [ -n "$SECOND" ]; then fetch_archive "$SECOND"; fi
  manifest=$J/manifests/${ARCHIVE%.tar.gz}
  if [ ! -s "$manifest" ]; then
    manifest=$B/manifest
    in_dir "$UPATH/.archive" "$(ino "$UPATH/.archive")" gzip -dc "./${ARCHIVE%.tar.gz}.manifest.gz" >"$manifest" 2>/dev/null || fail "the archive's manifest is missing"
  fi
  check_members "$B/$ARCHIVE" "$manifest"
  topless=
  if ! grep -qx -e '\.' -e '\./' "$B/names"; then topless=1; fi
  if [ -n "$SECOND" ]; then check_members "$B/$SECOND" "$manifest"; fi
  touch -r "$B/$ARCHIVE" "$B/archive.time" 2>/dev/null
  in_dir "$UPATH/.archive" "$(ino "$UPATH/.archive")" touch -r "./$ARCHIVE" "$B/archive.time"
  entries=$(wc -l <"$manifest")
  kib=$(($(unpacked_kib "$B/$ARCHIVE") + 4 * entries))
  if [ -n "$SECOND" ]; then kib=$((kib + $(unpacked_kib "$B/$SECOND"))); fi
  measure_new "$manifest"
  check_room $((kib + NEW_KIB)) $((entries + NEW_ENTRIES))
  pt restore-checked
  step restore_unpack
  progress restore_unpack tar "$TOTAL_BYTES"
  unpack "$B/$ARCHIVE" && { [ -z "$topless" ] || top_as_listed "$manifest"; } && touch -r "$B/tree" "$B/top.time" || fail "the archive cannot be unpacked"
  if [ -n "$SECOND" ]; then
    mkdir "$B/second" && unpack "$B/$SECOND" "$B/second" || fail "$SECOND cannot be unpacked"
    lay_over "$B/second"
    rm -rf "$B/second"
  fi
  check_unpacked "$manifest" "${SECOND:+$B/$SECOND}"
  rm -f "$B/$ARCHIVE" ${SECOND:+"$B/$SECOND"} # their room is for what is carried over
  name_components
  pt restore-unpacked
}

# What is to be exchanged: the entries at the top and, since var/run holds a live socket, those of var. The record is
# of lines and TABs.
name_components() {
  components >"$B/components"
  while IFS= read -r c; do
    case $c in *"$TAB"*) fail "an entry at the top has a TAB in its name: $c" ;; esac
    if [ ! -e "$B/tree/$c" ] && [ ! -L "$B/tree/$c" ]; then fail "an entry at the top has a newline in its name: $c"; fi
    none_mounted_in "$c"
  done <"$B/components"
  extras >"$B/extras"
  while IFS= read -r c; do
    case $c in *"$TAB"*) fail "an entry at the top has a TAB in its name: $c" ;; esac
    if [ ! -e "$UPATH/$c" ] && [ ! -L "$UPATH/$c" ]; then fail "an entry at the top has a newline in its name: $c"; fi
    none_mounted_in "$c"
  done <"$B/extras"
}
