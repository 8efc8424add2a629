"""The disk of the sites is full while the one of nsmig's record has room: no run stops half-way for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab.fleet import Lab
from lab.product import Product
from lab.scene import DOMAIN, set_scene
from lab.variants import replace_tool

pytestmark = pytest.mark.lab

FILL = "dd if=/dev/zero of=/srv/fill bs=1k 2>/dev/null"


def test_it_fills_up_during_the_switch_and_before_an_undo(tmp_path: Path) -> None:
    """Undone, byte for byte, from wherever it filled up; an undo is refused before its first act."""
    with Lab(["vn1"], disk_mb=400) as lab:
        node = lab["vn1"]
        product = Product(lab, tmp_path)
        product.add(node)
        node.sh("mkdir -p -m 700 /var/lib/nsmig && mount -t tmpfs -o size=50m tmpfs /var/lib/nsmig")
        scene = set_scene(node, shape="literal")
        product.ready(node, DOMAIN)
        for moment in ("reload nginx.service", "reload php8.2-fpm.service"):
            when = f'[ "$*" = "{moment}" ] && [ ! -e /srv/fill ]'
            replace_tool(node, "systemctl", f'if {when}; then {FILL}; fi\nexec "$REAL" "$@"')
            result = product.migrate(node, DOMAIN)
            node.path("/usr/local/bin/systemctl").unlink()
            assert (result.exit_code, result.status) == (5, "failed"), (moment, result.errors)
            node.sh("rm /srv/fill")
            scene.is_as_before(moment)
            assert product.validate(node, DOMAIN).status == "validated"
        assert product.migrate(node, DOMAIN).ok
        node.sh(FILL, check=False)
        refused = product.rollback(node, DOMAIN)
        assert (refused.exit_code, refused.status) == (4, "migrated"), refused
        assert "room" in refused.errors[0] and "/srv" in refused.errors[0]
        assert scene.wrong() == []
        node.sh("rm /srv/fill")
        scene.is_migrated()
        assert product.rollback(node, DOMAIN).ok
        scene.is_as_before("there and back")
