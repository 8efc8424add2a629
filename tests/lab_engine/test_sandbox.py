"""A php-fpm whose unit lets it write to some folders only."""

from __future__ import annotations

import pytest
from lab.node import Node, wait_for
from lab.product import Product
from lab.scene import DOMAIN, NEIGHBOUR, set_scene

pytestmark = pytest.mark.lab


def test_a_php_fpm_whose_sandbox_would_not_let_it_write(node: Node, product: Product) -> None:
    """It would end at the reload, for every site; with the whole vhost writable it goes there and back."""
    scene = set_scene(node, shape="literal")
    unit = node.path("/etc/systemd/system/php8.2-fpm.service.d")
    unit.mkdir(parents=True)

    def sandbox(*places: str) -> None:
        paths = f"/srv/{NEIGHBOUR}/var /run /var/log /var/lib/php /tmp {' '.join(places)}"
        (unit / "lab.conf").write_text(f"[Service]\nProtectSystem=strict\nReadWritePaths={paths}\n")
        node.sh("systemctl daemon-reload; systemctl restart php8.2-fpm")
        wait_for("the sites", lambda: scene.wrong() == [], 20)
        scene.remember()

    try:
        sandbox(f"/srv/{DOMAIN}/var", f"/srv/{DOMAIN}/web")
        product.discover(node)
        refused = product.validate(node, DOMAIN)
        assert (refused.exit_code, refused.status) == (4, "discovered"), refused
        assert "php8.2-fpm.service" in refused.errors[0] and "ReadWritePaths" in refused.hint, refused
        sandbox(f"/srv/{DOMAIN}")
        product.ready(node, DOMAIN)
        assert product.migrate(node, DOMAIN).ok
        scene.is_migrated()
        assert product.rollback(node, DOMAIN).ok
        scene.is_as_before()
    finally:
        node.sh("rm -r /etc/systemd/system/php8.2-fpm.service.d; systemctl daemon-reload")
        node.sh("systemctl restart php8.2-fpm")
