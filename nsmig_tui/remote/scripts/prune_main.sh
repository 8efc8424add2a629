# What a vhost keeps in .archive, and its deletion in two phases. Arguments: list DOMAIN UPATH, or
# prune DOMAIN UPATH RUN OPERATOR ARCHIVE-INODE KEEP NAME INODE [NAME INODE ...]; KEEP is the verified
# archive that must be there, or "-". list prints "busy", "place TAB inode" and, for each thing, "kept TAB
# kind TAB b64(name) TAB bytes TAB inode TAB order TAB verdict TAB needed"; prune "pruned TAB b64(name)" each, or
# "why TAB b64(reason)".
# Exit codes: 0, 64 not possible, 75 a run holds the lock.

die() { printf 'why\t%s\n' "$(printf %s "$*" | b64)"; exit 64; }

# The folder is entered once and must be root's own: what we do there cannot be led elsewhere.
enter() { # UPATH
  if [ -L "$1/.archive" ] || ! cd -P "$1/.archive" 2>/dev/null; then return 1; fi
  [ "$(stat -c %u:%g .)" = "$ROOT_ID" ]
}

known_archives() { cat "$J/archives" "$J/cur/archive" "$J"/undone/*/archive 2>/dev/null; }

row() { # kind name verdict needed order
  if is_dir "./$2"; then bytes=$(($(du -skx "./$2" 2>/dev/null | cut -f1) * 1024)); else bytes=$(stat -c %s "./$2"); fi
  printf 'kept\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$(printf %s "$2" | b64)" "$bytes" "$(ino "./$2")" "$5" "$3" "$4"
}

# Archives from the newest on are read until one is proven whole; the rest is judged by its size alone.
list_archives() {
  proven=
  known_archives | awk -F "$TAB" '!($1 in at) { at[$1] = NR } { last[$1] = $0 } END { for (n in at) print at[n] FS last[n] }' | sort -rn |
    while IFS="$TAB" read -r order name sum bytes _; do
      case $name in pre-migration-*.tar.gz) ;; *) continue ;; esac
      if [ ! -f "./$name" ] || [ -L "./$name" ]; then continue; fi
      verdict=unknown
      if [ "$(stat -c %s "./$name")" != "$bytes" ]; then verdict=damaged
      elif [ -z "$proven" ]; then
        if [ "$(nice -n 10 sha256sum <"./$name" | cut -d' ' -f1)" = "$sum" ]; then verdict=verified proven=$name; else verdict=damaged; fi
      fi
      needed=no
      if [ "$name" = "$(cut -f1 "$J/cur/archive" 2>/dev/null)" ] && [ ! -e "$J/cur/flag.committed" ]; then needed=yes; fi
      row archive "$name" "$verdict" "$needed" "$order"
    done
}

# The way back from the migration or restore that is in force needs what it put aside.
list_trees() {
  for x in legacy-* replaced-*; do
    if ! is_dir "./$x"; then continue; fi
    needed=no
    if [ "$x" = "$(cat "$J/cur/legacy" 2>/dev/null)" ] || [ "$x" = "$(cat "$J/restored/replaced" 2>/dev/null)" ]; then needed=yes; fi
    row "${x%%-*}" "$x" unknown "$needed" 0
  done
}

unsettled() { [ -d "$J/cur" ] && [ ! -e "$J/cur/flag.committed" ]; }

companions() { # archive: what was written beside it and means nothing without it
  base=${1%.tar.gz}
  printf '%s\n' "$base.manifest.gz" "$base.config.tar" "$base.again.tar.gz"
}

# A file system that is mounted in there is somebody's live data; rm cannot tell one that is the same as ours.
nothing_mounted() { # name
  mount_below "./$1"
  if [ -n "$MOUNT" ]; then die "a file system is mounted at $MOUNT: unmount it, then prune again"; fi
}

# First all names go, by rename and synced; what is half-done then is finished by the next prune.
put_in_trash() { # name inode
  case $1 in */*|.*|'') die "not a name: $1" ;; esac
  case $1 in pre-migration-*.tar.gz|legacy-*|replaced-*) ;; *) die "not ours to delete: $1" ;; esac
  if [ "$(ino "./$1")" != "$2" ]; then die "$1 is not what was listed"; fi
  nothing_mounted "$1"
  if [ -f "./$1" ]; then
    companions "$1" | while read -r beside; do
      if [ -f "./$beside" ] && [ ! -L "./$beside" ]; then mv -T "./$beside" "./.trash-$beside" || exit 1; fi
    done || die "cannot put away what belongs to $1"
  fi
  mv -T "./$1" "./.trash-$1" || die "cannot put $1 away"
  j pruned "$1"
}

empty_trash() {
  for x in .trash-*; do
    if [ ! -e "./$x" ] && [ ! -L "./$x" ]; then continue; fi
    nothing_mounted "$x"
    nice -n 19 rm -rf "./$x" || die "cannot delete $x"
  done
}

prune() { # run operator archive-inode keep name inode...
  RUN=$1 OPERATOR=$2
  if [ "$(ino .)" != "$3" ]; then die ".archive is not the folder that was listed"; fi
  keep=$4
  shift 4
  if ! take_lock; then exit 75; fi
  if unsettled; then die "a run is not settled"; fi
  if [ "$keep" != - ] && [ ! -f "./$keep" ]; then die "the verified archive $keep is gone"; fi
  names=
  while [ $# -ge 2 ]; do
    if [ "$1" = "$keep" ]; then die "$keep is the archive to keep"; fi
    put_in_trash "$1" "$2"
    names="$names $1"
    shift 2
  done
  sync_dir .
  empty_trash
  # shellcheck disable=SC2086 # our own names hold no blanks
  for x in $names; do printf 'pruned\t%s\n' "$(printf %s "$x" | b64)"; done
  if ! have flock; then rm -f "$J/lock.owner"; fi
}

main() {
  verb=$1 J=$VAR/$2 U=$3
  shift 3
  if ! is_dir "$J" || ! enter "$U"; then
    if [ "$verb" = list ]; then exit 0; fi
    die "there is no archive folder of ours"
  fi
  case $verb in
    list)
      if unsettled; then echo busy; fi
      printf 'place\t%s\n' "$(ino .)"
      list_archives
      list_trees ;;
    prune) prune "$@" ;;
    *) die "unknown verb $verb" ;;
  esac
}

main "$@" </dev/null
