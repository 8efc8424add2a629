# What a restore of an archive would change against today. Arguments: DOMAIN UPATH ARCHIVE WITH_MAIL. Reads only.
# Rows: "count TAB new|changed|gone TAB N TAB BYTES", and up to 200 "path TAB KIND TAB b64(path)".
D=$1 U=$2 A=${3%.tar.gz}
cd "$U" || exit 1
known=$VAR/$D/manifests/$A
scratch=/tmp
if [ -d /dev/shm ]; then scratch=/dev/shm; fi
layout=old
if is_dir "$U/web/app/public" && [ -e "$VAR/$D/cur/flag.committed" ]; then layout=new; fi
manifest() { if [ -s "$known" ]; then cat "$known"; else gzip -dc "$U/.archive/$A.manifest.gz" 2>/dev/null; fi; }
{ manifest; printf '@live\n'; walk "$scratch/nsmig-walk.$$"; } | awk -v layout="$layout" -v mail="${4:-0}" "$ESC"'
  function old(p) {
    if (layout == "old") return p
    if (p == "./web/app/public" || p ~ /^\.\/web\/app\/public\//) return "./web" substr(p, 17)
    if (p ~ /^\.\/web\/(log|tmp)\//) return "./var" substr(p, 6)
    if (p ~ /^\.\/msg(\/|$)/) return p
    return "" }
  function stays(p) { # mail that the archive lacks is not touched either
    return p ~ /^\.\/(var\/run|\.archive)(\/|$)/ || (p ~ /^\.\/msg(\/|$)/ && !restored) }
  function secs(x) { sub(/\..*/, "", x); return x }
  $0 == "@live" && !live { live = 1; n = 0; next }
  !live { split($0, f, "\t"); if (f[9] == "./msg") restored = mail + 0; if (f[1] != "s" && !stays(f[9])) was[f[9]] = f[1] " " f[6] " " secs(f[7]); next }
  { n++ }
  n % 3 == 1 { split($0, m, " "); next }
  n % 3 == 2 { p = old(esc($0)); next }
  { if (p == "" || m[1] == "s" || stays(p)) next
    if (!(p in was)) { if (m[1] != "d") say("new", p, m[7]); next }
    if (m[1] != "d" && was[p] != m[1] " " m[7] " " secs(m[8])) say("changed", p, m[7])
    delete was[p] } # what is left in the end is gone
  function say(k, path, bytes) { c[k]++; b[k] += bytes; if (c[k] <= 200) print "path\t" k "\t" path }
  END { for (p in was) { split(was[p], f, " "); if (f[1] != "d" && (layout == "old" || p ~ /^\.\/(web|var\/log|var\/tmp|msg)\//)) say("gone", p, f[2]) }
    for (k in c) printf "count\t%s\t%d\t%.0f\n", k, c[k], b[k] }'
if ! manifest | head -n 1 | grep -q .; then printf 'unknown\n'; fi
