"""PHP remembers where paths led, and pools listen where they like: sites that use old paths beside new."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from lab.node import Node, wait_for
from lab.prober import Prober
from lab.product import Product
from lab.scene import DOMAIN, Scene, set_scene

pytestmark = pytest.mark.lab

POOL = f"/etc/php/8.2/fpm/pool.d/{DOMAIN}.conf"
SITE = f"/etc/nginx/sites-available/{DOMAIN}"
SHARED_SOCKET = "/run/php/php8.2-fpm.sock"
ANSWER = "one lib, found by both names"
TWICE = f"""<?php require_once '/srv/{DOMAIN}/web/both/lib.php'; require_once __DIR__ . '/both/lib.php';
require_once '/srv/{DOMAIN}/web/top.php'; require_once __DIR__ . '/top.php'; echo lib() . top();
"""
BUSY = "pm = static\npm.max_children = 3"


def write_what_is_asked_for_twice(scene: Scene) -> None:
    """A page that asks for the same files by their old absolute path and by where it stands itself."""
    web = scene.upath / "web"
    (web / "both").mkdir()
    (web / "both/lib.php").write_text("<?php function lib() { return 'one lib, '; }\n")
    (web / "top.php").write_text("<?php function top() { return 'found by both names'; }\n")
    (web / "twice.php").write_text(TWICE)
    answers = (*scene.vhost.answers, ("/twice.php", 200, ANSWER))
    scene.vhost = replace(scene.vhost, answers=answers)


def edit(node: Node, path: str, *pairs: tuple[str, str]) -> None:
    """Replace what must be there."""
    text = node.path(path).read_text()
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    node.path(path).write_text(text)


def cut_off(node: Node) -> Callable[[dict[str, object]], bool]:
    """Whether an empty answer with 200 is that of a worker which a reload of php-fpm ended just then.

    Mostly nginx tells of these by 502. What PHP itself cannot do is told by 404 or 500.
    """
    log = node.path("/var/log/php8.2-fpm.log").read_text()
    stamps = re.findall(r"^\[(\S+ \S+)\] NOTICE: (?:Reloading in progress|fpm is running)", log, re.MULTILINE)
    ended = [datetime.strptime(at, "%d-%b-%Y %H:%M:%S").replace(tzinfo=UTC).timestamp() for at in stamps]
    assert ended, log

    def cut(wrong: dict[str, object]) -> bool:
        at = float(str(wrong["at"]))
        return (wrong["code"], wrong["body"]) == ("200", "") and any(-1 <= at - then <= 2 for then in ended)

    return cut


def there_and_back(product: Product, scene: Scene) -> None:
    """No wrong answer but of the requests that a reload of php-fpm ends, and all as before in the end."""
    node = scene.node
    node.sh("nginx -t && php-fpm8.2 -t && systemctl reload php8.2-fpm nginx")
    wait_for("the sites", lambda: scene.wrong() == [], 20)
    scene.remember()
    product.ready(node, DOMAIN)
    with Prober(node, scene.pages(), interval_ms=4) as prober:
        went = product.migrate(node, DOMAIN)
        assert went.ok, went
        scene.is_migrated()
        back = product.rollback(node, DOMAIN)
        assert back.ok, back
    cut = cut_off(node)
    others = [wrong for wrong in prober.wrong if wrong["code"] != "502" and not cut(wrong)]
    assert others == [], json.dumps(others)
    assert len(prober.wrong) < 30
    assert not [word for word in back.warnings if "answered" in word], back
    scene.is_as_before()


@pytest.mark.parametrize("content", ["small", "odd"])
def test_a_pool_that_many_vhosts_share(node: Node, product: Product, content: str) -> None:
    """It names none of the vhost's paths; what it remembers of them has to go all the same."""
    scene = set_scene(node, shape="literal", content=content)
    write_what_is_asked_for_twice(scene)
    node.path(POOL).unlink()
    shared = f"[www]\nuser = {scene.vhost.user}\nlisten = {SHARED_SOCKET}\nlisten.owner = www-data\n{BUSY}\n"
    node.path("/etc/php/8.2/fpm/pool.d/www.conf").write_text(shared)
    edit(node, SITE, (f"unix:/srv/{DOMAIN}/var/run/fpm.sock", f"unix:{SHARED_SOCKET}"))
    there_and_back(product, scene)


@pytest.mark.parametrize("content", ["small", "odd"])
def test_workers_that_live_on(node: Node, product: Product, content: str) -> None:
    """php-fpm forgets before nginx tells it new paths: no function is declared twice."""
    scene = set_scene(node, shape="literal", content=content)
    write_what_is_asked_for_twice(scene)
    edit(node, POOL, ("pm = ondemand\npm.max_children = 4", BUSY))
    there_and_back(product, scene)


def test_a_pool_of_the_vhost_that_listens_elsewhere(node: Node, product: Product) -> None:
    """Its socket stays where it is, while the pool's other paths follow."""
    scene = set_scene(node, shape="literal")
    old, new = f"/srv/{DOMAIN}/var/run/fpm.sock", f"/run/php/{DOMAIN}.sock"
    edit(node, POOL, (f"listen={old}", f"listen={new}"))
    edit(node, SITE, (f"unix:{old}", f"unix:{new}"))
    there_and_back(product, scene)
