# What nginx and php-fpm really use, read file by file along the includes that they follow themselves.
# `nginx -T` is not used: it opens every log file of every site, creating what is missing, so it has
# no place in a dry run and fails on a read-only system. Output sections @nginx and @fpm, rows:
# "conf TAB b64(prefix)", "file TAB b64(path) TAB b64(real path) TAB mode:uid:gid TAB b64(text)",
# "test TAB rc TAB b64(last lines)" only when the first argument of cat_config is "test".
nginx_word() { nginx -V 2>&1 | tr ' ' '\n' | sed -n "s/^--$1=//p" | head -n 1; }

nginx_conf() {
  for p in /proc/[0-9]*; do
    case $(tr '\000' ' ' 2>/dev/null <"$p/cmdline") in
      "nginx: master process "*" -c "*)
        c=$(tr '\000' ' ' <"$p/cmdline" | sed 's/.* -c \([^ ]*\).*/\1/')
        case $c in "$R"/*) printf %s "$c"; return ;; esac ;;
    esac
  done
  nginx_word conf-path
}

file_row() {
  printf 'file\t%s\t%s\t%s\t%s\n' "$(printf %s "$1" | b64)" "$(readlink -f -- "$1" | tr -d '\n' | b64)" "$(stat -L -c %a:%u:%g -- "$1")" "$(b64 <"$1")"
}

# $1 file, $2 folder that relative includes start from, $3 depth left
nginx_tree() {
  file_row "$1"
  if [ "$3" -le 0 ]; then return; fi
  sed 's/^[[:space:]]*#.*//' "$1" | tr '\n' ' ' | grep -oE '(^|[[:space:];{}])include[[:space:]]+[^;{}]+;' |
    sed 's/^.*include[[:space:]]*//; s/[[:space:]]*;$//' | tr -d "\"'" |
    while IFS= read -r glob; do
      case $glob in /*) ;; *) glob=$2/$glob ;; esac
      for f in $glob; do
        if [ -f "$f" ]; then nginx_tree "$f" "$2" $(($3 - 1)); fi
      done
    done
}

fpm_tree() {
  file_row "$1"
  if [ "$2" -le 0 ]; then return; fi
  sed -n 's/^[[:space:]]*include[[:space:]]*=[[:space:]]*\([^;]*\)/\1/p' "$1" | tr -d "\"' \t" |
    while IFS= read -r glob; do
      for f in $glob; do
        if [ -f "$f" ]; then fpm_tree "$f" $(($2 - 1)); fi
      done
    done
}

config_test() {
  errors=$("$@" 2>&1)
  rc=$?
  printf 'test\t%s\t%s\n' "$rc" "$(printf %s "$errors" | tail -n 4 | b64)"
}

fpm_binary() { # conf path -> program that checks it
  v=$(printf %s "${1#"$R"}" | sed -n 's|^/etc/php/\([0-9.]*\)/fpm/.*|\1|p')
  for b in "php-fpm$v" php-fpm "php-fpm${v%%.*}"; do
    if have "$b"; then command -v "$b"; return; fi
  done
}

cat_config() {
  printf '@nginx\n'
  if have nginx; then
    conf=$(nginx_conf)
    if [ -f "$conf" ]; then
      printf 'conf\t%s\n' "$(printf %s "$conf" | b64)"
      printf 'pid\t%s\n' "$(nginx_word pid-path | tr -d '\n' | b64)"
      if [ "$1" = test ]; then config_test nginx -t; fi
      nginx_tree "$conf" "${conf%/*}" 6
    fi
  fi
  printf '@fpm\n'
  {
    fpm_masters | cut -f2
    for c in "$R"/etc/php/*/fpm/php-fpm.conf "$R"/etc/php*/php-fpm.conf "$R"/etc/php-fpm.conf; do
      if [ -f "$c" ]; then printf '%s\n' "$c"; fi
    done
  } | sort -u | while IFS= read -r conf; do
    if [ ! -f "$conf" ]; then continue; fi
    printf 'conf\t%s\t%s\n' "$(printf %s "$conf" | b64)" "$(fpm_binary "$conf")"
    if [ "$1" = test ]; then b=$(fpm_binary "$conf"); if [ -n "$b" ]; then config_test "$b" -t --fpm-config "$conf"; fi; fi
    fpm_tree "$conf" 2
  done
}
