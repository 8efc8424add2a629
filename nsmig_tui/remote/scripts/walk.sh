# One walk of a tree as lines, for manifests and judgements. A record is three lines:
# "TYPE MODE UID GID NLINK INO SIZE MTIME BLOCKS CTIME DEVICE", the path from ".", and the link's target.
# Odd bytes stay as they are, but a newline in a name is shown as \001.
# Stays on one file system, never follows a link, leaves ./.archive and the argument $2 out.
walk_gnu() {
  find . -xdev \( -path ./.archive -o -path "${2:-./.archive}" \) -prune -o -printf '%y %m %U %G %n %i %s %T@ %b %C@ %D\0%p\0%l\0' | tr '\n\000' '\001\n'
}

# One process for many entries, none for each. A mark that nobody can know says where a record begins,
# so that neither a newline in a name nor an entry that vanishes meanwhile shifts what follows.
walk_busybox() {
  w=$1
  mark=$(cat /proc/sys/kernel/random/uuid 2>/dev/null || echo "$$-$(date +%s)")
  # shellcheck disable=SC2016 # the inner shell expands
  find . -xdev \( -path ./.archive -o -path "${2:-./.archive}" \) -prune -o -type l -exec sh -c 'for l; do printf "%s\0" "$l"; readlink -n -- "$l"; printf "\0"; done' sh {} + | tr '\n\000' '\001\n' >"$w.links"
  find . -xdev \( -path ./.archive -o -path "${2:-./.archive}" \) -prune -o -exec stat -c "$mark %f %a %u %g %h %i %s %Y %b %Z %d %n" {} + | awk -v links="$w.links" -v mark="$mark" '
    function record() {
      if (name == "") return
      t = substr(f[2], 1, length(f[2]) - 3); c = "?"
      if (t == "8") c = "f"; else if (t == "4") c = "d"; else if (t == "a") c = "l"
      else if (t == "1") c = "p"; else if (t == "c") c = "s"; else if (t == "2") c = "c"; else if (t == "6") c = "b"
      print c, f[3], f[4], f[5], f[6], f[7], f[8], f[9], f[10], f[11], f[12]
      print name
      print (c == "l" ? to[name] : "") }
    BEGIN { while ((getline l < links) > 0) { target = ""; getline target < links; to[l] = target } }
    index($0, mark " ") == 1 { record(); split($0, f, " "); name = $0; for (i = 0; i < 12; i++) name = substr(name, index(name, " ") + 1); next }
    { name = name "\001" $0 }
    END { record() }'
  rm -f "$w.links"
}

# For awk: a path as manifests hold it, and back. Not by gsub, whose backslashes every awk reads in its own way.
# shellcheck disable=SC2034 # used by other parts
ESC='
  function swap(x, from, to,   done, i) {
    while ((i = index(x, from)) > 0) { done = done substr(x, 1, i - 1) to; x = substr(x, i + 1) }
    return done x }
  function plain(x,   done, i, c) {
    while ((i = index(x, "\\")) > 0) {
      c = substr(x, i + 1, 1)
      done = done substr(x, 1, i - 1) (c == "t" ? "\t" : c == "n" ? "\n" : c)
      x = substr(x, i + 2) }
    return done x }
  function esc(x) { return swap(swap(swap(x, "\\", "\\\\"), "\t", "\\t"), "\001", "\\n") }
'

# For awk: base64 of a text, \001 in it standing for a newline. One process for any number of texts.
# shellcheck disable=SC2034 # used by other parts
B64='
  function b64(x,   out, i, n, v, k) {
    if (!made) { made = 1; for (i = 1; i < 256; i++) code[sprintf("%c", i)] = i; code["\001"] = 10
      set = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" }
    n = length(x)
    for (i = 1; i <= n; i += 3) {
      v = code[substr(x, i, 1)] * 65536 + code[substr(x, i + 1, 1)] * 256 + code[substr(x, i + 2, 1)]
      k = n - i
      out = out substr(set, int(v / 262144) + 1, 1) substr(set, int(v / 4096) % 64 + 1, 1) \
        (k > 0 ? substr(set, int(v / 64) % 64 + 1, 1) : "=") (k > 1 ? substr(set, v % 64 + 1, 1) : "=") }
    return out }
'

# Does find know -printf? Asked once.
FIND_PRINTS=
find_prints() {
  if [ -z "$FIND_PRINTS" ]; then
    if find / -maxdepth 0 -printf '' 2>/dev/null; then FIND_PRINTS=yes; else FIND_PRINTS=no; fi
  fi
  [ "$FIND_PRINTS" = yes ]
}

# $1 scratch name (BusyBox only; on a read-only visit in /dev/shm or /tmp), $2 a path to leave out
walk() {
  if find_prints; then walk_gnu "$@"; else walk_busybox "$@"; fi
}
