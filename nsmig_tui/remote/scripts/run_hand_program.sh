# What the hand of run_hand.sh is: a program for perl. Each act answers "ok", perhaps with words; "no" when it did nothing
# that the command could not do again; or "half".
syscall_numbers() { # renameat2's in RENAMEAT2, 0 where we do not know; all that the hand needs in NUMBERS
  if [ -n "$RENAMEAT2" ]; then return 0; fi
  RENAMEAT2=0 NUMBERS=
  read -r machine 2>/dev/null </proc/sys/kernel/arch || machine=$(uname -m)
  case $machine in
    x86_64) RENAMEAT2=316 NUMBERS="prctl 157 fsync 74 statx 332 utimensat 280 dup 32 getxattr 191 listxattr 194 statfs 137 ioprio_set 251" ;;
    aarch64|riscv64|loongarch64) RENAMEAT2=276 NUMBERS="prctl 167 fsync 82 statx 291 utimensat 88 dup 23 getxattr 8 listxattr 11 statfs 43 ioprio_set 30" ;;
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
  # times of a path, the link itself when it is one, as utimensat wants them
  sub stamps { my $path = shift;
    my $is = "\0" x 256;
    syscall($number{statx}, -100, $path, 0x100, 0x60, $is) == 0 or return;
    pack("q4", unpack("x64 q l x4 x32 q l", $is)) }
  sub stamp { my ($stamps, $path) = @_; syscall($number{utimensat}, -100, $path, $stamps, 0) == 0 }
  sub pour { my ($in, $out) = @_;
    my ($piece, $read);
    while ($read = sysread($in, $piece, 65536)) { (syswrite($out, $piece) || 0) == $read or return }
    defined $read }
  sub no_acl { my $path = shift;
    for (qw(access default)) {
      my $name = "system.posix_acl_$_";
      syscall($number{getxattr}, $path, $name, 0, 0) < 0 && ($! == 61 || $! == 95) or return }
    1 }
  # a plain file that has nothing but content, owner, mode and times; open, with what lstat says
  sub plain { my $path = shift;
    my @is = lstat $path or return;
    my $in;
    -f _ && open($in, "<", $path) or return;
    my @seen = stat $in;
    my $more = syscall($number{listxattr}, $path, 0, 0);
    return if $seen[0] != $is[0] or $seen[1] != $is[1] or $more > 0 or $more < 0 && $! != 95 or !no_acl($path);
    ($in, @is) }
  sub copied { my ($from, $to) = @_; # as cp without -p
    my ($in, @is) = plain($from) or return;
    sysopen(my $out, $to, 0301, $is[2] & 0777) or return;
    pour($in, $out) && close $out }
  # A folder with all in it, from where we stand. Only where nobody else can write: the command knows how to be
  # careful among others.
  sub emptied { my $folder = shift;
    my @at = stat "." or return;
    my @is = lstat $folder or return;
    return if $is[4] != $> or $is[2] & 022 or !chdir $folder;
    my @in = stat ".";
    my $good = $in[0] == $is[0] && $in[1] == $is[1] && opendir(my $list, ".");
    if ($good) {
      for my $name (grep !/^\.\.?\z/, readdir $list) {
        lstat "./$name" or return;
        (-d _ ? emptied("./$name") : unlink("./$name")) or return } }
    chdir ".." or return;
    my @now = stat ".";
    $good && $now[0] == $at[0] && $now[1] == $at[1] && rmdir $folder }
  my %act; # word => [how many words come before the paths, what to do]
  %act = (
    mv => [0, sub { rename($_[0], $_[1]) ? "ok" : "no" }],
    mvinto => [0, sub { !-d $_[1] && rename($_[0], $_[1]) ? "ok" : "no" }],
    mvall => [0, sub { my $to = pop;
      $to =~ s{/+\z}{};
      return "no" if !-d $to or grep { m{/\z} or m{([^/]+)\z} && lstat "$to/$1" } @_;
      my $done = 0;
      for (@_) { rename($_, "$to/" . (m{([^/]+)\z})[0]) or return $done ? "half" : "no"; $done++ }
      "ok" }],
    lninto => [0, sub { my $to = pop;
      return "no" if !-d $to;
      my $made = grep { m{([^/]+)/*\z} && symlink($_, "$to/$1") } @_; # one that fails keeps no other from it
      $made == @_ ? "ok" : $made ? "half" : "no" }],
    ln => [1, sub { symlink($_[0], $_[1]) ? "ok" : "no" }],
    # by a name of its own, so that one rename puts it in place
    put => [1, sub { my ($to, $link, $by) = @_;
      unlink $by if -l $by;
      symlink($to, $by) && rename($by, $link) ? "ok" : "no" }],
    drop => [0, sub { !-l $_[0] || unlink($_[0]) ? "ok" : "no" }],
    rm => [0, sub { for (@_) { lstat or return "no"; return "no" if -d _ or !unlink } "ok" }],
    rmf => [0, sub { for (@_) { if (!lstat) { next if $! == 2; return "no" } return "no" if -d _ or !unlink } "ok" }],
    rmrf => [0, sub {
      my $all_from_top = !grep !m{^/}, @_; # we go elsewhere on the way
      for (@_) { if (!lstat) { next if $! == 2; return "no" }
        if (!-d _) { unlink or return "no"; next }
        next if rmdir;
        $all_from_top && m{^(.*/)([^/]+)\z}s or return "no";
        my ($up, $name) = ($1, $2);
        my $gone = chdir $up && emptied("./$name");
        chdir "/" or exit 1;
        $gone or return "no" }
      "ok" }],
    rmempty => [0, sub { rmdir($_[0]) ? "ok" : $! == 39 ? "ok full" : "no" }],
    dropin => [0, sub { my ($folder, $link) = @_; -l $folder || !-l "$folder/$link" || unlink("$folder/$link") ? "ok" : "no" }],
    dropto => [1, sub { my ($to, $link) = @_; !-l $link || readlink($link) ne $to || unlink($link) ? "ok" : "no" }],
    rmdir => [0, sub { rmdir($_[0]) ? "ok" : "no" }],
    mkdir => [1, sub { my $mode = oct shift;
      my ($was, $made) = (umask 0, 0);
      for (@_) { last if !mkdir $_, $mode; $made++ }
      umask $was;
      $made == @_ ? "ok" : $made ? "half" : "no" }],
    mkdirs => [0, sub { for (@_) { my $at = m{^/} ? "" : ".";
        for (grep length, split m{/}) { $at .= "/$_"; -d $at or mkdir $at or -d $at or return "no" } } "ok" }],
    chown => [2, sub { chown(@_) == @_ - 2 ? "ok" : "no" }],
    # the command leaves special bits of a folder alone
    chmod => [1, sub { my $mode = oct shift;
      for (@_) { my @is = stat or return "no"; return "no" if $is[2] & 07000 }
      chmod($mode, @_) == @_ ? "ok" : "no" }],
    # but where its words say what is to become of them
    mode => [1, sub { my $mode = oct shift; chmod($mode, @_) == @_ ? "ok" : "no" }],
    sync => [0, sub { for (@_) { open(my $it, "<", $_) or return "no"; syscall($number{fsync}, fileno $it) == 0 or return "no" } "ok" }],
    xchg => [0, sub { my $done = 0;
      while (my ($one, $other) = splice(@_, 0, 2)) {
        syscall($number{renameat2}, -100, $one, -100, $other, 2) == 0 or return $done ? "half" : "no";
        $done++ }
      "ok" }],
    fill => [0, sub { my ($from, $to) = @_;
      my ($in, $out);
      open($in, "<", $from) && -f $in && open($out, ">", $to) && pour($in, $out) && close $out ? "ok" : "no" }],
    add => [0, sub { my ($from, $to) = @_;
      my $text = content($from);
      defined $text && open(my $out, ">>", $to) or return "no";
      (syswrite($out, $text) // -1) == length $text && close $out ? "ok" : "half" }],
    # with owner, mode and times; there must be nothing yet
    copy => [0, sub { my ($from, $to) = @_;
      my $stamps = stamps($from);
      my ($in, @is) = plain($from) or return "no";
      sysopen(my $out, $to, 0301, 0600) or return "no";
      return "ok" if pour($in, $out) && chown($is[4], $is[5], $out) && chmod($is[2] & 07777, $out) && close $out && stamp($stamps, $to);
      unlink $to;
      "no" }],
    # files, and folders of files, into a folder
    take => [0, sub { my $to = pop;
      for my $from (@_) {
        my $copy = $from =~ m{([^/]+)\z} ? "$to/$1" : return "no";
        if (!-d $from) { copied($from, $copy) or return "no"; next }
        mkdir $copy and opendir(my $list, $from) or return "no";
        for (grep !/^\.\.?\z/, readdir $list) { copied("$from/$_", "$copy/$_") or return "no" } }
      "ok" }],
    same => [0, sub { my ($one, $other) = (content($_[0]), content($_[1]));
      !defined $one || !defined $other ? "no" : $one eq $other ? "ok same" : "ok other" }],
    look => [0, sub { my @is = lstat $_[0] or return "no";
      sprintf "ok %s %s:%s %o %s %s", $is[1], $is[4], $is[5], $is[2] & 07777, $is[0], $is[7] }],
    where => [1, sub { my ($inode, $n) = (shift, 0);
      for (@_) { $n++; my @is = lstat or next; return "ok $n" if -d _ && $is[1] eq $inode }
      "ok 0" }],
    # the times of one path for another, to the nanosecond
    touch => [0, sub { my ($like, $path) = @_;
      return "no" if -l $like;
      my $stamps = stamps($like) or return "no";
      open(my $it, ">>", $path) or return "no" if !-e $path;
      stamp($stamps, $path) ? "ok" : "no" }],
    # when a path was last written, as find tells it
    when => [0, sub { my @is = unpack("q4", stamps($_[0]) || return "no"); sprintf "ok %d.%09d", @is[2, 3] }],
    noacl => [0, sub { no_acl($_[0]) ? "ok" : "no" }],
    # has anything changed since?
    newer => [0, sub { my ($like, @at) = @_;
      my ($mark, $ns) = (unpack("q4", stamps($like) || return "no"))[2, 3];
      while (defined(my $path = pop @at)) {
        my @its = unpack("q4", stamps($path) || return "ok some");
        return "ok some" if $its[2] > $mark or $its[2] == $mark && $its[3] > $ns;
        next if -l $path or !-d _;
        opendir(my $list, $path) or return "ok some";
        push @at, map "$path/$_", grep !/^\.\.?\z/, readdir $list }
      "ok none" }],
    # KiB and inodes that are free
    room => [0, sub { my ($path, $is) = ($_[0], "\0" x 256);
      syscall($number{statfs}, $path, $is) == 0 or return "no";
      my (undef, $block, undef, undef, $free, undef, $inodes, undef, undef, $piece) = unpack("q10", $is);
      my $kib = $free * ($piece || $block) / 1024;
      $free < 0 || $inodes < 0 || $kib > 1e15 ? "no" : sprintf "ok %.0f %.0f", int($kib), $inodes }],
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
    # a process, and what it begins, as nice and ionice would have them
    low => [3, sub { my ($process, $nice, $disks) = @_;
      !$disks or syscall($number{ioprio_set}, 1, $process + 0, $disks + 0) == 0 or return "no";
      my $now = getpriority(0, $process) + $nice;
      setpriority(0, $process, $now > 19 ? 19 : $now) ? "ok" : "no" }],
    clock => [0, sub { "ok " . time }],
    nap => [1, sub { select(undef, undef, undef, $_[0]); "ok" }],
    listen => [0, sub { my $on = listening() or return "no";
      for (@_) { return "ok some" if !$on->{$_} or !-S }
      "ok all" }],
    sockets => [0, sub { my $on = listening() or return "no"; join " ", "ok", sort keys %$on }],
    # those that the table has not, being in a network of their own, are asked
    accepts => [0, sub { my $on = listening() or return "no";
      for (@_) { return "ok some" if !-S;
        next if $on->{$_};
        my $s;
        socket($s, 1, 1, 0) && connect($s, pack("Sa*", 1, "$_\0")) or return "ok some" }
      "ok all" }],
    # in a folder that must be the one that the runner holds open, or have the inode
    at => [1e9, sub { my ($folder, $which, $what, @words) = @_;
      chdir $folder or return "no";
      my @is = stat ".";
      my @must = $which =~ m{^/} ? stat $which : ($is[0], $which);
      my $said = @is && @must > 1 && $is[0] eq $must[0] && $is[1] eq $must[1] ? $act{$what}[1]->(@words) : "no";
      chdir "/" or exit 1;
      $said }],
    # where a process stands that asks with names from there
    here => [1e9, sub { my ($process, $what, @words) = @_;
      $act{$what} && chdir "/proc/$process/cwd" or return "no";
      my $said = $act{$what}[1]->(@words);
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
    $said = (grep { !m{^/} } @rest[$before .. $#rest]) ? "where" : $do->(@rest); # we stand elsewhere than who asks
    syswrite(SAY, "$mark $said\n") }
'
