# Restoring an archive: proven, unpacked where only root can look, switched in by exchanges.
# What is replaced goes to .archive/replaced-TS; $J/restored/list tells the way back:
# "COMPONENT TAB INODE-NOW TAB INODE-BEFORE", an inode of "-" for what was not there.
B=

recorded_sha() { # archive name: what this vnode wrote down, else what the operator's database knows
  known=$(awk -F "$TAB" -v n="$1" '$1 == n { s = $2 } END { print s }' "$J/archives" 2>/dev/null)
  printf %s "${known:-$WANT_SHA}"
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

# Every member: below ".", no "..", of a harmless type, never beneath a link of the same archive, and a
# hard link only to a member before it. BusyBox shows hard links as files with an arrow.
check_members() { # archive
  gzip -t "$1" && list_names "$1" >"$B/names" && list_long "$1" >"$B/long" || fail "the archive cannot be listed"
  if [ "$(wc -l <"$B/names")" != "$(wc -l <"$B/long")" ]; then fail "the archive's list cannot be trusted"; fi
  bad=$(awk -v long="$B/long" '
    { if ((getline l < long) <= 0) { print "unlisted " $0; exit }
      t = substr(l, 1, 1); p = $0; to = ""; linked = 0
      sub(/^[^ ]+ +[^ ]+ +[^ ]+ +[^ ]+ +[^ ]+ /, "", l)
      if (l != p) { linked = 1
        if (index(l, p " -> ") == 1) to = substr(l, length(p) + 5)
        else if (index(l, p " link to ") == 1) to = substr(l, length(p) + 10)
        else { print "unclear " p; exit } }
      sub(/\/$/, "", p)
      if (t !~ /^[-dlhp]$/) { print "type " t ": " p; exit }
      if (p != "." && p !~ /^\.\//) { print p; exit }
      if (("/" p "/") ~ /\/\.\.\//) { print p; exit }
      up = p
      while (sub(/\/[^\/]*$/, "", up)) if (up in link) { print p " lies beneath a link"; exit }
      if (t != "l" && (linked || t == "h")) {
        if (!(to in met)) { print p " is another name of " to; exit }
        if (to in link) link[p] = 1 }
      if (t == "l") link[p] = 1
      if (t != "d") met[p] = 1 }' "$B/names")
  if [ -n "$bad" ]; then fail "the archive holds a member that is not accepted: $bad"; fi
}

unpack() { # archive
  if [ "$TAR" = gnu ]; then
    low tar --extract --numeric-owner --same-permissions --same-owner --acls --xattrs --xattrs-include='*' --file="$1" -C "$B/tree"
  else
    gzip -dc "$1" | low tar -xpf - -C "$B/tree"
  fi
}

# The unpacked tree against the manifest: everything that the archive was proven to hold is there, and as it was. A
# file that was written to meanwhile is in the archive with a later time than in the manifest, or in the second one.
check_unpacked() { # manifest [archive of what changed while the first was made]
  (cd "$B/tree" && step_back && make_manifest "$B/unpacked") || fail "cannot read the unpacked tree"
  : >"$B/again"
  if [ -z "${2:-}" ]; then :
  elif [ "$TAR" = gnu ]; then tar --quoting-style=literal -tf "$2" >"$B/again"
  else gzip -dc "$2" | tar -tf - >"$B/again"; fi || fail "what changed while the archive was made cannot be listed"
  awk -F "$TAB" -v again="$B/again" "$ESC"'
    function secs(x) { sub(/\..*/, "", x); return x }
    function facts(sum) { return $1 " " $2 " " $3 " " $4 " " ($1 == "d" ? "" : $6) " " sum " " $10 }
    function is_twice(   n, i, part) { # a newline in a name makes two lines, here as there
      n = split(plain($9), part, "\n")
      for (i = 1; i <= n; i++) if (!(part[i] in twice)) return 0
      return 1 }
    BEGIN { while ((getline l < again) > 0) twice[l] }
    FNR == NR { now[$9] = facts($8); unsummed[$9] = facts("-"); when[$9] = secs($7); next }
    $1 == "s" { next }
    !($9 in now) { print "missing " $9; next }
    is_twice() || $1 == "f" && when[$9] != secs($7) { next }
    facts($8) != ($1 == "f" && $8 == "-" ? unsummed[$9] : now[$9]) { print "differs " $9 }' "$B/unpacked" "$1" >"$B/bad"
  if [ -s "$B/bad" ]; then fail "the unpacked archive is not what its manifest says: $(head -n 3 "$B/bad" | tr '\n' ',')"; fi
}

# Sorted names below one component of a tree, as lines.
names_below() { (cd "$1" 2>/dev/null && find . -xdev ! -type s -print0 | tr '\n\000' '\001\n' | sort); }

# Files that are new since the archive go along into the unpacked tree, at their old place.
carry_over() { # component
  names_below "$UPATH/$1" >"$B/live"
  names_below "$B/tree/$1" >"$B/then"
  comm -23 "$B/live" "$B/then" 2>/dev/null >"$B/new" || grep -vxFf "$B/then" "$B/live" >"$B/new"
  if [ "$EXACT" = 1 ] || [ ! -s "$B/new" ]; then return 0; fi
  j carried "$1 $(wc -l <"$B/new")"
  while IFS= read -r name; do
    name=$(printf %s "$name" | tr '\001' '\n'; printf .)
    name=${name%.}
    to=$B/tree/$1/$name
    if [ -e "$to" ] || [ -L "$to" ]; then continue; fi
    if [ ! -d "${to%/*}" ] || [ -L "${to%/*}" ]; then continue; fi
    copy_pinned "$UPATH/$1" "$name" "$to" || fail "cannot carry over what is new since the archive"
  done <"$B/new"
}

# Copy from inside the entry's own folder, entered without a link on the way.
copy_pinned() { # top relative-path target
  (
    cd -P "$1" 2>/dev/null || exit 1
    top=$(pwd -P)
    cd -P "./${2%/*}" 2>/dev/null || exit 0
    case $(pwd -P)/ in "$top"/*) cp -a "./${2##*/}" "$3" ;; esac
  )
}

list_changed() { # component: what differs now, for the record
  (cd "$UPATH/$1" && find . -xdev -type f -newer "$B/archive.time" 2>/dev/null | head -n 1000) | sed "s|^\\./|$1/|" >>"$B/changed"
}

# Components are the entries at the top and, since var/run holds a live socket, those of var.
components() {
  for e in "$B"/tree/* "$B"/tree/.[!.]* "$B"/tree/..?*; do
    n=${e##*/}
    if [ ! -e "$e" ] && [ ! -L "$e" ]; then continue; fi
    case $n in
      .archive) continue ;;
      msg) if [ "$WITH_MAIL" = 1 ]; then printf '%s\n' "$n"; fi ;;
      var) for v in "$e"/* "$e"/.[!.]*; do if [ -e "$v" ] && [ "${v##*/}" != run ]; then printf 'var/%s\n' "${v##*/}"; fi; done ;;
      *) printf '%s\n' "$n" ;;
    esac
  done
}

note_component() { # written down before anything moves
  old=$(ino "$UPATH/$1")
  printf '%s\t%s\t%s\n' "$1" "$(ino "$B/tree/$1")" "${old:--}" >>"$J/restored/list"
  sync_file "$J/restored/list"
  pt "restore-noted-$1"
}

# A component of var is switched from inside var, so that nobody puts a link in the way.
component_folder() { case $1 in var/*) printf %s "$UPATH/var" ;; *) printf %s "$UPATH" ;; esac; }

switch_component() { # name in the pinned folder, component
  if [ ! -e "./$1" ] && [ ! -L "./$1" ]; then
    mv -T "$B/tree/$2" "./$1"
  elif [ "$XCHG" = none ]; then
    mkdir -p "$B/old/$(dirname "$2")" && mv -T "./$1" "$B/old/$2" && mv -T "$B/tree/$2" "./$1"
  else
    xchg "./$1" "$B/tree/$2"
  fi
}

top_again() { # owner, mode and time of the vhost's own folder, as archived
  chown "$(stat -c %u:%g "$B/tree")" . && chmod "$(stat -c %a "$B/tree")" . && touch -r "$B/tree" .
}

put_aside() { # what was replaced: out of the live tree, into .archive
  mkdir -p "$B/gone/var"
  while IFS="$TAB" read -r c new old; do
    for from in "$B/tree/$c" "$B/old/$c"; do
      if [ "$old" != - ] && { [ -e "$from" ] || [ -L "$from" ]; } && [ "$(ino "$from")" = "$old" ]; then mv -T "$from" "$B/gone/$c"; fi
    done
  done <"$J/restored/list"
  rmdir "$B/gone/var" 2>/dev/null
  cp "$B/changed" "$B/gone/changed-since.txt" 2>/dev/null
  put_into_archive "$B/gone" "replaced-$TS"
  REPLACED=$PLACED
  printf %s "$REPLACED" >"$J/restored/replaced"
}

restore_archive() {
  B=$S/restore
  rm -rf "$J/restored" "$B"
  mkdir -p "$B/tree" "$J/restored" && chmod 700 "$B" || fail "cannot make room for the restore"
  step restore_checks
  fetch_archive "$ARCHIVE"
  check_members "$B/$ARCHIVE"
  touch -r "$B/$ARCHIVE" "$B/archive.time" 2>/dev/null
  in_dir "$UPATH/.archive" "$(ino "$UPATH/.archive")" touch -r "./$ARCHIVE" "$B/archive.time"
  pt restore-checked
  step restore_unpack
  progress restore_unpack tar "$TOTAL_BYTES"
  unpack "$B/$ARCHIVE" || fail "the archive cannot be unpacked"
  second=${ARCHIVE%.tar.gz}.again.tar.gz
  if [ -f "$UPATH/.archive/$second" ]; then
    fetch_archive "$second"
    check_members "$B/$second"
    unpack "$B/$second" || fail "$second cannot be unpacked"
  else second=; fi
  manifest=$J/manifests/${ARCHIVE%.tar.gz}
  if [ ! -s "$manifest" ]; then
    manifest=$B/manifest
    in_dir "$UPATH/.archive" "$(ino "$UPATH/.archive")" gzip -dc "./${ARCHIVE%.tar.gz}.manifest.gz" >"$manifest" 2>/dev/null || fail "the archive's manifest is missing"
  fi
  check_unpacked "$manifest" "${second:+$B/$second}"
  : >"$B/changed"
  components >"$B/components"
  while IFS= read -r c; do
    if is_dir "$UPATH/$c" && is_dir "$B/tree/$c"; then carry_over "$c"; list_changed "$c"; fi
  done <"$B/components"
  pt restore-unpacked
  step restore_switch
  flag_restore
  top=$(ino "$UPATH")
  while IFS= read -r c; do
    note_component "$c"
    at=$(component_folder "$c")
    in_dir "$at" "$(ino "$at")" switch_component "${c##*/}" "$c" || fail "cannot switch $c"
    sync_all "$at" "$B/tree" "$B/tree/${c%/*}"
    pt "restore-switched-$c"
  done <"$B/components"
  if [ "$EXACT" = 1 ]; then put_extras_aside; fi
  in_dir "$UPATH" "$top" top_again || fail "cannot give the vhost's folder its owner and mode"
  vnode_lock
  nginx_test || fail "nginx -t after the restore: $NGINX_SAYS"
  nginx_reload || fail "nginx did not reload"
  vnode_unlock
  step restore_end
  put_aside
  if [ -s "$B/changed" ]; then warn "$(wc -l <"$B/changed") file(s) had changed since the archive; they are kept in .archive/$REPLACED"; fi
  flag_done
  pt restore-done
  step ""
  rm -rf "$S"
  rmdir "$VPATH/.nsmig" 2>/dev/null
  j restored "$ARCHIVE"
  finish ok 0
}

flag_restore() { : >"$J/restored/begun" && sync_dir "$J/restored"; }
flag_done() { : >"$J/restored/done" && sync_dir "$J/restored"; }

# Exactly as archived: what the archive does not know leaves the live tree as well.
put_extras_aside() {
  for e in "$UPATH"/* "$UPATH"/.[!.]*; do
    n=${e##*/}
    case $n in .archive|msg|var) continue ;; esac
    if { [ -e "$e" ] || [ -L "$e" ]; } && ! grep -qxF -e "$n" "$B/components"; then
      mkdir -p "$B/gone" && mv -T "$e" "$B/gone/$n" || fail "cannot put $n aside"
    fi
  done
}

# A root-only folder moves into .archive under a free name; PLACED says which.
put_into_archive() { # folder name
  PLACED=$2
  while [ -e "$UPATH/.archive/$PLACED" ] || [ -L "$UPATH/.archive/$PLACED" ]; do PLACED=$PLACED-2; done
  in_dir "$UPATH/.archive" "$(ino "$UPATH/.archive")" mv -T "$1" "./$PLACED" || fail "cannot put $PLACED into .archive"
  sync_all "$UPATH/.archive" "$S"
}

