# Entries of another owner below the content: given to the account, and back.

# Entries below the content that neither the account nor the web server owns. Each change is
# written down first: UID GID MODE PATH, NUL-ended, in $CUR/owners.
fix_owners() {
  if [ "$OWNERS" = keep ] || flagged owned; then return 0; fi
  if ! flagged owners; then
    seek_content
    in_dir "$CONTENT" "$WEB_INO" list_owners >"$CUR/owners.part" || fail "cannot list owners"
    leave_immutable
    mv "$CUR/owners.part" "$CUR/owners" && sync_file "$CUR/owners"
    flag owners
    pt owners-recorded
  fi
  if [ -s "$CUR/owners" ]; then
    seek_content
    in_dir "$CONTENT" "$WEB_INO" change_owners || fail "cannot change an owner: $(tail -n 1 "$RD/log")"
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
  case $(lsattr -d -- "$1" 2>/dev/null | cut -d' ' -f1) in *i*|*a*) return 1 ;; esac
}

note_changeable() { # name uid gid mode, inside its folder; the record again, or a line in owners.kept
  if is_changeable "$1"; then printf '%s\0' "$rec"; else echo . >>"$CUR/owners.kept"; fi
}

list_owners() {
  if [ "$OWNERS" = all ]; then set -- ! \( -user "$UIDN" -group "$GIDN" \); else set -- ! -user "$UIDN" ! -user "$WUIDN"; fi
  if find_prints; then
    find . -xdev "$@" ! -path . ! -type s -printf '%U %G %m %p\0'
  else
    # shellcheck disable=SC2016
    find . -xdev "$@" ! -path . ! -type s -exec sh -c 'for f; do printf "%s %s\0" "$(stat -c "%u %g %a" -- "$f")" "$f"; done' sh {} +
  fi
}

# Reads "UID GID MODE PATH" records and gives each path its owner from inside its own pinned folder,
# so that no link in the way is followed. Special bits and capabilities, which chown clears, come back.
each_owner() { # function, reading $CUR/owners
  tr '\n\000' '\001\n' <"$CUR/owners" | while IFS= read -r line; do
    newlines "$line"
    rec=$NAMED
    u=${rec%% *}; rest=${rec#* }; g=${rest%% *}; rest=${rest#* }; m=${rest%% *}; p=${rest#* }
    (
      here=$(pwd -P)
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

owner_to_account() { chown_kept "$1" "$OWNER" "$4"; }
change_owners() { each_owner owner_to_account; }

# The account could do with its files what it liked. What it put in place of another's, or wrote into it, must not
# get that owner's rights, and least of all run with them: a file goes back with the content that it had, no other.
owner_back() { # name uid gid mode, inside its folder; path as recorded, a newline as \001
  is=$(stat -c %u:%g -- "$1") || is_gone "$1" || return 1
  case $is in "${OWNER%:*}":*|"$2:$3") ;; *) return 0 ;; esac # somebody else has decided about it since
  if [ -f "$1" ] && [ ! -L "$1" ] && ! is_as_it_was "$1" "$5"; then
    printf '%s\n' "$5" >>"$S/owners.kept"
    return 0
  fi
  chown_kept "$1" "$2:$3" "$4"
}

is_as_it_was() { # name, path as recorded
  sum=$(sha256sum <"$1") && grep -qxF -e "${sum%% *} $2" "$S/owners.sums"
}

restore_owners() {
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
}
