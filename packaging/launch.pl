# Opens datagram sockets to systemd and becomes the program, to which a variable for each names this
# process and the descriptor (src/platform/launcher.ts). What cannot be opened is left out.
use strict;
use warnings;
use Fcntl qw(F_GETFL F_SETFD F_SETFL O_NONBLOCK);
use Socket qw(AF_UNIX SOCK_DGRAM pack_sockaddr_un);

my ($name, $node, @program) = @ARGV;
my @kept;

sub keep {
  my ($variable, $path) = @_;
  # A leading @ stands for a name that is in no file system.
  $path =~ s/^@/\0/;
  socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or return;
  connect($socket, pack_sockaddr_un($path)) or return;
  fcntl($socket, F_SETFD, 0) or return;
  $ENV{$variable} = $$ . ':' . fileno $socket;
  push @kept, $socket;
  return $socket;
}

delete @ENV{qw(NOTIFY_FD JOURNAL_FD)};
keep('NOTIFY_FD', $ENV{NOTIFY_SOCKET}) if ($ENV{NOTIFY_SOCKET} // '') =~ m{^[/@]};
if (my $journal = keep('JOURNAL_FD', '/run/systemd/journal/socket')) {
  # A journal that is stuck must not hold up the member.
  fcntl($journal, F_SETFL, fcntl($journal, F_GETFL, 0) | O_NONBLOCK);
}
exec { $node } $name, '--no-warnings', @program or die "etcd: cannot start $node: $!\n";
