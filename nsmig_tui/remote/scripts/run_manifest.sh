# The manifest: what a vhost's tree holds, an entry a line, with the SHA-256 of each file.

# Where much is to be hashed, openssl does it in a fraction of the time: it uses what processors have for it.
QUICK_FROM=33554432 # bytes
sums_quickly() {
  [ "${TOTAL_BYTES:-0}" -ge "$QUICK_FROM" ] && have openssl && [ "$(printf x | openssl dgst -sha256 -r 2>/dev/null)" = \
    "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 *stdin" ]
}

sum_stream() { if sums_quickly; then openssl dgst -sha256 -r; else sha256sum; fi; }

hash_files() { # output file; one line a file: SHA256, two more characters, path with newlines as \001
  if sums_quickly; then
    # a name with a newline in it would be two lines of openssl's
    find . -xdev -path ./.archive -prune -o -type f ! -path "*$NL*" -print0 | become_low xargs -0 -r openssl dgst -sha256 -r >"$1"
    find . -xdev -path ./.archive -prune -o -type f -path "*$NL*" -print0 | single_sums >>"$1"
    return
  fi
  find . -xdev -path ./.archive -prune -o -type f -print0 | become_low xargs -0 -r sha256sum -z -- | tr '\n\000' '\001\n' >"$1"
  if [ ! -s "$1" ] && ! sha256sum -z </dev/null >/dev/null 2>&1; then # it does not know -z
    find . -xdev -path ./.archive -prune -o -type f -print0 | single_sums >"$1"
  fi
}

single_sums() {
  # shellcheck disable=SC2016 # the inner shell expands
  become_low xargs -0 sh -c 'for f; do h=$(sha256sum <"$f") || continue; printf "%s  %s\0" "${h%% *}" "$f"; done' sh | tr '\n\000' '\001\n'
}

# Lines: TYPE MODE UID GID NLINK SIZE MTIME SHA256 PATH LINK, TAB between; \ TAB \001 escaped
make_manifest() { # output file
  walk "$1.links" >"$1.walk" && finish_manifest "$1" && rm -f "$1.hash" "$1.walk" "$1.apart"
}

# The walk comes first, so that the archive, read after it, holds all that it lists; hashing may take its time.
# What is on another device, as a subvolume of btrfs that is in no list of mounts, is not walked and not archived: such
# folders go into a list beside the manifest, which is there only when there are any.
finish_manifest() { # output file
  hash_files "$1.hash" 2>>"$RD/log" || true
  awk -v hashes="$1.hash" -v apart="$1.apart" "$ESC"'
    function sum_of(p,   l, q, s) { # both lists mostly have one order, so that few sums wait in h
      if (p in h) { s = h[p]; delete h[p]; return s }
      while ((getline l < hashes) > 0) {
        q = substr(l, 67)
        if (q == p) return substr(l, 1, 64)
        h[q] = substr(l, 1, 64) }
      return "-" }
    BEGIN { OFS = "\t" }
    NR % 3 == 1 { split($0, m, " "); next }
    NR % 3 == 2 { p = $0; next }
    NR == 3 { device = m[11] }
    m[1] == "d" && m[11] != device { print esc(p) >apart }
    { print m[1], m[2], m[3], m[4], m[5], m[7], m[8], m[1] == "f" ? sum_of(p) : "-", esc(p), esc($0) }' "$1.walk" >"$1"
}

# Names in the manifest that the archive must hold, against what it holds when read to its end; ENTRIES is how
# many the manifest has, UNSUMMED how many files in both have no sum (what sums may be killed, as any command). In names.missing two lines for each that is missing: as the manifest has it, and the name
# with newlines as \001. A newline in a name makes two lines in a listing, here as there.
compare_entries() { # archive manifest [names.missing]
  ("$GZ" -dc "$1" || touch "$S/bad.gzip") | if [ "$TAR" = gnu ]; then exec tar --quoting-style=literal -tf -; else tar -tf - && echo .; fi |
    awk -v manifest="$2" "$ESC"'
      function listed(name) { # in the archive, where it is taken as often as it is there
        if (!(name in held)) return 0
        if (!--held[name]) delete held[name]
        return 1 }
      function met(name) { if (name in unproven) { unsummed++; delete unproven[name] } }
      function take_entry(   m, name) { # of the manifest; both mostly have one order, so that little waits
        if ((getline line < manifest) <= 0) return 0
        all++
        split(line, m, "\t")
        if (m[1] == "s") return 1
        name = plain(m[9])
        if (m[1] == "f" && m[8] == "-") unproven[name]
        if (name ~ /\n/) wide[name] = m[9]
        else if (listed(name)) met(name)
        else awaited[name] = m[9]
        return 1 }
      function bare_of(text) { sub(/\/$/, "", text); return text }
      function is_whole(name,   n, part) {
        for (n = split(name, part, "\n"); n > 0; n--) if (!listed(bare_of(part[n]))) return 0
        return 1 }
      { name = bare_of($0)
        if (name in awaited) { delete awaited[name]; met(name) } else held[name]++
        take_entry() }
      END {
        while (take_entry());
        for (name in wide) if (is_whole(name)) met(name); else awaited[name] = wide[name]
        for (name in awaited) { print awaited[name]; gsub(/\n/, "\001", name); print name }
        print all + 0, unsummed + 0 >(manifest ".count") }' >"${3:-$S/names.missing}" || return 1
  if [ -e "$S/bad.gzip" ]; then rm -f "$S/bad.gzip"; return 1; fi
  read -r ENTRIES UNSUMMED <"$2.count"
}

newlines() { # name with newlines as \001; gives NAMED, as it is called
  SOH=${SOH:-$(printf '\001')}
  case $1 in
    *"$SOH"*) NAMED=$(printf %s "$1" | tr '\001' '\n'; printf .) NAMED=${NAMED%.} ;;
    *) NAMED=$1 ;;
  esac
}
