"""A restore that breaks off holds what is live in its staging: nothing but taking it back may touch that."""

from __future__ import annotations

import pytest
from lab.node import Node
from lab.product import Product
from lab.seed import Vhost, seed_vhost
from lab.variants import replace_tool, without_perl

pytestmark = pytest.mark.lab
DOMAIN = "shop.test"


def restorable(node: Node, product: Product) -> tuple[Vhost, str]:
    """A vhost in its old layout with an archive, and something that is new since."""
    vhost = seed_vhost(node, DOMAIN)
    product.ready(node, DOMAIN)
    archive = product.migrate(node, DOMAIN).backup_archive
    assert archive and product.rollback(node, DOMAIN).ok
    up = vhost.upath
    node.sh(f"echo edited >{up}/web/page.html; mkdir {up}/private; echo only >{up}/private/key")
    return vhost, archive


def killed_at(node: Node, product: Product, archive: str, point: str, **options: bool) -> None:
    """Restore, killed at the point of this name."""
    for number in range(4, 60):
        product.rollback(node, DOMAIN, archive=archive, crash_at=number, **options)
        died = node.sh(
            "cat /var/lib/nsmig/shop.test/runs/*/died-at; rm /var/lib/nsmig/shop.test/runs/*/died-at"
        )
        if died.stdout.strip() == point:
            return
        assert product.resume(node, DOMAIN).ok
    raise AssertionError(point)


def test_nothing_but_taking_it_back_follows_a_broken_off_restore(node: Node, product: Product) -> None:
    """Not another restore, not a migration, not a look that calls the vhost validated."""
    vhost, archive = restorable(node, product)
    killed_at(node, product, archive, "restore-switched-web")
    again = product.rollback(node, DOMAIN, archive=archive)
    assert (again.ok, again.exit_code) == (False, 4), again
    assert again.hint.endswith(f"nsmig resume {node.name} {DOMAIN}")
    assert product.rollback(node, DOMAIN).exit_code == 4
    product.discover(node)
    judged = product.validate(node, DOMAIN)
    assert (judged.ok, judged.status) == (False, "failed"), judged
    assert not product.migrate(node, DOMAIN).ok
    # nor by an operator whose program knows nothing of it: the runner refuses by itself
    node.sh("sed -i /restore_switch/d /var/lib/nsmig/shop.test/journal")
    assert product.validate(node, DOMAIN).status == "validated"
    refused = product.migrate(node, DOMAIN)
    assert (refused.exit_code, refused.status) == (4, "validated"), refused
    assert "broke off half-way" in refused.errors[0]
    back = product.resume(node, DOMAIN)
    assert (back.ok, back.status) == (True, "validated"), back
    assert node.sh(f"cat {vhost.upath}/web/page.html {vhost.upath}/private/key").stdout == "edited\nonly\n"
    assert not (node.srv / ".nsmig").exists()


def test_what_was_written_to_a_restored_tree_survives_a_broken_off_undo(node: Node, product: Product) -> None:
    """It waits in staging for its way into .archive; the next try keeps it."""
    vhost, archive = restorable(node, product)
    assert product.rollback(node, DOMAIN, archive=archive).ok
    node.sh(f"echo orders >{vhost.upath}/web/orders.csv")
    without_perl(node)
    replace_tool(node, "mv", 'case "$*" in *lived*./replaced-*) exit 1 ;; esac\nexec "$REAL" "$@"')
    stuck = product.resume(node, DOMAIN, undo=True)
    assert (stuck.exit_code, stuck.status) == (6, "failed"), stuck
    node.path("/usr/local/bin/mv").unlink()
    assert product.validate(node, DOMAIN).status == "failed"
    back = product.resume(node, DOMAIN, undo=True)
    assert back.ok, back
    kept = list((node.srv / DOMAIN / ".archive").glob("replaced-*/web/orders.csv"))
    assert [path.read_text() for path in kept] == ["orders\n"]
    assert (node.srv / DOMAIN / "web/page.html").read_text() == "edited\n"


@pytest.mark.parametrize("end", ["fails", "is taken back"])
def test_what_exact_put_aside_comes_back(node: Node, product: Product, end: str) -> None:
    """Top-level entries that the archive does not know."""
    vhost, archive = restorable(node, product)
    if end == "fails":
        fail_at = "restore-aside-private"
        assert product.rollback(node, DOMAIN, archive=archive, exact=True, fail_at=fail_at).exit_code == 5
    else:
        assert product.rollback(node, DOMAIN, archive=archive, exact=True).ok
        assert not (node.srv / DOMAIN / "private").exists()
        assert product.resume(node, DOMAIN, undo=True).ok
    assert node.sh(f"cat {vhost.upath}/web/page.html {vhost.upath}/private/key").stdout == "edited\nonly\n"


def test_uploads_while_a_restore_runs_are_live_after_it(node: Node, product: Product) -> None:
    """And a device that the vhost had comes back with it."""
    vhost = seed_vhost(node, DOMAIN)
    up = vhost.upath
    node.sh(f"mkdir {up}/web/uploads {up}/dev; mknod -m 666 {up}/dev/urandom c 1 9")
    product.ready(node, DOMAIN)
    archive = product.migrate(node, DOMAIN).backup_archive
    assert product.rollback(node, DOMAIN).ok
    node.sh(f"for i in $(seq 300); do echo $i >{up}/web/n$i; done")
    busy = """
    i=0
    while [ ! -e /run/nsmig-enough ]; do
      i=$((i + 1))
      echo $i >"$1/web/uploads/$i" && echo $i >>/root/written
      sleep 0.01
    done
    """
    node.sh(f"setsid sh -c '{busy}' sh {up} </dev/null >/dev/null 2>&1 &")
    back = product.rollback(node, DOMAIN, archive=archive)
    node.sh("touch /run/nsmig-enough; sleep 0.2")
    assert back.ok, back
    written = set(node.sh("cat /root/written").stdout.split())
    assert len(written) > 50
    assert written - {path.name for path in (node.srv / DOMAIN / "web/uploads").iterdir()} == set()
    assert node.sh(f"stat -c '%F %t,%T' {up}/dev/urandom").stdout.strip() == "character special file 1,9"


def test_a_restore_that_was_asked_for_half_way_through_a_migration(node: Node, product: Product) -> None:
    """Refused before it is launched; killed on the vnode all the same, it does not end the migration."""
    vhost, archive = restorable(node, product)
    node.sh(f"mv {vhost.upath}/private /root && echo 'page of {DOMAIN}' >{vhost.upath}/web/page.html")
    product.ready(node, DOMAIN)
    for point in range(4, 20):
        product.migrate(node, DOMAIN, crash_at=point)
        died = node.sh(
            "cat /var/lib/nsmig/shop.test/runs/*/died-at; rm /var/lib/nsmig/shop.test/runs/*/died-at"
        )
        if died.stdout.strip() == "tree-half":
            break
        assert product.resume(node, DOMAIN, undo=True).ok
    refused = product.rollback(node, DOMAIN, archive=archive)
    assert refused.exit_code == 4 and f"nsmig resume {node.name} {DOMAIN}" in refused.hint, refused
    assert "restore" not in node.sh("tail -1 /var/lib/nsmig/shop.test/journal").stdout
    node.sh("printf '999\\t1.00\\tr0\\tbegin\\trestore somebody\\n' >>/var/lib/nsmig/shop.test/journal")
    went = product.resume(node, DOMAIN)
    assert (went.ok, went.status) == (True, "migrated"), went
    assert node.http(DOMAIN, "/page.html").text == f"page of {DOMAIN}\n"
    assert product.rollback(node, DOMAIN).ok
    assert not (node.srv / ".nsmig").exists()
