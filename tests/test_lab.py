"""The lab is what it says: real nodes, every seeded shape answers, and nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from lab import owned, procs, tree, variants
from lab.fleet import SUDO_PASSWORD, Lab
from lab.node import Node, wait_for
from lab.prober import Prober, Target
from lab.seed import SECRET, Vhost, seed_references, seed_vhost, serve, wrong_answers

# In one process, where there are several: they look at what is there of labs that died.
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("labs")]

EXCHANGE = 'perl -e \'exit(syscall(316, -100, my $a = $ARGV[0], -100, my $b = $ARGV[1], 2) != 0)\' "$1" "$2"'


@pytest.fixture
def shapes(node: Node) -> list[Vhost]:
    """One vhost of each shape that tests rely on."""
    made = [
        seed_vhost(node, "literal.test", aliases=["alias.literal.test"], reload=False),
        seed_vhost(node, "shared.test", shape="shared", pool="include", aliases=["other.test"], reload=False),
        seed_vhost(node, "static.test", php=False, reload=False),
        seed_vhost(node, "secure.test", tls=True, content="absolute", reload=False),
        seed_vhost(node, "odd.test", content="odd", files=20, reload=False),
    ]
    serve(node, made)
    return made


def test_node_has_services_and_no_python(node: Node) -> None:
    """A vnode needs nothing of ours: there is no Python to lean on."""
    states = node.sh("systemctl is-active nginx php8.2-fpm ssh cron").stdout.split()
    assert states == ["active"] * 4
    assert node.sh("command -v python3 || command -v python", check=False).returncode != 0
    assert node.http("nobody.test", "/").status == 200


def test_only_loopback_is_there(node: Node) -> None:
    """Nothing that a test does on a node can leave it."""
    links = node.sh("cat /proc/net/dev").stdout.splitlines()[2:]
    assert [line.split(":")[0].strip() for line in links] == ["lo"]


def test_ssh_reaches_root_and_the_sudo_accounts(lab: Lab, node: Node) -> None:
    """The three ways in that nsmig has to master."""
    assert lab.ssh("vn1", "id -un; hostname").stdout == b"root\nvn1\n"
    assert lab.ssh("vn1-ops", "sudo -n id -un").stdout == b"root\n"
    assert lab.ssh("vn1-opspw", "sudo -n id -un", check=False).returncode != 0
    answer = lab.ssh("vn1-opspw", "sudo -S -p '' id -un", input=f"{SUDO_PASSWORD}\n".encode())
    assert answer.stdout == b"root\n"


def test_nodes_are_different_machines(nodes: list[Node]) -> None:
    """Discovery tells machines apart by their id."""
    ids = {node.sh("cat /etc/machine-id").stdout for node in nodes}
    assert len(ids) == len(nodes)


def test_every_seeded_shape_answers(node: Node, shapes: list[Vhost]) -> None:
    """Static pages, PHP, aliases and refusals are as seeded; the www name only redirects."""
    assert [wrong for vhost in shapes for wrong in wrong_answers(node, vhost)] == []
    assert node.http("alias.literal.test", "/page.html").status == 200
    redirect = node.http("www.shared.test", "/page.html")
    assert (redirect.status, redirect.headers["Location"]) == (301, "http://shared.test/page.html")
    assert node.http("secure.test", "/page.html", port=443, tls=True).status == 200
    assert node.http("odd.test", "/files/readme.txt").text == "a file behind an alias\n"


def test_sessions_live_in_the_old_tmp_directory(node: Node, shapes: list[Vhost]) -> None:
    """A visitor is remembered, by a file in var/tmp, in both kinds of pool."""
    for vhost in shapes[:2]:
        first = node.http(vhost.domain, "/counter.php")
        cookie = first.headers["Set-Cookie"].split(";")[0]
        assert node.http(vhost.domain, "/counter.php", headers={"Cookie": cookie}).text == "visit 2"
        kept = os.listdir(node.srv / vhost.domain / "var/tmp")
        assert f"sess_{cookie.split('=')[1]}" in kept


def test_settings_hold_the_canary(node: Node, shapes: list[Vhost]) -> None:
    """The secret that must never be seen elsewhere is there, for root only."""
    settings = node.path(f"/root/.vhosts/{shapes[0].domain}")
    assert f"DPASS='{SECRET}'" in settings.read_text()
    assert settings.stat().st_mode & 0o777 == 0o600


def test_odd_tree_survives_keep_and_reset(node: Node, shapes: list[Vhost]) -> None:
    """The picture sees every kind of entry, and a copy made by cp with full fidelity equals it."""
    before = tree.picture(node.srv / "odd.test", ignore=["var"])
    assert {entry.kind for entry in before.values()} >= {"file", "dir", "link", "fifo", "socket"}
    assert before[b"web/sparse.img"].sparse
    assert before[b"web/hard-b"].same_as == b"web/hard-a"
    assert [name for name, _ in before[b"web/acl-dir"].xattrs] == [
        "system.posix_acl_access",
        "system.posix_acl_default",
    ]
    subprocess.run(["cp", "-a", node.srv / "odd.test", node.srv / "copy.test"], check=True)
    after = tree.picture(node.srv / "copy.test", ignore=["var"])
    assert tree.differences(before, after) == []


def test_odd_site_belongs_to_its_account_but_for_a_few(node: Node, shapes: list[Vhost]) -> None:
    """Only the entries planted for it have a foreign owner."""
    uid = next(vhost.uid for vhost in shapes if vhost.domain == "odd.test")
    site = tree.picture(node.srv / "odd.test/web")
    foreign = {path: entry.uid for path, entry in site.items() if entry.uid != uid}
    assert foreign == {b"left-by-root": 0, b"left-by-nobody": 65534, b"upload-by-server.jpg": 33}


def test_a_named_state_is_found_again(node: Node, shapes: list[Vhost]) -> None:
    """Seeded vhosts can be kept for several tests; the pristine state stays beside them."""
    parts, logs = ["srv", "etc/nginx", "etc/php", "root"], [f"srv/{each.domain}/var" for each in shapes]
    references = seed_references(node, shapes[0])
    node.keep("seeded")
    before = tree.node_picture(node, parts, ignore=logs)
    node.sh("rm -rf /srv/odd.test/web; echo broken >/etc/nginx/nginx.conf; chown -R 0 /srv/literal.test")
    node.reset("seeded")
    assert tree.differences(before, tree.node_picture(node, parts, ignore=logs)) == []
    assert "/srv/literal.test/web" in node.path(references["certbot"]).read_text()
    assert [wrong for vhost in shapes for wrong in wrong_answers(node, vhost)] == []
    node.reset()
    assert os.listdir(node.srv) == []


def test_picture_notices_what_changed(node: Node, shapes: list[Vhost]) -> None:
    """A difference in one field of one entry is named."""
    before = tree.node_picture(node, ["etc/nginx", "srv/literal.test/web"])
    node.sh("chmod 600 /srv/literal.test/web/page.html; touch /etc/nginx/new; rm /srv/literal.test/web/.env")
    found = tree.differences(before, tree.node_picture(node, ["etc/nginx", "srv/literal.test/web"]))
    assert "gone: b'srv/literal.test/web/.env'" in found
    assert "new: b'etc/nginx/new'" in found
    assert "changed: b'srv/literal.test/web/page.html' mode: 420 -> 384" in found


def test_exchange_works_where_nsmig_needs_it(node: Node, shapes: list[Vhost]) -> None:
    """renameat2 with RENAME_EXCHANGE: directories in /srv, files and directories in /etc."""
    node.sh("mkdir -p /srv/.x/a; echo one >/srv/.x/a/f; echo a >/etc/nginx/a; echo b >/etc/nginx/b")
    node.sh(EXCHANGE, "/srv/.x/a", "/srv/literal.test/web")
    assert node.sh("cat /srv/literal.test/web/f").stdout == "one\n"
    node.sh(EXCHANGE, "/etc/nginx/a", "/etc/nginx/b")
    assert node.sh("cat /etc/nginx/a").stdout == "b\n"
    node.sh("mv -T /etc/nginx /etc/nginx.moved; mkdir /etc/nginx")
    node.sh(EXCHANGE, "/etc/nginx", "/etc/nginx.moved")
    assert node.sh("cat /etc/nginx/b").stdout == "a\n"


def test_reset_takes_everything_back(node: Node, shapes: list[Vhost]) -> None:
    """Files, accounts, tools and processes of one test are unknown to the next."""
    node.sh("mkdir -p /var/lib/nsmig/x; setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo done")
    variants.without_perl(node)
    variants.busybox_first(node)
    node.reset()
    assert os.listdir(node.srv) == []
    assert "u1101" not in node.path("/etc/passwd").read_text()
    assert not node.path("/var/lib/nsmig").exists()
    assert (
        node.sh("command -v perl; ls /usr/local/bin; pgrep -x sleep", check=False).stdout == "/usr/bin/perl\n"
    )
    assert node.http("literal.test", "/page.html").status == 404
    assert node.sh("nginx -t; systemctl is-active nginx php8.2-fpm").stdout.split() == ["active", "active"]


def test_hard_reboot_serves_again_from_the_same_disk(node: Node, shapes: list[Vhost]) -> None:
    """The plug is pulled: what was on disk is served after the boot, by other processes."""
    old = node.init
    node.reboot()
    assert node.init != old
    assert [wrong for vhost in shapes for wrong in wrong_answers(node, vhost)] == []


def test_polite_reboot_serves_again(node: Node) -> None:
    """A reboot as an administrator does it."""
    old_boot = node.sh("systemctl show -P UserspaceTimestampMonotonic").stdout
    node.reboot(hard=False)
    assert node.sh("systemctl show -P UserspaceTimestampMonotonic").stdout != old_boot
    assert node.http("nobody.test", "/").status == 200


def test_node_without_perl(lab: Lab, node: Node) -> None:
    """There is a node on which nothing can call renameat2."""
    variants.without_perl(node)
    assert lab.ssh("vn1", "command -v perl", check=False).returncode != 0


@pytest.mark.parametrize("alias, prefix", [("vn1", ""), ("vn1-ops", "sudo -n ")])
def test_node_with_busybox_first(lab: Lab, node: Node, alias: str, prefix: str) -> None:
    """Logins, and sudo in them, find BusyBox applets before GNU's tools."""
    variants.busybox_first(node)
    for tool in ("tar", "find", "stat", "mv", "sh"):
        answer = lab.ssh(alias, f"{prefix}sh -c 'readlink -f \"$(command -v {tool})\"'")
        assert answer.stdout.strip() == b"/usr/bin/busybox"


def test_replaced_tool_can_fail_and_pass_on(lab: Lab, node: Node) -> None:
    """A tool that lies is one of the faults that tests inject."""
    variants.replace_tool(node, "sync", 'case "$*" in *boom*) exit 9 ;; esac; exec "$REAL" "$@"')
    assert lab.ssh("vn1", "sync boom", check=False).returncode == 9
    assert lab.ssh("vn1", "sync /etc").returncode == 0


def test_link_can_be_frozen_cut_and_mended(lab: Lab, node: Node) -> None:
    """A connection hangs, dies in the middle, and comes back, at the test's word."""
    link = lab.links["vn1"]
    link.mend()
    assert lab.ssh(link.alias, "echo through").stdout == b"through\n"
    argv = ["ssh", "-F", str(lab.ssh_config), link.alias, "echo begun; sleep 1000"]
    hanging = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert hanging.stdout is not None and hanging.stdout.readline() == b"begun\n"
    link.freeze()
    assert hanging.poll() is None
    link.cut()
    assert hanging.wait() == 255
    link.cut_after(2000)
    assert lab.ssh(link.alias, "echo never", check=False).returncode == 255
    link.mend()
    assert lab.ssh(link.alias, "echo again").stdout == b"again\n"
    assert link.connections == 1


def test_power_cut_loses_what_was_never_synced() -> None:
    """On a disk of its own a node keeps synced writes and forgets the others; the disk can also fill up."""
    with Lab(["solo"], disk_mb=300) as own:
        node = own["solo"]
        vhost = seed_vhost(node, "power.test")
        node.sh(
            "sync; cd /srv; echo kept >kept; sync -f kept;"
            "mv power.test/web/page.html lost-rename; echo x >lost"
        )
        node.power_cut()
        assert sorted(os.listdir(node.srv)) == ["kept", "power.test"]
        assert wrong_answers(node, vhost) == []
        full = node.sh("dd if=/dev/zero of=/srv/filler bs=1M", check=False)
        assert "No space left" in full.stderr


def test_prober_sees_right_and_wrong(node: Node, shapes: list[Vhost]) -> None:
    """Every request counts; a page that goes away is noticed with its time and status."""
    targets = [
        Target("literal.test", "/page.html", body="page of literal.test"),
        Target("odd.test", "/many/{n}.txt", body="numbered page", numbers=20),
        Target("shared.test", "/", body="home of shared.test"),
    ]
    with Prober(node, targets, interval_ms=1) as prober:
        node.sh("mv /srv/literal.test/web/page.html /srv/literal.test/web/gone.html")
        wait_for("the page to be gone", lambda: node.http("literal.test", "/page.html").status == 404)
        node.sh("mv /srv/literal.test/web/gone.html /srv/literal.test/web/page.html")
    page, many, home = prober.findings
    assert page.wrong_count == page.codes["404"] > 0
    assert prober.wrong[0]["code"] == "404"
    assert many.codes == {"200": many.count}
    assert home.codes == {"200": home.count}


def _traces(lab_id: str) -> list[str]:
    """What a lab of that id has on this machine now."""
    found = [f"netns {name}" for name in os.listdir("/run/netns") if f"-{lab_id}-" in name]
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"/{lab_id}-" in line]
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace")
            cgroup = Path(f"/proc/{entry}/cgroup").read_text()
        except OSError:
            continue
        if f"nsmig-{lab_id}-" in command or f"nsmig-{lab_id}-" in cgroup:
            found.append(f"process {entry} {command}")
    state = owned.STATE / lab_id
    return found + ([str(state)] if state.exists() else [])


OWNER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from lab.fleet import Lab
lab = Lab(["solo"])
lab.start()
node = lab["solo"]
facts = {"id": lab.id, "tree": str(lab.directory), "init": node.init, "nspawn": node.supervisor}
print(json.dumps(facts), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_when_the_owner_dies(lab: Lab, ending: signal.Signals) -> None:
    """The tests are killed in the middle: mounts, namespaces, processes and directories go all the same."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(Path(__file__).parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert owner.stdout is not None
    facts = json.loads(owner.stdout.readline())
    assert _traces(facts["id"]) != []
    owner.send_signal(ending)
    owner.wait()
    wait_for("the reaper", lambda: _traces(facts["id"]) == [])
    assert not Path(facts["tree"]).exists()
    assert procs.start_time(facts["init"]) is None
    assert procs.start_time(facts["nspawn"]) is None


def test_sweep_takes_away_what_a_dead_reaper_left(lab: Lab) -> None:
    """Should the reaper have died too, the next run finds the ledger and clears up."""
    ledger = owned.Ledger("0-dead")
    ledger.add("netns", "nsmig-0-dead-x")
    subprocess.run(["ip", "netns", "add", "nsmig-0-dead-x"], check=True)
    sleeper = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    ledger.add_process(sleeper.pid)
    (ledger.directory / "owner").write_text("1 1\n")
    swept = owned.sweep()  # and with it whatever another run lost on this machine
    assert "0-dead" in swept and lab.id not in swept
    assert sleeper.wait() == -signal.SIGKILL
    assert _traces("0-dead") == []


def test_sweep_spares_the_living(lab: Lab) -> None:
    """A second test run beside this one keeps its nodes."""
    assert lab.id not in owned.sweep()
    assert lab["vn1"].init is not None and procs.start_time(lab["vn1"].init) is not None
