"""How a script travels to a plain ``/bin/sh`` on its standard input, and how its answer is cut out.

Pure text work. Three dangers shape it. A stream that is cut must run nothing: all is one function that
only the last word of the stream calls, and the function compares length and SHA-256 of what arrived.
What login scripts print must not pass for an answer: only what stands between two lines that carry a
private nonce counts. An answer that is cut must not pass for success: without the END line there is none.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Sequence
from functools import lru_cache

from nsmig_tui.domain.text import clean

MAX_SCRIPT = 100 * 1024
"""Bytes of one script: it is one argument of an exec on the vnode, which Linux limits to 128 KiB."""

MAX_ARGS = 1024 * 1024
"""Bytes of all arguments together."""

MAX_DATA = 8 * 1024 * 1024
"""Bytes that can be sent along with a script."""

MAX_ANSWER = 256 * 1024 * 1024
"""Bytes of one answer that are held, unless the caller says otherwise."""

_NONCE = re.compile(r"[0-9a-f]{16,64}")

# Patterns for any nonce: one compiled for each exchange would cost more than the exchange's encryption.
# The newline after a line may be the one before the next, so it is only looked at.
_REFUSED = re.compile(rb"\nNSMIG-REFUSED ([0-9a-f]{16,64}) ([a-z0-9-]{1,40})(?=\n)")
_END = re.compile(rb"\nNSMIG-END ([0-9a-f]{16,64}) (\d{1,3})(?=\n)")

_TAKE = """\
nsmig_take_{n}() {{
{{ nsmig_s_{digest}=$(PATH=${{PATH:+$PATH:}}/usr/bin:/bin; cat; echo x); }} <<'NSMIG_SCRIPT_{n}'
{script}NSMIG_SCRIPT_{n}
nsmig_s_{digest}=${{nsmig_s_{digest}%x}}
}}
"""

_MAIN = """\
nsmig_main_{n}() {{
LC_ALL=C; export LC_ALL; umask 077
set +aCefuvx; if [ "${{BASH_VERSION:-}}" ]; then set +o pipefail; fi
PATH=${{PATH:+$PATH:}}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH
unset CDPATH ENV BASH_ENV GREP_OPTIONS TAR_OPTIONS GZIP POSIXLY_CORRECT 2>/dev/null
cd / || return
refuse_{n}() {{ printf '\\nNSMIG-REFUSED %s %s\\n' {n} "$1"; exit 1; }}
nsmig_tool=
for nsmig_try in shasum busybox openssl sha256sum; do
command -v "$nsmig_try" >/dev/null 2>&1 && nsmig_tool=$nsmig_try
done
case $nsmig_tool in
openssl) nsmig_tool='openssl dgst -sha256 -r' ;;
busybox) nsmig_tool='busybox sha256sum' ;;
shasum) nsmig_tool='shasum -a 256' ;;
'') refuse_{n} no-sha256 ;;
esac
nsmig_script=$nsmig_s_{digest}
[ "${{#nsmig_script}}" = {length} ] || refuse_{n} damaged-script
"""

_CHECK = """\
nsmig_sum=$(printf %s "$nsmig_script" | $nsmig_tool)
[ "${{nsmig_sum%% *}}" = {digest} ] || refuse_{n} damaged-script
"""

_DATA = """\
nsmig_data={data}
decode_{n}() {{
if command -v base64 >/dev/null 2>&1; then printf '%s\\n' "$nsmig_data" | base64 -d
elif command -v openssl >/dev/null 2>&1; then printf '%s\\n' "$nsmig_data" | openssl base64 -d
else printf '%s\\n' "$nsmig_data" | busybox base64 -d
fi
}}
[ "${{#nsmig_data}}" = {length} ] || refuse_{n} damaged-data
nsmig_sum=$(printf %s "$nsmig_data" | $nsmig_tool)
[ "${{nsmig_sum%% *}}" = {digest} ] || refuse_{n} damaged-data
"""

_RUN = """\
set --{args}
printf '\\nNSMIG-BEGIN %s\\n' {n}
{run}
printf '\\nNSMIG-END %s %s\\n' {n} "$?"
exit 0
}}
{call}"""

_LAST = "{take}nsmig_main_{n}"
# The subshell keeps what the call sets, and its exit, from the shell that goes on; where it did not come to
# its own end, the shell must not go on as if it had. What stays is the script, for the next time.
_MORE = "{take}(nsmig_main_{n}) || exit 1; unset -f nsmig_main_{n}\n"

_REASONS = {
    "damaged-script": "the script did not arrive whole",
    "damaged-data": "the data did not arrive whole",
    "no-sha256": "the server has no tool for SHA-256 (sha256sum, openssl, busybox)",
}


class WireError(Exception):
    """The answer is incomplete, refused or too big: nothing may be concluded from it."""


def new_nonce() -> str:
    """A private random word for one exchange."""
    return secrets.token_hex(16)


def ready_line(nonce: str) -> bytes:
    """What a fresh shell is told first; it says the ready word back once it, and nobody else, reads."""
    return f"{say_ready(nonce)}\n".encode()


def say_ready(nonce: str) -> str:
    """The sh command that says the ready word; its own text does not hold it, so an echo is no answer."""
    return f'echo NSMIG-READY-""{_checked(nonce)}'


def ready_word(nonce: str) -> str:
    """The word that proves that the shell itself reads its standard input."""
    return f"NSMIG-READY-{_checked(nonce)}"


def script_name(script: str) -> str:
    """What a script is known by: the SHA-256, in hex, of its text as it travels."""
    return _as_sent(script)[1]


@lru_cache(maxsize=32)
def _as_sent(script: str) -> tuple[bytes, str]:
    text = script.encode()
    if not text.endswith(b"\n"):
        text += b"\n"
    return text, hashlib.sha256(text).hexdigest()


def frame(
    script: str,
    args: Sequence[str | bytes],
    nonce: str,
    data: bytes | None = None,
    *,
    more: bool = False,
    known: bool = False,
) -> bytes:
    """The bytes to send to ``/bin/sh``; ``data``, if given, becomes the script's standard input.

    ``more``: the shell stays for another frame, else it ends. ``known``: it has run this script to its end
    before, so the text, which was checked then, need not travel again. Raises ValueError for what cannot
    travel: NUL bytes, or more than the limits of this module. Only the very last bytes of the stream call
    what it holds.
    """
    _checked(nonce)
    text, digest = _as_sent(script)
    if len(text) > MAX_SCRIPT:
        raise ValueError(f"script of {len(text)} bytes; at most {MAX_SCRIPT} can be sent")
    if b"\0" in text or nonce.encode() in text:
        raise ValueError("script holds a NUL byte or its own nonce")
    raw_args = [arg.encode("utf-8", "surrogateescape") if isinstance(arg, str) else arg for arg in args]
    if any(b"\0" in arg or len(arg) > MAX_SCRIPT for arg in raw_args) or sum(map(len, raw_args)) > MAX_ARGS:
        raise ValueError("an argument holds a NUL byte or is too long")
    parts = [_MAIN.format(n=nonce, digest=digest, length=len(text)).encode()]
    take = ""
    if not known:
        take = f"nsmig_take_{nonce}; " if more else f"nsmig_take_{nonce} && "
        before, after = _TAKE.format(n=nonce, digest=digest, script="\0").encode().split(b"\0")
        parts = [before, text, after, *parts, _CHECK.format(n=nonce, digest=digest).encode()]
    run = '/bin/sh -c "$nsmig_script" nsmig "$@" </dev/null'
    if data is not None:
        if len(data) > MAX_DATA:
            raise ValueError(f"{len(data)} bytes of data; at most {MAX_DATA} can be sent")
        encoded = base64.encodebytes(data).rstrip(b"\n")
        arrived = hashlib.sha256(encoded).hexdigest()
        template = _DATA.format(n=nonce, data="\0", length=len(encoded), digest=arrived).encode()
        before, after = template.split(b"\0")
        parts += [before, _quote(encoded), after]
        run = f'decode_{nonce} | /bin/sh -c "$nsmig_script" nsmig "$@"'
    call = (_MORE if more else _LAST).format(n=nonce, take=take)
    before, after = _RUN.format(n=nonce, args="\0", run=run, call=call).encode().split(b"\0")
    parts += [before, b"".join(b" " + _quote(a) for a in raw_args), after]
    return b"".join(parts)


def parse(output: bytes, nonce: str) -> tuple[int, bytes]:
    """Exit status and payload of a complete answer; raises WireError for anything less."""
    reader = AnswerReader(nonce, limit=max(len(output), 1))
    reader.feed(output)
    return reader.result()


class AnswerReader:
    """Cuts one answer out of a stream as it arrives, holding at most ``limit`` bytes of payload.

    Noise before the answer is dropped at once, however much it is.
    """

    def __init__(self, nonce: str, limit: int = MAX_ANSWER) -> None:
        self._nonce = _checked(nonce).encode()
        self._begin = f"\nNSMIG-BEGIN {nonce}\n".encode()
        self._tail = len(self._begin) + 80
        self._limit = limit
        self._buffer = bytearray()
        self._scanned = 0
        self._begun = False
        self._result: tuple[int, bytes] | None = None

    @property
    def done(self) -> bool:
        """Whether the answer is complete."""
        return self._result is not None

    def feed(self, data: bytes) -> bool:
        """Take more of the stream; true when the answer is complete. Raises WireError when it cannot be."""
        if self._result is not None:
            return True
        self._buffer += data
        if not self._begun:
            self._find_begin()
        if self._begun:
            self._find_end()
        return self.done

    def result(self) -> tuple[int, bytes]:
        """Exit status and payload. Raises WireError while the answer is incomplete."""
        if self._result is None:
            where = "before the script ended" if self._begun else "before the script started"
            raise WireError(f"the answer is incomplete: it stopped {where}")
        return self._result

    def _said(self, pattern: re.Pattern[bytes], start: int) -> re.Match[bytes] | None:
        """The first line of this kind from ``start`` on that carries our nonce."""
        return next((m for m in pattern.finditer(self._buffer, start) if m[1] == self._nonce), None)

    def _find_begin(self) -> None:
        if refused := self._said(_REFUSED, 0):
            reason = refused.group(2).decode()
            raise WireError(_REASONS.get(reason, clean(reason)))
        at = self._buffer.find(self._begin)
        if at >= 0:
            # The newline that ends BEGIN also may open END: keep it for the search, not for the payload.
            del self._buffer[: at + len(self._begin) - 1]
            self._begun = True
        elif len(self._buffer) > self._tail:
            del self._buffer[: -self._tail]

    def _find_end(self) -> None:
        match = self._said(_END, max(self._scanned - self._tail, 0))
        self._scanned = len(self._buffer)
        if match:
            self._result = (int(match.group(2)), bytes(self._buffer[1 : match.start()]))
            self._buffer.clear()
        elif len(self._buffer) > self._limit + self._tail:
            raise WireError(f"the answer is longer than {self._limit} bytes")


def _checked(nonce: str) -> str:
    """The nonce itself; raises ValueError unless it is plain hex and long enough not to be guessed."""
    if not _NONCE.fullmatch(nonce):
        raise ValueError("a nonce is 16 to 64 hex digits")
    return nonce


def _quote(arg: bytes) -> bytes:
    """One argument as a single-quoted sh word."""
    return b"'" + arg.replace(b"'", b"'\\''") + b"'"
