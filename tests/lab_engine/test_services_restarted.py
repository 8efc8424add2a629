"""nginx is restarted by somebody else, as an upgrade does, in the moment in which a run reloads it."""

from __future__ import annotations

import pytest
from lab.node import Node
from lab.product import Product
from lab.scene import DOMAIN, set_scene
from lab.variants import replace_tool

pytestmark = pytest.mark.lab

COUNT = "n=$(cat /run/nsmig-n 2>/dev/null || echo 0); echo $((n + 1)) >/run/nsmig-n"
# What systemd answers to a reload that a restart overtakes; and one that the old master takes with it.
CANCELLED = "\"$REAL\" restart nginx.service; echo 'Job for nginx.service canceled.' >&2; exit 1"
SWALLOWED = '"$REAL" restart nginx.service; exit 0'


@pytest.mark.parametrize("way", [CANCELLED, SWALLOWED], ids=["cancelled", "swallowed"])
def test_the_master_that_came_is_asked(node: Node, product: Product, way: str) -> None:
    """There and back at each of the reloads: no run fails for it, and no undo stops half-way."""
    scene = set_scene(node, shape="literal")
    product.ready(node, DOMAIN)
    for number in (0, 1):
        case = (
            f'if [ "$*" = "reload nginx.service" ]; then {COUNT}; if [ "$n" = {number} ]; then {way}; fi; fi'
        )
        replace_tool(node, "systemctl", f'{case}\nexec "$REAL" "$@"')
        for verb in (product.migrate, product.rollback):
            node.sh("rm -f /run/nsmig-n; /usr/bin/systemctl reset-failed nginx")
            result = verb(node, DOMAIN)
            assert result.ok, (number, result)
            assert int(node.sh("cat /run/nsmig-n").stdout) > number, "it was restarted"
            assert scene.wrong() == []
    node.path("/usr/local/bin/systemctl").unlink()
    scene.is_as_before("there and back")
