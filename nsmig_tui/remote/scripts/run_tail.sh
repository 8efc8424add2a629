# The end of the way there: what is left of the old layout leaves the live tree, or stays with a reason.
in_var() { in_dir "$UPATH/var" "$VAR_INO" "$@"; }

# A socket of somebody else's in a folder or below it, in SOCKET. A socket is never moved: who listens there would not
# be found any more.
socket_in() { # folder
  for s in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    SOCKET=
    if [ -S "$s" ]; then case " $OLD_SOCKETS " in *" $s "*) ;; *) SOCKET=$s ;; esac
    elif is_dir "$s"; then SOCKET=$(find "$s" -xdev -type s 2>/dev/null | head -n 1); fi
    if [ -n "$SOCKET" ]; then return 0; fi
  done
  return 1
}

# Everything in var/run but sockets, and folders that hold one, goes along.
move_run_entries() { # from to, both folders; names are recorded for the way back
  to=
  for e in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    if [ -S "$e" ] || { [ ! -e "$e" ] && [ ! -L "$e" ]; }; then continue; fi
    if [ -e "$2/${e##*/}" ] || [ -L "$2/${e##*/}" ]; then continue; fi
    if is_dir "$e" && socket_in "$e"; then continue; fi
    if [ -z "$to" ]; then
      inode_of "$1"
      from=$INODE
      inode_of "$2"
      to=$INODE
    fi
    carry "${e##*/}" "$1" "$from" "$2" "$to" || return 1
  done
}

known_var() {
  case $1 in log|run|tmp) return 0 ;; *) return 1 ;; esac
}

# Something in var that we do not know, or a socket, keeps var where it is.
var_has_more() {
  for part in run tmp log; do
    if is_dir "$UPATH/var/$part" && socket_in "$UPATH/var/$part"; then return 0; fi
  done
  for e in "$UPATH"/var/* "$UPATH"/var/.[!.]* "$UPATH"/var/..?*; do
    if { [ -e "$e" ] || [ -L "$e" ]; } && ! known_var "${e##*/}"; then return 0; fi
  done
  return 1
}

to_legacy() { # name, from the folder we stand in; into $L
  if [ ! -e "./$1" ] && [ ! -L "./$1" ]; then return 0; fi
  devices=$(stat -c %d "./$1" "$L") || return 1
  if [ "${devices%"$NL"*}" != "${devices#*"$NL"}" ]; then return 1; fi
  mv -T "./$1" "$L/$1"
}

# The same for several names by one rename command; a test that counts points takes them one by one.
all_to_legacy() { # from the folder we stand in
  if [ "$CRASH_AT" != 0 ] || [ -n "$FAIL_AT" ]; then
    for e in "$@"; do
      to_legacy "$e" || fail "cannot put $e away"
      pt "legacy-$e"
    done
    return 0
  fi
  names=
  for e in "$@"; do
    if [ -e "./$e" ] || [ -L "./$e" ]; then names="$names ./$e"; fi
  done
  for e in "$@"; do pt "legacy-$e"; done # as many points as one by one
  if [ -z "$names" ]; then return 0; fi
  # shellcheck disable=SC2086 # names of ours, without blanks
  devices_of "$L" $names || fail "cannot look at what is to be put away"
  device=
  for e in $DEVICES; do
    if [ "$e" != "${device:=$e}" ]; then fail "what is to be put away is on another file system"; fi
  done
  # shellcheck disable=SC2086
  mv $names "$L/" || fail "cannot put$names away"
}

old_var_stands() { is_dir "$UPATH/var" && ! flagged madevar; } # not one that was made for links alone

legacy_away() {
  if [ "$BACKUP" != 1 ]; then
    warn "no archive was made: .ssh, bin, etc and what is left of var stay in place"
    return 0
  fi
  archive_folder
  read -r NAME_TS <"$CUR/ts" || :
  LEGACY=legacy-$NAME_TS
  L=$UPATH/.archive/$LEGACY
  note "$CUR/legacy" "$LEGACY"
  if [ ! -d "$L" ]; then
    mkdir -p "$S/legacy" && in_archive mv -T "$S/legacy" "./$LEGACY" || fail "cannot make .archive/$LEGACY"
  fi
  pt legacy-made
  set --
  for e in .ssh bin etc; do
    case " $LEGACY_KEEP " in *" $e "*) ;; *) set -- "$@" "$e" ;; esac
  done
  if old_var_stands && ! var_has_more; then set -- "$@" var; fi
  cd -P "$UPATH" || fail "cannot enter $UPATH"
  all_to_legacy "$@"
  cd /
  if old_var_stands; then
    if var_has_more; then
      mkdir -p "$L/var" && chown "$(stat -c %u:%g "$UPATH/var")" "$L/var"
      for e in run tmp log; do
        if [ -L "$UPATH/var/$e" ]; then continue; fi
        if socket_in "$UPATH/var/$e"; then
          warn "var/$e stays: another service's socket is in it ($SOCKET), and a socket is never moved"
          continue
        fi
        (L=$L/var; in_dir "$UPATH/var" "$VAR_INO" to_legacy "$e") || fail "cannot put var/$e away"
      done
    fi
    pt legacy-var
  fi
}

# An ACME client makes .well-known below the document root that it knows, and takes it away when it is done:
# a link to it must be at the old place before, and for that the folder in the content.
make_well_known() {
  if [ "${WELL_KNOWN:-}" != 1 ] || [ -e "$UPATH/web/app/public/.well-known" ] || [ -L "$UPATH/web/app/public/.well-known" ]; then return 0; fi
  rm -rf "$S/known"
  mkdir "$S/known" && chown "$OWNER" "$S/known" && chmod 755 "$S/known" || fail "cannot make .well-known"
  ino "$S/known" >"$CUR/made.known" && sync_all "$CUR/made.known" "$CUR"
  in_dir "$UPATH/web/app/public" "$WEB_INO" mv -T "$S/known" ./.well-known || fail "cannot make .well-known"
  pt made-known
}

drop_well_known() { # on the way back: empty it goes, with tokens in it it stays
  if [ -s "$CUR/made.known" ] && is_dir "$UPATH/web/.well-known" && [ "$(ino "$UPATH/web/.well-known")" = "$(cat "$CUR/made.known")" ]; then
    in_dir "$UPATH/web" "$WEB_INO" rmdir ./.well-known 2>/dev/null
  fi
  return 0
}

# Links at old places: kept where something still uses them.
settle_compat() {
  if [ "$COMPAT_WEB" = none ]; then
    in_web drop_web_links || fail "cannot drop links for old paths"
  else # they have been there all the time, and are not taken away for a moment
    make_well_known
    in_web compat_links . app/public "$UPATH/web/app/public"
    in_web list_links >"$CUR/compat.web"
    warn "$(wc -l <"$CUR/compat.web") link(s) stay in web for old paths: $(head -n 500 "$CUR/compat.web" | tr '\n' ' ')"
  fi
  if [ "${COMPAT_APP:-none}" = all ]; then
    in_web compat_links ./app public/app "$UPATH/web/app/public/app"
    in_web list_links ./app >"$CUR/compat.app"
    warn "$(wc -l <"$CUR/compat.app") link(s) stay in web/app for old paths: $(head -n 500 "$CUR/compat.app" | tr '\n' ' ')"
  fi
  if [ -d "$UPATH/web/.nsmig-switched" ]; then in_web rmdir .nsmig-switched; fi
  pt compat-web
  if [ "$COMPAT_VAR" = none ]; then
    if is_dir "$UPATH/var"; then for x in log tmp; do in_var drop_link "$x"; done; fi
  else
    if ! is_dir "$UPATH/var"; then
      mkdir -p "$S/var" && chown "$ROOT_ID" "$S/var" && chmod 755 "$S/var" || fail "cannot make var for links"
      note_inode "$CUR/made.var" "$S/var"
      must_flag madevar
      mv -T "$S/var" "$UPATH/var" || fail "cannot make var for links"
    fi
    for x in log run tmp; do
      if is_dir "$UPATH/web/$x" && [ ! -e "$UPATH/var/$x" ] && [ ! -L "$UPATH/var/$x" ]; then
        in_dir "$UPATH/var" "$(cat "$CUR/made.var" 2>/dev/null || printf %s "$VAR_INO")" put_link "../web/$x" "./$x" || fail "cannot link var/$x"
      fi
    done
    linked=
    for x in log run tmp; do if [ -L "$UPATH/var/$x" ]; then linked="$linked $x"; fi; done
    if [ -n "$linked" ]; then warn "links stay in var for old paths:$linked"; fi
  fi
  if [ -s "$CUR/climb" ]; then
    warn "$(wc -l <"$CUR/climb") link(s) stay for what leads out of the document root: $(cut -f1 "$CUR/climb" | head -n 500 | tr '\n' ' ')"
  fi
  pt compat-var
}

list_links() { find "${1:-.}" -maxdepth 1 -type l -print0 | tr '\n\000' '?\n' | sed 's|^.*/||' | sort; } # folder, or the one we are in

drop_web_links() {
  set --
  for x in * .[!.]* ..?*; do
    if [ -L "./$x" ] && leads_to_content "./$x"; then set -- "$@" "./$x"; fi
    if [ $# -ge 100 ]; then rm "$@" || return 1; set --; fi
  done
  if [ $# -gt 0 ]; then rm "$@"; fi
}

# Is this link one for an old path? Where both names are the same file no process is needed to see it.
# shellcheck disable=SC3013 # dash, BusyBox and POSIX 2024 have -ef
leads_to_content() { # link
  n=${1##*/}
  if [ "$1" -ef "${1%/*}/app/public/$n" ] || [ "$1" -ef "${1%/*}/$HOLD/public/$n" ]; then return 0; fi
  case $(readlink -- "$1"; printf .) in "$HOLD/public/$n$NL."|app/public/"$n$NL."|.nsmig-app/public/"$n$NL.") return 0 ;; esac
  return 1
}

# What appeared at the top of web by somebody's absolute old path belongs to the content.
sweep_strays() { # folder that must hold structure only
  from=
  for e in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    n=${e##*/}
    if [ ! -e "$e" ] && [ ! -L "$e" ]; then continue; fi
    case $n in app|log|run|tmp|.nsmig-app|.nsmig-switched) continue ;; esac
    if [ -L "$e" ] && leads_to_content "$e"; then continue; fi
    if [ -z "$from" ]; then from=$(ino "$1"); fi
    seek_content
    if [ ! -e "$CONTENT/$n" ] && [ ! -L "$CONTENT/$n" ]; then
      carry "$n" "$1" "$from" "$CONTENT" "$WEB_INO" && warn "$n was written to the old document root meanwhile and was put into the content"
    elif [ "$PHASE" != undo ]; then # else it is kept with the rest
      warn "$n was written to the old document root meanwhile and stays at $e"
    fi
  done
}
