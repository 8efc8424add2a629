# What the hand of run_hand.sh is: a program for perl. Each act answers "ok", perhaps with words; "no" when it did nothing
# that the command could not do again; or "half".
syscall_numbers() { # renameat2's in RENAMEAT2, 0 where we do not know; all that the hand needs in NUMBERS
  if [ -n "$RENAMEAT2" ]; then return 0; fi
  RENAMEAT2=0 NUMBERS=
  read -r machine 2>/dev/null </proc/sys/kernel/arch || machine=$(uname -m)
  case $machine in
    x86_64) RENAMEAT2=316 NUMBERS="prctl 157 fsync 74 statx 332 utimensat 280 dup 32" ;;
    aarch64|riscv64|loongarch64) RENAMEAT2=276 NUMBERS="prctl 167 fsync 82 statx 291 utimensat 88 dup 23" ;;
    i?86) RENAMEAT2=353 ;; arm*) RENAMEAT2=382 ;; ppc*) RENAMEAT2=357 ;; s390*) RENAMEAT2=347 ;;
  esac
  if [ -n "$NUMBERS" ]; then NUMBERS="$NUMBERS renameat2 $RENAMEAT2 pidfd_open 434 pidfd_getfd 438"; fi
}

# shellcheck disable=SC2016 # perl expands
HAND_PROGRAM='
  my ($place, $runner, %number) = @ARGV; # the number of each system call
  exit 1 if length(pack("p", "")) != 8; # the numbers of system calls are those of 64 bits
  my $signal = pack("i", 0);
  syscall($number{prctl}, 1, 9); # killed with the runner,
  syscall($number{prctl}, 2, $signal); # or not begun
  exit 1 if unpack("i", $signal) != 9 or getppid != $runner;
  chdir "/" and open(ASK, "+<", "$place/hand.asks") and open(SAY, "+<", "$place/hand.says") or exit 1;
  exit 1 if fileno(ASK) != 3 or fileno(SAY) != 4; # where the runner looks for them
  open(STDOUT, ">&", STDERR) and syswrite(SAY, "up\n") or exit 1;

  sub lent { my ($call, $of, @more) = @_; # what a call lends, by a handle that gives it back
    my $got = syscall($number{$call}, (ref $of ? fileno $of : $of + 0), map($_ + 0, @more), 0);
    my $it;
    $got >= 0 && open($it, "<&=", $got) ? $it : undef }
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
    sync => [0, sub { for (@_) { open(my $it, "<", $_) or return "no"; syscall($number{fsync}, fileno $it) == 0 or return "no" } "ok" }],
    xchg => [0, sub { my $done = 0;
      while (my ($one, $other) = splice(@_, 0, 2)) {
        syscall($number{renameat2}, -100, $one, -100, $other, 2) == 0 or return $done ? "half" : "no";
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
      syscall($number{statx}, -100, $like, 0, 0x60, $is) == 0 or return "no";
      my $times = pack("q4", unpack("x64 q l x4 x32 q l", $is));
      syscall($number{utimensat}, -100, $path, $times, 0) == 0 ? "ok" : "no" }],
    # what the runner holds open is opened here for a moment too, so that its lock is never ours alone, and goes
    # when the runner lets go of it; only the one of the vhost, which is the last to go, we have all the time
    lock => [2, sub { my ($descriptor, $seconds) = @_;
      my $lock = $descriptor == 9 ? lent(dup => 9) : lent(pidfd_getfd => lent(pidfd_open => $runner), $descriptor);
      return "no" if !$lock;
      local $SIG{ALRM} = sub {};
      alarm $seconds;
      my ($got, $why) = (flock($lock, $seconds ? 2 : 6), $! + 0);
      alarm 0;
      $got ? "ok" : $why == 4 || $why == 11 ? "ok taken" : "no" }],
    clock => [0, sub { "ok " . time }],
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
