"""A certificate's renewal after the migration, by a client that knows the old document root only."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from lab.node import Node
from lab.product import Product
from lab.scene import DOMAIN, set_scene

pytestmark = pytest.mark.lab


def test_a_token_is_served_from_the_old_place(node: Node, product: Product, tmp_path: Path) -> None:
    """As certbot does it: make the folders that are missing, put the token, ask, take away what was made."""
    scene = set_scene(node, shape="literal", php=False)
    shutil.rmtree(scene.upath / "web/.well-known")
    answers = tuple(a for a in scene.vhost.answers if "/.well-known" not in a[0])
    scene.vhost = replace(scene.vhost, answers=answers)
    renewal = node.path(f"/etc/letsencrypt/renewal/{DOMAIN}.conf")
    renewal.parent.mkdir(parents=True)
    renewal.write_text(f"[renewalparams]\nauthenticator = webroot\nwebroot_path = /srv/{DOMAIN}/web,\n")
    scene.remember()
    product.ready(node, DOMAIN)
    went = product.migrate(node, DOMAIN)
    assert went.ok, went
    assert not any("written while" in warning for warning in went.warnings), went.warnings
    made = (scene.upath / "web/app/public/.well-known").lstat()
    assert (made.st_mode & 0o777, made.st_uid, made.st_gid) == (0o755, scene.vhost.uid, 33)

    for _ in range(2):
        challenges = scene.upath / "web/.well-known/acme-challenge"
        challenges.mkdir(parents=True, exist_ok=True)
        (challenges / "token").write_text("renewed")
        answer = node.http(DOMAIN, "/.well-known/acme-challenge/token")
        assert (answer.status, answer.text) == (200, "renewed")
        shutil.rmtree(challenges)
    scene.is_migrated()

    assert product.rollback(node, DOMAIN).ok
    scene.is_as_before()

    assert product.migrate(node, DOMAIN).ok
    os.makedirs(scene.upath / "web/.well-known/acme-challenge")
    assert product.rollback(node, DOMAIN).ok
    assert (scene.upath / "web/.well-known/acme-challenge").is_dir(), "what was put there since stays"
