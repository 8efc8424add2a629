# What a run has journaled beyond OFFSET bytes, waiting a moment for news.
# Arguments: DOMAIN RUN OFFSET WAIT (tenths of a second). Output rows: "alive TAB yes|no|none",
# "progress TAB what TAB phase TAB done TAB total", "journal TAB b64".
D=$1 RUN=$2 OFFSET=$3 WAIT=$4
J=$VAR/$D RD=$VAR/$D/runs/$RUN

alive() {
  if [ -e "$RD/locked" ]; then printf locked; return; fi
  if ! read -r pid start boot 2>/dev/null <"$RD/pid"; then printf none; return; fi
  if [ "$boot" = "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null || echo none)" ] &&
    [ "$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d' ' -f20)" = "$start" ]; then printf yes
  elif [ -e "$RD/locked" ]; then printf locked # it said so and ended while we looked
  else printf no; fi
}

was=$(alive)
while [ "$WAIT" -gt 0 ]; do
  size=$(wc -c 2>/dev/null <"$J/journal" || echo 0)
  if [ "$size" -gt "$OFFSET" ] || [ "$was" = no ] || [ "$was" = locked ]; then break; fi
  sleep 0.1
  was=$(alive)
  WAIT=$((WAIT - 1))
done
printf 'alive\t%s\n' "$was"
if read -r step phase total 2>/dev/null <"$RD/progress"; then
  done=0
  if [ "$phase" = gzip ] && read -r gz 2>/dev/null <"$RD/gzip.pid"; then
    done=$(sed -n 's/^rchar: //p' "/proc/$gz/io" 2>/dev/null)
  elif [ "$phase" = check ]; then done=$total; fi
  printf 'progress\t%s\t%s\t%s\t%s\n' "$step" "$phase" "${done:-0}" "$total"
fi
if [ -f "$J/journal" ]; then printf 'journal\t%s\n' "$(tail -c "+$((OFFSET + 1))" "$J/journal" | b64)"; fi
