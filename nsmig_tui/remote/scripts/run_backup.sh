# The archive, its manifest and its record: written root-only in staging, proven, then published.
# Gives in $CUR/archive: NAME TAB SHA256 TAB BYTES TAB ENTRIES.
# Heavy work steps back for the live sites. IONICE is a command with its options, or nothing.
# shellcheck disable=SC2086 # several words
low() {
  if [ -n "${LOWERED:-}" ]; then "$@"; else ${IONICE:-} nice -n "$NICE" "$@"; fi
}

become_low() { # command, in place of the subshell that calls this
  if [ -n "${LOWERED:-}" ]; then exec "$@"; fi
  # shellcheck disable=SC2086 # several words
  exec ${IONICE:-} nice -n "$NICE" "$@"
}

# A subshell does so as a whole, by the hand, and so spares what it begins from doing it by commands. Where memory
# runs out, it is what the kernel ends, and not a site's database.
step_back() {
  # never the runner itself: nobody might be able to bring it back
  if ! read -r own _ 2>/dev/null </proc/self/stat || [ "$own" = $$ ]; then return 0; fi
  { echo 1000 >/proc/self/oom_score_adj; } 2>/dev/null
  case ${IONICE:-} in
    '') disks=0 ;;
    "ionice -c 2 -n 7") disks=$((2 << 13 | 7)) ;;
    "ionice -c 3") disks=$((3 << 13 | 7)) ;;
    *) return 0 ;;
  esac
  if hand low "$own" "$NICE" "$disks"; then LOWERED=1; fi
}

progress() { printf '%s %s %s\n' "$1" "$2" "$3" >"$RD/progress"; }

tar_stream() {
  if [ "$TAR" = gnu ]; then
    low tar --create --numeric-owner --acls --xattrs --xattrs-include='*' --sparse --one-file-system --format=posix \
      --anchored --exclude=./.archive --warning=no-file-ignored --file=- "$@"
  else
    # BusyBox may know neither --exclude nor lists of names: each entry of the top but .archive
    if [ "$*" = . ]; then
      set --
      for e in ./* ./.[!.]* ./..?*; do
        if [ "$e" != ./.archive ] && { [ -e "$e" ] || [ -L "$e" ]; }; then set -- "$@" "$e"; fi
      done
    fi
    low tar -c -f - "$@"
  fi
}

compress() { # a stream, in place of the subshell that calls this; whoever follows wants its process number
  # Level 1: half the time of the usual one for an archive a few percent larger. igzip is quick as it is.
  case $GZ in gzip|pigz) level=-1 ;; *) level=-c ;; esac
  if [ -n "${LOWERED:-}" ] && read -r own _ 2>/dev/null </proc/self/stat; then
    printf '%s\n' "$own" >"$RD/gzip.pid"
    exec "$GZ" -c "$level"
  fi
  # shellcheck disable=SC2016 # the inner shell expands
  become_low sh -c 'echo $$ >"$1"; exec "$2" -c "$3"' sh "$RD/gzip.pid" "$GZ" "$level"
}

write_tar() ( # archive, then what to store
  step_back
  pack "$@"
)

# Files are hashed while they are packed: who reads second finds them in memory. The hand hears one asker only.
write_tar_and_manifest() ( # archive, manifest
  step_back
  (HAND='' && finish_manifest "$2" && low "$GZ" -c "$2" >"${2%.part}.gz.part") &
  hashing=$!
  (pack "$1" .)
  rc=$?
  wait "$hashing" || exit 4
  exit "$rc"
)

pack() { # archive, then what to store; in place of the subshell that calls this
  out=$1
  shift
  { tar_stream "$@" 2>"$S/tar.err"; echo $? >"$S/tar.rc"; } | compress >"$out" || exit 2
  read -r rc <"$S/tar.rc"
  exit "$rc"
}

# Listings of BusyBox show a newline as it is: which line is a name of its own nobody can tell.
warn_of_newlines() { # manifest
  if [ "$TAR" != gnu ] && awk -F "$TAB" '($9 $10) ~ /\\n/ { found = 1; exit } END { exit !found }' "$1"; then
    warn "names or links have a newline in them, which this server's tar cannot list clearly: the archive can be unpacked by hand, but rollback --archive will refuse it"
  fi
}

publish() { # staged file, synced and root's alone; final name: into .archive, the folder pinned
  in_archive mv -T "$1" "./$2" || fail "cannot publish $2 in .archive"
}

# Where quotas count by project, nothing is renamed into a folder of another project: mv copies it, and a folder that
# is live would be another one then. Known by a file of ours, before anything of the vhost's moves.
publish_by_rename() { # as publish
  inode_of "$1"
  staged=$INODE
  publish "$1" "$2"
  inode_of "$UPATH/.archive/$2"
  if [ "$INODE" != "$staged" ]; then
    in_archive rm -f "./$2"
    rmdir "$S" "${S%/*}" 2>/dev/null
    fail "nothing can be renamed from ${S%/*} into $UPATH: is one of them in a quota project of its own? Give both the same one (chattr -p, xfs_quota), then ask again"
  fi
}

in_archive() { in_dir "$UPATH/.archive" "$ARCHIVE_INO" "$@"; }

archive_folder() {
  if [ -n "$HELD3" ] && is_dir "$UPATH/.archive" && same_dir "$UPATH/.archive" 3; then return 0; fi
  if [ ! -e "$UPATH/.archive" ] && [ ! -L "$UPATH/.archive" ]; then
    if [ ! -d "$S/archive" ]; then mkdir -m 700 "$S/archive" || fail "cannot make .archive"; fi
    mv -T "$S/archive" "$UPATH/.archive" || fail "cannot make .archive"
  fi
  is_dir "$UPATH/.archive" || fail ".archive is not a real folder"
  inode_of "$UPATH/.archive"
  ARCHIVE_INO=$INODE
  hold 3 "$ARCHIVE_INO" "$UPATH/.archive"
  if [ -n "$HELD3" ] && hand look "/proc/$$/fd/3/."; then
    SAID=${SAID#* }
    SAID=${SAID% * *}
  else SAID=$(in_archive stat -c '%u:%g %a' .); fi
  case $SAID in
    "$ROOT_ID 700") ;;
    "$ROOT_ID "*) in_archive chmod 700 . || fail "cannot close .archive to others" ;;
    *) fail ".archive does not belong to root" ;;
  esac
}

free_name() { # stamp, made unique as -2, -3...
  n=1
  NAME_TS=$1
  while [ -e "$UPATH/.archive/pre-migration-$NAME_TS.tar.gz" ] || [ -e "$UPATH/.archive/migration-$NAME_TS.json" ]; do
    n=$((n + 1))
    NAME_TS=$1-$n
  done
  note "$CUR/ts" "$NAME_TS"
}

make_archive() {
  archive_folder
  if [ -s "$CUR/archive" ]; then tell_archive; return; fi
  for x in "$S"/*.part "$S"/*.apart "$S"/names.* "$S/bad.gzip"; do
    if [ -e "$x" ]; then rm -f "$x"; fi
  done
  free_name "$TS"
  cd "$UPATH" || fail "cannot enter $UPATH"
  progress backup_creation manifest "$TOTAL_BYTES"
  tell_time
  note "$CUR/manifest.start" $((${NOW%.*} - 1)) # our clock counts whole seconds since it was set
  (step_back && walk "$S/manifest.part.links" >"$S/manifest.part.walk") || fail "cannot write the manifest"
  pt backup-manifest
  progress backup_creation gzip "$TOTAL_BYTES"
  write_tar_and_manifest "$S/archive.part" "$S/manifest.part"
  rc=$?
  if [ "$rc" = 4 ]; then fail "cannot write the manifest"; fi
  if [ -s "$S/manifest.part.apart" ]; then
    read -r name <"$S/manifest.part.apart"
    fail "$UPATH/${name#./} is a file system or a btrfs subvolume of its own, and what is in it would be in no archive; move it out of the vhost or make it a plain folder, then ask again"
  fi
  if [ "$rc" -gt 1 ]; then fail "tar could not read everything: $(grep -v 'socket ignored' "$S/tar.err" | tail -n 1)"; fi
  pt backup-tar
  progress backup_creation check "$TOTAL_BYTES"
  sum_stream <"$S/archive.part" >"$S/archive.sum" &
  summing=$!
  compare_entries "$S/archive.part" "$S/manifest.part" || fail "the archive cannot be read to its end"
  wait "$summing" || fail "cannot read the archive back"
  if [ "$UNSUMMED" != 0 ]; then warn "$UNSUMMED file(s) have no checksum in the manifest: a restore cannot prove their content"; fi
  again
  settle_missing "$S/manifest.part" || fail "the archive does not hold all that the manifest lists: $name"
  warn_of_newlines "$S/manifest.part"
  if hand look "$S/archive.part"; then bytes=${SAID##* }; else bytes=$(stat -c %s "$S/archive.part"); fi
  read -r sum _ <"$S/archive.sum"
  name=pre-migration-$NAME_TS
  if [ ! -d "$J/manifests" ]; then mkdir "$J/manifests"; fi
  fill "$S/manifest.part" "$CUR/manifest" && fill "$S/manifest.part" "$J/manifests/$name" && (cd "$CUR" && tar -cf "$S/config.part" conf) || fail "cannot keep the manifest"
  # which folders changed meanwhile, and so may be in the archive with another owner or mode than in the manifest
  if [ -s "$S/folders" ]; then fill "$S/folders" "$J/manifests/$name.folders" || fail "cannot keep the manifest"; fi
  sync_all "$S/manifest.gz.part" "$S/config.part" "$S/archive.part" "$CUR/manifest" "$J/manifests/$name"
  publish "$S/manifest.gz.part" "$name.manifest.gz"
  second=
  if [ -e "$S/again.part" ]; then
    second=$(printf '%s\t%s\t%s\t%s' "$name.again.tar.gz" "$(sha "$S/again.part")" "$(stat -c %s "$S/again.part")" "$(wc -l <"$S/changed")")$NL
    sync_file "$S/again.part"
    publish "$S/again.part" "$name.again.tar.gz"
  elif [ -e "$UPATH/.archive/$name.again.tar.gz" ]; then # of a try that broke off
    in_archive rm -f "./$name.again.tar.gz" || fail "cannot delete $name.again.tar.gz, which belongs to no archive"
  fi
  publish "$S/config.part" "$name.config.tar"
  publish "$S/archive.part" "$name.tar.gz"
  printf '%s\t%s\t%s\t%s\n' "$name.tar.gz" "$sum" "$bytes" "$ENTRIES" >"$CUR/archive.part"
  # both or none: an archive whose second one is recorded and missing counts as damaged; and before the run has its
  # archive, since who goes on with it records nothing more
  printf '%s%s\t%s\t%s\t%s\n' "$second" "$name.tar.gz" "$sum" "$bytes" "$ENTRIES" >>"$J/archives" || fail "cannot write $J/archives; is there room in $VAR?"
  sync_all "$UPATH/.archive" "$CUR/archive.part" "$J/archives"
  mv "$CUR/archive.part" "$CUR/archive"
  sync_all "$CUR"
  tell_archive
  cd /
  pt backup-published
}

# Each run says which archive it has, also one that an earlier run made: who follows it reads no other's lines.
tell_archive() {
  IFS="$TAB" read -r a_name a_sum a_bytes a_entries <"$CUR/archive"
  j archive "$a_name $a_sum $a_bytes $a_entries"
}

write_record() { # status
  make_staging
  IFS="$TAB" read -r a_name a_sum a_bytes a_entries 2>/dev/null <"$CUR/archive" || { a_name='' a_sum='' a_bytes=0 a_entries=0; }
  tell_time
  {
    printf '{"schema": 1, "status": "%s", "run": "%s", "domain": "%s", "vnode_machine_id": "%s",\n' "$1" "$RUN" "$DOMAIN" "$MACHINE_ID"
    printf ' "written_at": %s, "archive": "%s", "archive_sha256": "%s", "archive_bytes": %s, "entries": %s,\n' "${NOW%.*}" "$a_name" "$a_sum" "$a_bytes" "$a_entries"
    printf ' "plan": '
  } >"$S/record.part"
  if ! add "$CUR/meta.json" "$S/record.part" || ! printf '}\n' >>"$S/record.part"; then
    if [ "$PHASE" != undo ]; then fail "cannot write the record; is there room in $VPATH?"; fi
    rm -f "$S/record.part" # what has been taken back is so without it
    warn "the record of the migration in .archive could not be brought up to date; is there room in $VPATH?"
    return 0
  fi
  archive_folder
  NAME_TS=
  read -r NAME_TS 2>/dev/null <"$CUR/ts" || :
  sync_file "$S/record.part"
  if [ "$1" = running ]; then publish_by_rename "$S/record.part" "migration-$NAME_TS.json"
  else publish "$S/record.part" "migration-$NAME_TS.json"; fi
  sync_dir "$UPATH/.archive"
}
