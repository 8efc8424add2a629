"""Make a directory equal to a kept copy by touching only what differs: how a node's /etc is put back fast."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path


def _facts(path: bytes) -> tuple[object, ...] | None:
    """What two equal entries have in common; None when there is no entry."""
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return None
    kind = stat.S_IFMT(info.st_mode)
    base = (info.st_mode, info.st_uid, info.st_gid)
    if kind == stat.S_IFDIR:
        return base
    if kind == stat.S_IFLNK:
        return (*base, os.readlink(path))
    if kind == stat.S_IFREG:
        with open(path, "rb") as handle:
            return (*base, info.st_mtime_ns, handle.read())
    return (*base, info.st_rdev)


def _remove(path: bytes) -> None:
    """Remove an entry of any type."""
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path)
        else:
            os.unlink(path)


def _copy_entry(source: bytes, target: bytes) -> None:
    """Put one entry in place of whatever is there; a directory's content follows separately."""
    info = os.lstat(source)
    if stat.S_ISDIR(info.st_mode):
        if not (os.path.isdir(target) and not os.path.islink(target)):
            _remove(target)
            os.mkdir(target)
    elif stat.S_ISLNK(info.st_mode):
        _remove(target)
        os.symlink(os.readlink(source), target)
        os.lchown(target, info.st_uid, info.st_gid)
        return
    else:
        if os.path.isdir(target) and not os.path.islink(target):
            _remove(target)
        scratch = target + b".lab-new"
        shutil.copyfile(source, scratch, follow_symlinks=False)
        os.rename(scratch, target)
    os.chown(target, info.st_uid, info.st_gid)
    os.chmod(target, stat.S_IMODE(info.st_mode))
    os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))


def restore(kept: Path, live: Path) -> list[str]:
    """Make ``live`` equal to ``kept``; returns the paths (below live) that were changed or removed."""
    changed: list[str] = []
    source_top, target_top = os.fsencode(kept), os.fsencode(live)

    def walk(inner: bytes) -> None:
        source, target = os.path.join(source_top, inner), os.path.join(target_top, inner)
        if _facts(source) != _facts(target):
            changed.append(os.fsdecode(inner))
            _copy_entry(source, target)
        if not stat.S_ISDIR(os.lstat(source).st_mode):
            return
        names = set(os.listdir(source))
        for name in sorted(set(os.listdir(target)) - names):
            changed.append(os.fsdecode(os.path.join(inner, name)))
            _remove(os.path.join(target, name))
        for name in sorted(names):
            walk(os.path.join(inner, name))
        info = os.lstat(source)
        if os.lstat(target).st_mtime_ns != info.st_mtime_ns:
            os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))

    walk(b"")
    return changed
