"""Who is on the way along a path while folders change places by exchange still arrives."""

import ctypes
import multiprocessing
import os
import time
from pathlib import Path

import pytest

RENAMEAT2 = {"x86_64": 316, "aarch64": 276}.get(os.uname().machine)
ROUNDS = 60


def exchange(one, other):
    """Both change places in one step."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(RENAMEAT2, -100, os.fsencode(one), -100, os.fsencode(other), 2):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def walk(path, stop, lost):
    """Look at ``path`` again and again; count the looks that found nothing."""
    while not stop.value:
        for _ in range(100):
            try:
                os.stat(path)
            except OSError:
                lost.value += 1


@pytest.mark.skipif(RENAMEAT2 is None, reason="the number of renameat2 is not known for this machine")
def test_hop_and_mirror_lead_on_from_both_places(tmp_path: Path):
    """The links of run_tree.sh and run_undo.sh, word for word, there and back many times."""
    web, staging = tmp_path / "d/web", tmp_path / ".nsmig/d"
    (web / "sub").mkdir(parents=True)
    (web / "sub/page").touch()
    mirror = tmp_path / ".nsmig/.nsmig/d"
    mirror.mkdir(parents=True)
    (mirror / "new").symlink_to("../../../d/web")
    (staging / "new/app").mkdir(parents=True)
    (staging / "new/sub").symlink_to("app/public/sub")
    (staging / "new/app/public").symlink_to(".nsmig-hop")
    (staging / "new/app/.nsmig-hop").symlink_to("../../../.nsmig/d/new")
    (staging / ".nsmig-hop").symlink_to("../../d/web/app/public")
    stop, lost = multiprocessing.Value("b", 0), multiprocessing.Value("i", 0)
    walker = multiprocessing.Process(target=walk, args=(web / "sub/page", stop, lost))
    walker.start()
    try:
        for _ in range(ROUNDS):
            exchange(web, staging / "new")
            exchange(web / "app/public", staging / "new")
            assert (web / "app/public/sub/page").is_file() and (staging / "new").is_symlink()
            time.sleep(0.02)  # longer than anybody is on the way
            (staging / "new.link").symlink_to("../../../.nsmig/d/new")
            (staging / "new.link").rename(staging / "new")
            exchange(web / "app/public", staging / "new")
            exchange(web, staging / "new")
            assert not (web / "app").exists()
            time.sleep(0.02)
            (staging / "new/app/public").unlink()
            (staging / "new/app/public").symlink_to(".nsmig-hop")
    finally:
        stop.value = 1
        walker.join()
    assert lost.value == 0
