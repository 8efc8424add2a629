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

row() { # kind name verdict needed order
  if is_dir "./$2"; then bytes=$(($(du -skx "./$2" 2>/dev/null | cut -f1) * 1024)); else bytes=$(stat -c %s "./$2"); fi
  printf 'kept\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$(printf %s "$2" | b64)" "$bytes" "$(ino "./$2")" "$5" "$3" "$4"
}

# Archives from the newest on are read until one is proven whole; the rest is judged by its size alone.
list_archives() {
  how='hash'
  known_archives | awk -F "$TAB" '!($1 in at) { at[$1] = NR } { last[$1] = $0 } END { for (n in at) print at[n] FS last[n] }' | sort -rn |
    while IFS="$TAB" read -r order name record; do
      case $name in *.again.tar.gz) continue ;; pre-migration-*.tar.gz) ;; *) continue ;; esac
      if [ ! -f "./$name" ] || [ -L "./$name" ]; then continue; fi
      judge . "$name" "$record" "$how"
      if [ "$JUDGED" = verified ]; then how=quick; fi
      needed=no
      if [ "$name" = "$(cut -f1 "$J/cur/archive" 2>/dev/null)" ] && [ ! -e "$J/cur/flag.committed" ]; then needed=yes; fi
      row archive "$name" "$JUDGED" "$needed" "$order"
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

# Nothing is renamed before all of it is what was listed.
may_go() { # name inode
  if [ "$1" = "$keep" ]; then die "$keep is the archive to keep"; fi
  case $1 in */*|.*|'') die "not a name: $1" ;; esac
  case $1 in *.again.tar.gz) die "$1 goes with its archive" ;; pre-migration-*.tar.gz|legacy-*|replaced-*) ;; *) die "not ours to delete: $1" ;; esac
  if [ "$(ino "./$1")" != "$2" ]; then die "$1 is not what was listed"; fi
  nothing_mounted "$1"
}

# First all names go, by rename and synced, an archive's before those of what belongs to it: what is listed is whole.
# What is half-done then is finished by the next prune.
put_in_trash() { # name
  mv -T "./$1" "./.trash-$1" || die "cannot put $1 away"
  j pruned "$1"
}

follow_into_trash() { # archive that is there
  if [ -e "./$1" ]; then return 0; fi
  companions "$1" | while read -r beside; do
    if [ -f "./$beside" ] && [ ! -L "./$beside" ]; then mv -T "./$beside" "./.trash-$beside" || exit 1; fi
  done || die "cannot put away what belongs to $1"
}

# What a prune put away that broke off then.
list_trash() {
  for x in .trash-*; do
    if [ -e "./$x" ] || [ -L "./$x" ]; then row trash "$x" unknown no 0; fi
  done
}

# Where no archive is known to be whole, those in the trash stay: one of them may be.
empty_trash() { # the verified archive, or -
  for x in .trash-*; do
    if [ ! -e "./$x" ] && [ ! -L "./$x" ]; then continue; fi
    case "$1 $x" in "- .trash-pre-migration-"*) continue ;; esac
    nothing_mounted "$x"
    case $x in *.again.tar.gz) ;; .trash-pre-migration-*.tar.gz) follow_into_trash "${x#.trash-}" ;; esac
  done
  sync_dir .
  for x in .trash-*; do
    if [ ! -e "./$x" ] && [ ! -L "./$x" ]; then continue; fi
    case "$1 $x" in "- .trash-pre-migration-"*) continue ;; esac
    nice -n 19 rm -rf "./$x" || die "cannot delete $x"
    printf 'pruned\t%s\n' "$(printf %s "${x#.trash-}" | b64)"
  done
}

each_pair() { # function, name inode...
  act=$1
  shift
  while [ $# -ge 2 ]; do
    "$act" "$1" "$2"
    shift 2
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
  each_pair may_go "$@"
  each_pair put_in_trash "$@"
  sync_dir .
  empty_trash "$keep"
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
      list_trees
      list_trash ;;
    prune) prune "$@" ;;
    *) die "unknown verb $verb" ;;
  esac
}

main "$@" </dev/null
