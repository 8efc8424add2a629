# The stand-in for systemctl: nginx.service and php8.2-fpm.service, by their pid files.
# Arguments: PREFIX, then as for systemctl. Exit codes: as systemctl's (3 not active, 5 no such unit).
R=$1
shift

unit_of() {
  case ${1%.service} in
    nginx) printf nginx ;;
    php8.2-fpm) printf php8.2-fpm ;;
    *) return 1 ;;
  esac
}

pid_of() {
  case $1 in nginx) file=$R/run/nginx.pid title='nginx: master' ;; *) file=$R/run/php/php8.2-fpm.pid title='php-fpm: master' ;; esac
  pid=$(cat "$file" 2>/dev/null) || return 1
  case $(tr '\000' ' ' 2>/dev/null <"/proc/$pid/cmdline") in
    "$title"*|*/fpm.py*) printf %s "$pid" ;; # php-fpm has no title for as long as it replaces itself
    *) return 1 ;;
  esac
}

state_of() { if pid_of "$1" >/dev/null; then printf active; else printf inactive; fi; }

start_unit() {
  if pid_of "$1" >/dev/null; then return 0; fi
  case $1 in nginx) "$R/bin/nginx" ;; *) "$R/bin/php-fpm8.2" ;; esac
}

stop_unit() {
  pid=$(pid_of "$1") || return 0
  kill -QUIT "$pid"
  while pid_of "$1" >/dev/null; do sleep 0.05; done
}

reload_unit() {
  if ! pid=$(pid_of "$1"); then
    printf '%s.service is not active, cannot reload.\n' "$1" >&2
    return 1
  fi
  case $1 in
    nginx) "$R/bin/nginx" -s reload ;;
    *) kill -USR2 "$pid" ;;
  esac
}

property() {
  case $2 in
    Id) printf 'Id=%s.service\n' "$1" ;;
    Names) printf 'Names=%s.service\n' "$1" ;;
    LoadState) printf 'LoadState=loaded\n' ;;
    ActiveState) printf 'ActiveState=%s\n' "$(state_of "$1")" ;;
    SubState) if pid_of "$1" >/dev/null; then printf 'SubState=running\n'; else printf 'SubState=dead\n'; fi ;;
    MainPID) printf 'MainPID=%s\n' "$(pid_of "$1" || printf 0)" ;;
    *) printf '%s=\n' "$2" ;;
  esac
}

show_unit() {
  old=$IFS
  IFS=,
  for name in ${properties:-Id,Names,LoadState,ActiveState,SubState,MainPID}; do
    if [ -n "$values_only" ]; then property "$1" "$name" | sed 's/^[^=]*=//'; else property "$1" "$name"; fi
  done
  IFS=$old
}

verb='' units='' properties='' values_only='' quiet=''
while [ $# -gt 0 ]; do
  case $1 in
    -p|--property) properties=$properties${properties:+,}$2; shift ;;
    --property=*) properties=$properties${properties:+,}${1#*=} ;;
    -p?*) properties=$properties${properties:+,}${1#-p} ;;
    --value) values_only=1 ;;
    -q|--quiet) quiet=1 ;;
    --version) printf 'systemd 252 (stand-in of nsmig demo)\n'; exit 0 ;;
    -*) ;;
    *) if [ -z "$verb" ]; then verb=$1; else units="$units $1"; fi ;;
  esac
  shift
done

case $verb in
  daemon-reload|list-timers) exit 0 ;;
  list-units|list-unit-files)
    for unit in nginx php8.2-fpm; do printf '%s.service loaded %s running\n' "$unit" "$(state_of "$unit")"; done
    exit 0 ;;
  is-system-running) printf 'running\n'; exit 0 ;;
esac

status=0
for name in $units; do
  if ! unit=$(unit_of "$name"); then
    case $verb in
      is-active|is-enabled) if [ -z "$quiet" ]; then printf 'inactive\n'; fi; status=3 ;;
      show) ;;
      *) printf 'Unit %s could not be found.\n' "$name" >&2; status=5 ;;
    esac
    continue
  fi
  case $verb in
    is-active)
      if [ -z "$quiet" ]; then printf '%s\n' "$(state_of "$unit")"; fi
      pid_of "$unit" >/dev/null || status=3 ;;
    is-enabled) printf 'enabled\n' ;;
    is-failed) pid_of "$unit" >/dev/null && status=1 ;;
    status) show_unit "$unit"; pid_of "$unit" >/dev/null || status=3 ;;
    show) show_unit "$unit" ;;
    cat) printf '# %s.service of nsmig demo\n' "$unit" ;;
    reset-failed) ;;
    start) start_unit "$unit" || status=1 ;;
    stop) stop_unit "$unit" || status=1 ;;
    restart) stop_unit "$unit" && start_unit "$unit" || status=1 ;;
    reload|try-reload-or-restart|reload-or-restart) reload_unit "$unit" || status=1 ;;
    *) printf 'Unknown command verb %s.\n' "$verb" >&2; status=1 ;;
  esac
done
exit $status
