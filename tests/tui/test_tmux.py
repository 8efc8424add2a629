"""The whole program under tmux at 80x24, with real keys, on the demo's servers with the real engine."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tmux import Pane, find, need_tmux, wait_until

from nsmig_tui import settings as settings_module
from nsmig_tui import wiring
from nsmig_tui.demo.background import running_world
from nsmig_tui.demo.run import add_vnodes, demo_settings
from nsmig_tui.domain.fleet import STEPS

NSMIG = (sys.executable, "-m", "nsmig_tui")
NODE, SITE, OTHER = "vn1", "bakery.example", "harbour.example"


@pytest.fixture
def open_pane(tmp_path):
    """A function that runs a command in a pane of its own."""
    need_tmux()
    opened = []

    def open_it(*command, **more):
        folder = tmp_path / f"pane{len(opened)}"
        folder.mkdir()
        opened.append(Pane(folder, command, **more))
        return opened[-1]

    yield open_it
    for pane in opened:
        pane.close()


def discover_and_validate(pane):
    """From a fleet that nobody has asked yet to a vhost that may migrate."""
    pane.until("DEMO", f"{NODE}", "not asked yet", "? Help")
    pane.keys("j", "d")
    pane.until("s ago")
    find(pane, SITE)
    pane.until("○ discovered")
    pane.keys("v")
    pane.until("● validated")


def test_from_discovery_to_a_migrated_site_and_back(open_pane):
    pane = open_pane(*NSMIG, "demo")
    discover_and_validate(pane)

    pane.keys("Space")
    pane.until("[x]", "1 marked on 1 vnode")
    pane.keys("m")
    question = pane.until(f"Migrate {SITE} on {NODE}?", "Way back:", "Migrate (y)", "Cancel (esc)")
    assert re.search(r"Changes: \d+ changes in 7 steps", question), question
    time.sleep(1)
    pane.keys("Enter")
    pane.until("● validated", without=["Migrate (y)"])
    pane.keys("m")
    pane.agree(f"Migrate {SITE} on")
    pane.until("Runs", *STEPS)
    done = pane.until("1/1 done", "OK")
    assert [name for name in STEPS if re.search(rf"✓ {name} .*100%", done)] == list(STEPS), done

    pane.keys("1")
    pane.until("✓ migrated")
    pane.keys("b")
    pane.until(f"Rollback: {SITE} on {NODE}", "1 archive on", "verified", "Undo the migration")
    pane.until("nothing has been touched")
    pane.keys("Enter")
    pane.until(f"Roll back {SITE}?", "Everything written since", "Undo (y)")
    pane.keys("y")
    pane.until("Runs", f"rollback {SITE}", "OK")
    pane.keys("1")
    pane.until("● validated", without=["✓ migrated"])
    pane.keys("q")
    assert pane.exit_code() == 0
    assert "Traceback" not in pane.text


@pytest.fixture
def fleet(tmp_path):
    """A demo fleet that outlives the program: its world, and the command that finds it."""
    with running_world(1, 2) as world:
        base = settings_module.load({"data_dir": tmp_path / "data", "config_dir": tmp_path / "config"})
        chosen = demo_settings(world, base)
        parts = wiring.build(chosen)
        add_vnodes(parts.store, world)
        parts.store.close()
        names = ("data_dir", "config_dir", "ssh_config")
        yield world, [*NSMIG, *(f"--{name.replace('_', '-')}={getattr(chosen, name)}" for name in names)]


def status_of(command, domain):
    """What the database says of a vhost."""
    done = subprocess.run(
        [*command, "show", NODE, domain, "--json"], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)["status"]


def begin_to_migrate(pane, world, *domains):
    """Mark these vhosts, migrate them, and wait until the first archive is being written."""
    for domain in domains:
        # So big that the archive is still being written when its step has been drawn.
        (world.root(NODE) / "srv" / domain / "web/big.bin").write_bytes(os.urandom(100 << 20))
    pane.until(NODE, "not asked yet", "? Help")
    pane.keys("j", "d")
    pane.until("s ago")
    for domain in domains:
        find(pane, domain)
        pane.keys("Space", "v")
        pane.until("[x]", "● validated")
    # A terminal takes a letter right behind escape for one key with Alt.
    pane.keys("Escape")
    pane.until("[x]", "4 of 4 vhosts")
    pane.keys("m")
    pane.agree(f"Migrate {domains[0]} on" if len(domains) == 1 else "in a batch?")
    pane.until("Runs", "▶ backup_creation", *domains)


def test_ctrl_c_in_the_shell_ends_what_runs_there_and_not_the_program(open_pane):
    pane = open_pane(*NSMIG, "demo")
    pane.until("DEMO", NODE, "? Help")
    pane.keys("j", "s")
    pane.until("its end returns to nsmig", "#")
    pane.keys("C-c")
    pane.until("DEMO", NODE, "? Help")
    pane.keys("d")
    pane.until("s ago")
    pane.keys("q")
    assert pane.exit_code() == 0


def lose_the_terminal(pane, number):
    """The terminal goes, or the program is killed; either way it is gone afterwards."""
    shell = pane.tmux("list-panes", "-F", "#{pane_pid}").strip()
    (pid,) = map(int, Path(f"/proc/{shell}/task/{shell}/children").read_text().split())
    if number == signal.SIGHUP:
        pane.hang_up()
    else:
        os.kill(pid, number)
    wait_until(lambda: not Path(f"/proc/{pid}/cmdline").exists())


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL], ids=["terminal closed", "killed"])
def test_a_run_outlives_the_terminal_and_is_taken_up_again(open_pane, fleet, number):
    world, command = fleet
    pane = open_pane(*command)
    begin_to_migrate(pane, world, SITE)
    lose_the_terminal(pane, number)
    assert status_of(command, SITE) == "validated"
    again = open_pane(*command)
    again.until("Unfinished runs", f"{SITE} on {NODE}", "attach to them now")
    again.answer("Unfinished runs", "r")
    again.agree("Finish 1 vhost?")
    again.until("Runs", f"resume {SITE}", "1/1 done")
    again.keys("1")
    find(again, SITE)
    again.until("✓ migrated")
    again.keys("q")
    assert again.exit_code() == 0
    assert status_of(command, SITE) == "migrated"


def test_a_batch_outlives_the_terminal_and_is_shown_again(open_pane, fleet):
    world, command = fleet
    pane = open_pane(*command)
    begin_to_migrate(pane, world, SITE, OTHER)
    lose_the_terminal(pane, signal.SIGHUP)
    again = open_pane(*command)
    again.until("is running: 2 shows it")
    again.keys("2")
    again.until("batch", SITE, OTHER)
    again.until("2/2 done")
    again.keys("q")
    assert again.exit_code() == 0
    assert {status_of(command, domain) for domain in (SITE, OTHER)} == {"migrated"}
