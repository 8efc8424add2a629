# The hand: a perl that lives as long as the runner and renames, links, syncs and looks for it, because a process
# for each of these is most of what the migration of a small vhost costs. It does one order at a time while the
# runner waits for the answer, so nothing happens in another order than by commands. What it cannot do, or cannot
# be asked, the command does: without perl, in the first moments, and where somebody has put tools of his own
# before the system's, which are then meant to be used.
# An order comes through a pipe as words that end in NUL: their count, a mark, what to do, with what. The answer is
# one line: the mark, then "ok WORDS", "no" when nothing was done that the command could not do again, else "half".
# The hand is killed with the runner: no order outlives who gave it. Like any child it shares the vhost's lock.
# shellcheck disable=SC2016 # perl expands
HAND_PROGRAM='
  my ($place, $runner, $renameat2, $prctl, $fsync, $statx, $utimensat) = @ARGV;
  exit 1 if length(pack("p", "")) != 8; # the numbers of system calls are those of 64 bits
  my $signal = pack("i", 0);
  syscall($prctl, 1, 9); # killed with the runner,
  syscall($prctl, 2, $signal); # or not begun
  exit 1 if unpack("i", $signal) != 9 or getppid != $runner;
  chdir "/" and open(ASK, "+<", "$place/hand.asks") and open(SAY, "+<", "$place/hand.says") or exit 1;
  exit 1 if fileno(ASK) != 3 or fileno(SAY) != 4; # where the runner looks for them

  sub content { my $in; open($in, "<", $_[0]) && -f $in or return; local $/; scalar <$in> }
  sub listening { my %on;
    open(my $table, "<", "/proc/net/unix") or return;
    while (<$table>) { my @w = split; $on{$w[7]} = 1 if @w > 7 && $w[3] eq "00010000" }
    \%on }
  my %act; # word => [how many words come before the paths, what to do]
  %act = (
    mv => [0, sub { rename($_[0], $_[1]) ? "ok" : "no" }],
    mvinto => [0, sub { !-d $_[1] && rename($_[0], $_[1]) ? "ok" : "no" }],
    ln => [1, sub { symlink($_[0], $_[1]) ? "ok" : "no" }],
    # by a name of its own, so that one rename puts it in place
    put => [1, sub { my ($to, $link, $by) = @_;
      unlink $by if -l $by;
      symlink($to, $by) && rename($by, $link) ? "ok" : "no" }],
    drop => [0, sub { !-l $_[0] || unlink($_[0]) ? "ok" : "no" }],
    rm => [0, sub { for (@_) { lstat or return "no"; return "no" if -d _ or !unlink } "ok" }],
    rmf => [0, sub { for (@_) { if (!lstat) { next if $! == 2; return "no" } return "no" if -d _ or !unlink } "ok" }],
    # only the command goes into folders
    rmrf => [0, sub { for (@_) { if (!lstat) { next if $! == 2; return "no" } return "no" if -d _ ? !rmdir : !unlink } "ok" }],
    rmdir => [0, sub { rmdir($_[0]) ? "ok" : "no" }],
    mkdir => [1, sub { my $mode = oct shift;
      my ($was, $made) = (umask 0, 0);
      for (@_) { last if !mkdir $_, $mode; $made++ }
      umask $was;
      $made == @_ ? "ok" : $made ? "half" : "no" }],
    mkdirs => [0, sub { for (@_) { my $at = "";
        for (grep length, split m{/}) { $at .= "/$_"; -d $at or mkdir $at or -d $at or return "no" } } "ok" }],
    chown => [2, sub { chown(@_) == @_ - 2 ? "ok" : "no" }],
    # the command leaves special bits of a folder alone
    chmod => [1, sub { my $mode = oct shift;
      for (@_) { my @is = stat or return "no"; return "no" if $is[2] & 07000 }
      chmod($mode, @_) == @_ ? "ok" : "no" }],
    sync => [0, sub { for (@_) { open(my $it, "<", $_) or return "no"; syscall($fsync, fileno $it) == 0 or return "no" } "ok" }],
    xchg => [0, sub { my $done = 0;
      while (my ($one, $other) = splice(@_, 0, 2)) {
        syscall($renameat2, -100, $one, -100, $other, 2) == 0 or return $done ? "half" : "no";
        $done++ }
      "ok" }],
    fill => [0, sub { my ($from, $to) = @_;
      my ($in, $out, $piece, $read);
      open($in, "<", $from) && -f $in && open($out, ">", $to) or return "no";
      while ($read = sysread($in, $piece, 65536)) { (syswrite($out, $piece) || 0) == $read or return "no" }
      defined $read && close $out ? "ok" : "no" }],
    same => [0, sub { my ($one, $other) = (content($_[0]), content($_[1]));
      !defined $one || !defined $other ? "no" : $one eq $other ? "ok same" : "ok other" }],
    look => [0, sub { my @is = lstat $_[0] or return "no";
      sprintf "ok %s %s:%s %o %s %s", $is[1], $is[4], $is[5], $is[2] & 07777, $is[0], $is[7] }],
    where => [1, sub { my ($inode, $n) = (shift, 0);
      for (@_) { $n++; my @is = lstat or next; return "ok $n" if -d _ && $is[1] eq $inode }
      "ok 0" }],
    # the times of one path for another, to the nanosecond
    touch => [0, sub { my ($like, $path) = @_;
      my $is = "\0" x 256;
      open(my $it, ">>", $path) or return "no" if !-e $path;
      syscall($statx, -100, $like, 0, 0x60, $is) == 0 or return "no";
      my $times = pack("q4", unpack("x64 q l x4 x32 q l", $is));
      syscall($utimensat, -100, $path, $times, 0) == 0 ? "ok" : "no" }],
    nap => [1, sub { select(undef, undef, undef, $_[0]); "ok" }],
    listen => [0, sub { my $on = listening() or return "no";
      for (@_) { return "ok some" if !$on->{$_} or !-S }
      "ok all" }],
    # those that the table has not, being in a network of their own, are asked
    accepts => [0, sub { my $on = listening() or return "no";
      for (@_) { return "ok some" if !-S;
        next if $on->{$_};
        my $s;
        socket($s, 1, 1, 0) && connect($s, pack("Sa*", 1, "$_\0")) or return "ok some" }
      "ok all" }],
    # in a folder that must be the one that the runner holds open, or have the inode
    at => [9, sub { my ($folder, $which, $what, @words) = @_;
      chdir $folder or return "no";
      my @is = stat ".";
      my @must = $which =~ m{^/} ? stat $which : ($is[0], $which);
      my $said = @is && @must > 1 && $is[0] eq $must[0] && $is[1] eq $must[1] ? $act{$what}[1]->(@words) : "no";
      chdir "/" or exit 1;
      $said }],
    bye => [0, sub { unlink "$place/hand.asks", "$place/hand.says"; "bye" }],
  );
  my ($asked, $said) = ("", "");
  while ($said ne "bye") {
    my @words = split /\0/, $asked, -1;
    if (@words < 2 or @words < $words[0] + 2) { sysread(ASK, $asked, 65536, length $asked) or exit 1; next }
    $asked = join "\0", @words[$words[0] + 1 .. $#words]; # more only when who asked before is gone
    my (undef, $mark, $what, @rest) = @words[0 .. $words[0]];
    my ($before, $do) = @{$act{$what} || [0, sub { "no" }]};
    $said = (grep { !m{^/} } @rest[$before .. $#rest]) ? "no" : $do->(@rest); # we stand elsewhere than who asks
    syswrite(SAY, "$mark $said\n") }
'

ino() {
  if hand look "$1"; then printf '%s\n' "${SAID%% *}"; else stat -c %i -- "$1" 2>/dev/null; fi
}

# Tools that come before the system's in the path.
own_tools() {
  old_ifs=$IFS
  IFS=:
  for folder in $PATH; do
    case $folder in /bin|/usr/bin|/sbin|/usr/sbin) break ;; esac
    for tool in chmod chown cmp ln mkdir mv rm rmdir sleep stat sync touch; do
      if [ -e "$folder/$tool" ]; then IFS=$old_ifs; return 0; fi
    done
  done
  IFS=$old_ifs
  return 1
}

start_hand() {
  if ! have perl || ! have mkfifo || own_tools; then return 0; fi
  syscall_numbers
  if [ "$PRCTL" = 0 ] || ! mkfifo "$RD/hand.asks" "$RD/hand.says" 2>/dev/null; then return 0; fi
  PERL5OPT='' PERL_UNICODE=0 perl -e "$HAND_PROGRAM" "$RD" $$ "$RENAMEAT2" "$PRCTL" "$FSYNC" "$STATX" "$UTIMENSAT" </dev/null 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- &
  HAND=$!
}

# Commands as the hand does them. Forms that it does not know are the commands' own.
else_do() { # what hand answered, command...
  case $1 in
    0) ;;
    1) shift; command "$@" ;;
    *) return 1 ;;
  esac
}

mv() {
  case $#$1 in
    3-T) hand mv "$2" "$3" ;;
    2[!-]*) hand mvinto "$1" "$2" ;;
    *) false ;;
  esac
  else_do $? mv "$@"
}

ln() {
  case $#$1 in
    3-s) hand ln "$2" "$3" ;;
    *) false ;;
  esac
  else_do $? ln "$@"
}

rm() {
  case $1 in
    -f) shift; hand rmf "$@"; set -- $? -f "$@" ;;
    -rf) shift; hand rmrf "$@"; set -- $? -rf "$@" ;;
    -*) set -- 1 "$@" ;;
    *) hand rm "$@"; set -- $? "$@" ;;
  esac
  how=$1
  shift
  else_do "$how" rm "$@"
}

rmdir() {
  case $#$1 in
    1[!-]*) hand rmdir "$1" ;;
    *) false ;;
  esac
  else_do $? rmdir "$@"
}

mkdir() {
  case $#$1 in
    2-p) hand mkdirs "$2" ;;
    3-m) hand mkdir "$2" "$3" ;;
    4-m) hand mkdir "$2" "$3" "$4" ;;
    1[!-]*) hand mkdir 700 "$1" ;;
    *) false ;;
  esac
  else_do $? mkdir "$@"
}

chown() {
  owner=$1
  shift
  case $owner in
    *[!0-9:]*|:*|*:|*:*:*) false ;;
    *:*) hand chown "${owner%:*}" "${owner#*:}" "$@" ;;
    *) false ;;
  esac
  else_do $? chown "$owner" "$@"
}

chmod() {
  case $1 in
    [0-7][0-7][0-7]) hand chmod "$@" ;;
    *) false ;;
  esac
  else_do $? chmod "$@"
}

touch() {
  case $#$1 in
    3-r) hand touch "$2" "$3" ;;
    *) false ;;
  esac
  else_do $? touch "$@"
}

sync() {
  if [ $# = 0 ]; then false; else hand sync "$@"; fi
  else_do $? sync "$@"
}

sleep() {
  hand nap "$1"
  else_do $? sleep "$@"
}
