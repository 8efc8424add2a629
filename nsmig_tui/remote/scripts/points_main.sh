# The points a vhost can be rolled back to, and the state of its record. Arguments: DOMAIN UPATH CHECK.
# CHECK "hash" reads each archive and compares it with the root-only record. Rows:
# "point TAB b64(name) TAB mtime TAB bytes TAB recorded-sha TAB recorded-bytes TAB entries TAB verdict";
# "hidden TAB b64(path)" for what should be a folder and is not: then nobody knows which archives there are.
D=$1 U=$2 CHECK=$3
J=$VAR/$D
hidden() { printf 'hidden\t%s\n' "$(printf %s "$1" | b64)"; }

if ! is_dir "$U"; then hidden "$U"
elif is_dir "$U/.archive"; then
  for a in "$U"/.archive/pre-migration-*.tar.gz; do
    n=${a##*/}
    case $n in *.again.tar.gz) continue ;; esac
    if [ ! -f "$a" ] || [ -L "$a" ]; then continue; fi
    row=$(record_of "$n")
    judge "$U/.archive" "$n" "$row" "$CHECK"
    printf 'point\t%s\t%s\t%s\t%s\t%s\n' "$(printf %s "$n" | b64)" "$(stat -c %Y "$a")" "$(stat -c %s "$a")" "${row:-$TAB$TAB}" "$JUDGED"
  done
elif [ -e "$U/.archive" ] || [ -L "$U/.archive" ]; then hidden "$U/.archive"
fi
