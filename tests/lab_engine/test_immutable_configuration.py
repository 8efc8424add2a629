"""A configuration file that chattr protects: said before anything is touched, there and back."""

from __future__ import annotations

import pytest
from lab.node import Node
from lab.product import Product
from lab.scene import DOMAIN, set_scene

pytestmark = pytest.mark.lab

FILES = (
    f"/etc/nginx/sites-available/{DOMAIN}",
    f"/etc/php/8.2/fpm/pool.d/{DOMAIN}.conf",
    "/etc/nginx/sites-available",
)


@pytest.mark.parametrize("protected", FILES)
def test_a_protected_file_refuses_a_run_before_it_begins(
    node: Node, product: Product, protected: str
) -> None:
    scene = set_scene(node, shape="literal")
    product.ready(node, DOMAIN)
    node.sh(f"chattr +i {protected}")
    try:
        refused = product.migrate(node, DOMAIN)
        assert (refused.exit_code, refused.status) == (4, "validated"), refused
        assert protected in refused.errors[0] and "immutable" in refused.errors[0], refused
        scene.is_as_before()
        node.sh(f"chattr -i {protected}")
        assert product.migrate(node, DOMAIN).ok
        node.sh(f"chattr +i {protected}")
        refused = product.rollback(node, DOMAIN)
        assert (refused.exit_code, refused.status) == (4, "migrated"), refused
        assert protected in refused.errors[0], refused
        scene.is_migrated()
    finally:
        node.sh(f"chattr -i {protected}")
    assert product.rollback(node, DOMAIN).ok
    scene.is_as_before()
