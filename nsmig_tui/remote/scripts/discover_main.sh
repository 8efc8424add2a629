# Entry of `discover`: everything about a vnode in one go. Argument: VPATH. Changes nothing.
# Output: sections "@NAME" with KEY=VALUE or TAB-separated rows; texts are base64.
vhost_row() {
  u=$1
  d=${u##*/}
  shape=dir
  if [ -L "$u" ]; then shape="link"; elif [ ! -d "$u" ]; then return; fi
  printf 'vhost\t%s\t%s\t%s\t%s' "$(printf %s "$d" | b64)" "$shape" "$(stat -c '%u:%g:%a:%i:%d' -- "$u" 2>/dev/null)" "$(printf %s "$(readlink -- "$u" 2>/dev/null)" | b64)"
  for e in .ssh bin etc var web msg var/log var/run var/tmp web/app web/app/public web/log web/run web/tmp .archive; do
    if [ -L "$u/$e" ]; then printf '\t%s=link' "$e"
    elif [ -d "$u/$e" ]; then printf '\t%s=%s' "$e" "$(stat -c '%u:%g:%a' -- "$u/$e" 2>/dev/null)"
    elif [ -e "$u/$e" ]; then printf '\t%s=other' "$e"; fi
  done
  printf '\n'
  case $d in
    *[!a-z0-9.-]*|"") ;;
    *)
      if [ -f "$VAR/$d/journal" ]; then
        printf 'journal\t%s\t%s\n' "$d" "$(tail -n 400 "$VAR/$d/journal" | b64)"
      fi
      n=0
      for a in "$u"/.archive/pre-migration-*.tar.gz; do if [ -f "$a" ]; then n=$((n + 1)); fi; done
      printf 'archives\t%s\t%s\n' "$d" "$n" ;;
  esac
}

printf '@capabilities\n'
capabilities "$1"
printf '@vhosts\n'
for v in "$1"/* "$1"/.[!.]*; do
  case ${v##*/} in .nsmig|lost+found) continue ;; esac
  vhost_row "$v"
done
printf '@settings\n'
for f in "$R"/root/.vhosts/*; do
  # secrets never leave the vnode: names that end in PASS are dropped here already
  if [ -f "$f" ]; then
    printf 'settings\t%s\t%s\n' "$(printf %s "${f##*/}" | b64)" "$(grep -Ev '^[[:space:]]*(export[[:space:]]+)?[A-Za-z0-9_]*(PASS|PASSWD|PASSWORD|SECRET|TOKEN|KEY)[[:space:]]*=' "$f" | b64)"
  fi
done
cat_config test
printf '@passwd\n'
cut -d: -f1,3,4,6,7 "$R/etc/passwd" 2>/dev/null
