# An archive and the second one beside it, which holds what changed while the first was written: only together are
# they whole. What is recorded of either stands in the vhost's record, J.
known_archives() { cat "$J/archives" "$J/cur/archive" "$J"/undone/*/archive 2>/dev/null; }

record_of() { # name: its last record, "SHA256 TAB BYTES TAB ENTRIES", or nothing
  known_archives | awk -F "$TAB" -v n="$1" '$1 == n { r = $2 FS $3 FS $4 } END { if (r != "") print r }'
}

second_of() { printf %s "${1%.tar.gz}.again.tar.gz"; } # archive

# What its record says of a file, in JUDGED: verified, damaged, or unknown where nothing tells.
judge_file() { # path, record, "hash" or "quick"
  JUDGED=unknown
  if [ -z "$2" ]; then
    if [ "$3" = hash ] && ! gzip -t "$1" 2>/dev/null; then JUDGED=damaged; fi
    return 0
  fi
  of_bytes=${2#*"$TAB"}
  if [ ! -f "$1" ] || [ -L "$1" ] || [ "$(stat -c %s "$1")" != "${of_bytes%%"$TAB"*}" ]; then JUDGED=damaged
  elif [ "$3" = hash ]; then
    JUDGED=damaged
    if [ "$(nice -n 10 sha256sum <"$1" | cut -d' ' -f1)" = "${2%%"$TAB"*}" ]; then JUDGED=verified; fi
  fi
}

# The same of an archive with its second one: what is recorded and missing, or there and damaged, damages both.
judge() { # folder, archive, its record, "hash" or "quick"
  judge_file "$1/$2" "$3" "$4"
  second=$1/$(second_of "$2")
  of_second=$(record_of "${second##*/}")
  if [ "$JUDGED" = damaged ] || { [ -z "$of_second" ] && [ ! -e "$second" ] && [ ! -L "$second" ]; }; then return 0; fi
  first=$JUDGED
  judge_file "$second" "$of_second" "$4"
  if [ "$JUDGED" = verified ]; then JUDGED=$first; fi
}
