"""A configuration file that chattr protects: said before anything is touched, there and back."""

from __future__ import annotations

import pytest
from lab.node import Node
from lab.product import Product
from lab.scene import DOMAIN, set_scene
from lab.variants import busybox_first

pytestmark = pytest.mark.lab

FILES = (
    f"/etc/nginx/sites-available/{DOMAIN}",
    f"/etc/php/8.2/fpm/pool.d/{DOMAIN}.conf",
    "/etc/nginx/sites-available",
)


@pytest.mark.parametrize(
    ("protected", "flag", "is_busybox"),
    [
        *((file, "i", False) for file in FILES),
        (FILES[0], "a", False),
        (FILES[2], "a", False),
        (FILES[1], "i", True),
    ],
)
def test_a_protected_file_refuses_a_run_before_it_begins(
    node: Node, product: Product, protected: str, flag: str, is_busybox: bool
) -> None:
    scene = set_scene(node, shape="literal")
    if is_busybox:  # its -w says yes to root whatever chattr says
        busybox_first(node)
    product.ready(node, DOMAIN)
    node.sh(f"chattr +{flag} {protected}")
    try:
        refused = product.migrate(node, DOMAIN)
        assert (refused.exit_code, refused.status) == (4, "validated"), refused
        assert protected in refused.errors[0] and "immutable" in refused.errors[0], refused
        scene.is_as_before()
        said = product.validate(node, DOMAIN)
        assert said.status == "discovered" and protected in said.errors[0], said
        node.sh(f"chattr -{flag} {protected}")
        product.ready(node, DOMAIN)
        assert product.migrate(node, DOMAIN).ok
        node.sh(f"chattr +{flag} {protected}")
        refused = product.rollback(node, DOMAIN)
        assert (refused.exit_code, refused.status) == (4, "migrated"), refused
        assert protected in refused.errors[0], refused
        scene.is_migrated()
    finally:
        node.sh(f"chattr -{flag} {protected}")
    assert product.rollback(node, DOMAIN).ok
    if is_busybox:  # its cp keeps times to the second
        assert scene.wrong() == []
    else:
        scene.is_as_before()
