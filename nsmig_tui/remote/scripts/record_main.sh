# What the vnode keeps of a vhost's unfinished or finished migration. Argument: DOMAIN.
# Rows: "baseline TAB b64", "flag TAB name", "record TAB yes" where there is one, "journal TAB b64".
CUR=$VAR/$1/cur
if [ -f "$CUR/baseline.json" ]; then printf 'baseline\t%s\n' "$(b64 <"$CUR/baseline.json")"; fi
for f in "$CUR"/flag.*; do if [ -e "$f" ]; then printf 'flag\t%s\n' "${f##*.}"; fi; done
if [ -d "$VAR/$1/restored" ]; then printf 'flag\trestored\n'; fi
if [ -e "$VAR/$1/restored/begun" ] && [ ! -e "$VAR/$1/restored/done" ]; then printf 'flag\trestoring\n'; fi
if [ -d "$CUR" ]; then printf 'record\tyes\n'; fi
if [ -f "$VAR/$1/journal" ]; then printf 'journal\t%s\n' "$(b64 <"$VAR/$1/journal")"; fi
