"""The terminal application against a booted server, with real keys: there, a look at the server, and back."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from lab.node import Node
from lab.product import Product
from lab.seed import seed_vhost, wrong_answers
from lab.tree import differences
from test_there_and_back import snapshot
from tmux import Pane, find, need_tmux

pytestmark = pytest.mark.lab


@pytest.fixture
def pane(product: Product, tmp_path: Path):
    """The application in a pane, on the fleet of the product."""
    need_tmux()
    settings = product.settings()
    names = ("data_dir", "config_dir", "ssh_config")
    flags = [f"--{name.replace('_', '-')}={getattr(settings, name)}" for name in names]
    opened = Pane(tmp_path, [sys.executable, "-m", "nsmig_tui", *flags])
    yield opened
    opened.close()


def test_a_site_goes_and_comes_back_by_keys(node: Node, product: Product, pane: Pane) -> None:
    """What the screen says is what stands on the server."""
    site = seed_vhost(node, "shop.test")
    before = snapshot(node, site.domain)
    pane.until(node.name, "not asked yet", "? Help")
    pane.keys("j", "d")
    pane.until("s ago")
    find(pane, site.domain)
    pane.until("○ discovered")
    pane.keys("v")
    pane.until("● validated")

    pane.keys("m")
    pane.until("Migrate (y)", "Way back:")
    pane.agree(f"Migrate {site.domain} on {node.name}?")
    pane.until("Runs", "1/1 done", "✓ verification")
    assert (node.srv / site.domain / "web/app/public/page.html").is_file()
    assert not (node.srv / site.domain / "var").exists()
    assert wrong_answers(node, site) == []
    pane.keys("1")
    pane.until("✓ migrated")

    pane.keys("b")
    pane.until("1 archive on", "verified", "nothing has been touched")
    pane.keys("Enter")
    pane.until("Undo (y)")
    pane.agree(f"Roll back {site.domain}?")
    pane.until("Runs", f"rollback {site.domain}", "1/1 done")
    pane.keys("1")
    pane.until("● validated")
    assert differences(before, snapshot(node, site.domain)) == []
    assert wrong_answers(node, site) == []
    pane.keys("q")
    assert pane.exit_code() == 0
