# Entries of another owner below the content: given to the account, and back.

# Entries below the content that neither the account nor the web server owns. Each change is
# written down first: UID GID MODE PATH, NUL-ended, in $CUR/owners.
fix_owners() {
  if [ "$OWNERS" = keep ] || flagged owned; then return 0; fi
  if ! flagged owners; then
    seek_content
    in_dir "$CONTENT" "$WEB_INO" list_owners >"$S/owners.all" && leave_shared || fail "cannot list owners"
    leave_immutable
    mv "$CUR/owners.part" "$CUR/owners" && sync_all "$CUR/owners" "$CUR/owners.twins" || fail "cannot keep the owners"
    flag owners
    pt owners-recorded
  fi
  if [ -s "$CUR/owners" ]; then
    seek_content
    if [ -e "$S/owners.shared" ]; then rm -f "$S/owners.shared"; fi
    in_dir "$CONTENT" "$WEB_INO" change_owners || fail "cannot change an owner: $(tail -n 1 "$RD/log")"
    forget_shared
  fi
  flag owned
}

# Nobody can change the owner of an immutable or append-only entry; such entries keep theirs, with a word.
leave_immutable() {
  if ! have lsattr || [ ! -s "$CUR/owners.part" ]; then return 0; fi
  mv "$CUR/owners.part" "$CUR/owners"
  seek_content
  if in_dir "$CONTENT" "$WEB_INO" each_owner is_changeable >/dev/null 2>&1; then
    mv "$CUR/owners" "$CUR/owners.part"
    return 0
  fi
  printf '' >"$CUR/owners.kept"
  in_dir "$CONTENT" "$WEB_INO" each_owner note_changeable >"$CUR/owners.part"
  warn "$(wc -l <"$CUR/owners.kept") immutable or append-only entr(ies) keep their owner"
  rm -f "$CUR/owners" "$CUR/owners.kept"
}

is_changeable() { # name: links and special files have no such flags
  flags=$(lsattr -d -- "$1" 2>/dev/null)
  case ${flags%% *} in *i*|*a*) return 1 ;; esac # a name may hold anything, line ends too
}

note_changeable() { # name uid gid mode, inside its folder; the record again, or a line in owners.kept
  if is_changeable "$1"; then printf '%s\0' "$rec"; else echo . >>"$CUR/owners.kept"; fi
}

# As "KIND LINKS INODE UID GID MODE PATH", NUL-ended; KIND is find's letter or, in hexadecimal, the kernel's mode.
list_owners() {
  if [ "$OWNERS" = all ]; then set -- ! \( -user "$UIDN" -group "$GIDN" \); else set -- ! -user "$UIDN" ! -user "$WUIDN"; fi
  if find_prints; then
    find . -xdev "$@" ! -path . ! -type s -printf '%y %n %i %U %G %m %p\0'
  else
    # shellcheck disable=SC2016
    find . -xdev "$@" ! -path . ! -type s -exec sh -c 'for f; do printf "%s %s\0" "$(stat -c "%f %h %i %u %g %a" -- "$f")" "$f"; done' sh {} +
  fi
}

# A file may have names that are not in the content: a neighbour's, root's. Whoever gives it away gives those away
# too, so such a file stays as it is. All names of one file have the same owner, and so all that are in the content
# are in the list. Those with several names, all of them here, go into $CUR/owners.twins as "INODE PATH".
leave_shared() {
  if [ ! -s "$S/owners.all" ]; then # as on most sites: no process for it
    printf '' >"$CUR/owners.part" && printf '' >"$CUR/owners.twins" && printf '' >"$S/owners.shared"
    return
  fi
  tr '\n\000' '\001\n' <"$S/owners.all" | awk -v twins="$CUR/owners.twins" -v shared="$S/owners.shared" '
    BEGIN { printf "" >twins; printf "" >shared }
    !match($0, /^[0-9a-z]+ [0-9]+ [0-9]+ [0-9]+ [0-9]+ [0-7]+ /) { next } # it went before it could be looked at
    { path = substr($0, RLENGTH + 1); record = $4 " " $5 " " $6 " " path }
    $2 == 1 || $1 == "d" || $1 ~ /^4...$/ { print record; next }
    { here[$3]++; links[++n] = $2; file[n] = $3; name[n] = path; kept[n] = record }
    END { for (i = 1; i <= n; i++)
      if (here[file[i]] < links[i]) print name[i] >shared
      else { print kept[i]; print file[i] " " name[i] >twins } }' | tr '\001\n' '\n\000' >"$CUR/owners.part" || return 1
  tell_shared "keep their owner and mode"
}

tell_shared() { # what becomes of those in owners.shared
  if [ ! -s "$S/owners.shared" ]; then return 0; fi
  warn "$(wc -l <"$S/owners.shared") file(s) $1: they have other names, by hard links, outside of the content, and are somebody else's there: $(head -n 5 "$S/owners.shared" | tr '\n\001' '  ')"
}

# What got another name between the list and the change was left too, and is none of those to give back.
forget_shared() {
  if [ ! -s "$S/owners.shared" ]; then return 0; fi
  tell_shared "keep their owner and mode"
  tr '\n\000' '\001\n' <"$CUR/owners" | awk -v shared="$S/owners.shared" '
    BEGIN { while ((getline l < shared) > 0) left[l] }
    { match($0, /^[0-9]+ [0-9]+ [0-7]+ /) }
    !(substr($0, RLENGTH + 1) in left)' | tr '\001\n' '\n\000' >"$CUR/owners.part" && mv "$CUR/owners.part" "$CUR/owners" || fail "cannot list owners"
}

# Has it one name only, or are all its names in the content? Else its name, as recorded, is in owners.shared.
is_its_own() { # name, path as recorded, its links and inode, file with the twins
  case $3 in "1 "*) return 0 ;; esac
  if is_dir "$1" || grep -qxF -e "${3#* } $2" "$4"; then return 0; fi
  printf '%s\n' "$2" >>"$S/owners.shared"
  return 1
}

# Reads "UID GID MODE PATH" records and gives each path its owner from inside its own pinned folder,
# so that no link in the way is followed. Special bits and capabilities, which chown clears, come back.
each_owner() { # function, reading $CUR/owners
  here=$(pwd -P)
  tr '\n\000' '\001\n' <"$CUR/owners" | while IFS= read -r line; do
    newlines "$line"
    rec=$NAMED
    u=${rec%% *}; rest=${rec#* }; g=${rest%% *}; rest=${rest#* }; m=${rest%% *}; p=${rest#* }
    (
      cd -P "./${p%/*}" 2>/dev/null || exit 0
      case $(pwd -P)/ in "$here"/*) ;; *) exit 0 ;; esac
      n=./${p##*/}
      if [ ! -e "$n" ] && [ ! -L "$n" ]; then exit 0; fi
      "$1" "$n" "$u" "$g" "$m" "${line#* * * }"
    ) || exit 1
  done
}

chown_kept() { # name owner mode
  caps=
  if [ -f "$1" ] && [ ! -L "$1" ] && have getcap && have setcap; then caps=$(getcap "$1" 2>/dev/null | sed 's/^.* //'); fi
  chown -h "$2" "$1" || [ "$(stat -c %u:%g -- "$1" 2>/dev/null)" = "$2" ] || is_gone "$1" || return 1
  if [ ! -L "$1" ]; then
    case $3 in ????) chmod "$3" "$1" || is_gone "$1" || return 1 ;; esac
    if [ -n "$caps" ]; then setcap "$caps" "$1" || is_gone "$1" || return 1; fi
  fi
}

is_gone() { [ ! -e "$1" ] && [ ! -L "$1" ]; } # the site is live: somebody may have deleted it meanwhile

owner_to_account() { # name uid gid mode, inside its folder; path as recorded, a newline as \001
  if ! is_dir "$1"; then
    is=$(stat -c '%h %i' -- "$1") || is_gone "$1" || return 1
    if [ -z "$is" ] || ! is_its_own "$1" "$5" "$is" "$CUR/owners.twins"; then return 0; fi
  fi
  chown_kept "$1" "$OWNER" "$4"
}
change_owners() { each_owner owner_to_account; }

# The account could do with its files what it liked. What it put in place of another's, or wrote into it, must not
# get that owner's rights, and least of all run with them: a file goes back with the content that it had, no other.
owner_back() { # name uid gid mode, inside its folder; path as recorded, a newline as \001
  is=$(stat -c '%u:%g %h %i' -- "$1") || is_gone "$1" || return 1
  case ${is%% *} in "${OWNER%:*}":*|"$2:$3") ;; *) return 0 ;; esac # somebody else has decided about it since
  if ! is_its_own "$1" "$5" "${is#* }" "$S/owners.twins"; then return 0; fi
  if [ -f "$1" ] && [ ! -L "$1" ] && ! is_as_it_was "$1" "$5"; then
    printf '%s\n' "$5" >>"$S/owners.kept"
    return 0
  fi
  chown_kept "$1" "$2:$3" "$4" && return 0
  if is_changeable "$1"; then return 1; fi
  printf '%s (%s:%s %s)\n' "$5" "$2" "$3" "$4" >>"$S/owners.fixed"
}

is_as_it_was() { # name, path as recorded
  sum=$(sha256sum <"$1") && grep -qxF -e "${sum%% *} $2" "$S/owners.sums"
}

# Of those to give back, which have several names, and all in the content? Only where one has, all of it is walked.
list_twins() {
  printf '' >"$S/owners.twins"
  tr '\n\000' '\001\n' <"$CUR/owners" | sed 's/^[0-9]* [0-9]* [0-7]* //' | tr '\001\n' '\n\000' |
    xargs -0 -r stat -c '%h %f' -- 2>/dev/null | awk '$1 > 1 && $2 !~ /^4...$/ { found = 1 } END { exit !found }' || return 0
  walk "$S/owners" | awk '
    NR % 3 == 1 { split($0, m, " "); next }
    NR % 3 == 2 && m[1] != "d" && m[5] > 1 { here[m[6]]++; links[++n] = m[5]; file[n] = m[6]; name[n] = $0 }
    END { for (i = 1; i <= n; i++) if (here[file[i]] >= links[i]) print file[i] " " name[i] }' >"$S/owners.twins"
}

restore_owners() {
  for x in shared fixed; do
    if [ -e "$S/owners.$x" ]; then rm -f "$S/owners.$x"; fi
  done
  list_twins || return 1
  printf '' >"$S/owners.sums"
  if [ -e "$S/owners.kept" ]; then rm -f "$S/owners.kept"; fi
  if [ -s "$CUR/manifest" ]; then
    tr '\n\000' '\001\n' <"$CUR/owners" | awk -v manifest="$CUR/manifest" "$ESC"'
      { match($0, /^[0-9]+ [0-9]+ [0-7]+ /); given[substr($0, RLENGTH + 1)] }
      END { while ((getline l < manifest) > 0) {
        split(l, m, "\t")
        if (m[1] != "f" || substr(m[9], 1, 6) != "./web/") continue
        p = "." substr(plain(m[9]), 6)
        gsub(/\n/, "\001", p)
        if (p in given) print m[8], p } }' >"$S/owners.sums" || return 1
  fi
  each_owner owner_back || return 1
  if [ -s "$S/owners.kept" ]; then
    warn "$(wc -l <"$S/owners.kept") file(s) keep the account as owner, since they have another content than before the migration: $(head -n 5 "$S/owners.kept" | tr '\n\001' '  ')"
  fi
  tell_shared "are not given back to their former owner"
  if [ -s "$S/owners.fixed" ]; then
    warn "$(wc -l <"$S/owners.fixed") immutable or append-only entr(ies) are not given back; chattr -i -a them and give them their owner and mode: $(head -n 5 "$S/owners.fixed" | tr '\n\001' '  ')"
  fi
}
