"""Asks ssh what its files say about a host (``ssh -G``), and words the answer so that asyncssh reads it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shlex
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.domain.text import clean

LONGEST = 30.0
"""Seconds that ssh may take: a ``Match exec`` runs a command, and a canonical name is asked of DNS."""

AT_ONCE = 8
"""Processes of ssh at a time; each takes a few milliseconds."""

Told = Mapping[str, Sequence[str]]
"""Words of ``ssh -G``, in lower case, with the rest of each of their lines."""

_ALWAYS = frozenset(
    {
        *("hostname", "user", "port", "hostbasedauthentication", "enablesshkeysign"),
        *("gssapiauthentication", "gssapidelegatecredentials", "gssapikeyexchange"),
    }
)
"""What asyncssh has defaults of its own for, other than OpenSSH's."""

_WHERE_GIVEN = frozenset(
    {
        *("addressfamily", "bindaddress", "hostkeyalias", "tcpkeepalive", "compression", "pkcs11provider"),
        *("identitiesonly", "preferredauthentications", "pubkeyauthentication", "passwordauthentication"),
        *("kbdinteractiveauthentication", "challengeresponseauthentication"),
        *("ciphers", "macs", "kexalgorithms", "hostkeyalgorithms", "casignaturealgorithms"),
    }
)
"""What asyncssh takes as OpenSSH prints it. Where it is OpenSSH's default, asyncssh's own stays."""

_FILES = frozenset({"userknownhostsfile", "globalknownhostsfile"})
_EXPANDED = frozenset({"identityfile", "certificatefile", "identityagent"})
"""Names of files that ssh prints with their tokens as written."""


class SshTool:
    """The ssh of this machine. ``given``: the file that ``-F`` names instead of the usual ones."""

    def __init__(self, given: Path | None = None) -> None:
        self._given = given
        self._pace = asyncio.Semaphore(AT_ONCE)
        self._first = asyncio.Lock()
        self._defaults: Told | None = None

    async def ask(self, target: str, user: str, port: int) -> Told | None:
        """What holds for ``target``; None where there is no ssh that would read the files we mean.

        Raises ConnectError, in ssh's words, for files that ssh refuses.
        """
        if self._given is None and not _at_home():
            return None
        if not await self.defaults():
            return None
        words = ["-F", str(self._given)] if self._given else []
        words += ["-l", user] if user else []
        words += ["-p", str(port)] if port else []
        status, told, why = await self._run([*words, "-G", "--", target])
        if status or "hostname" not in told:
            raise ConnectError(
                f"The SSH configuration cannot be understood: {why or f'ssh ended with {status}'}",
                hint=f"Mend what `{shlex.join(['ssh', *words, '-G', target])}` complains of.",
            )
        return told

    async def defaults(self) -> Told:
        """What ssh takes where no file says anything; nothing where there is no OpenSSH to be asked."""
        async with self._first:
            if self._defaults is None:
                try:
                    status, told, _ = await self._run(["-F", os.devnull, "-G", "--", "localhost"])
                except (FileNotFoundError, PermissionError):
                    status, told = 1, {}
                if status < 0:
                    raise ConnectError(f"ssh was ended by signal {-status}.", hint="Try again.")
                self._defaults = {} if status or "hostname" not in told else told
        return self._defaults

    async def _run(self, words: Sequence[str]) -> tuple[int, dict[str, list[str]], str]:
        """The status of ssh with these words, its answer by word, and its complaint."""
        # A file, not a pipe: what a `Match exec` leaves running may hold it open.
        with tempfile.TemporaryFile() as complaint:
            async with self._pace:
                process = await asyncio.create_subprocess_exec(
                    "ssh",
                    "-T",
                    *words,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=complaint,
                    start_new_session=True,
                )
                try:
                    async with asyncio.timeout(LONGEST):
                        output, _ = await process.communicate()
                except TimeoutError as error:
                    raise ConnectError(
                        f"ssh took more than {LONGEST:.0f} s to read its configuration for {words[-1]}.",
                        hint=f"Does a Match exec, or DNS, take so long? Try: {shlex.join(['ssh', *words])}",
                    ) from error
                finally:
                    if process.returncode is None:
                        with contextlib.suppress(ProcessLookupError, PermissionError):
                            os.killpg(process.pid, signal.SIGKILL)
                        await process.wait()
            complaint.seek(0)
            lines = complaint.read(65536).decode("utf-8", "replace").strip().splitlines()
        told: dict[str, list[str]] = {}
        for line in os.fsdecode(output).splitlines():
            word, _, rest = line.partition(" ")
            told.setdefault(word.lower(), []).append(rest)
        return process.returncode or 0, told, clean("; ".join(lines[:3]), 400)


def _at_home() -> bool:
    """Whether ssh's usual files are those that we mean: it asks the user database for the home, not $HOME."""
    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return False
    return os.path.realpath(home) == os.path.realpath(os.path.expanduser("~"))


def flat_text(told: Told, defaults: Told, fill: Callable[[str], str]) -> str:
    """A configuration for this one host in which asyncssh reads what ``told`` says.

    ``fill``: puts in what the tokens of a file's name stand for. How to get there (ProxyJump, ProxyCommand)
    is left out: nsmig sees to that itself.
    """
    lines = []
    for word, values in told.items():
        given = values != defaults.get(word)
        if word in _ALWAYS or (word in _WHERE_GIVEN and given):
            lines += [f"{word} {shlex.quote(value)}" for value in values if _is_plain(word, value)]
        elif word in _FILES and given:
            lines.append(f"{word} {shlex.join(file_names(values[0]))}")
        elif word in _EXPANDED and given:
            names = [fill(value).replace("%", "%%") for value in map(_agent, values) if value]
            lines += [f"{word} {shlex.quote(name)}" for name in names]
        elif word == "rekeylimit" and given:
            size, _, seconds = values[0].partition(" ")
            lines.append(f"{word} {'default' if size == '0' else size} {seconds.lstrip('0') or 'none'}")
    return "\n".join(lines) + "\n"


def _is_plain(word: str, value: str) -> bool:
    """Whether the value means the same to asyncssh; the finer ones of PubkeyAuthentication all mean yes."""
    return word != "pubkeyauthentication" or value in ("yes", "no", "true", "false")


def _agent(value: str) -> str:
    """An IdentityAgent as asyncssh understands it: `$NAME` names a variable; other files stay as they are."""
    if value == "SSH_AUTH_SOCK":
        return ""
    if value.startswith("$") and not value.startswith("${"):
        return os.environ.get(value[1:]) or "none"
    return value


def file_names(line: str) -> list[str]:
    """The names in a list of files, which ssh prints without quotes: a new one begins with a root."""
    names: list[str] = []
    for word in line.split(" "):
        if names and not word.startswith(("/", "~")):
            names[-1] += f" {word}"
        else:
            names.append(word)
    return names
