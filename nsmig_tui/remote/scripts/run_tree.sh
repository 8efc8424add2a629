# The tree: staging, the two exchanges, the relays of var/log and var/tmp, owners and modes.
# A path is walked name by name: who has read a link just before an exchange looks for its target just after
# it. So links that take part in an exchange lead to the content from both of their places, by a hop: a link
# beside them that is another one at the other place. They stay until nobody can be on the way any more.
# A relay keeps an old and a new path valid together: the folder waits in staging while links stand
# at both places, and is then exchanged into the one that is to keep it.
OWNER=$ROOT_ID
HOP=.nsmig-hop

content_is() { # path: does the content stand there?
  if [ -z "$HELD4" ]; then is_among "$WEB_INO" "$1"; else is_dir "$1" && same_dir "$1" 4; fi
}

# Where the content stands, in CONTENT; empty when nowhere that we know.
seek_content() {
  for CONTENT in "$UPATH/web" "$S/new" "$S/new/$HOLD/public" "$UPATH/web/$HOLD/public" "$UPATH/web/app/public" ''; do
    if [ -z "$CONTENT" ] || content_is "$CONTENT"; then return 0; fi
  done
}

# From here on the places that a vhost's user could swap are known by what we hold, not by name.
hold_places() {
  hold 4 "$WEB_INO" "$UPATH/web" "$S/new" "$S/new/$HOLD/public" "$UPATH/web/$HOLD/public" "$UPATH/web/app/public"
  hold 5 "$VAR_INO" "$UPATH/var"
  SKEL=
  read -r SKEL 2>/dev/null <"$CUR/skeleton.ino" || :
  hold 6 "$SKEL" "$UPATH/web" "$S/new"
}

compat_links() { # folder, target prefix, content: a link in the folder for each entry of the content
  (
    cd -P "$1" || exit 1
    prefix=$2 top=$3
    set --
    for e in "$top"/* "$top"/.[!.]* "$top"/..?*; do
      x=${e##*/}
      if [ ! -e "$e" ] && [ ! -L "$e" ]; then continue; fi
      if [ -L "./$x" ]; then # ours, by way of the content's other name: it follows the content
        case $(readlink -- "./$x"; printf .) in # a name may end in a newline
          "$prefix/$x$NL.") ;;
          "app/public/$x$NL."|"$HOLD/public/$x$NL.") put_link "$prefix/$x" "./$x" || exit 1 ;;
        esac
        continue
      fi
      if [ -e "./$x" ]; then continue; fi
      set -- "$@" "$prefix/$x"
      if [ $# -ge 100 ]; then ln -s "$@" . || exit 1; set --; fi
    done
    if [ $# -gt 0 ]; then ln -s "$@" .; fi
  )
}

stage_tree() {
  if ! content_is "$UPATH/web"; then return; fi
  stage_anew new
  mkdir -m 755 "$S/new" "$S/new/$HOLD" && chown "$OWNER" "$S/new" "$S/new/$HOLD" || fail "cannot stage the new folders"
  if [ "$XCHG" = none ]; then
    mkdir -m 755 "$S/new/.nsmig-switched" && compat_links "$S/new" "$HOLD/public" "$UPATH/web" || fail "cannot stage the links for old paths"
  else
    ln -s "$HOP" "$S/new/$HOLD/public" && ln -s "../../../.nsmig/$DOMAIN/new" "$S/new/$HOLD/$HOP" && put_link "../../${UPATH##*/}/web/$HOLD/public" "$S/$HOP" && compat_links "$S/new" "$HOLD/public" "$UPATH/web" || fail "cannot stage the links for old paths"
  fi
  # relative links that leave web lead to the same places through these
  while IFS="$TAB" read -r at to; do
    case $at in
      web/app/*) ln -s "$to" "$S/new/$HOLD/${at#web/app/}" ;;
      web/*) if [ ! -e "$S/new/${at#web/}" ] && [ ! -L "$S/new/${at#web/}" ]; then ln -s "$to" "$S/new/${at#web/}"; fi ;;
    esac
  done <"$CUR/climb"
  note_inode "$CUR/skeleton.ino" "$S/new"
  hold_places
  pt tree-staged
}

switch_tree() {
  if [ "$XCHG" = none ]; then
    if content_is "$UPATH/web"; then
      mv -T "$UPATH/web" "$S/new/$HOLD/public" || fail "cannot move web"
    fi
    pt tree-half
    if [ -d "$S/new/$HOLD/public" ]; then mv -T "$S/new" "$UPATH/web" || fail "cannot put the new web in place"; fi
  else
    if content_is "$UPATH/web"; then
      if [ "$CRASH_AT" != 0 ]; then
        xchg "$UPATH/web" "$S/new" || fail "cannot exchange web with the staged folder"
        pt tree-half
        xchg "$UPATH/web/$HOLD/public" "$S/new" || fail "cannot exchange the content into place"
      else
        xchg "$UPATH/web" "$S/new" "$UPATH/web/$HOLD/public" "$S/new" || fail "cannot exchange web with the staged folder"
      fi
    elif content_is "$S/new"; then
      xchg "$UPATH/web/$HOLD/public" "$S/new" || fail "cannot exchange the content into place"
    fi
  fi
  sync_all "$UPATH" "$UPATH/web" "$UPATH/web/$HOLD" "$S"
  if ! content_is "$UPATH/web/$HOLD/public" && ! content_is "$UPATH/web/app/public"; then
    xchg "$UPATH/web/$HOLD/public" "$S/new" "$UPATH/web" "$S/new" 2>/dev/null
    fail "web is not the folder that was examined; someone replaced it"
  fi
  pt tree-switched
}

# Old path -> staging, old path stays valid as a link.
relay_out() { # name inode
  if [ -z "$2" ] || ! is_among "$2" "$S/$1" "$UPATH/web/$1" "$UPATH/var/$1" || [ "$FOUND" != "$UPATH/var/$1" ]; then return 0; fi
  if [ -L "$S/$1" ]; then rm "$S/$1"; fi
  ln -s "$S/$1" "$S/$1" || fail "cannot stage var/$1"
  if [ "$XCHG" = none ]; then
    rm -f "$S/$1" && in_var mv -T "./$1" "$S/$1" && in_var put_link "$S/$1" "./$1" || fail "cannot move var/$1"
  else
    in_dir "$UPATH/var" "$VAR_INO" xchg "./$1" "$S/$1" || fail "cannot exchange var/$1"
  fi
  sync_all "$UPATH/var" "$S"
  pt "relay-$1-out"
}

own_staged() { # name: owner and mode while only root can reach it by name
  if [ -d "$S/$1" ] && [ ! -L "$S/$1" ]; then
    if [ ! -s "$CUR/was.$1" ]; then note_own "$S/$1" "$CUR/was.$1" && sync_all "$CUR/was.$1" "$CUR" || fail "cannot note the owner of $1; is there room in $VAR?"; fi
    chown "$OWNER" "$S/$1" && chmod u=rwx,g=rx,o=,u-s,g-s,o-t "$S/$1" || fail "cannot set owner and mode of $1"
  fi
}

in_web() { in_dir "$UPATH/web" "$SKEL" "$@"; }

drop_link() { # inside the pinned folder: a link of ours, never anything else
  if [ -L "./$1" ]; then rm "./$1"; fi
}

relay_new() { # name inode: the new path becomes valid too
  if [ -z "$2" ]; then return 0; fi
  if is_among "$2" "$UPATH/web/$1"; then return 0; fi
  in_web put_link "$S/$1" "./$1" || fail "web/$1 is in the way"
  sync_all "$UPATH/web"
  pt "relay-$1-new"
}

relay_in() { # name inode: staging -> new path; the old one points there
  if [ -z "$2" ] || ! is_among "$2" "$S/$1"; then return 0; fi
  in_dir "$UPATH/var" "$VAR_INO" put_link "../web/$1" "./$1" || fail "cannot point var/$1 to web/$1"
  pt "relay-$1-link"
  if [ "$XCHG" = none ]; then in_web drop_link "$1" && in_web mv -T "$S/$1" "./$1"; else in_web xchg "./$1" "$S/$1"; fi || fail "cannot put web/$1 in place"
  if [ -L "$S/$1" ]; then rm "$S/$1"; fi
  sync_all "$UPATH/web" "$UPATH/var" "$S"
  pt "relay-$1-in"
}

# A folder that the new layout has and the old one lacked, or the home of the new socket.
new_folder() { # name mode
  if is_dir "$UPATH/web/$1"; then return 0; fi
  if [ -L "$UPATH/web/$1" ]; then in_web drop_link "$1"; fi
  stage_anew folder
  mkdir -m "$2" "$S/folder" && chown "$OWNER" "$S/folder" || fail "cannot make web/$1"
  note_inode "$CUR/made.$1" "$S/folder"
  in_web mv -T "$S/folder" "./$1" || fail "web/$1 is in the way"
  sync_all "$UPATH/web" # before a configuration names it: who starts without it does not start
  pt "made-$1"
}

content_modes() { # runs inside the content folder
  note_own . "$1/was.content.part" && sync_file "$1/was.content.part" || return 1
  if [ ! -e "$1/was.content" ]; then mv "$1/was.content.part" "$1/was.content" || return 1; fi
  if have getfacl && [ ! -e "$1/was.acl" ]; then
    if hand noacl .; then printf '' >"$1/was.acl"; else getfacl -n . >"$1/was.acl.part" 2>/dev/null && sync_file "$1/was.acl.part" && mv "$1/was.acl.part" "$1/was.acl"; fi || return 1
  fi
  sync_dir "$1"
  chown "$2" . && chmod u=rwx,g=rx,o=rx,u-s,g-s,o-t .
}

# A link of the new tree that is read before the exchange and followed after it leads from staging, by the same
# words, to a place one level deeper: from there it goes on to the content.
put_mirror() {
  mirror=$VPATH/.nsmig/.nsmig
  tries=0
  until mkdir -p "$mirror/$DOMAIN" 2>/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ]; then return 1; fi
  done
  chmod 711 "$mirror" "$mirror/$DOMAIN" && put_link "../../../${UPATH##*/}/web" "$mirror/$DOMAIN/new"
}

drop_mirror() {
  if [ ! -e "$VPATH/.nsmig/.nsmig" ]; then return 0; fi
  rm -rf "$VPATH/.nsmig/.nsmig/$DOMAIN"
  rmdir "$VPATH/.nsmig/.nsmig" 2>/dev/null
}
