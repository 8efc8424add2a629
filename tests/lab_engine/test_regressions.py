"""The hazards of reliability.md E2a, E2f, E10 and F13: real on this node, and never met by our order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lab.node import Node, wait_for
from lab.prober import Prober, Target
from lab.product import Product
from lab.scene import DOMAIN, NEIGHBOUR, Scene, set_scene

pytestmark = pytest.mark.lab

POOL = f"/etc/php/8.2/fpm/pool.d/{DOMAIN}.conf"
OLD, NEW = f"/srv/{DOMAIN}/var/run", f"/srv/{DOMAIN}/web/run"
LISTEN = f"sed -i 's|^listen=.*|listen={NEW}/fpm.sock|' {POOL} && php-fpm8.2 -t"


def php_of(node: Node, domain: str) -> int:
    """The status of a site's PHP page."""
    return node.http(domain, "/").status


def counters(node: Node) -> dict[str, str]:
    """Masters and restart counters of both services."""
    asked = "for u in nginx php8.2-fpm; do systemctl show -P MainPID -P NRestarts -P ActiveState $u; done"
    started = "systemctl show -P ExecMainStartTimestampMonotonic nginx php8.2-fpm"
    return {"units": node.sh(asked).stdout, "started": node.sh(started).stdout}


@pytest.fixture
def scene(node: Node) -> Scene:
    """A vhost with its own pool, a neighbour with PHP."""
    return set_scene(node, shape="literal")


def test_e2a_a_moved_socket_takes_php_down_for_all(scene: Scene) -> None:
    """The naive order: var/run with its socket moved, new listen, -t passes, reload; PHP of all is gone."""
    node = scene.node
    node.sh(f"mv {OLD} {NEW} && {LISTEN}")
    node.sh("systemctl reload php8.2-fpm", check=False)
    wait_for("PHP to go down", lambda: php_of(node, NEIGHBOUR) == 502, 20)
    assert php_of(node, DOMAIN) == 502


def test_e2f_a_link_at_the_old_place_deletes_the_new_socket(scene: Scene) -> None:
    """var/run as a link before the reload: php-fpm is well, reload says so, and the socket is gone."""
    node = scene.node
    node.sh(
        f"install -d -o {scene.vhost.uid} -g 33 -m 750 {NEW} && mv {OLD} {OLD}.was && ln -s ../web/run {OLD}"
    )
    node.sh(f"mv {OLD}.was/fpm.sock {NEW}/elsewhere.sock && {LISTEN} && systemctl reload php8.2-fpm")
    wait_for("the site's PHP to go down", lambda: php_of(node, DOMAIN) == 502, 20)
    assert not node.path(f"{NEW}/fpm.sock").exists()
    assert node.sh("systemctl is-active php8.2-fpm").stdout.strip() == "active"


@pytest.mark.parametrize("hazard", ["E10: its folder is gone", "F13: the path is taken"])
def test_php_fpm_passes_its_test_and_does_not_start(scene: Scene, hazard: str) -> None:
    """A listen path that cannot be bound: -t says yes, the next start says no, for every site."""
    node = scene.node
    if hazard.startswith("E10"):
        node.sh(f"mv {OLD} {NEW}")
    else:
        node.sh(f"mkdir {NEW} && {LISTEN}")
        taken = (
            f'use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, pack_sockaddr_un("{NEW}/fpm.sock"));'
        )
        node.sh(f"setsid perl -e '{taken} listen(S, 9); sleep 600' </dev/null >/dev/null 2>&1 &")
        wait_for("the stranger", lambda: node.path(f"{NEW}/fpm.sock").exists(), 10)
    node.sh("php-fpm8.2 -t")
    started = node.sh("systemctl restart php8.2-fpm", check=False)
    assert started.returncode != 0 or php_of(node, NEIGHBOUR) == 502
    assert php_of(node, NEIGHBOUR) == 502


@pytest.mark.parametrize("form", [{"shape": "literal"}, {"shape": "shared", "pool": "include"}])
def test_our_order_never_does(node: Node, product: Product, form: dict) -> None:
    """There and back twice: PHP of the neighbour always answers, masters stay, nothing is restarted."""
    scene = set_scene(node, **form)
    setting = "s/^;*process_control_timeout.*/process_control_timeout = 10s/"
    node.sh(f"sed -i '{setting}' /etc/php/8.2/fpm/php-fpm.conf && systemctl reload php8.2-fpm")
    wait_for("PHP after the reload", lambda: scene.wrong() == [], 20)
    product.ready(node, DOMAIN)
    before = counters(node)
    targets = [
        Target(NEIGHBOUR, "/", body=f"home of {NEIGHBOUR}"),
        Target(NEIGHBOUR, "/sub/deep.php", body=f"library of {NEIGHBOUR}"),
        Target(DOMAIN, "/sub/deep.php", body=f"library of {DOMAIN}"),
        Target(DOMAIN, "/", body=f"home of {DOMAIN}"),
    ]
    with Prober(node, targets, interval_ms=2) as prober:
        for _ in range(2):
            assert product.migrate(node, DOMAIN).ok
            assert product.rollback(node, DOMAIN).ok
    assert prober.wrong == [], (len(prober.wrong), prober.wrong[:3], prober.wrong[-1])
    assert all(found.count > 100 for found in prober.findings)
    assert counters(node) == before


def test_a_stranger_on_the_new_socket_is_found_before_the_reload(scene: Scene, product: Product) -> None:
    """F13 against us: somebody listens where our socket would be. Refused or undone, PHP never goes down."""
    node = scene.node
    product.ready(node, DOMAIN)
    before = counters(node)
    stranger = f"{NEW}/fpm.sock"
    take = f'use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, pack_sockaddr_un("{stranger}"));'
    node.sh(
        "setsid perl -e 'select(undef, undef, undef, 0.001) until -d "
        f'"{NEW}"; {take} listen(S, 9); sleep 600\' </dev/null >/dev/null 2>&1 &'
    )
    with Prober(node, [Target(NEIGHBOUR, "/page.html", body=f"page of {NEIGHBOUR}")]) as prober:
        result = product.migrate(node, DOMAIN)
    assert prober.wrong == []
    assert not result.ok and result.exit_code == 5, result
    wait_for("PHP of all", lambda: scene.wrong() == [], 20)
    assert re.sub(r"\d+", "", counters(node)["units"]) == re.sub(r"\d+", "", before["units"])


def test_php_fpm_starts_from_disk_at_the_end(scene: Scene, product: Product, tmp_path: Path) -> None:
    """After migrate and after undo a cold start works, and php-fpm's error log tells of no trouble."""
    node = scene.node
    product.ready(node, DOMAIN)
    node.path("/var/log/php8.2-fpm.log").write_text("")
    for verb in (product.migrate, product.rollback):
        assert verb(node, DOMAIN).ok
        scene.restart()
        assert scene.wrong() == []
    log = node.path("/var/log/php8.2-fpm.log").read_text()
    assert "already listen" not in log and "ERROR" not in log, log[-1000:]


def test_php_fpm_is_found_while_it_reloads(scene: Scene, product: Product) -> None:
    """A master that reloads replaces itself and has no title for a moment; we still find it."""
    node = scene.node
    product.ready(node, DOMAIN)
    again = "while [ ! -e /tmp/stop ]; do systemctl reload php8.2-fpm; sleep 0.2; done"
    node.sh(f"systemctl reset-failed; rm -f /tmp/stop; setsid sh -c '{again}' >/dev/null 2>&1 &")
    try:
        plans = [product.plan(node, DOMAIN) for _ in range(8)]
    finally:
        node.sh("touch /tmp/stop")
    assert [len(plan.steps) for plan in plans] == [7] * 8
