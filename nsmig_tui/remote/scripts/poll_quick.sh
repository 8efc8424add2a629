# The same question by one perl, where there is one: a shell reads byte by byte, for each of many runs again and again.
# It watches sizes and the words in small files, not times. It prints at its very end, so that whoever finds that it
# failed may ask in the shell's way: exit code 0 when all is told.
# shellcheck disable=SC2016,SC2034 # perl expands; used by poll_main.sh
QUICK_POLL='
  my ($var, $gathered, $together, $wait, @words) = @ARGV;
  my (@run, $boot);
  while (@words >= 4) {
    my ($domain, $run, $known, $word) = splice @words, 0, 4;
    my $here = "$var/$domain";
    push @run, {journal => "$here/journal", at => "$here/runs/$run", known => $known, word => $word, size => 0} }
  sub line { open my $in, "<", $_[0] or return ""; my $text = <$in> // ""; chomp $text; $text } # the first of a file
  sub began { line("/proc/$_[0]/stat") =~ /.*\) (.*)/ ? (split / /, $1)[19] // "" : "" }
  sub alive { my $at = $_[0]{at};
    return "locked" if -e "$at/locked";
    my ($pid, $start, $its) = split / /, line("$at/pid");
    return "none" if !defined $its;
    return "yes" if $its eq $boot && began($pid) eq $start;
    -e "$at/locked" ? "locked" : "no" } # it said so and ended while we looked
  # lines of a journal, and how many bytes of it were read
  sub lines { my $run = shift; open my $in, "<", $run->{journal} or return;
    my @lines = <$in>; chomp @lines; $run->{size} = tell $in; @lines }

  $boot = line("/proc/sys/kernel/random/boot_id") || "none";
  for (@run) { next if $_->{word} eq "" or !-d $_->{at};
    my $out; # whole or not at all
    open($out, ">", "$_->{at}/verdict.new") && print($out "$_->{word}\n") && close($out) &&
      rename("$_->{at}/verdict.new", "$_->{at}/verdict") or $_->{unsaid} = 1 }
  my ($news, $urgent, $over, $looks) = (0, 0, 0, 0);
  my $started = line("$var/.started");
  if ($wait > 0) { for (@run) {
    $_->{urgent} = line("$_->{at}/urgent");
    next if lines($_) <= $_->{known};
    $news = 1;
    $urgent = 1 if $_->{urgent} > $_->{known} } }
  while ($wait > 0) {
    for (@run) {
      $news = 1 if (-s $_->{journal} || 0) != $_->{size};
      $urgent = 1 if line("$_->{at}/urgent") ne $_->{urgent};
      if (!$_->{pid} or !-d "/proc/$_->{pid}") {
        my $alive = alive($_);
        $over = 1 if $alive eq "no" or $alive eq "locked";
        ($_->{pid}) = split / /, line("$_->{at}/pid") if $alive eq "yes" }
      # while an archive grows, its progress is news enough
      $wait = 10 if $wait > 10 && line("$_->{at}/progress") =~ /^\S+ gzip / }
    $over = 1 if line("$var/.started") ne $started;
    last if $over;
    $wait = $gathered if $news && $wait > $gathered;
    if ($urgent) { if (@run > $together && !$looks) { $wait = 2 } else { last } }
    my $tenths = ++$looks <= 5 || $wait <= $gathered ? 1 : 3;
    select undef, undef, undef, $tenths / 10;
    $wait -= $tenths }
  my $told = "";
  for my $n (0 .. $#run) { my $at = $run[$n]{at};
    $told .= "unsaid\t$n\n" if $run[$n]{unsaid};
    $told .= "alive\t$n\t" . alive($run[$n]) . "\n";
    my ($step, $phase, $total) = split / /, line("$at/progress");
    next if !defined $step;
    my $copied = 0;
    if ($phase eq "gzip") { my $gz = line("$at/gzip.pid"); # the first line of io is rchar
      $copied = $1 if $gz ne "" && line("/proc/$gz/io") =~ /^rchar: (\d+)/ }
    elsif ($phase eq "check") { $copied = $total }
    $told .= "progress\t$n\t$step\t$phase\t$copied\t$total\n" }
  for my $n (0 .. $#run) { my $seen = 0;
    for (lines($run[$n])) { $told .= "j\t$n\t$_\n" if ++$seen > $run[$n]{known} } }
  print $told and close STDOUT or exit 1;
'
