# Purpose: one HTTP GET from the server to itself, with whatever tool there is.
# Arguments: address port host path tls(0|1) seconds.
# Output: tool=NAME, then the raw answer: status line, headers, blank line, body (cut at 1.25 MiB).
# Exit: 0 the tool ran (its answer may be empty), 3 no tool.
address=$1 port=$2 host=$3 path=$4 tls=$5 seconds=$6
limit=1310720
have() { command -v "$1" >/dev/null 2>&1; }

scheme=http usual=80
if [ "$tls" = 1 ]; then
    scheme=https usual=443
fi
name=$host
if [ "$port" != "$usual" ]; then
    name=$host:$port
fi

request() {
    printf 'GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: nsmig\r\nAccept: */*\r\n' "$path" "$name"
    printf 'Accept-Encoding: identity\r\nConnection: close\r\n\r\n'
}

case $address in
*:*) to="[$address]" ;; # IPv6, where a port may follow
*) to=$address ;;
esac

if have curl; then
    echo tool=curl
    curl -q -sikN --raw --http1.1 --globoff --path-as-is --noproxy '*' -A nsmig -m "$seconds" \
        -H 'Connection: close' --connect-to "$host:$port:$to:$port" -- "$scheme://$name$path" 2>/dev/null |
        head -c "$limit"
elif [ "$tls" = 0 ] && have perl && perl -MSocket -e 1 2>/dev/null; then
    echo tool=perl
    # shellcheck disable=SC2016 # these are perl's variables
    request | perl -MSocket -e '
        my ($host, $port, $seconds) = @ARGV;
        alarm $seconds;
        my ($error, @found) = Socket::getaddrinfo($host, $port, {socktype => SOCK_STREAM});
        exit 1 if $error or not @found;
        socket(my $s, $found[0]{family}, SOCK_STREAM, 0) or exit 1;
        connect($s, $found[0]{addr}) or exit 1;
        my $question = join "", <STDIN>;
        syswrite($s, $question);
        while (sysread($s, my $piece, 65536)) { print $piece }
    ' -- "$address" "$port" "$seconds" | head -c "$limit"
elif [ "$tls" = 0 ] && have bash && have timeout; then
    echo tool=bash
    # shellcheck disable=SC2016 # these are the inner bash's variables
    request | timeout "$seconds" bash -c '
        exec 3<>"/dev/tcp/$0/$1" || exit 1
        cat >&3
        cat <&3
    ' "$address" "$port" 2>/dev/null | head -c "$limit"
elif [ "$tls" = 0 ] && have nc; then
    echo tool=nc
    request | nc -w "$seconds" "$address" "$port" 2>/dev/null | head -c "$limit"
elif [ "$tls" = 0 ] && have busybox && busybox nc --help >/dev/null 2>&1; then
    echo tool=busybox
    request | busybox nc -w "$seconds" "$address" "$port" 2>/dev/null | head -c "$limit"
elif [ "$tls" = 1 ] && have openssl && have timeout; then
    echo tool=openssl
    request | timeout "$seconds" openssl s_client -quiet -connect "$to:$port" \
        -servername "$host" 2>/dev/null | head -c "$limit"
elif have wget; then
    # It cannot be told which server name to ask for in TLS; the Host header is enough for most sites.
    case $(wget --help 2>&1) in
    *--max-redirect*)
        set -- --content-on-error --max-redirect=0 --tries=1 --no-proxy --no-config --timeout="$seconds"
        ;;
    *) set -- -q -Y off ;;
    esac
    folder=$(mktemp -d) || exit 3
    echo tool=wget
    wget -S -O "$folder/body" "$@" --no-check-certificate --header "Host: $name" -U nsmig \
        "$scheme://$to:$port$path" 2>"$folder/talk"
    # The first answer's header lines, without those that speak of how the body travelled.
    tr -d '\r' <"$folder/talk" | sed -n 's/^  *\(HTTP\/.*\)/\1/p; s/^  *\([A-Za-z0-9-]*: .*\)/\1/p' |
        sed -e 1b -e '/^HTTP\//,$d' | sed '/^[Tt]ransfer-[Ee]ncoding:/d; /^[Cc]ontent-[Ll]ength:/d'
    echo
    # BusyBox follows redirects unasked: then the body is another page's.
    if [ "$(grep -c '^ *HTTP/' "$folder/talk")" = 1 ] && [ -f "$folder/body" ]; then
        head -c "$limit" "$folder/body"
    fi
    rm -rf "$folder"
else
    exit 3
fi
exit 0
