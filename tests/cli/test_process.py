"""The command as a process: what only a real one shows."""

import json
import os
import pty
import signal
import subprocess
import sys

import pytest
from tmux import wait_until

from nsmig_tui.domain.errors import UsageError
from nsmig_tui.settings import load
from nsmig_tui.tui.start import start

RUN = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from cli.fakes import FakeApp, FakeEngine
from nsmig_tui.cli.main import main
from nsmig_tui.settings import load
from nsmig_tui.store.fleet_store import Store

class Engine(FakeEngine):
    async def migrate(self, vnode, domain, options, emit):
        if domain == "other.example":
            print("begun", file=sys.stderr, flush=True)
            await asyncio.sleep(600)
        return await super().migrate(vnode, domain, options, emit)

sys.exit(main(sys.argv[2:], wire=lambda settings, **asks: FakeApp(Store(settings.database), Engine())))
"""
TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NSMIG = [sys.executable, "-m", "nsmig_tui"]


@pytest.fixture
def environment(bench):
    return {**os.environ, "TERM": "xterm", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["migrate", "--help"], ["node", "import", "--help"]]
)
def test_help_and_version(environment, words):
    done = subprocess.run([*NSMIG, *words], capture_output=True, env=environment, check=False)
    assert done.returncode == 0 and done.stdout and not done.stderr


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_no_terminal_no_screen(environment, term):
    done = subprocess.run(
        NSMIG, capture_output=True, stdin=subprocess.DEVNULL, env={**environment, "TERM": term}, check=False
    )
    assert done.returncode == 2
    assert b"--json" in done.stderr and b"--help" in done.stderr and done.stdout == b""


@pytest.mark.parametrize(
    "words",
    [
        ("node", "check"),
        ("discover", "web1"),
        ("validate", "web1", "good.example"),
        ("migrate", "web1", "good.example", "--yes"),
        ("migrate", "--all-validated", "--yes"),
        ("rollback", "web1", "good.example", "--list"),
    ],
    ids=" ".join,
)
def test_a_missing_ssh_configuration_is_wrong_usage(environment, tmp_path, words):
    missing = str(tmp_path / "missing")
    done = subprocess.run(
        [*NSMIG, "--ssh-config", missing, *words], capture_output=True, env=environment, check=False
    )
    assert done.returncode == 2
    assert f"{missing} cannot be read: No such file".encode() in done.stderr
    assert b"--ssh-config" in done.stderr


def test_a_missing_ssh_configuration_opens_no_screen(environment, tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        start(load({"ssh_config": str(tmp_path / "missing")}))


def test_who_connects_to_nobody_needs_no_ssh_configuration(environment, tmp_path):
    words = ["--ssh-config", str(tmp_path / "missing"), "list"]
    done = subprocess.run([*NSMIG, *words], capture_output=True, env=environment, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_interrupted_is_130_with_the_way_to_go_on(environment, name):
    words = ["migrate", "web2", "other.example", "--yes", "--json"]
    running = subprocess.Popen(
        [sys.executable, "-c", RUN, TESTS, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )
    assert "begun" in running.stderr.readline()
    running.send_signal(getattr(signal, name))
    out, err = running.communicate()
    assert running.returncode == 130
    assert "nsmig resume web2 other.example" in err and "Traceback" not in err
    lines = out.splitlines()
    assert '"exit_code": 130' in lines[-2] and "other.example" in lines[-2]
    assert lines[-1] == '{"type": "summary", "ok": 0, "failed": 1, "skipped": 0}'


def test_a_terminal_that_closes_does_not_end_what_nohup_started(environment):
    running = subprocess.Popen(
        ["nohup", sys.executable, "-c", RUN, TESTS, "migrate", "web2", "other.example", "--yes"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )
    while "begun" not in (line := running.stderr.readline()):
        assert line, "it ended before it began"
    running.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(0.5)
    running.send_signal(signal.SIGTERM)
    assert running.wait(30) == 130


@pytest.mark.parametrize("words", [["discover", "web2"], ["validate", "web2", "other.example"]])
def test_a_look_that_is_broken_off_is_not_under_way_for_ever(environment, tmp_path, words):
    asked, config = tmp_path / "asked", tmp_path / "ssh_config"
    # run with "exec" before it, as OpenSSH does
    config.write_text(f"Host *\n  ProxyCommand sh -c 'touch {asked}; exec sleep 30'\n")
    running = subprocess.Popen(
        [*NSMIG, f"--ssh-config={config}", *words], stderr=subprocess.PIPE, env=environment, text=True
    )
    wait_until(asked.exists)
    running.send_signal(signal.SIGINT)
    _out, err = running.communicate()
    assert running.returncode == 130 and "Traceback" not in err
    done = subprocess.run([*NSMIG, "history", "--json"], capture_output=True, env=environment, check=True)
    run = next(row for row in json.loads(done.stdout) if row["verb"] == words[0])
    assert run["outcome"] == "interrupted"


def test_a_reader_that_goes_away_stops_nothing(environment):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", RUN, TESTS, "migrate", "web1", "good.example", "--yes"],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=environment,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 0 and b"Traceback" not in done.stderr and b"Broken" not in done.stderr


def test_a_full_disk_is_not_success(environment):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*NSMIG, "list"], stdout=full, stderr=subprocess.PIPE, env=environment, check=False
        )
    assert done.returncode == 1
    assert b"could not be written" in done.stderr and b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("closed", "words", "code"), [(">&-", "list --json", 0), ("2>&-", "bogus", 2), (">&- 2>&-", "list", 0)]
)
def test_closed_streams_are_no_fault(environment, closed, words, code):
    line = f'"{sys.executable}" -m nsmig_tui {words} {closed}'
    done = subprocess.run(line, shell=True, capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")


def test_a_locale_that_cannot_show_arrows(environment):
    done = subprocess.run(
        [sys.executable, "-c", RUN, TESTS, "migrate", "web1", "good.example", "--dry-run"],
        capture_output=True,
        env={**environment, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
        check=False,
    )
    assert done.returncode == 0 and b"web \\u2192 web/app/public" in done.stdout


def on_a_terminal(command, environment, typed=b"", answers=()):
    """Run ``command`` on a pseudo-terminal; answers its exit code and all that it drew.

    ``typed`` is typed ahead; each of ``answers`` when the next prompt, which ends in ": ", stands there.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], command, environment)
    os.write(terminal, typed)
    drawn, left = b"", list(answers)
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        if not piece:
            break
        drawn += piece
        if left and drawn.endswith(b": "):
            os.write(terminal, left.pop(0))
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), drawn


@pytest.mark.parametrize("plain", [True, False])
def test_bars_on_a_terminal_unless_no_color(environment, plain):
    environment = {name: value for name, value in environment.items() if plain or name != "NO_COLOR"}
    command = [sys.executable, "-c", RUN, TESTS, "migrate", "web1", "good.example"]
    code, drawn = on_a_terminal(command, environment, b"yes\n")
    assert code == 0 and b"1 ok, 0 failed" in drawn
    assert (b"\x1b[" in drawn) is not plain
    assert b"[bold]talk[/nope]" in drawn and b"\x1b[2J" not in drawn
    assert (b"backup_creation done in" in drawn) is plain


@pytest.mark.parametrize(("columns", "is_drawn"), [("80", True), ("40", False)])
def test_table_on_a_terminal(environment, columns, is_drawn):
    command = [sys.executable, "-m", "nsmig_tui", "list"]
    code, drawn = on_a_terminal(command, {**environment, "COLUMNS": columns, "PYTHONUTF8": "1"})
    assert code == 0 and b"good.example" in drawn and b"way back" in drawn
    assert ("──".encode() in drawn) is is_drawn


def test_ctrl_c_at_the_question(environment):
    """The interrupt key, typed instead of an answer."""
    command = [sys.executable, "-c", RUN, TESTS, "migrate", "web1", "good.example"]
    code, drawn = on_a_terminal(command, environment, answers=[b"\x03"])
    assert code == 130 and b"Type yes" in drawn
    assert b"Traceback" not in drawn and b"migrated" not in drawn


ASK = """
import asyncio
from nsmig_tui.cli.consent import password_asker
from nsmig_tui.cli.output import Output
async def main():
    ask = password_asker(Output(), lambda: None)
    print("got", [await ask("Password:"), await ask("Once more:"), await ask("Again:")])
asyncio.run(main())
"""


def test_a_password_is_not_shown_and_lines_are_not_mixed_up(environment):
    code, drawn = on_a_terminal(
        [sys.executable, "-c", ASK], environment, b"", [b"s\xc3\xa9cret one\n", b"two\n", b"\x04"]
    )
    assert code == 0
    assert b"got ['s\xc3\xa9cret one', 'two', None]" in drawn
    assert drawn.count("sécret".encode()) == drawn.count(b"two") == 1


BOTH = """
import asyncio
from nsmig_tui.cli.consent import host_key_asker, password_asker
from nsmig_tui.cli.output import Output
async def main():
    out = Output()
    trust, word = host_key_asker(out, lambda: None), password_asker(out, lambda: None)
    asked = trust("web1", "ssh-ed25519", "SHA256:abc"), word("Password:"), word("Two:")
    print("got", await asyncio.gather(*asked))
asyncio.run(main())
"""


def test_questions_of_several_vnodes_come_one_after_the_other(environment):
    """An answer meant for one server must not be sent to another as its password."""
    code, drawn = on_a_terminal(
        [sys.executable, "-c", BOTH], environment, b"", [b"yes\n", b"secret\n", b"other\n"]
    )
    assert code == 0
    assert b"got [True, 'secret', 'other']" in drawn


SLOW = """
import builtins, os, sys
usual = builtins.__import__

def slow(name, *more, **named):
    if name.endswith("cli.main"):
        print("loading", file=sys.stderr, flush=True)
        sys.stdin.readline()
    return usual(name, *more, **named)

builtins.__import__ = slow
from nsmig_tui.__main__ import main
sys.argv = ["nsmig", "list"]
sys.exit(main())
"""


def test_ctrl_c_while_modules_load(environment):
    running = subprocess.Popen(
        [sys.executable, "-c", SLOW],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )
    assert "loading" in running.stderr.readline()
    running.send_signal(signal.SIGINT)
    out, err = running.communicate()
    assert (running.returncode, out, err) == (130, "", "nsmig: Interrupted; nothing was begun.\n")
