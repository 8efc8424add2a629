"""A migrated vhost whose folders are not those that were migrated: copied, unpacked, lost, of a backup."""

from __future__ import annotations

import pytest
from lab.node import Node, wait_for
from lab.product import Product
from lab.scene import Scene, set_scene

pytestmark = pytest.mark.lab
AGAIN = "systemctl reset-failed; systemctl restart php8.2-fpm nginx"


@pytest.fixture
def scene(node: Node) -> Scene:
    """A vhost, with a copy of tree and configuration of before its migration."""
    made = set_scene(node)
    node.sh("cd /srv && tar --acls --xattrs -cpf /root/s.tar shop.test && cp -a /etc/nginx /etc/php /root")
    return made


HOW = {
    "copied": "cd /srv && cp -a shop.test new && mv shop.test /root/old && mv new shop.test",
    "unpacked": "cd /srv/shop.test && tar -cpf /root/w.tar web && rm -r web && tar -xpf /root/w.tar",
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("back", ["undo", "restore"])
def test_a_copy_goes_back_like_the_folders_that_were_migrated(
    node: Node, product: Product, scene: Scene, how: str, back: str
) -> None:
    """What was written since comes along, and the old folders come back."""
    product.ready(node, scene.domain)
    archive = product.migrate(node, scene.domain).backup_archive
    node.sh(f"{HOW[how]}; {AGAIN}; echo since >/srv/shop.test/web/app/public/since.txt")
    went = product.rollback(node, scene.domain, archive=archive if back == "restore" else None)
    assert went.ok, went
    assert any("has its shape" in warning for warning in went.warnings), went.warnings
    assert scene.wrong() == [] and node.http(scene.domain, "/since.txt").text == "since\n"
    assert {"bin", "etc", "var", "web"} <= {path.name for path in scene.upath.iterdir()}
    scene.restart()
    wait_for("the sites to answer", lambda: scene.wrong() == [], 20)
    assert not (node.srv / ".nsmig").exists()
    product.ready(node, scene.domain)
    assert product.migrate(node, scene.domain).ok


@pytest.mark.parametrize("verb", ["migrate", "restore"])
def test_a_vhost_of_before_the_migration_puts_the_record_aside(
    node: Node, product: Product, scene: Scene, verb: str
) -> None:
    """Tree and configuration came back from a backup of the server."""
    product.ready(node, scene.domain)
    archive = product.migrate(node, scene.domain).backup_archive
    node.sh("cd /srv && mv shop.test /root/old && tar --acls --xattrs -xpf /root/s.tar")
    node.sh("cp -a /root/old/.archive /srv/shop.test; rm -r /etc/nginx /etc/php")
    node.sh(f"cp -a /root/nginx /root/php /etc; {AGAIN}")
    refused = product.rollback(node, scene.domain)
    assert refused.exit_code == 4 and "nothing to undo" in refused.errors[0], refused
    product.ready(node, scene.domain)
    if verb == "migrate":
        went = product.migrate(node, scene.domain)
        assert went.ok, went
        scene.is_migrated()
        assert product.rollback(node, scene.domain).ok
    else:
        went = product.rollback(node, scene.domain, archive=archive)
        assert went.ok, went
    assert any("put aside in /var/lib/nsmig" in warning for warning in went.warnings), went.warnings
    assert scene.wrong() == []


def test_a_site_that_is_gone_comes_back_from_its_archive(node: Node, product: Product, scene: Scene) -> None:
    """And the undo, which has nothing to go back with, says how."""
    product.ready(node, scene.domain)
    archive = product.migrate(node, scene.domain).backup_archive
    node.sh("rm -r /srv/shop.test/web")
    refused = product.rollback(node, scene.domain)
    assert refused.exit_code == 4 and "rollback --archive" in refused.errors[0], refused
    assert archive in [point.filename for point in product.points(node, scene.domain)]
    refused = product.rollback(node, scene.domain, archive=archive)
    assert refused.exit_code == 4 and "restart it (php8.2-fpm" in refused.errors[0], refused
    node.sh(AGAIN)
    went = product.rollback(node, scene.domain, archive=archive)
    assert went.ok, went
    assert scene.wrong() == []
    assert not (node.srv / ".nsmig").exists()
