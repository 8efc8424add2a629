# Back from a restore, finished or not: every component that is the restored one is exchanged again,
# and what was live meanwhile is kept.
unswitch_component() { # name in the pinned folder, component, what was there before (or nothing)
  if [ -z "$3" ]; then
    if [ -e "./$1" ]; then mv -T "./$1" "$B/tree/$2"; fi
  elif [ ! -e "./$1" ] && [ ! -L "./$1" ]; then mv -T "$3" "./$1"
  elif [ "$XCHG" = none ]; then mv -T "./$1" "$B/back" && mv -T "$3" "./$1" && mv -T "$B/back" "$3"
  else xchg "./$1" "$3"; fi
}

# The restored tree was live for a while: what somebody wrote there since is not thrown away.
keep_what_was_live() {
  rm -rf "$B/lived"
  mkdir -p "$B/lived/var"
  while IFS="$TAB" read -r c new old; do
    if [ "$(ino "$B/tree/$c")" = "$new" ]; then mv -T "$B/tree/$c" "$B/lived/$c"; fi
    if [ "$(ino "$B/was/$c")" = "$new" ]; then mv -T "$B/was/$c" "$B/lived/$c"; fi
    if [ "$(ino "$B/gone/$c")" = "$new" ]; then mv -T "$B/gone/$c" "$B/lived/$c"; fi
  done <"$J/restored/list"
  rmdir "$B/lived/var" 2>/dev/null
  if rmdir "$B/lived" 2>/dev/null; then return 0; fi
  put_into_archive "$B/lived" "replaced-$TS"
  warn "what was restored before is in .archive/$PLACED"
}

# Back from a restore, finished or not: every component that is the restored one is exchanged again.
unrestore() {
  B=$S/restore
  mkdir -p "$B/tree/var"
  if [ -s "$J/restored/list" ]; then
    aside=$UPATH/.archive/$(cat "$J/restored/replaced" 2>/dev/null)
    while IFS="$TAB" read -r c new old; do
      if [ "$(ino "$UPATH/$c")" = "$new" ] || [ ! -e "$UPATH/$c" ]; then
        was=
        if [ "$old" != - ] && [ "$(ino "$aside/$c")" = "$old" ]; then
          mkdir -p "$B/was/$(dirname "$c")"
          in_dir "$UPATH/.archive" "$(ino "$UPATH/.archive")" mv -T "./${aside##*/}/$c" "$B/was/$c" || fail "cannot take $c out of .archive"
        fi
        for at in "$B/was/$c" "$B/gone/$c" "$B/tree/$c" "$B/old/$c"; do
          if [ "$old" != - ] && [ "$(ino "$at")" = "$old" ]; then was=$at; fi
        done
        at=$(component_folder "$c")
        mkdir -p "$B/tree/$(dirname "$c")"
        in_dir "$at" "$(ino "$at")" unswitch_component "${c##*/}" "$c" "$was" || fail "cannot bring $c back"
        sync_all "$at" "$B/tree" "$B/tree/${c%/*}"
        pt "unrestore-$c"
      fi
    done <"$J/restored/list"
    nginx_test || fail "nginx -t: $NGINX_SAYS"
    nginx_reload || fail "nginx did not reload"
    keep_what_was_live
  fi
  rm -rf "$J/restored" "$S"
  rmdir "$VPATH/.nsmig" 2>/dev/null
}
