# How much room vhosts take and their file systems have, for the plan of a batch. Reads only.
# Arguments: VPATH DOMAIN... Rows: "vhost TAB DOMAIN TAB device TAB bytes" and, once for each
# device, "system TAB device TAB free bytes TAB free inodes". A folder that is not there has no row.
main() {
  V=$1
  shift
  seen=' '
  for d; do
    U=$V/$d
    if ! is_dir "$U"; then continue; fi
    dev=$(stat -c %d "$U")
    kb=$(kib "$U")
    # what earlier runs kept is not archived again
    if is_dir "$U/.archive"; then kb=$((kb - $(kib "$U/.archive"))); fi
    printf 'vhost\t%s\t%s\t%s\n' "$d" "$dev" $((kb * 1024))
    case $seen in *" $dev "*) continue ;; esac
    seen="$seen$dev "
    free_of -Pk "$U"
    avail=$FREE
    free_of -Pi "$U"
    inodes=$FREE
    case $inodes in ''|*[!0-9]*|0) inodes=- ;; esac
    printf 'system\t%s\t%s\t%s\n' "$dev" "$((avail * 1024))" "$inodes"
  done
}

kib() { du -skx "$1" 2>/dev/null | awk '{ print $1; found = 1 } END { if (!found) print 0 }'; }

main "$@" </dev/null
