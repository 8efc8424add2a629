# What this vnode can do. Output: KEY=VALUE lines. Changes nothing.
# Argument: VPATH (for space).
# The first line of a text with what harms no terminal, in LINE.
one_line() { # text
  LINE=${1%%"$NL"*}
  case $LINE in *[!A-Za-z0-9\ ._:+/\(\)=~,-]*) LINE=$(printf %s "$LINE" | tr -cd 'A-Za-z0-9 ._:+/()=~,-') ;; esac
}

file_line() { # file: its first line, in LINE
  LINE=
  read -r LINE 2>/dev/null <"$1" || :
  one_line "$LINE"
}

os_rows() {
  pretty=
  while IFS='=' read -r key value; do
    value=${value#[\"\']}
    value=${value%[\"\']}
    one_line "$value"
    case $key in PRETTY_NAME) pretty=$LINE ;; esac
  done 2>/dev/null <"$R/etc/os-release"
  printf 'os=%s\n' "$pretty"
}

service_manager() {
  if [ -d "$R/run/systemd/system" ] && have systemctl; then printf systemd
  elif [ -e "$R/run/openrc/softlevel" ] && have rc-service; then printf openrc
  elif [ -x "$R/etc/init.d/nginx" ]; then printf sysvinit
  else printf none; fi
}

exchange_way() {
  case $(mv --help 2>&1) in
    *--exchange*) printf mv ;;
    *) if have perl && perl -e 'exit($^O eq "linux" ? 0 : 1)' 2>/dev/null; then printf perl; else printf none; fi ;;
  esac
}

tar_flavour() {
  says=$(tar --version 2>&1)
  case ${says%%"$NL"*} in *GNU*) printf gnu ;; *usybox*|*BusyBox*) printf busybox ;; *) printf other ;; esac
}

compressor() {
  for c in igzip pigz gzip; do if have "$c"; then printf '%s' "$c"; return; fi; done
}

# Rows "fpm=PID TAB CONF TAB UNIT", one a running php-fpm master of this system. A master that reloads
# replaces itself, and for a moment shows the command it was started with instead of its title.
fpm_masters() {
  tries=0
  until look_for_masters || [ "$tries" -ge 50 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
  if [ -z "$MASTERS" ]; then # none at all is worth a second look
    sleep 0.1
    look_for_masters || :
  fi
  printf %s "$MASTERS"
}

# Processes are found by name and by title, and judged by one look each: none can change from one kind to the
# other between two looks. In the middle of replacing itself a process has no command line at all.
# Answers 1 when one of them is at that.
look_for_masters() {
  MASTERS='' reloading='' seen=' '
  # shellcheck disable=SC2013 # paths below /proc hold no blanks
  for p in $(grep -las '^php-fpm' /proc/[0-9]*/comm /proc/[0-9]*/cmdline); do
    p=${p%/*}
    case $seen in *" $p "*) continue ;; esac
    seen="$seen$p "
    title='' unit=''
    read -r title 2>/dev/null <"$p/cmdline" || :
    case $title in
      'php-fpm: master process ('*) ;;
      /*/php-fpm*) if starts_fpm "$p/cmdline"; then reloading=1; fi; continue ;;
      '')
        read -r title 2>/dev/null <"$p/stat" || :
        case $title in ''|*') Z '*|*') X '*) ;; *) reloading=1 ;; esac # a dead one has none either
        continue ;;
      *) continue ;;
    esac
    conf=${title#*\(}; conf=${conf%%\)*}
    case $conf in "$R"/*) ;; *) continue ;; esac
    while read -r group; do
      case $group in
        */*php*.service*) unit=${group%%.service*}; unit=${unit##*/}.service; break ;;
      esac
    done 2>/dev/null <"$p/cgroup"
    MASTERS="${MASTERS}fpm=${p#/proc/}$TAB$conf$TAB$unit$TAB$(mounts_of "$p")$NL"
  done
  [ -z "$reloading" ]
}

# What a process in a sandbox of its own sees mounted: "rw:/ ro:/srv ..." as the kernel spells the paths.
# shellcheck disable=SC3013 # dash, BusyBox and POSIX 2024 have -ef
mounts_of() { # /proc/PID
  if [ "$1/ns/mnt" -ef /proc/self/ns/mnt ]; then return; fi
  awk '$5 !~ /^\/(proc|sys|dev|run)(\/|$)/ { printf "%s%s:%s", sep, substr($6, 1, 2), $5; sep = " " }' "$1/mountinfo" 2>/dev/null
}

# Commands that only test a configuration or talk about the program do not become a master.
starts_fpm() { # cmdline file
  # shellcheck disable=SC2046 # words of a command
  set -- $(tr '\000' ' ' 2>/dev/null <"$1")
  case ${1:-} in
    /*/php-fpm*) ;;
    /*) return 1 ;;
    *) return 0 ;; # it got its title between two looks
  esac
  case " $* " in *' -t '*|*' -tt '*|*' --test '*|*' -v '*|*' -i '*|*' -m '*) return 1 ;; esac
}

capabilities() {
  NOW=$(date +%s) # before anything is read
  file_line "$R/etc/machine-id"
  printf 'machine_id=%s\n' "$LINE"
  at=$1
  # shellcheck disable=SC2046 # three words: system, name, release
  set -- $(uname -snr)
  if [ -n "$R" ]; then file_line "$R/etc/hostname"; else one_line "$2"; fi
  printf 'hostname=%s\n' "$LINE"
  os_rows
  one_line "$1 $3"
  printf 'kernel=%s\n' "$LINE"
  printf 'uid='
  id -u
  printf 'root_id=%s\n' "$ROOT_ID"
  printf 'unprivileged=%s\n' "${NSMIG_UNPRIVILEGED:-}"
  printf 'now=%s\n' "$NOW"
  printf 'manager='
  service_manager
  printf '\nexchange='
  exchange_way
  printf '\ntar='
  tar_flavour
  printf '\ngzip='
  compressor
  echo
  tools=
  for t in nginx perl flock setsid getfacl setfacl getfattr setfattr getcap setcap lsattr sha256sum base64 curl wget ionice nice; do
    if have "$t"; then tools="$tools $t"; fi
  done
  printf 'tools=%s\n' "${tools# }"
  free_of -Pk "$at"
  if [ -n "$FREE" ]; then printf 'disk_kb=%s\navail_kb=%s\n' "$SIZE" "$FREE"; fi
  free_of -Pi "$at"
  case $FREE in ''|*[!0-9]*) ;; *) printf 'inodes_free=%s\n' "$FREE" ;; esac
  awk -F: '$1 == "www-data" || $1 == "nginx" { print (FILENAME ~ /group$/ ? "wugid=" : "wuid=") $1 ":" $3 }' "$R/etc/group" "$R/etc/passwd" 2>/dev/null
  fpm_masters
}

# Whether the parent of all vhosts can be looked into: where it cannot, nothing is known of them.
vpath_row() {
  if [ -d "$1" ]; then
    if ls -A "$1" >/dev/null 2>&1; then echo vpath=ok; else echo vpath=unreadable; fi
  elif [ -e "$1" ] || [ -L "$1" ]; then echo vpath=other
  else echo vpath=missing; fi
}
