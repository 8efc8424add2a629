# Entry of `discover`: everything about a vnode in one go. Argument: VPATH. Changes nothing.
# Output: sections "@NAME" with KEY=VALUE or TAB-separated rows; texts are base64. A vnode may have
# hundreds of vhosts, so a vhost costs a few processes, not dozens.
ask_base64

as_b64() { # a name
  printf %s "$1" | b64
}

vhost_row() {
  u=$1
  d=${u##*/}
  shape=dir target=
  if [ -L "$u" ]; then
    shape="link"
    target=$(readlink -- "$u" | tr -d '\n' | b64)
  elif [ ! -d "$u" ]; then return; fi
  printf 'vhost\t%s\t%s\t%s\t%s' "$(as_b64 "$d")" "$shape" "$(stat -c '%u:%g:%a:%i:%d' -- "$u" 2>/dev/null)" "$target"
  if [ "$shape" = dir ]; then
    (
      cd "$u" 2>/dev/null || exit
      stat -c '%n %u:%g:%a %F' -- .ssh bin etc var web msg var/log var/run var/tmp web/app web/app/public web/log web/run web/tmp .archive 2>/dev/null |
        awk '{ what = $2; if ($0 ~ / symbolic link$/) what = "link"; else if ($0 !~ / directory$/) what = "other"; printf "\t%s=%s", $1, what }'
    )
  fi
  printf '\n'
  case $d in
    *[!a-z0-9.-]*|"") ;;
    *)
      if [ -f "$VAR/$d/journal" ]; then printf 'journal\t%s\t%s\n' "$d" "$(b64 <"$VAR/$d/journal")"; fi
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
if is_dir "$R/root/.vhosts"; then
  # secrets never leave the vnode: what is named like one is dropped here already
  printf 'settings\t%s\n' "$(cd "$R/root/.vhosts" && find . -maxdepth 1 -type f -exec grep -Ev '^[[:space:]]*(export[[:space:]]+)?[A-Za-z0-9_]*(PASS|PASSWD|PASSWORD|SECRET|TOKEN|KEY)[[:space:]]*=' /dev/null {} + | b64)"
fi
cat_config test
printf '@passwd\n'
cut -d: -f1,3,4,6,7 "$R/etc/passwd" 2>/dev/null
