# Restoring an archive: what was unpacked and proven is switched in by exchanges.
# What is replaced goes to .archive/replaced-TS; $J/restored tells the way back. "list" in it: a line for each
# entry, before it moves: "COMPONENT TAB INODE-NOW TAB INODE-BEFORE", an inode of "-" for what was or is not there.
# "begun" without "done" means that what is live may stand in staging.
open_restore() { [ -e "$J/restored/begun" ] && [ ! -e "$J/restored/done" ]; }

begin_record() {
  rm -rf "$J/restored"
  mkdir -p "$J/restored" && printf '' >"$J/restored/list" && printf '' >"$J/restored/begun" || fail "cannot keep a record of the restore"
  if [ -n "$SICK" ]; then printf '' >"$J/restored/sick" || fail "cannot keep a record of the restore"; fi
  sync_all "$J/restored" "$J"
}

flag_done() { printf '' >"$J/restored/done" && sync_dir "$J/restored"; }

# Components are the entries at the top and, since var/run holds a live socket, those of var.
components() {
  for e in "$B"/tree/* "$B"/tree/.[!.]* "$B"/tree/..?*; do
    n=${e##*/}
    if [ ! -e "$e" ] && [ ! -L "$e" ]; then continue; fi
    case $n in
      .archive) continue ;;
      msg) if [ "$WITH_MAIL" = 1 ]; then printf '%s\n' "$n"; fi ;;
      var) for v in "$e"/* "$e"/.[!.]* "$e"/..?*; do if { [ -e "$v" ] || [ -L "$v" ]; } && [ "${v##*/}" != run ]; then printf 'var/%s\n' "${v##*/}"; fi; done ;;
      *) printf '%s\n' "$n" ;;
    esac
  done
}

# Exactly as archived: what the archive does not know leaves the live tree as well.
extras() {
  if [ "$EXACT" != 1 ]; then return 0; fi
  for e in "$UPATH"/* "$UPATH"/.[!.]* "$UPATH"/..?* "$UPATH"/var/* "$UPATH"/var/.[!.]* "$UPATH"/var/..?*; do
    n=${e#"$UPATH/"}
    case $n in .archive|msg|var|var/run) continue ;; esac
    if { [ -e "$e" ] || [ -L "$e" ]; } && ! grep -qxF -e "$n" "$B/components"; then printf '%s\n' "$n"; fi
  done
}

note_component() { # component, inode that it will have: written down before anything moves
  old=$(ino "$UPATH/$1")
  { cat "$J/restored/list" && printf '%s\t%s\t%s\n' "$1" "${2:--}" "${old:--}"; } 2>/dev/null >"$J/restored/list.new" &&
    sync_file "$J/restored/list.new" && mv -T "$J/restored/list.new" "$J/restored/list" || fail "cannot write $J/restored/list; is there room in $VAR?"
  sync_dir "$J/restored"
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
    swap_kept "./$1" "$B/tree/$2"
  fi
}

# XFS gives a folder a new time when it changes places with another one.
swap_kept() { # name in the pinned folder, root's path
  if ! is_dir "$1" || ! is_dir "$2"; then xchg "$1" "$2"; return; fi
  touch -r "$1" "$B/one.time" && touch -r "$2" "$B/other.time" && xchg "$1" "$2" || return 1
  touch -h -r "$B/other.time" "$1" # never through a link that somebody has put there since
  touch -r "$B/one.time" "$2"
  return 0
}

top_again() { # owner, mode and time of the vhost's own folder, as archived: the switches have changed the copy's time
  chown "$(stat -c %u:%g "$B/tree")" . && chmod "$(stat -c %a "$B/tree")" . && touch -r "$B/top.time" .
}

# The folder that var's components stand in, where somebody took it away: as archived, with a home for the sockets.
var_again() {
  if [ -e "$UPATH/var" ] || [ -L "$UPATH/var" ]; then return 0; fi
  rm -rf "$S/var.again"
  mkdir -p "$S/var.again/run" && chown "$OWNER" "$S/var.again" "$S/var.again/run" && chmod 750 "$S/var.again" "$S/var.again/run" || fail "cannot make var anew"
  for x in . run; do
    if is_dir "$B/tree/var/$x"; then chown "$(stat -c %u:%g "$B/tree/var/$x")" "$S/var.again/$x" && chmod "$(stat -c %a "$B/tree/var/$x")" "$S/var.again/$x" || fail "cannot make var anew"; fi
  done
  in_dir "$UPATH" "$(ino "$UPATH")" mv -T "$S/var.again" ./var || fail "cannot make var anew"
}

put_extras_aside() {
  extras >"$B/extras"
  mkdir -p "$B/gone/var" || fail "cannot put anything aside"
  while IFS= read -r n; do
    case $n in *"$TAB"*) fail "an entry at the top has a TAB in its name: $n" ;; esac
    if [ ! -e "$UPATH/$n" ] && [ ! -L "$UPATH/$n" ]; then fail "$n is gone, or has a newline in its name"; fi
    SOCKET=
    if [ -S "$UPATH/$n" ] || { is_dir "$UPATH/$n" && socket_in "$UPATH/$n"; }; then
      warn "$n stays: a socket is never moved"
      continue
    fi
    note_component "$n" -
    at=$(component_folder "$n")
    in_dir "$at" "$(ino "$at")" mv -T "./${n##*/}" "$B/gone/$n" || fail "cannot put $n aside"
    sync_all "$at" "$B/gone"
    pt "restore-aside-$n"
  done <"$B/extras"
}

put_aside() { # what was replaced: out of the live tree, into .archive under a name that is written down first
  mkdir -p "$B/gone/var" || fail "cannot put aside what was replaced"
  while IFS="$TAB" read -r c _ old; do
    for from in "$B/tree/$c" "$B/old/$c"; do
      if [ "$old" != - ] && { [ -e "$from" ] || [ -L "$from" ]; } && [ "$(ino "$from")" = "$old" ]; then
        mv -T "$from" "$B/gone/$c" || fail "cannot put $c aside"
        pt "restore-gone-$c"
      fi
    done
  done <"$J/restored/list"
  rmdir "$B/gone/var" 2>/dev/null
  if [ -s "$B/changed" ]; then sort -u "$B/changed" >"$B/gone/changed-since.txt"; fi
  free_place "replaced-$TS"
  REPLACED=$PLACED
  printf %s "$REPLACED" >"$J/restored/replaced" && sync_all "$J/restored/replaced" "$J/restored" "$B/gone" || fail "cannot keep a record of the restore"
  pt restore-named
  put_into_archive "$B/gone" "$REPLACED"
  pt restore-placed
}

# php-fpm holds logs open that are put aside, and PHP what it has compiled, which it may never compare with the files
# again (opcache.validate_timestamps=0). Asked under the vnode's lock; answers 1 when php-fpm -t fails.
php_anew() {
  if [ -z "${FPM_CONF:-}" ]; then return 0; fi
  if ! fpm_alive; then
    warn "php-fpm does not run, and is not started: nobody has tried it with what is there now"
    return 0
  fi
  fpm_test || return 1
  note_pools ""
  make_live fpm "" "" || fail "$WHY"
}

# What tar and cp wrote reaches the disk before it is live: after a power cut its files would be empty. All of their
# file system at once here, since one sync for each file of a site would keep the disk from others for longer.
sync_tree() { command sync -f "$1" 2>/dev/null || command sync; }

restore_archive() { # of what prepare_restore has unpacked
  printf '' >"$B/changed"
  mark_time "$B/carried.time"
  while IFS= read -r c; do
    if is_dir "$UPATH/$c" && is_dir "$B/tree/$c"; then
      if [ "$EXACT" != 1 ]; then carry_over "$c"; fi
      list_changed "$c"
    fi
  done <"$B/components"
  pt restore-carried
  sync_tree "$B/tree"
  begin_record
  pt restore-begun
  step restore_switch
  LIVE_INO=$(ino "$UPATH")
  while IFS= read -r c; do
    note_component "$c" "$(ino "$B/tree/$c")"
    case $c in var/*) var_again ;; esac
    at=$(component_folder "$c")
    in_dir "$at" "$(ino "$at")" switch_component "${c##*/}" "$c" || fail "cannot switch $c; is it immutable or append-only (lsattr -d)?"
    sync_all "$at" "$B/tree" "$B/tree/${c%/*}"
    pt "restore-switched-$c"
  done <"$B/components"
  printf '' >"$B/switched.time"
  carry_late
  if [ "$EXACT" = 1 ]; then put_extras_aside; fi
  in_dir "$UPATH" "$LIVE_INO" top_again || fail "cannot give the vhost's folder its owner and mode"
  vnode_lock
  nginx_test || fail "nginx -t after the restore: $NGINX_SAYS"
  nginx_reload || fail "nginx did not reload"
  php_anew || fail "php-fpm -t after the restore: $FPM_SAYS"
  vnode_unlock
  step restore_end
  carry_late # what began before the reload and ended after it
  sync_tree "$UPATH"
  put_aside
  what=changed
  if [ "$EXACT" = 1 ]; then what="changed or come"; fi
  if [ -s "$B/changed" ]; then warn "$(sort -u "$B/changed" | wc -l) file(s) had $what since the archive; they are kept in .archive/$REPLACED"; fi
  nothing_of_value || fail "$S/restore still holds what was live; nothing of it is deleted"
  flag_done || fail "cannot write $J/restored/done; is there room in $VAR?"
  pt restore-done
  step ""
  j restored "$ARCHIVE"
  drop_copy
  finish ok 0
}

free_place() { # name wanted in .archive; PLACED is a free one
  PLACED=$1
  while [ -e "$UPATH/.archive/$PLACED" ] || [ -L "$UPATH/.archive/$PLACED" ]; do PLACED=$PLACED-2; done
}

# A root-only folder moves into .archive under a free name; PLACED says which.
put_into_archive() { # folder name
  free_place "$2"
  in_dir "$UPATH/.archive" "$(ino "$UPATH/.archive")" mv -T "$1" "./$PLACED" || fail "cannot put $PLACED into .archive"
  sync_all "$UPATH/.archive" "$S"
}
