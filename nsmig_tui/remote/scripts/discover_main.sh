# Entry of `discover`: everything about a vnode in one go. Argument: VPATH. Changes nothing.
# Output: sections "@NAME" with KEY=VALUE or TAB-separated rows; texts are base64. A vnode may have
# hundreds of vhosts, so a vhost costs a few processes, not dozens.
ask_base64

as_b64() { # a name
  printf %s "$1" | b64
}

# The run that is at work, if any. The lock itself is not tried: a run that begins would find it taken.
runner_row() { # domain
  if IFS="$TAB" read -r run _ 2>/dev/null <"$VAR/$1/owner" && read -r pid start boot 2>/dev/null <"$VAR/$1/runs/$run/pid"; then
    start_of "$pid"
    if [ "$boot" = "$BOOT" ] && [ -n "$START" ] && [ "$START" = "$start" ]; then printf 'runner\t%s\t%s\n' "$1" "$run"; fi
  fi
}

# The migration that stands by the records beside the archives: an undo writes its word over "completed". Only
# what is root's is believed.
recorded_row() { # domain, upath
  # shellcheck disable=SC3067 # dash, BusyBox and POSIX 2024 have -O
  if [ -L "$2" ] || [ -L "$2/.archive" ] || [ ! -O "$2/.archive" ]; then return; fi
  for record in "$2"/.archive/migration-*.json; do
    if [ ! -f "$record" ] || [ -L "$record" ]; then continue; fi
    { read -r first && read -r second; } 2>/dev/null <"$record" || continue
    case $first in *'"status": "completed"'*) printf 'recorded\t%s\t%s\n' "$1" "$second" ;; esac
  done
}

# Whether web has more in it than the new layout puts there; asked only where all of that is there.
more_in_web() {
  if ! is_dir web/app/public || ! is_dir web/log || ! is_dir web/run; then return; fi
  for e in web/* web/.[!.]*; do
    case $e in web/app|web/log|web/run|web/tmp|web/.well-known|web/.nsmig-switched) continue ;; esac
    if [ -e "$e" ] && [ ! -L "$e" ]; then
      printf '\tweb/*=more'
      return
    fi
  done
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
      more_in_web
    )
  fi
  printf '\n'
  case $d in
    *[!a-z0-9.-]*|"") ;;
    *)
      # asked before the journal is read, and after: a run may end or begin meanwhile
      runner_row "$d"
      if [ -f "$VAR/$d/journal" ]; then printf 'journal\t%s\t%s\n' "$d" "$(b64 <"$VAR/$d/journal")"; fi
      runner_row "$d"
      recorded_row "$d" "$u"
      n=0
      for a in "$u"/.archive/pre-migration-*.tar.gz; do
        case $a in *.again.tar.gz) continue ;; esac # beside an archive, never one alone
        if [ -f "$a" ]; then n=$((n + 1)); fi
      done
      printf 'archives\t%s\t%s\n' "$d" "$n" ;;
  esac
}

printf '@capabilities\n'
capabilities "$1"
vpath_row "$1"
boot_id
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
