# One walk of a tree as lines, for manifests and judgements. A record is three lines:
# "TYPE MODE UID GID NLINK INO SIZE MTIME BLOCKS", the path from ".", and the link's target.
# Odd bytes stay as they are, but a newline in a name is shown as \001.
# Stays on one file system, never follows a link, leaves ./.archive and the argument $2 out.
walk_gnu() {
  find . -xdev \( -path ./.archive -o -path "${2:-./.archive}" \) -prune -o -printf '%y %m %U %G %n %i %s %T@ %b\0%p\0%l\0' | tr '\n\000' '\001\n'
}

walk_busybox() {
  w=$1
  find . -xdev \( -path ./.archive -o -path "${2:-./.archive}" \) -prune -o -exec stat -c '%f %a %u %g %h %i %s %Y %b' {} + >"$w.meta"
  find . -xdev \( -path ./.archive -o -path "${2:-./.archive}" \) -prune -o -print0 | tr '\n\000' '\001\n' >"$w.names"
  # shellcheck disable=SC2016 # the inner shell expands
  find . -xdev \( -path ./.archive -o -path "${2:-./.archive}" \) -prune -o -type l -exec sh -c 'for l; do readlink -n -- "$l"; printf "\0"; done' sh {} + | tr '\n\000' '\001\n' >"$w.links"
  paste -d '\n' "$w.meta" "$w.names" | awk -v links="$w.links" '
    NR % 2 == 1 { t = substr($1, 1, length($1) - 3); c = "?"
      if (t == "8") c = "f"; else if (t == "4") c = "d"; else if (t == "a") c = "l"
      else if (t == "1") c = "p"; else if (t == "c") c = "s"; else if (t == "2") c = "c"; else if (t == "6") c = "b"
      print c, $2, $3, $4, $5, $6, $7, $8, $9; next }
    { print; l = ""; if (c == "l") getline l < links; print l }'
  rm -f "$w.meta" "$w.names" "$w.links"
}

# $1 scratch name (BusyBox only; on a read-only visit in /dev/shm or /tmp), $2 a path to leave out
walk() {
  if find . -maxdepth 0 -printf '' 2>/dev/null; then walk_gnu "$@"; else walk_busybox "$@"; fi
}
