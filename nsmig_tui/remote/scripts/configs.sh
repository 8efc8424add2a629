# What nginx and php-fpm really use, read along the includes that they follow themselves.
# `nginx -T` is not used: it opens every log file of every site, creating what is missing, so it has
# no place in a dry run and fails on a read-only system. Comes after capabilities. Output sections @nginx and @fpm,
# rows: "conf TAB b64(main file) TAB program", "pid TAB b64(pid file)", "running TAB yes|no", "test TAB rc TAB
# b64(last lines)" only when cat_config is asked to "test", "files TAB b64(tar) TAB b64(paths) TAB b64(real paths)",
# one a line, and what odd_rows says of them.
# In WATCH the places that the answer hangs on, one a line; UNNAMED when some have no name. In STARTED a line
# "PID START" for each master of nginx.
BUILT='' WATCH='' UNNAMED='' STARTED=''
nginx_word() { # what nginx was built with, in WORD
  if [ -z "$BUILT" ]; then BUILT="$(nginx -V 2>&1) "; fi
  case $BUILT in
    *" --$1="*) WORD=${BUILT#*" --$1="}; WORD=${WORD%%[ "$NL"]*} ;;
    *) WORD= ;;
  esac
}

# Whether a master runs, in RUNS (empty where nobody can tell), and what it was told to read, in WORD.
nginx_conf() {
  WORD='' RUNS=''
  if [ -r /proc/self/cmdline ]; then RUNS=no; fi
  # shellcheck disable=SC2013 # paths below /proc hold no blanks
  for p in $(grep -las '^nginx: master process ' /proc/[0-9]*/cmdline); do
    title=
    read -r title 2>/dev/null <"$p" || :
    case $title in
      *' -c '*) title=${title#* -c } ;;
      *) if [ -z "$R" ]; then runs "$p"; fi; continue ;;
    esac
    case $title in "$R"/*) runs "$p"; WORD=${title%% *}; return ;; esac
  done
}

runs() { # a master's /proc/PID/cmdline
  RUNS=yes
  set -- "${1#/proc/}"
  start_of "${1%/*}"
  STARTED="$STARTED${1%/*} $START$NL"
}

# The include patterns that stand in these files, for a subshell. One process for any number of files.
# A directive may go over several lines, with comments in it; what is read too much does no harm.
nginx_patterns() {
  # shellcheck disable=SC2016 # awk's own
  exec awk 'FNR == 1 { open = "" }
    open == "" && !/include/ { next }
    { rest = $0; line = open; open = ""
      while (match(rest, /"[^"]*"|\047[^\047]*\047|(^|[ \t\r;{}])#/)) {
        if (substr(rest, RSTART + RLENGTH - 1, 1) == "#") { rest = substr(rest, 1, RSTART + RLENGTH - 2); break }
        line = line substr(rest, 1, RSTART + RLENGTH - 1); rest = substr(rest, RSTART + RLENGTH)
      }
      line = line rest
      while (match(line, /(^|[ \t\r;{}])include[ \t\r]+[^;{}]+;/)) {
        s = substr(line, RSTART, RLENGTH - 1); line = substr(line, RSTART + RLENGTH)
        sub(/^[ \t\r;{}]*include[ \t\r]+/, "", s); sub(/[ \t\r]+$/, "", s); gsub(/["\047]/, "", s); print s
      }
      if (match(line, /(^|[ \t\r;{}])include([ \t\r][^;{}]*)?$/)) open = substr(line, RSTART) " " }' "$@"
}

fpm_patterns() {
  # shellcheck disable=SC2016
  exec awk '/^[ \t]*include[ \t]*=/ { s = $0; sub(/^[^=]*=[ \t]*/, "", s); sub(/;.*/, "", s); gsub(/["\047 \t]/, "", s); print s }' "$@"
}

# All files that $1 leads to by includes, level by level, one a line. $2 names the pattern reader,
# $3 is the folder that relative patterns start from. Lines that end in "/" are folders in which one more file
# would be included too; "/" alone says that there are more of these.
included() {
  printf '%s\n%s/\n' "$1" "${1%/*}"
  level=$1
  depth=0
  while [ -n "$level" ] && [ "$depth" -lt 8 ]; do
    depth=$((depth + 1))
    old_ifs=$IFS
    IFS=$NL
    # shellcheck disable=SC2086 # one path a word, by IFS
    patterns=$("$2" $level)
    level=
    set -f
    for glob in $patterns; do
      set +f
      case $glob in /*) ;; *) glob=$3/$glob ;; esac
      case ${glob%/*} in *[\*\?\[]*) echo / ;; *) printf '%s/\n' "${glob%/*}" ;; esac
      for f in $glob; do
        if [ -f "$f" ]; then level=$level$f$NL; fi
      done
    done
    set +f
    IFS=$old_ifs
    printf %s "$level"
  done | awk '!seen[$0]++'
}

real_paths() { # paths, one a line; in REAL the real ones, in the same order
  asked=$1 old_ifs=$IFS
  IFS=$NL
  set -f
  # shellcheck disable=SC2086 # one path a word, by IFS
  set -- $asked
  count=$#
  REAL=$(realpath -- "$@" 2>/dev/null) || REAL=
  # shellcheck disable=SC2086
  set -- $REAL
  set +f
  IFS=$old_ifs
  if [ $# = "$count" ]; then return; fi
  REAL=$(printf '%s\n' "$asked" | while IFS= read -r path; do
    if [ -L "$path" ]; then readlink -f -- "$path"; else printf '%s\n' "$path"; fi
  done)
}

files_row() { # what included says
  FILES='' old_ifs=$IFS
  IFS=$NL
  set -f
  for place in $1; do
    case $place in
      /) UNNAMED=1 ;;
      */) WATCH=$WATCH$place$NL ;;
      *) FILES=$FILES$place$NL ;;
    esac
  done
  set +f
  IFS=$old_ifs
  FILES=${FILES%"$NL"}
  printf 'files\t'
  # shellcheck disable=SC2086 # one path a word, by IFS; not every tar reads a list of names
  (set -f; IFS=$NL; exec tar -chf - $FILES 2>/dev/null) | gzip -1 | $ENCODE
  printf '\t'
  printf '%s\n' "$FILES" | $ENCODE
  printf '\t'
  real_paths "$FILES"
  printf '%s\n' "$REAL" | $ENCODE
  echo
  WATCH=$WATCH$FILES$NL$REAL$NL
  odd_rows
}

# Which real files, or folders of theirs, chattr keeps from root ("fixed TAB b64(paths)"), and which files have other
# names by hard links ("linked TAB b64(paths)").
odd_rows() {
  old_ifs=$IFS
  IFS=$NL
  set -f
  # shellcheck disable=SC2086 # one path a word, by IFS
  set -- $REAL
  linked=$(stat -c '%h %n' -- "$@" 2>/dev/null | sed -n '/^1 /!s/^[0-9]* //p')
  folders=
  for f in "$@"; do folders=$folders${f%/*}$NL; done
  # shellcheck disable=SC2086
  fixed=$(lsattr -d -- "$@" $folders 2>/dev/null | sed -n 's/^[^ ]*[ia][^ ]* //p')
  set +f
  IFS=$old_ifs WATCH=$WATCH$folders
  if [ -n "$fixed" ]; then encoded fixed "$fixed" ''; fi
  if [ -n "$linked" ]; then encoded linked "$linked" ''; fi
}

encoded() { # kind, text, rest of the row as it is
  printf '%s\t' "$1"
  printf %s "$2" | $ENCODE
  printf '%s\n' "$3"
}

config_test() {
  errors=$(umask 022; "$@" 2>&1) # it makes the log files that are missing
  rc=$?
  printf 'test\t%s\t%s\n' "$rc" "$(printf %s "$errors" | tail -n 4 | b64)"
}

# Whom nginx runs as: "wuid=NAME:UID" and "wugid=NAME:GID" of those that its files name, "worker=UID:GID" of what
# its masters have started.
web_account_rows() { # after files_row
  old_ifs=$IFS
  IFS=$NL
  set -f
  # shellcheck disable=SC2086 # one path a word, by IFS
  awk '/^[ \t]*user[ \t]/ { sub(/^[ \t]*user[ \t]+/, ""); sub(/;.*/, ""); gsub(/["\047]/, ""); print $1; print $2 ? $2 : $1 }' $FILES 2>/dev/null |
    awk -F: 'FILENAME == "-" { wanted[$1]; next }
      $1 in wanted { print (FILENAME ~ /group$/ ? "wugid=" : "wuid=") $1 ":" $3 }' - "$R/etc/group" "$R/etc/passwd" 2>/dev/null
  set +f
  IFS=$old_ifs
  if [ -z "$STARTED" ]; then return; fi
  # shellcheck disable=SC2013 # paths below /proc hold no blanks
  for p in $(grep -las '^nginx: worker process' /proc/[0-9]*/cmdline); do
    uid=
    while read -r key one two _; do
      case $key in
        PPid:) case "$NL$STARTED" in *"$NL$one "*) ;; *) break ;; esac ;;
        Uid:) uid=$two ;;
        Gid:) printf 'worker=%s:%s\n' "$uid" "$two"; break ;;
      esac
    done 2>/dev/null <"${p%/*}/status"
  done
}

fpm_binary() { # conf path -> program that checks it
  v=
  case ${1#"$R"} in /etc/php/*/fpm/*) v=${1#"$R"/etc/php/} v=${v%%/*} ;; esac
  case $v in *[!0-9.]*) v= ;; esac
  for b in "php-fpm$v" php-fpm "php-fpm${v%%.*}"; do
    if command -v "$b" 2>/dev/null; then return; fi
  done
}

# Main files of php-fpm: those of running masters, and those that are there.
fpm_confs() {
  old_ifs=$IFS
  IFS=$NL
  for row in $MASTERS; do
    row=${row#*"$TAB"}
    printf '%s\n' "${row%%"$TAB"*}"
  done
  IFS=$old_ifs
  for c in "$R"/etc/php/*/fpm/php-fpm.conf "$R"/etc/php*/php-fpm.conf "$R"/etc/php-fpm.conf; do
    if [ -f "$c" ]; then printf '%s\n' "$c"; fi
  done
}

cat_config() {
  printf '@nginx\n'
  if have nginx; then
    nginx_conf
    if [ -z "$WORD" ]; then nginx_word conf-path; fi
    conf=$WORD
    if [ -f "$conf" ]; then
      encoded conf "$conf" ''
      nginx_word pid-path
      encoded pid "$WORD" ''
      printf 'running\t%s\n' "$RUNS"
      if [ "$1" = test ]; then config_test nginx -t; fi
      files_row "$(included "$conf" nginx_patterns "${conf%/*}")"
      printf '@web account\n'
      web_account_rows
    fi
  fi
  printf '@fpm\n'
  told=$NL old_ifs=$IFS
  IFS=$NL
  for conf in $(fpm_confs); do
    IFS=$old_ifs
    case $told in *"$NL$conf$NL"*) continue ;; esac
    told=$told$conf$NL
    if [ ! -f "$conf" ]; then continue; fi
    program=$(fpm_binary "$conf")
    encoded conf "$conf" "$TAB$program"
    if [ "$1" = test ] && [ -n "$program" ]; then config_test "$program" -t --fpm-config "$conf"; fi
    files_row "$(included "$conf" fpm_patterns "${conf%/*}")"
  done
  IFS=$old_ifs
}
