"""Old workers of nginx get some time before what their requests need goes, and nobody waits for nothing."""

import subprocess
import sys
import time

import pytest

PARTS = ("prelude", "run_base", "run_notes", "run_look", "run_lock", "run_pins", "run_services")
SETUP = """
RUN=r CRASH_AT=0 FAIL_AT= J=$R/j RD=$R/rd MUTE=
mkdir -p "$J" "$RD" "$VAR"
: >"$J/journal"
sync() { :; } # the machine's disks are not what is tested
"""
WORKER = """
import sys, time
from nsmig_tui.demo.standins import process
process.set_title("nginx: worker process is shutting down")
print("up", flush=True)
time.sleep(float(sys.argv[1]))
"""


@pytest.fixture
def worker(sh):
    """Begins old workers that stay for so many seconds."""
    begun = []
    path = sh.root / "worker.py"
    path.write_text(WORKER)

    def begin(seconds):
        words = [sys.executable, str(path), str(seconds), "x" * 100]
        running = subprocess.Popen(words, stdout=subprocess.PIPE, env={"PYTHONPATH": ":".join(sys.path)})
        begun.append(running)
        assert running.stdout.readline() == b"up\n"
        return running

    yield begin
    for running in begun:
        running.kill()
        running.communicate()


def leave(sh, workers, seconds):
    then = f"{SETUP}note_leaving '{' '.join(str(w.pid) for w in workers)}'\nlet_leave {seconds}\n"
    began = time.monotonic()
    done = sh.run(sh.parts(*PARTS, then=then))
    assert done.returncode == 0, done.stderr
    return time.monotonic() - began, (sh.root / "j/journal").read_text()


def test_a_worker_is_waited_for_until_its_request_has_ended(sh, worker):
    slow = worker(1)
    took, journal = leave(sh, [slow], 20)
    assert slow.poll() == 0 or slow.wait(timeout=5) == 0
    assert took < 15 and journal == ""


def test_who_stays_is_named_and_keeps_no_other_run_waiting(sh, worker):
    stays = worker(600)
    _took, journal = leave(sh, [stays], 2)
    assert f" {stays.pid}: " in journal and "warning" in journal
    told = (sh.var / "nginx.leaving").read_text()
    again, journal = leave(sh, [], 2)
    assert (sh.var / "nginx.leaving").read_text() == told
    assert again < 1.5 and journal.count("warning") == 1


def test_where_nobody_is_left_nothing_is_begun(sh):
    (sh.root / "var/lib/nsmig").mkdir(parents=True)
    (sh.root / "var/lib/nsmig/nginx.leaving").write_text("1 5\n")
    then = SETUP + "PATH=/nonexistent\nNOW=1 EPOCH0=1 UP0=1\nlet_leave 10 && echo on\n"
    done = sh.run(sh.parts(*PARTS, then=then))
    assert done.stdout == b"on\n" and done.stderr == b""


def test_a_clock_that_is_set_back_keeps_nobody_waiting(sh, worker):
    """It was hours ahead when the worker was told to go, and right when the next run comes."""
    stays = worker(15)
    ahead = f"{SETUP}EPOCH0=5000000000 UP0=0\nnote_leaving '{stays.pid}'\n"
    assert sh.run(sh.parts(*PARTS, then=ahead)).returncode == 0
    took, journal = leave(sh, [], 1)
    assert took < 5 and f" {stays.pid}: " in journal and stays.poll() is None
