"""nginx's and php-fpm's configuration as a vnode sends it."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zlib
from dataclasses import dataclass

from .sections import Sections, as_name, number, unb64

_OCTAL = re.compile(rb" *[0-7]+")


@dataclass(frozen=True)
class ConfigFile:
    """A configuration file as a service reads it; ``real`` is the path behind links."""

    path: str
    real: str
    data: bytes


GRAVE = re.compile(r"\[(?:error|crit|alert|emerg)\]|\b(?:ERROR|ALERT):")
"""How nginx and php-fpm mark a line that is more than a note or a warning."""


@dataclass(frozen=True)
class ServiceConfig:
    """One service's configuration tree.

    ``test_rc`` is None when no test was run, ``running`` when nobody could tell (php-fpm: see its masters).
    ``fixed``: files and their folders that chattr keeps from root; ``linked``: files with other names by hard
    links. Both by their real paths.
    """

    main: str = ""
    binary: str = ""
    pid_file: str = ""
    files: tuple[ConfigFile, ...] = ()
    test_rc: int | None = None
    test_says: str = ""
    running: bool | None = None
    fixed: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()

    def objection(self) -> str:
        """The line in which a test of it says why it fails; what comes before are notes and warnings."""
        lines = self.test_says.strip().splitlines()
        grave = (line for line in lines if GRAVE.search(line))
        return next(grave, lines[0] if lines else "")

    def texts(self) -> dict[str, bytes]:
        """Path as read -> bytes."""
        return {f.path: f.data for f in self.files}

    def resolve(self) -> dict[str, str]:
        """Path as read -> real path, where they differ."""
        return {f.path: f.real for f in self.files if f.real != f.path}


def unpack_files(packed: str, paths: str, reals: str) -> list[ConfigFile]:
    """The files of a base64 tar.gz whose members are absolute paths without their first slash."""
    try:
        archive = gzip.decompress(unb64(packed))
        content = plain_members(archive)
        if content is None:
            content = _members(archive)
    except (tarfile.TarError, OSError, EOFError, KeyError, zlib.error):
        return []
    lines = zip(paths.split("\n"), reals.split("\n"), strict=False)
    return [ConfigFile(path, real or path, content[path]) for path, real in lines if path in content]


def plain_members(archive: bytes) -> dict[str, bytes] | None:
    """Absolute path -> bytes, from a tar of nothing but plain files with plain headers; None for any other.

    ``tarfile`` takes a tenth of a millisecond a member, for a few dozen members with every vhost.
    """
    content: dict[str, bytes] = {}
    at = 0
    while (header := archive[at : at + 512]).rstrip(b"\0"):
        size = header[124:136].rstrip(b"\0 ")
        plain = header[156:157] in (b"0", b"\0") and header[257:262] == b"ustar"
        told = header[148:156].strip(b"\0 ")
        # The low half of Adler-32 adds up bytes, in C; the field itself counts as blanks.
        summed = zlib.adler32(header[156:], zlib.adler32(b" " * 8, zlib.adler32(header[:148]))) & 0xFFFF
        if (
            not plain
            or not _OCTAL.fullmatch(size)
            or not _OCTAL.fullmatch(told)
            or (int(told, 8) + 1) % 65521 != summed
        ):
            return None
        start, end = at + 512, at + 512 + int(size, 8)
        if end > len(archive):
            return None
        name = header[:100].rstrip(b"\0")
        prefix = header[345:500].rstrip(b"\0") if header[257:263] == b"ustar\0" else b""
        path = b"/".join(filter(None, (prefix, name))).decode("utf-8", "surrogateescape")
        content["/" + path.lstrip("/")] = archive[start:end]
        at = end + -end % 512
    return content


def _members(archive: bytes) -> dict[str, bytes]:
    content: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(archive), errors="surrogateescape") as tar:
        for member in tar:
            handle = tar.extractfile(member) if member.isreg() or member.islnk() else None
            if handle is not None:
                content["/" + member.name.lstrip("/")] = handle.read()
    return content


def read_service_configs(sections: Sections, section: str) -> list[ServiceConfig]:
    """The ``@nginx`` or ``@fpm`` part: one tree a ``conf`` row."""
    found: list[dict[str, object]] = []
    files: list[list[ConfigFile]] = []
    for row in sections.rows.get(section, ()):
        if row[0] == "conf" and len(row) > 1:
            found.append({"main": as_name(row[1]), "binary": row[2] if len(row) > 2 else ""})
            files.append([])
        elif not found:
            continue
        elif row[0] == "pid" and len(row) > 1:
            found[-1]["pid_file"] = as_name(row[1])
        elif row[0] == "running" and len(row) > 1:
            found[-1]["running"] = {"yes": True, "no": False}.get(row[1])
        elif row[0] == "test" and len(row) > 2:
            found[-1].update(test_rc=number(row[1], 1), test_says=unb64(row[2]).decode("utf-8", "replace"))
        elif row[0] in ("fixed", "linked") and len(row) > 1:
            found[-1][row[0]] = tuple(as_name(row[1]).split("\n"))
        elif row[0] == "files" and len(row) >= 4:
            files[-1] += unpack_files(row[1], as_name(row[2]), as_name(row[3]))
    return [
        ServiceConfig(files=tuple(some), **values)  # type: ignore[arg-type]
        for values, some in zip(found, files, strict=True)
    ]
