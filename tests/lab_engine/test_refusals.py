"""What nsmig refuses, through the real command: exit code, a sentence that says what to do, no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from lab.node import Node, wait_for
from lab.product import Product
from lab.scene import DOMAIN, NEIGHBOUR, snapshot
from lab.seed import Vhost, seed_vhost
from lab.tree import differences
from lab.variants import replace_tool

from nsmig_tui.domain.fleet import Vnode

pytestmark = pytest.mark.lab

OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGcBkWLDBvJUDeXJfjd9oq3Vs9vzqLwy3Gs5K8oJbZ1D"


@dataclass
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    def refuses(self, code: int, *words: str) -> None:
        """Assert the exit code, that all words were said, and that it was said by nsmig, not by Python."""
        everything = self.out + self.err
        assert self.code == code, (self.code, everything[-1500:])
        assert "Traceback" not in everything, everything[-3000:]
        missing = [word for word in words if word not in everything]
        assert missing == [], (missing, everything[-1500:])


@dataclass
class Desk:
    """The operator's shell."""

    product: Product
    vhost: Vhost
    node: Node

    def __call__(self, *words: str, ssh_config: Path | None = None) -> Said:
        """Run ``nsmig`` with these words, without a terminal."""
        place = self.product.place
        flags = ["--data-dir", str(place / "data"), "--config-dir", str(place / "config")]
        flags += ["--ssh-config", str(ssh_config or self.product.lab.ssh_config)]
        done = subprocess.run(
            [sys.executable, "-m", "nsmig_tui", *words, *flags],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**os.environ, "NO_COLOR": "1"},
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def desk(product: Product, node: Node) -> Desk:
    """One vhost, validated."""
    vhost = seed_vhost(node, DOMAIN)
    product.ready(node, DOMAIN)
    return Desk(product, vhost, node)


def test_words_that_make_no_sense(desk: Desk) -> None:
    """Unknown names, and --no-backup without --force: 2."""
    desk("migrate", "vn9", DOMAIN, "--yes").refuses(2, "vn9", "Did you mean 'vn1'")
    desk("migrate", "vn1", "shap.test", "--yes").refuses(2, "shap.test", "Did you mean 'shop.test'")
    desk("discover", "vn9").refuses(2, "vn9")
    desk("migrate", "vn1", DOMAIN, "--yes", "--no-backup").refuses(2, "--force")


def test_agreement_and_read_only(desk: Desk) -> None:
    """Without a terminal somebody must have said --yes; read-only means it: 4."""
    before = snapshot(desk.node)
    desk("migrate", "vn1", DOMAIN).refuses(4, "--yes")
    desk("rollback", "vn1", DOMAIN).refuses(4, "--yes")
    desk("resume", "vn1", DOMAIN).refuses(4, "--yes")
    desk("migrate", "vn1", DOMAIN, "--yes", "--read-only").refuses(4, "read-only")
    desk("rollback", "vn1", DOMAIN, "--yes").refuses(4, "nothing to undo", "--list")
    desk("resume", "vn1", DOMAIN, "--yes").refuses(4, "nothing is left half-done", "discover")
    assert differences(before, snapshot(desk.node)) == []
    desk("migrate", "vn1", DOMAIN, "--dry-run", "--read-only").refuses(0)


def test_no_way_in(desk: Desk, tmp_path: Path) -> None:
    """Unreachable, a changed host key, an unknown host key: 3."""
    text = desk.product.lab.ssh_config.read_text()
    dead = tmp_path / "dead"
    dead.write_text("Host vn1\n    User root\n    ProxyCommand false\n")
    desk("discover", "vn1", ssh_config=dead).refuses(3, "vn1")
    desk("migrate", "vn1", DOMAIN, "--yes", ssh_config=dead).refuses(3, "vn1")
    known = desk.product.lab.ssh_dir / "known_hosts"
    changed = tmp_path / "known_changed"
    changed.write_text(f"vn1 {OTHER_KEY}\n")
    empty = tmp_path / "known_empty"
    empty.write_text("")
    for name, file in (("changed", changed), ("unknown", empty)):
        config = tmp_path / f"config_{name}"
        config.write_text(text.replace(str(known), str(file)))
        desk("migrate", "vn1", DOMAIN, "--yes", ssh_config=config).refuses(3, "key")
    assert changed.read_text() == f"vn1 {OTHER_KEY}\n"


def test_status_gates(desk: Desk, product: Product) -> None:
    """Not validated, and a structural path that is a link: 4, and it stays discovered."""
    odd = seed_vhost(desk.node, "linked.test")
    (desk.node.srv / "linked.test/var/log").rename(desk.node.srv / "linked.test/var/log.real")
    (desk.node.srv / "linked.test/var/log").symlink_to("log.real")
    product.discover(desk.node)
    desk("migrate", "vn1", odd.domain, "--yes").refuses(4, "not validated", "nsmig validate")
    desk("validate", "vn1", odd.domain).refuses(4, "var/log is a link")
    assert product.vhost(desk.node, odd.domain).status == "discovered"
    desk("migrate", "vn1", odd.domain, "--yes").refuses(4, "not validated")
    desk("migrate", "vn1", odd.domain, "--dry-run").refuses(4, "not validated")


def test_native_and_migrated(desk: Desk, product: Product) -> None:
    """The new layout from birth: nothing to undo (4); a migrate, dry too, changes nothing and says so (0)."""
    native = seed_vhost(desk.node, "native.test", php=False, reload=False)
    top = desk.node.srv / native.domain
    (top / "web").rename(top / "public")
    for place in ("web", "web/app", "web/log", "web/run"):
        (top / place).mkdir()
        os.chown(top / place, native.uid, 33)
    (top / "public").rename(top / "web/app/public")
    desk.node.sh(
        f"rm -rf {native.upath}/var;"
        f"sed -i 's|{native.upath}/web|&/app/public|; s|{native.upath}/var/log|{native.upath}/web/log|'"
        f" /etc/nginx/sites-available/{native.domain}; nginx -t && systemctl reload nginx"
    )
    product.discover(desk.node)
    assert product.vhost(desk.node, native.domain).status == "native"
    before = snapshot(desk.node)
    desk("migrate", "vn1", native.domain, "--yes").refuses(0, "native")
    desk("migrate", "vn1", native.domain, "--dry-run").refuses(0, "nothing would be changed")
    desk("rollback", "vn1", native.domain, "--yes").refuses(4, "native")
    assert differences(before, snapshot(desk.node)) == []


def test_a_server_that_is_not_well(desk: Desk) -> None:
    """nginx -t or php-fpm -t broken before us, no space, not writable: 4, nothing touched."""
    before = snapshot(desk.node)
    broken = desk.node.path("/etc/nginx/sites-enabled/broken")
    broken.write_text("server { listen 80; nonsense on; }\n")
    desk("migrate", "vn1", DOMAIN, "--yes").refuses(4, "nonsense")
    broken.unlink()
    pool = desk.node.path("/etc/php/8.2/fpm/pool.d/zz.conf")
    pool.write_text("[zz]\nnonsense = 1\n")
    desk("validate", "vn1", DOMAIN).refuses(4, "nonsense")
    pool.unlink()
    desk("validate", "vn1", DOMAIN).refuses(0)
    replace_tool(desk.node, "df", "$REAL \"$@\" | awk 'NR == 1 { print; next } { $4 = 12; print }'")
    desk("migrate", "vn1", DOMAIN, "--yes").refuses(4, "space")
    desk.node.path("/usr/local/bin/df").unlink()
    assert differences(before, snapshot(desk.node)) == []


def test_another_machine(desk: Desk, product: Product) -> None:
    """The name leads to a machine that is not the one which was discovered: 4."""

    async def swap(app: object) -> None:
        store = app.store  # type: ignore[attr-defined]
        known = store.vnode("vn1")
        store.save_vnode(Vnode(**{**vars(known), "machine_id": "0" * 32}))

    product.run(swap)
    for words in (("discover", "vn1"), ("validate", "vn1", DOMAIN), ("migrate", "vn1", DOMAIN, "--yes")):
        desk(*words).refuses(4, "another machine")


def test_locked(desk: Desk) -> None:
    """While another run holds the vhost: 75, and how to attach to it."""
    desk.node.sh(
        f"mkdir -p /var/lib/nsmig/{DOMAIN} && setsid flock /var/lib/nsmig/{DOMAIN}/lock sleep 600"
        " </dev/null >/dev/null 2>&1 &"
    )
    before = snapshot(desk.node)
    desk("migrate", "vn1", DOMAIN, "--yes").refuses(75, "another run", "nsmig resume")
    assert differences(before, snapshot(desk.node)) == []


def test_refusals_as_json(desk: Desk) -> None:
    """With --json a refusal is a result line with its error, then the summary."""
    said = desk("migrate", "vn1", DOMAIN, "--json")
    said.refuses(4)
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert lines[-1] == {"type": "summary", "ok": 0, "failed": 1, "skipped": 0}
    assert lines[-2]["type"] == "result" and not lines[-2]["ok"] and lines[-2]["errors"]
    said = desk("migrate", "vn1", "nowhere.test", "--yes", "--json")
    said.refuses(2, "nowhere.test")
    assert [json.loads(line) for line in said.out.splitlines()]


@pytest.mark.parametrize("service", ["nginx", "php8.2-fpm"])
def test_a_service_that_does_not_run_is_a_matter_of_its_health(desk: Desk, service: str) -> None:
    """Stopped services fail validation under the category that says so: 4."""
    desk.node.sh(f"systemctl stop {service}")
    said = desk("validate", "vn1", DOMAIN, "--json")
    said.refuses(4)
    desk.node.sh(f"systemctl start {service}")
    rows = [json.loads(line) for line in said.out.splitlines()]
    blocking = [
        (row["severity"], row["category"]) for row in rows if row.get("severity") in ("error", "critical")
    ]
    assert blocking == [("error", "service_health")]
    desk("validate", "vn1", DOMAIN).refuses(0)


def test_a_migrated_vhost_that_has_gone(desk: Desk, product: Product) -> None:
    """Neither judged nor undone while its directory is away; nothing is forgotten meanwhile: 4."""
    desk("migrate", "vn1", DOMAIN, "--yes").refuses(0)
    desk.node.sh(f"mv /srv/{DOMAIN} /srv/away.d")
    for words in (("validate", "vn1", DOMAIN), ("rollback", "vn1", DOMAIN, "--yes")):
        desk(*words).refuses(4, f"/srv/{DOMAIN} is not there", "nsmig discover vn1")
    desk("discover", "vn1").refuses(0)
    seen = product.vhost(desk.node, DOMAIN)
    assert (str(seen.status), seen.vanished) == ("migrated", True)
    desk.node.sh(f"mv /srv/away.d /srv/{DOMAIN}")
    desk("rollback", "vn1", DOMAIN, "--yes").refuses(0)


def test_a_plan_is_of_the_machine_that_was_discovered(desk: Desk) -> None:
    """Another machine under the old name: the plan of a rollback is refused as the rollback is: 4."""
    desk("migrate", "vn1", DOMAIN, "--yes").refuses(0)
    desk.node.sh(
        "cp /etc/machine-id /root/machine-id; echo 0123456789abcdef0123456789abcdef >/etc/machine-id"
    )
    desk("rollback", "vn1", DOMAIN, "--dry-run").refuses(4, "another machine")
    desk("rollback", "vn1", DOMAIN, "--yes").refuses(4, "another machine")
    desk.node.sh("cp /root/machine-id /etc/machine-id")
    desk("rollback", "vn1", DOMAIN, "--dry-run").refuses(0, "web/app/public")


def test_a_site_that_only_the_first_block_serves_is_not_taken_away(product: Product, node: Node) -> None:
    """No block names it, and nginx gives it to this vhost's: refused while it shows a page, else told."""
    vhost = seed_vhost(node, DOMAIN, shape="shared")
    seed_vhost(node, NEIGHBOUR, shape="shared")
    node.sh(f"rm -f /etc/nginx/sites-enabled/default /etc/nginx/sites-enabled/{NEIGHBOUR}")
    node.sh("nginx -t && systemctl reload nginx")
    wait_for("the first block", lambda: node.http(NEIGHBOUR, "/page.html").status == 200, 20)
    product.ready(node, DOMAIN)
    (told,) = [f for f in product.vhost(node, DOMAIN).findings if NEIGHBOUR in f["message"]]
    assert (told["severity"], told["category"]) == ("warning", "configuration_files")
    before = snapshot(node)
    desk = Desk(product, vhost, node)
    desk("migrate", "vn1", DOMAIN, "--yes").refuses(4, NEIGHBOUR, "a server block of its own")
    assert differences(before, snapshot(node)) == []
    node.sh(f"rm -r /srv/{NEIGHBOUR}/web/*")
    desk("migrate", "vn1", DOMAIN, "--yes").refuses(0, "migrated")
