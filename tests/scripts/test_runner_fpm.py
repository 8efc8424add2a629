"""A reload of php-fpm is over when the master that is there has read what is on disk."""

import os
import shutil
import socket
import subprocess
import sys
import textwrap
import time

import pytest

PARTS = (
    "prelude",
    "capabilities",
    "run_base",
    "run_notes",
    "run_look",
    "run_lock",
    "run_pins",
    "run_services",
    "run_fpm",
    "run_rescue",
)

MASTER = """
import os, signal, socket, sys, time
from nsmig_tui.demo.standins import process
root, again = sys.argv[1], "AGAIN" in os.environ
pair = socket.socketpair()  # for its signals, as the real one has
os.environ["AGAIN"] = "1"
def reload(*_):
    time.sleep(0.6)  # a request is at its end
    os.execv(sys.executable, sys.orig_argv)
signal.signal(signal.SIGUSR2, reload)
if again:
    time.sleep(0.6)  # what is loaded before the configuration is
    open(f"{root}/read", "w").write(open(f"{root}/conf").read())
    if os.path.exists(f"{root}/bad"):
        os._exit(78)
process.set_title(f"php-fpm: master process ({root}/conf)")
open(f"{root}/up", "w").close()
while True:
    time.sleep(60)
"""
RELOAD = """
RUN=r CRASH_AT=0 FAIL_AT= J=$R/j RD=$R/rd FPM_CONF=$R/conf FPM_PID=$1 FPM_BIN= OTHER_SOCKETS=
MANAGER=command FPM_UNIT=php-fpm.service FPM_CMD="kill -USR2 $1"
mkdir -p "$J" "$RD" "$VAR"
: >"$J/journal"
VPATH=$R/srv
fpm_reload "" "${2:-}"
code=$?
echo "read $(cat "$R/read" 2>/dev/null)"
exit $code
"""


@pytest.fixture(params=["by lot", "fixed"])
def master(request, sh):
    """A master that takes its time to replace itself; where its stack begins is drawn by lot, or not."""
    start = [] if request.param == "by lot" else [shutil.which("setarch") or "", "-R"]
    if "" in start:
        pytest.skip("no setarch here")
    (sh.root / "conf").write_text("old")
    (sh.root / "master.py").write_text(textwrap.dedent(MASTER))
    words = [*start, sys.executable, str(sh.root / "master.py"), str(sh.root), "x" * 100]
    running = subprocess.Popen(words, env={"PYTHONPATH": ":".join(sys.path)})
    while not (sh.root / "up").exists():
        assert running.poll() is None
        time.sleep(0.01)
    yield running
    running.kill()
    running.wait()


def reload(sh, master, *sockets):
    return sh.run(sh.parts(*PARTS, then=RELOAD), master.pid, " ".join(map(str, sockets)))


def test_a_reload_is_over_when_the_new_master_has_read_its_configuration(sh, master):
    (sh.root / "conf").write_text("new")
    done = reload(sh, master)
    assert done.stdout == b"read new\n", done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("master", ["by lot"], indirect=True)
def test_a_socket_of_before_a_power_cut_holds_up_no_reload(sh, master):
    """It is to go, and the master does not know of it. The folder of all vhosts is a link."""
    run = sh.root / "data/a.test/run"
    run.mkdir(parents=True)
    (sh.root / "srv").symlink_to("data")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(run / "fpm.sock"))
    (sh.root / "conf").write_text("new")
    done = reload(sh, master, sh.root / "srv/a.test/run/fpm.sock", sh.root / "srv/a.test/none")
    assert (done.returncode, done.stdout) == (0, b"read new\n"), done.stderr
    assert list(run.iterdir()) == []


@pytest.mark.parametrize("master", ["by lot"], indirect=True)
def test_a_master_that_ends_at_its_reload_is_found_out(sh, master):
    (sh.root / "bad").touch()
    running = subprocess.Popen(
        [*sh.command, *_script(sh), str(master.pid)],
        env=sh.environment(),
        cwd=sh.root,
        stdout=subprocess.PIPE,
    )
    assert master.wait(timeout=30) == 78
    assert running.wait(timeout=60) == 1


def _script(sh):
    path = sh.root / "reload.sh"
    path.write_text(sh.parts(*PARTS, then=RELOAD))
    return [str(path)]
