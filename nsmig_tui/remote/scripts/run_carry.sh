# What is new since an archive was made goes along when it is restored, before the switch and once more after it.

# Sorted names below one component of a tree, as lines.
names_below() { (cd "$1" 2>/dev/null && find . -xdev ! -type s -print0 | tr '\n\000' '\001\n' | sort); }

not_in() { # sorted list, sorted list: what only the second has
  comm -13 "$1" "$2" 2>/dev/null || awk 'NR == FNR { old[$0]; next } !($0 in old)' "$1" "$2"
}

# Files that are new since the archive go along into the unpacked tree, at their old place. What was there at
# that moment is kept in there, what went along in went, for what comes while we work.
carry_over() { # component
  mkdir -p "$B/there/${1%"${1##*/}"}" "$B/went/${1%"${1##*/}"}" && printf '' >"$B/went/$1" && names_below "$UPATH/$1" >"$B/there/$1" &&
    names_below "$B/tree/$1" >"$B/then" && not_in "$B/then" "$B/there/$1" >"$B/new" || fail "cannot tell what is new in $1"
  if [ ! -s "$B/new" ]; then return 0; fi
  j carried "$1 $(wc -l <"$B/new")"
  while IFS= read -r name; do
    newlines "$name"
    to=$B/tree/$1/$NAMED
    if [ -e "$to" ] || [ -L "$to" ]; then continue; fi
    if [ -L "${to%/*}" ] || ! leads_inside "$B/tree/$1" "${NAMED%/*}"; then
      note_kept "$1"
      continue
    fi
    copy_new "$UPATH/$1" "$NAMED" "$to" || fail "cannot carry over what is new since the archive"
  done <"$B/new"
  mv "$B/new" "$B/went/$1"
}

leads_inside() ( # top relative-path: is it a folder there, whatever links are on the way?
  cd -P "$1" 2>/dev/null && top=$(pwd -P) && cd -P "./$2" 2>/dev/null || exit 1
  case $(pwd -P)/ in "$top"/*) ;; *) exit 1 ;; esac
)

note_kept() { printf '%s\n' "$1/${name#./}" | tr '\001' '?' >>"$B/changed"; } # component; $name is told, it stays aside

# A second back: not everybody looks at more than whole seconds, and one file too many is no harm.
mark_time() { printf '' >"$1" && touch -d "@$(($(date +%s) - 1))" "$1" 2>/dev/null || :; }

copy_new() { # top relative-path target; what goes meanwhile needs no copy
  tries=0
  until copy_pinned "$@"; do
    rm -rf "$3"
    if [ ! -e "$1/$2" ] && [ ! -L "$1/$2" ]; then return 0; fi
    tries=$((tries + 1))
    if [ "$tries" = 3 ]; then return 1; fi
  done
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

# What came to the replaced tree after the carry-over goes along too, into the live tree.
carry_late() {
  if [ "$EXACT" = 1 ]; then return 0; fi
  mark_time "$B/carried.next"
  while IFS="$TAB" read -r c _ old; do
    for from in "$B/tree/$c" "$B/old/$c"; do
      if [ -e "$B/there/$c" ] && is_dir "$from" && [ "$(ino "$from")" = "$old" ]; then carry_late_from "$from" "$c"; fi
    done
  done <"$J/restored/list"
  mv "$B/carried.next" "$B/carried.time"
}

carry_late_from() { # replaced tree, component
  names_below "$1" >"$B/live" && not_in "$B/there/$2" "$B/live" >"$B/new" || fail "cannot tell what came to $2 while we worked"
  (cd "$1" && find . -xdev -type f -newer "$B/carried.time" -print0 | tr '\n\000' '\001\n' | sort) >"$B/touched" &&
    not_in "$B/new" "$B/touched" >"$B/stale" || fail "cannot tell what changed in $2 while we worked"
  while IFS= read -r name; do late_entry "$1" "$2" no; done <"$B/new"
  while IFS= read -r name; do
    newlines "$name"
    # a copy made while it was being written is made again, unless somebody wrote to the copy since
    if grep -qxF -e "$name" "$B/went/$2" && [ "$B/switched.time" -nt "$UPATH/$2/$NAMED" ]; then late_entry "$1" "$2" yes
    else note_kept "$2"; fi
  done <"$B/stale"
  mv "$B/live" "$B/there/$2"
  cat "$B/new" >>"$B/went/$2"
}

late_entry() { # replaced tree, component, whether what stands there gives way; for $name
  newlines "$name"
  if [ "$3" = no ] && { [ -e "$UPATH/$2/$NAMED" ] || [ -L "$UPATH/$2/$NAMED" ]; }; then return 0; fi
  rm -rf "$B/late"
  copy_new "$1" "$NAMED" "$B/late" || fail "cannot carry over what came while we worked"
  if [ ! -e "$B/late" ] && [ ! -L "$B/late" ]; then return 0; fi
  if ! put_live "$UPATH/$2" "$NAMED" "$3"; then note_kept "$2"; fi
}

put_live() ( # top relative-path whether-to-replace: the late copy, in its own folder, entered without a link on the way
  cd -P "$1" 2>/dev/null || exit 1
  top=$(pwd -P)
  cd -P "./${2%/*}" 2>/dev/null || exit 1
  case $(pwd -P)/ in "$top"/*) ;; *) exit 1 ;; esac
  n=./${2##*/}
  if is_dir "$n" || { [ "$3" = no ] && { [ -e "$n" ] || [ -L "$n" ]; }; }; then exit 1; fi
  mv -T "$B/late" "$n"
)

list_changed() { # component: what differs now, for the record; what is new and has gone along differs in nothing
  (cd "$UPATH/$1" && find . -xdev -type f -newer "$B/archive.time" -print0 2>/dev/null | tr '\n\000' '\001\n' | sort) >"$B/touched"
  if [ -s "$B/went/$1" ]; then not_in "$B/went/$1" "$B/touched"; else cat "$B/touched"; fi >"$B/stale"
  head -n 1000 "$B/stale" | tr '\001' '?' | sed "s|^\\./|$1/|" >>"$B/changed"
}
