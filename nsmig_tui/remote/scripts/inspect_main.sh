# Entry of validation and planning: all about one vhost's tree. Changes nothing on the vnode's disks.
# Arguments: DOMAIN UPATH UID WUID MODE, MODE "test" (run nginx -t and php-fpm -t) or "dry".
# Output: sections with KEY=VALUE or TAB-separated rows; paths as b64.
D=$1 U=$2 UIDN=$3 WUIDN=$4 MODE=$5

stat_row() { # name path
  if [ ! -e "$2" ] && [ ! -L "$2" ]; then return; fi
  k=dir
  if [ -L "$2" ]; then k="link"; elif is_dir "$2"; then :; elif [ -e "$2" ]; then k=other; else return; fi
  printf 'stat\t%s\t%s\t%s\t%s\n' "$1" "$k" "$(stat -c '%u:%g:%a:%i:%d:%Y:%m' -- "$2" 2>/dev/null || stat -c '%u:%g:%a:%i:%d:%Y:' -- "$2")" "$(readlink -- "$2" | tr -d '\n' | b64)"
}

tree_rows() {
  # awk judges the one walk: counts, sizes, and short lists of what deserves a word
  cd "$U" || return
  walk "$scratch/nsmig-walk.$$" | awk -v uid="$UIDN" -v wuid="$WUIDN" '
    function odd(kind) { n[kind]++; if (n[kind] <= 20) { list[kind] = list[kind] kind "\t" path "\n" } }
    NR % 3 == 1 { split($0, m, " "); next }
    NR % 3 == 2 { path = $0; next }
    { t = m[1]; mode = m[2]; all++; count[t]++
      if (!(m[6] in seen)) { alloc += m[9] * 512; if (t == "f") bytes += m[7] } ; seen[m[6]]++
      if (t == "f") apparent += m[7]
      if (m[5] > 1 && t == "f") links[m[6]] = m[5] "\t" path
      inweb = (path == "./web" || substr(path, 1, 6) == "./web/")
      if (inweb) { if (length(path) > longest) longest = length(path)
        if (m[3] != uid && m[3] != wuid) odd("foreign")
        if (t == "s" || t == "p" || t == "c" || t == "b") odd("special") }
      if (t == "f" && length(mode) == 4 && substr(mode, 1, 1) ~ /[2-7]/) odd("setuid")
      if (t == "d" && substr(mode, length(mode)) ~ /[2367]/ && !(length(mode) == 4 && substr(mode, 1, 1) ~ /[1357]/)) odd("writable")
      if (path ~ /[\001-\037\177\\]/) odd("oddname")
      if (path ~ /^\.\/msg\//) mail++ }
    END { for (i in links) { split(links[i], l, "\t"); if (l[1] > seen[i]) { path = l[2]; odd("hardlink") } }
      printf "entries=%d\nalloc=%.0f\nbytes=%.0f\napparent=%.0f\nlongest=%d\nmail=%d\n", all, alloc, bytes, apparent, longest, mail
      for (k in n) printf "n_%s=%d\n", k, n[k]
      for (k in list) printf "%s", list[k] }' | while IFS= read -r line; do
        case $line in
          *"$TAB"*) printf 'odd\t%s\t%s\n' "${line%%"$TAB"*}" "$(printf %s "${line#*"$TAB"}" | b64)" ;;
          *) printf '%s\n' "$line" ;;
        esac
      done
}

names() { # kind dir: every entry's name, NUL-ended, as one base64 text
  if is_dir "$2"; then
    printf 'names\t%s\t%s\n' "$1" "$(cd "$2" && find . -maxdepth 1 ! -path . -print0 | b64)"
  fi
}

# places that may know an old path; a hit is "ref TAB kind TAB b64(file) TAB line TAB b64(what)"
refs_in() { # kind files-or-dirs...
  k=$1; shift
  for place in "$@"; do
    if [ ! -e "$place" ]; then continue; fi
    grep -rsnoE -m 5 -e "$U/(web|var|etc|bin|\.ssh)([^A-Za-z0-9._-][^[:space:]\"';,)]*)?" "$place" /dev/null 2>/dev/null | head -n 40
  done | while IFS= read -r hit; do
    f=${hit%%:*}; rest=${hit#*:}
    printf 'ref\t%s\t%s\t%s\t%s\n' "$k" "$(printf %s "$f" | b64)" "${rest%%:*}" "$(printf %s "${rest#*:}" | b64)"
  done
}

TEXT_ONLY=
if echo x | grep -qI x 2>/dev/null; then TEXT_ONLY=-I; fi

# shellcheck disable=SC2086 # TEXT_ONLY is one option or nothing
small_files() { # dir: text files up to 1 MiB are worth reading
  find "$1" -xdev -type f -size -2049 -print0 2>/dev/null | xargs -0 grep -ls $TEXT_ONLY -F -e "$U/" 2>/dev/null | head -n 40
}

printf '@stat\n'
stat_row upath "$U"
for e in .ssh bin etc var web msg var/log var/run var/tmp web/app web/app/public web/log web/run web/tmp .archive; do
  stat_row "$e" "$U/$e"
done
stat_row vpath "${U%/*}"
stat_row staging "${U%/*}/.nsmig/$D"
printf '@tree\n'
scratch=/tmp
if [ -d /dev/shm ]; then scratch=/dev/shm; fi
(tree_rows)
printf '@entries\n'
names top "$U"
for s in "${U%/*}"/*; do
  case ${s##*/} in *[!a-z0-9.-]*) continue ;; esac
  if [ -L "$s" ]; then if [ "$(readlink -f -- "$s")" = "$U" ]; then printf 'entry\talias\t%s\n' "$(printf %s "${s##*/}" | b64)"; fi
  elif [ -d "$s" ]; then printf 'sibling\t%s\n' "${s##*/}"; fi
done
names var "$U/var"
names web "$U/web"
# links anywhere in web that climb out of it, or name an old path
find "$U/web" -xdev -type l 2>/dev/null | head -n 2000 | while IFS= read -r l; do
  t=$(readlink -- "$l") || continue
  case $t in
    /*) case $t in "$U"/*) printf 'oldlink\t%s\t%s\n' "$(printf %s "$l" | b64)" "$(printf %s "$t" | b64)" ;; esac ;;
    *..*)
      # each ".." takes one level of the link's folder; where none is left, it leaves web on its way
      above=${l#"$U/web/"} rest=$t
      while :; do
        case $rest in *..*) rest=${rest#*..} ;; *) break ;; esac
        case $above in
          */*) above=${above#*/} ;;
          *)
            printf 'climb\t%s\t%s\n' "$(printf %s "$l" | b64)" "$(printf %s "$t" | b64)"
            break ;;
        esac
      done ;;
  esac
done
printf '@mounts\n'
awk -v u="$U" '$5 == u || index($5, u "/") == 1 { print "mount\t" $5 }' /proc/self/mountinfo 2>/dev/null
if have lsattr; then
  lsattr -d "$U" "$U/web" "$U/var" "$U"/var/* 2>/dev/null | awk '$1 ~ /[ia]/ { print "immutable\t" $2 }'
fi
printf '@refs\n'
if is_dir "$U/web"; then
  small_files "$U/web" | while IFS= read -r f; do refs_in application "$f"; done
fi
refs_in cron "$R"/etc/crontab "$R"/etc/cron.d "$R"/etc/cron.daily "$R"/etc/cron.hourly "$R"/etc/cron.weekly "$R"/var/spool/cron
refs_in logrotate "$R"/etc/logrotate.d "$R"/etc/logrotate.conf
refs_in systemd "$R"/etc/systemd/system
refs_in certbot "$R"/etc/letsencrypt/renewal "$R"/root/.acme.sh
refs_in fstab "$R"/etc/fstab
refs_in fail2ban "$R"/etc/fail2ban
refs_in sshd "$R"/etc/ssh/sshd_config "$R"/etc/ssh/sshd_config.d
printf '@space\n'
for p in "$U" "$VAR" "$R/var/lib" "$R/etc"; do
  if [ -d "$p" ]; then
    df -Pk "$p" | awk -v p="$p" 'NR==2 {printf "space\t%s\t%s", p, $4}'
    df -Pi "$p" 2>/dev/null | awk 'NR==2 {printf "\t%s", $4}'
    printf '\t%s\n' "$(stat -c %d "$p")"
  fi
done
for p in "$U" "$R/etc" "$R/var/lib"; do
  if [ -d "$p" ] && ! [ -w "$p" ]; then printf 'readonly\t%s\n' "$p"; fi
done
printf '@journal\n'
if [ -f "$VAR/$D/journal" ]; then printf 'journal\t%s\n' "$(b64 <"$VAR/$D/journal")"; fi
printf '@pools\n'
awk -v r="$R" '$4 == "00010000" && $8 != "" && index($8, r) == 1 { print "listening\t" $8 }' /proc/net/unix 2>/dev/null | sort -u
printf '@capabilities\n'
capabilities "$U"
if [ -f "$R/root/.vhosts/$D" ]; then
  printf '@settings\n'
  printf 'settings\t%s\n' "$(grep -Ev '^[[:space:]]*(export[[:space:]]+)?[A-Za-z0-9_]*(PASS|PASSWD|PASSWORD|SECRET|TOKEN|KEY)[[:space:]]*=' "$R/root/.vhosts/$D" | b64)"
fi
printf '@account\n'
awk -F: -v uid="$UIDN" '$3 == uid { print "account\t" $1 "\t" $3 "\t" $4 "\t" $6 "\t" $7 }' "$R/etc/passwd" 2>/dev/null
printf '@copies\n'
for f in "$R"/etc/nginx/*ns3* "$R"/etc/nginx/*/*ns3* "$R"/etc/php*/*ns3* "$R"/etc/php/*/fpm/*ns3* "$R"/etc/php/*/fpm/*/*ns3*; do
  if [ -f "$f" ]; then printf 'copy\t%s\t%s\n' "$(printf %s "$f" | b64)" "$(b64 <"$f")"; fi
done
cat_config "$MODE"
