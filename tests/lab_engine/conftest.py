"""Fixtures for tests of the whole engine against real nodes."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab.fleet import Lab
from lab.node import Node
from lab.product import Product


@pytest.fixture
def product(lab: Lab, node: Node, tmp_path: Path) -> Product:
    """The product with the first node made known."""
    made = Product(lab, tmp_path)
    made.add(node)
    return made
