"""The walk and the manifest: the same judgement of the same tree by GNU's tools and by BusyBox's."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

ODD = [
    b"plain",
    b" lead and trail ",
    b"tab\there",
    b"new\nline",
    b"end\n",
    b"back\\slash\\n",
    b"quote'\"$(id)`id`",
    b"-n",
    b"*",
    b"\xff\xfe",
    b"\x01one",
    "ünï".encode(),
    b"\x1b[31m",
]


@pytest.fixture
def tree(tmp_path):
    """A vhost's tree with everything odd in it."""
    top = os.fsencode(tmp_path / "tree")
    os.makedirs(top + b"/web/deep")
    for name in ODD:
        with open(top + b"/web/" + name, "wb") as file:
            file.write(name)
        os.symlink(b"../" + name, top + b"/web/deep/l" + name)
    os.link(top + b"/web/plain", top + b"/web/deep/twin")
    os.mkfifo(top + b"/web/pipe")
    os.chmod(top + b"/web/plain", 0o4755)
    os.makedirs(top + b"/.archive/old")
    os.makedirs(top + b"/left/out")
    Path(os.fsdecode(top + b"/web/empty")).mkdir()
    return Path(os.fsdecode(top))


def shown(name: bytes) -> bytes:
    return name.replace(b"\n", b"\x01")


def records(output: bytes):
    """path -> (words, link target); whole seconds, since BusyBox knows no fractions."""
    lines = output.split(b"\n")[:-1]
    assert len(lines) % 3 == 0
    found = {}
    for meta, path, link in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
        words = meta.split(b" ")
        assert len(words) == 11
        words[7], words[9] = words[7].split(b".")[0], words[9].split(b".")[0]
        assert path not in found
        found[path] = (tuple(words), link)
    return found


def walked(sh, tree, *args):
    done = sh.run(sh.parts("prelude", "walk", then='walk "$@"\n'), *args, cwd=tree)
    assert (done.returncode, done.stderr) == (0, b"")
    return records(done.stdout)


def test_every_entry_with_its_facts(sh, tree, tmp_path):
    found = walked(sh, tree, tmp_path / "scratch", "./left")
    top = os.fsencode(tree)
    for name in ODD:
        path = b"./web/" + shown(name)
        if path == b"./web/\x01one":
            continue
        was = os.lstat(top + b"/web/" + name)
        words, link = found[path]
        assert words[0] == b"f" and link == b""
        assert int(words[1], 8) == was.st_mode & 0o7777
        assert [int(w) for w in words[2:7]] == [was.st_uid, was.st_gid, was.st_nlink, was.st_ino, was.st_size]
        assert int(words[7]) == int(was.st_mtime) and int(words[8]) == was.st_blocks
        assert int(words[9]) == int(was.st_ctime) and int(words[10]) == was.st_dev
        words, link = found[b"./web/deep/l" + shown(name)]
        assert words[0] == b"l" and link == b"../" + shown(name)
    assert found[b"./web/pipe"][0][0] == b"p" and found[b"./web/empty"][0][0] == b"d"
    assert found[b"."][0][0] == b"d"
    assert not [p for p in found if p.startswith((b"./.archive", b"./left"))]
    assert len(found) == 1 + 1 + 2 * len(ODD) + 1 + 1 + 1 + 1
    assert list(tmp_path.glob("scratch*")) == []


def test_all_flavours_say_the_same(each_sh, tree, tmp_path):
    said = [walked(sh, tree, tmp_path / "scratch") for sh in each_sh]
    assert said[0] == said[1] == said[2]


def test_an_entry_that_vanishes_meanwhile_shifts_nothing(each_sh, tree, tmp_path):
    sh = each_sh[-1]
    folder = tmp_path / "wrapped"
    folder.mkdir()
    real = shutil.which("stat", path=sh.path)
    wrapper = folder / "stat"
    wrapper.write_text(f'#!/bin/sh\nrm -f ./web/pipe ./web/deep/lplain\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    before = walked(sh, tree, tmp_path / "scratch")
    sh.path = f"{folder}:{sh.path}"
    done = sh.run(sh.parts("prelude", "walk", then='walk_busybox "$1"\n'), tmp_path / "scratch", cwd=tree)
    found = records(done.stdout)
    assert before.keys() - found.keys() == {b"./web/pipe", b"./web/deep/lplain"}
    still = {p: v for p, v in found.items() if p not in (b"./web", b"./web/deep")}
    assert still == {p: before[p] for p in still}


def escaped(name: bytes) -> bytes:
    return name.replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\n", b"\\n").replace(b"\x01", b"\\n")


@pytest.mark.parametrize("much", [0, 1 << 30], ids=["little", "much"])
def test_the_manifest(sh, tree, tmp_path, much):
    if much and not shutil.which("openssl"):
        pytest.skip("openssl is not installed here")
    then = f'RD=$1 NICE=0 TOTAL_BYTES={much}\nmake_manifest "$2"\n'
    text = sh.parts("prelude", "walk", "run_backup", "run_manifest", then=then)
    done = sh.run(text, tmp_path, tmp_path / "manifest", cwd=tree)
    assert (done.returncode, done.stderr) == (0, b"")
    rows = [line.split(b"\t") for line in (tmp_path / "manifest").read_bytes().splitlines()]
    assert {len(row) for row in rows} == {10}
    by_path = {row[8]: row for row in rows}
    for name in ODD:
        row = by_path[b"./web/" + escaped(name)]
        assert row[0] == b"f" and int(row[5]) == len(name)
        assert row[7].decode() == hashlib.sha256(name).hexdigest(), name
        assert by_path[b"./web/deep/l" + escaped(name)][9] == b"../" + escaped(name)
    assert by_path[b"./web/deep/twin"][7] == by_path[b"./web/plain"][7]
    assert by_path[b"./web/pipe"][7] == b"-"
    assert len(by_path) == len(rows)
    assert {p.name for p in tmp_path.iterdir()} <= {"root", "tree", "manifest", "log"}
