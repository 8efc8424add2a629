# Purpose: say whether a Unix socket accepts connections.
# Arguments: the socket's path.
# Output: none.
# Exit: 0 it does, 1 it does not, 3 no tool to look with.
if command -v perl >/dev/null 2>&1 && perl -MSocket -e 1 2>/dev/null; then
    perl -MSocket -e '
        socket(my $s, AF_UNIX, SOCK_STREAM, 0) or exit 3;
        alarm 10;
        connect($s, pack_sockaddr_un($ARGV[0])) or exit 1;
    ' -- "$1"
elif command -v nc >/dev/null 2>&1 && nc -h 2>&1 | grep -q -- '-U'; then
    nc -U -w 2 "$1" </dev/null >/dev/null 2>&1 || exit 1
else
    exit 3
fi
