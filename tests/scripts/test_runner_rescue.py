"""php-fpm is down after a reload: it starts from what is on disk, and nobody's pool is another for it."""

import os
import socket

import pytest
from scripts.test_runner_base import text

PARTS = (
    *("prelude", "capabilities", "run_base", "run_notes", "run_look", "run_lock", "run_pins"),
    *("run_services", "run_fpm", "run_config", "run_whose", "run_rescue", "run_group"),
    *("run_keeper", "run_hold", "run_way"),
    *("run_kept", "run_undo"),
)

SETUP = """
DOMAIN=a.test RUN=r OPERATOR=me CRASH_AT=0 FAIL_AT= GATHER=0 FOLLOW=0 FPM_CONF=$R/fpm/fpm.conf
STEP=configuration_update
FPM_BIN=true FPM_UNIT=php-fpm FPM_CMD= MANAGER=none HOLD=app NEW_SOCKETS= OLD_SOCKETS= VERB=migrate
PHASE=${T_PHASE:-forward} FPM_AT=orig J=$VAR/a.test CUR=$VAR/a.test/cur RD=$R/rd S=$R/staging XCHG=mv
mkdir -p "$RD"
open_lock
sync() { :; } # the machine's disks are not what is tested
accepts() { return 1; }
note_pools() { :; }
pools_answer() { :; }
fpm_alive() { [ -e "$R/alive" ]; }
fpm_settles() { fpm_alive; }
fpm_reload() { # the master dies of the signal; who finds it down starts it
  echo reload >>"$R/asked"
  rm -f "$R/alive"
  return 1
}
service() { # as php-fpm does: not for one pool whose folder is missing
  echo "$1" >>"$R/asked"
  for pool in "$R"/fpm/pool.d/*; do
    read -r address <"$pool"
    if [ ! -d "${address%/*}" ]; then
      printf "[now] ERROR: unable to bind listening socket for address '%s': " "$address" >>"$R/fpm.log"
      echo "No such file or directory (2)" >>"$R/fpm.log"
      printf "[now] ERROR: FPM initialization failed\\n" >>"$R/fpm.log"
      return 78
    fi
  done
  : >"$R/alive"
}
: >"$R/alive"
undo_everything() { j undo_started "$1"; finish undone 5; }
"""


class Vnode:
    """Pools and their runs' records; a pool's text is the address that it listens on."""

    def __init__(self, sh):
        self.sh = sh
        (sh.root / "fpm/pool.d").mkdir(parents=True)
        (sh.root / "fpm/fpm.conf").write_text(f"[global]\nerror_log = {sh.root}/fpm.log\n")
        (sh.root / "fpm.log").write_text(
            "[then] ERROR: unable to bind listening socket for '/of/yesterday'\n"
        )

    def place(self, domain, stage):
        return self.sh.root / domain / stage

    def pool(self, domain):
        return self.sh.root / f"fpm/pool.d/{domain}"

    def vhost(self, domain, disk, live, *there, flags=()):
        """A run's record: which stage is on disk, which one was taken last, and whose folders are there."""
        record = self.sh.var / domain / "cur"
        (record / "conf").mkdir(parents=True)
        (record.parent / "journal").touch()
        for stage in ("orig", "both", "final"):
            (record / f"conf/1.{stage}").write_text(f"{self.place(domain, stage)}/fpm.sock\n")
        for stage in there:
            self.place(domain, stage).mkdir(parents=True)
        (record / "conf/list").write_text(f"1\tfpm\tsum\t{self.pool(domain)}\n")
        self.pool(domain).write_text(f"{self.place(domain, disk)}/fpm.sock\n")
        if live:
            (record / "live.fpm").write_text("".join(f"{stage}\n" for stage in live))
            (record / "flag.fpm").touch()
        for flag in flags:
            (record / f"flag.{flag}").touch()

    def stage(self, domain):
        return self.pool(domain).read_text().strip().split("/")[-2]

    def run(self, then="fpm_to both '' ''; echo went", **env):
        return self.sh.run(self.sh.parts(*PARTS, then=SETUP + then + "\n"), **env)

    def journal(self):
        return (self.sh.var / "a.test/journal").read_text()


@pytest.fixture
def vnode(sh):
    """Beside the run's vhost one that waits for its verdict: its old folder is in .archive already."""
    made = Vnode(sh)
    made.vhost("s0.test", "final", ["orig", "both", "final"], "final", flags=["touched", "finals"])
    return made


def test_a_crash_at_the_reload_is_met_by_a_start_and_nothing_else(vnode):
    vnode.vhost("a.test", "orig", [], "orig", "both")
    done = vnode.run()
    assert (done.returncode, done.stdout) == (0, b"went\n"), (done, vnode.journal())
    assert (vnode.stage("a.test"), vnode.stage("s0.test")) == ("both", "final")
    assert (vnode.sh.root / "asked").read_text() == "reload\nstart\n"
    assert "php-fpm was found down and is started" in vnode.journal()


def test_a_dead_socket_that_was_to_go_goes(vnode):
    """One that somebody listens on stays, and nothing is followed out of its folder."""
    vnode.vhost("a.test", "orig", [], "orig", "both")
    root = vnode.sh.root
    for name in ("dead", "live", "elsewhere"):
        (root / f"{name}.d").mkdir()
        server = socket.socket(socket.AF_UNIX)
        server.bind(os.path.relpath(root / f"{name}.d/s"))
        server.close()
    (root / "link.d").symlink_to("elsewhere.d")
    then = """
    accepts() { case $1 in */live.d/s) return 0 ;; *) return 1 ;; esac; }
    for s in dead live link nowhere; do drop_dead_socket "$R/$s.d/s"; done
    """
    assert vnode.run(then).returncode == 0
    assert [(root / f"{name}.d/s").exists() for name in ("dead", "live", "elsewhere")] == [False, True, True]


def test_what_does_not_start_gives_way_to_what_was_live_before_it(vnode):
    vnode.vhost("a.test", "orig", [], "orig")
    done = vnode.run()
    assert done.returncode == 5, (done, vnode.journal())
    assert (vnode.stage("a.test"), vnode.stage("s0.test")) == ("orig", "final")
    assert (vnode.sh.root / "alive").exists()
    assert f"unable to bind listening socket for address '{vnode.place('a.test', 'both')}" in vnode.journal()
    assert "it runs with those that it had" in vnode.journal() and "yesterday" not in vnode.journal()
    flags = {d: (vnode.sh.var / d / "cur/flag.fpm").exists() for d in ("a.test", "s0.test")}
    assert flags == {"a.test": False, "s0.test": True}, "its undo has nothing to do for php-fpm"


def test_a_stage_that_was_taken_for_live_and_never_held_gives_way_as_well(vnode):
    """Somebody else's socket answered for the new one; the reload's end was not what it seemed."""
    vnode.vhost("a.test", "both", ["orig", "both"], "orig")
    done = vnode.run("fpm_to final '' ''")
    assert done.returncode == 5, (done, vnode.journal())
    assert (vnode.stage("a.test"), vnode.stage("s0.test")) == ("orig", "final")
    assert (vnode.sh.root / "alive").exists()


def test_on_the_way_back_too(vnode):
    """Not to the originals, whose folders may be gone."""
    vnode.vhost("a.test", "final", ["orig", "both", "final"], "final", flags=["finals"])
    done = vnode.run(T_PHASE="undo")
    assert done.returncode == 6
    assert vnode.stage("a.test") == "final" and (vnode.sh.root / "alive").exists()


def test_what_a_killed_run_left_untested_gives_way_too(vnode):
    vnode.vhost("a.test", "orig", [], "orig", "both")
    vnode.vhost("dead.test", "both", ["orig"], "orig")
    done = vnode.run()
    assert done.returncode == 5, (done, vnode.journal())
    assert {d: vnode.stage(d) for d in ("a.test", "dead.test", "s0.test")} == {
        "a.test": "orig",
        "dead.test": "orig",
        "s0.test": "final",
    }
    assert (vnode.sh.root / "alive").exists()
    assert "the pools of dead.test are again as they were (orig)" in vnode.journal()


def test_nobodys_edit_is_overwritten_and_the_pool_at_fault_is_named(vnode):
    vnode.vhost("a.test", "orig", [], "orig", "both")
    edited = f"{vnode.sh.root}/nowhere/fpm.sock\npm.max_requests = 777 ; ADMIN\n"
    vnode.pool("s0.test").write_text(edited)
    done = vnode.run(T_PHASE="undo")
    assert done.returncode == 6, (done, vnode.journal())
    assert vnode.pool("s0.test").read_text() == edited and vnode.stage("a.test") == "orig"
    (said,) = [line for line in vnode.journal().splitlines() if "\tattention\t" in line]
    assert f"'{vnode.sh.root}/nowhere/fpm.sock'" in said and f"(in {vnode.pool('s0.test')})" in said
    assert "php-fpm is down and does not start" in said


def test_who_has_an_answer_is_left_alone(vnode):
    """Its change was taken; only the note of it is on its way."""
    vnode.vhost("a.test", "orig", [], "orig")
    vnode.vhost("goes.test", "both", ["orig"], "orig", "both")
    (vnode.sh.var / "goes.test/got.fpm").write_text("ok\n")
    assert vnode.run().returncode == 5
    assert vnode.stage("goes.test") == "both"


@pytest.mark.parametrize("comes_back", [True, False])
def test_php_that_is_to_forget_paths_is_started_as_well(vnode, comes_back):
    vnode.vhost("a.test", "orig", ["orig"], *(["orig"] if comes_back else []), flags=["refresh"])
    done = vnode.run("php_forgets; echo went", T_PHASE="undo")
    if comes_back:
        assert (done.returncode, done.stdout) == (0, b"went\n"), vnode.journal()
    else:
        assert done.returncode == 6 and "does not start: ERROR: unable to bind" in vnode.journal()


def test_php_that_is_to_forget_paths_is_asked_about_files_elsewhere_too(vnode):
    """A good answer of a moment ago covers what is below php-fpm's own folder only."""
    vnode.vhost("a.test", "orig", ["orig"], "orig", flags=["refresh"])
    then = ': >"$VAR/fpm.good"\nfpm_test() { FPM_SAYS="bad pool elsewhere"; return 1; }\nphp_forgets'
    done = vnode.run(then, T_PHASE="undo")
    assert done.returncode == 6 and "php-fpm -t: bad pool elsewhere" in vnode.journal()
    assert not (vnode.sh.root / "asked").exists(), "it was not reloaded"


def test_openrc_is_told_first_that_it_is_down(sh):
    vnode = Vnode(sh)
    vnode.vhost("a.test", "orig", [], "orig")
    tool = sh.root / "bin/rc-service"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\necho "$@" >>{sh.root}/asked\n')
    tool.chmod(0o755)
    vnode.run('PATH=$R/bin:$PATH MANAGER=openrc; start_dead php-fpm82.service ""')
    assert (sh.root / "asked").read_text() == "php-fpm82 zap\nstart\n"


@pytest.mark.parametrize("manager", ["systemd", "openrc", "sysvinit", "command"])
def test_what_daemons_write_is_not_hidden_by_our_umask(sh, manager):
    """PHP gives uploads the umask that php-fpm was started with, and nginx -t makes missing logs."""
    for place in ("bin/nginx", "bin/systemctl", "bin/rc-service", "etc/init.d/php-fpm82"):
        tool = sh.root / place
        tool.parent.mkdir(exist_ok=True)
        log = f"{sh.root}/{tool.name}"
        tool.write_text(f'#!/bin/sh\necho "$0 $*" >>{sh.root}/asked\n: >{log}.log\nexit 3\n')
        tool.chmod(0o755)
    then = f"""
    PATH=$R/bin:$PATH MANAGER={manager}
    service start php-fpm82.service 'echo command start >>{sh.root}/asked; : >{sh.root}/command.log; exit 3'
    echo "started $?"
    if nginx_test; then exit 9; fi
    : >"$R/ours"
    """
    done = sh.run(text(sh, then))
    assert (done.returncode, done.stdout) == (0, b"started 3\n"), done
    logs = list(sh.root.glob("*.log"))
    assert len(logs) == 2 and "start" in (sh.root / "asked").read_text()
    assert {path.stat().st_mode & 0o777 for path in logs} == {0o644}
    assert (sh.root / "ours").stat().st_mode & 0o777 == 0o600
