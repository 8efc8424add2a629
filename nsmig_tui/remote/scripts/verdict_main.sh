# The operator's word on a run that awaits it. Arguments: DOMAIN RUN commit|undo REASON.
RD=$VAR/$1/runs/$2
if [ ! -d "$RD" ]; then die "no such run"; fi
printf '%s %s\n' "$3" "$(printf %s "$4" | tr '\n' ' ')" >"$RD/verdict.part"
sync_file "$RD/verdict.part"
mv "$RD/verdict.part" "$RD/verdict"
echo noted
