"""Exact pictures of directory trees, to assert that two are the same or to say where they differ.

Read on this machine with lstat and byte paths, so nothing on the node can colour the answer. Access times,
and sizes and link counts of directories, are left out: looking changes the first, file systems the others.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.node import Node

KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}


@dataclass(frozen=True)
class Entry:
    """Everything that must survive about one entry."""

    kind: str
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int | None
    nlink: int | None
    same_as: bytes
    """First path, in byte order, of the same inode: hard links name each other."""
    target: bytes | None
    sha256: str | None
    sparse: bool
    xattrs: tuple[tuple[str, bytes], ...]
    """All extended attributes, ACLs and capabilities included, in raw form."""


Tree = dict[bytes, Entry]


def _sha256(path: bytes) -> str:
    """Digest of a file's content."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _entry(path: bytes, inner: bytes, first_of: dict[tuple[int, int], bytes]) -> Entry:
    """Look at one path; ``first_of`` collects inodes seen so far."""
    info = os.lstat(path)
    kind = KINDS[stat.S_IFMT(info.st_mode)]
    names = sorted(os.listxattr(path, follow_symlinks=False))
    single = kind != "dir"
    return Entry(
        kind=kind,
        mode=stat.S_IMODE(info.st_mode),
        uid=info.st_uid,
        gid=info.st_gid,
        mtime_ns=info.st_mtime_ns,
        size=info.st_size if single else None,
        nlink=info.st_nlink if single else None,
        same_as=first_of.setdefault((info.st_dev, info.st_ino), inner) if single else inner,
        target=os.readlink(path) if kind == "link" else None,
        sha256=_sha256(path) if kind == "file" else None,
        sparse=kind == "file" and info.st_blocks * 512 < info.st_size,
        xattrs=tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in names),
    )


def picture(top: Path, ignore: Iterable[str] = ()) -> Tree:
    """Every entry at and below ``top`` (itself under ``b"."``); ``ignore`` names paths to leave out."""
    start = os.fsencode(top)
    skipped = {os.fsencode(path).strip(b"/") for path in ignore}
    first_of: dict[tuple[int, int], bytes] = {}
    tree: Tree = {}

    def walk(inner: bytes) -> None:
        if inner in skipped:
            return
        path = os.path.join(start, inner) if inner else start
        entry = _entry(path, inner or b".", first_of)
        tree[inner or b"."] = entry
        if entry.kind == "dir":
            for name in sorted(os.listdir(path)):
                walk(os.path.join(inner, name) if inner else name)

    walk(b"")
    return tree


def node_picture(
    node: Node, parts: Iterable[str] = ("etc", "srv", "var/lib", "root"), ignore: Iterable[str] = ()
) -> Tree:
    """Pictures of several parts of a node in one; paths are as on the node, without the first slash.

    This is what "a dry run changes nothing" is asserted with.
    """
    ignored = [path.strip("/") for path in ignore]
    whole: Tree = {}
    for part in parts:
        below = [path[len(part) + 1 :] for path in ignored if path.startswith(part + "/")]
        for inner, entry in picture(node.root / part, below).items():
            whole[part.encode() if inner == b"." else part.encode() + b"/" + inner] = entry
    return whole


def differences(before: Tree, after: Tree, ignore_fields: Iterable[str] = ()) -> list[str]:
    """One line for each path that appeared, vanished or changed; empty when equal."""
    skipped = set(ignore_fields)
    found = [f"gone: {path!r}" for path in sorted(before.keys() - after.keys())]
    found += [f"new: {path!r}" for path in sorted(after.keys() - before.keys())]
    for path in sorted(before.keys() & after.keys()):
        old, new = before[path], after[path]
        for field in fields(Entry):
            was, now = getattr(old, field.name), getattr(new, field.name)
            if was != now and field.name not in skipped:
                found.append(f"changed: {path!r} {field.name}: {was!r} -> {now!r}")
    return found


def moved(tree: Tree, old: str, new: str) -> Tree:
    """The part of a picture at and below ``old``, as it must look when it stands at ``new``."""
    old_b, new_b = old.encode(), new.encode()

    def rename(path: bytes) -> bytes:
        return new_b + path[len(old_b) :] if path == old_b or path.startswith(old_b + b"/") else path

    kept = {path: entry for path, entry in tree.items() if rename(path) != path or path == old_b}
    return {
        rename(path): Entry(
            **{**{f.name: getattr(e, f.name) for f in fields(Entry)}, "same_as": rename(e.same_as)}
        )
        for path, e in kept.items()
    }
