# What a run has journaled beyond OFFSET bytes, waiting for news: at once for what somebody must answer,
# else gathered for a moment. While nothing happens, only `sleep` costs a process.
# Arguments: DOMAIN RUN OFFSET WAIT (tenths of a second). Output rows: "alive TAB yes|no|none|locked",
# "progress TAB what TAB phase TAB done TAB total", "journal TAB b64".
D=$1 RUN=$2 OFFSET=$3 WAIT=$4
J=$VAR/$D RD=$VAR/$D/runs/$RUN
GATHERED=4
opened='' news='' looks=0

# Sets ALIVE.
alive() {
  if [ -e "$RD/locked" ]; then ALIVE=locked; return; fi
  if ! read -r pid start boot 2>/dev/null <"$RD/pid"; then ALIVE=none; return; fi
  boot_id
  start_of "$pid"
  if [ "$boot" = "$BOOT" ] && [ "$START" = "$start" ]; then ALIVE=yes
  elif [ -e "$RD/locked" ]; then ALIVE=locked # it said so and ended while we looked
  else ALIVE=no; fi
}

open_journal() {
  if [ ! -f "$J/journal" ]; then return; fi
  exec 3<"$J/journal"
  opened=1
  if [ "$OFFSET" -gt 0 ]; then dd bs="$OFFSET" count=1 <&3 >/dev/null 2>&1; fi
}

# Reads what is new; WAIT becomes 0 when somebody must hear of it now.
look() {
  while read -r line <&3; do
    if [ -z "$news" ]; then news=1; if [ "$WAIT" -gt "$GATHERED" ]; then WAIT=$GATHERED; fi; fi
    case $line in *"${TAB}await$TAB"*|*"${TAB}end$TAB"*|*"${TAB}attention$TAB"*) WAIT=0 ;; esac
  done
}

# while an archive grows, its progress is news enough
if [ "$WAIT" -gt 10 ] && read -r step phase total 2>/dev/null <"$RD/progress" && [ "$phase" = gzip ]; then WAIT=10; fi
alive
while :; do
  if [ -z "$opened" ]; then open_journal; fi
  if [ -n "$opened" ]; then look; fi
  if [ "$WAIT" -le 0 ] || [ "$ALIVE" = no ] || [ "$ALIVE" = locked ]; then break; fi
  # the longer nothing happens, the less often it is looked for
  looks=$((looks + 1))
  if [ "$looks" -le 5 ] || [ "$WAIT" -le "$GATHERED" ]; then sleep 0.1; WAIT=$((WAIT - 1))
  else sleep 0.3; WAIT=$((WAIT - 3)); fi
  alive
done
printf 'alive\t%s\n' "$ALIVE"
if read -r step phase total 2>/dev/null <"$RD/progress"; then
  done=0
  if [ "$phase" = gzip ] && read -r gz 2>/dev/null <"$RD/gzip.pid"; then
    done=$(sed -n 's/^rchar: //p' "/proc/$gz/io" 2>/dev/null)
  elif [ "$phase" = check ]; then done=$total; fi
  printf 'progress\t%s\t%s\t%s\t%s\n' "$step" "$phase" "${done:-0}" "$total"
fi
if [ -f "$J/journal" ]; then printf 'journal\t%s\n' "$(tail -c "+$((OFFSET + 1))" "$J/journal" | b64)"; fi
