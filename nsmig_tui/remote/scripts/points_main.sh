# The points a vhost can be rolled back to, and the state of its record. Arguments: DOMAIN UPATH CHECK.
# CHECK "hash" reads each archive and compares it with the root-only record. Rows:
# "point TAB b64(name) TAB mtime TAB bytes TAB recorded-sha TAB recorded-bytes TAB entries TAB verdict".
D=$1 U=$2 CHECK=$3
known() { cat "$VAR/$D/archives" "$VAR/$D/cur/archive" "$VAR/$D"/undone/*/archive 2>/dev/null; }
if is_dir "$U/.archive"; then
  for a in "$U"/.archive/pre-migration-*.tar.gz; do
    n=${a##*/}
    case $n in *.again.tar.gz) continue ;; esac
    if [ ! -f "$a" ] || [ -L "$a" ]; then continue; fi
    row=$(known | awk -F "$TAB" -v n="$n" '$1 == n { r = $2 FS $3 FS $4 } END { print r }')
    verdict=unknown
    if [ -n "$row" ]; then
      if [ "$(stat -c %s "$a")" != "$(printf %s "$row" | cut -f2)" ]; then verdict=damaged
      elif [ "$CHECK" = hash ]; then
        if [ "$(sha256sum <"$a" | cut -d' ' -f1)" = "$(printf %s "$row" | cut -f1)" ]; then verdict=verified; else verdict=damaged; fi
      fi
    elif [ "$CHECK" = hash ] && ! gzip -t "$a" 2>/dev/null; then verdict=damaged; fi
    printf 'point\t%s\t%s\t%s\t%s\t%s\n' "$(printf %s "$n" | b64)" "$(stat -c %Y "$a")" "$(stat -c %s "$a")" "${row:-$TAB$TAB}" "$verdict"
  done
fi
