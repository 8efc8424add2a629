"""A restore and php-fpm: what it has compiled, the logs that it holds open, and where its pools start."""

from __future__ import annotations

import pytest
from lab.node import Node, wait_for
from lab.product import Product
from lab.scene import DOMAIN, Scene, set_scene

pytestmark = pytest.mark.lab

POOL = f"/etc/php/8.2/fpm/pool.d/{DOMAIN}.conf"
NEVER_LOOK_AGAIN = "opcache.validate_timestamps=0\nopcache.file_update_protection=0\n"


def php_says(node: Node) -> str:
    """The site's answer to a page that it compiles once."""
    return node.http(DOMAIN, "/version.php").text


def write_version(scene: Scene, number: int) -> None:
    """The page as it is now, taken up by a php-fpm that never looks again."""
    page = scene.upath / "web/version.php"
    page.write_text(f"<?php echo 'version {number}';\n")
    scene.node.sh("systemctl reload php8.2-fpm")
    wait_for("the page", lambda: php_says(scene.node) == f"version {number}", 20)


def logs_held_open(node: Node) -> set[str]:
    """Files of the vhost that processes of php-fpm have open."""
    seen = node.sh(
        f"ls -l $(pgrep php-fpm | sed 's|.*|/proc/&/fd|') 2>/dev/null | grep -o '/srv/{DOMAIN}/.*'"
    )
    return set(seen.stdout.split())


@pytest.fixture
def scene(node: Node) -> Scene:
    """A vhost that was migrated and taken back, so that it has an archive, and logs of its own."""
    node.path("/etc/php/8.2/fpm/conf.d/99-lab.ini").write_text(NEVER_LOOK_AGAIN)
    node.sh("systemctl restart php8.2-fpm")
    scene = set_scene(node, shape="literal")
    with node.path(POOL).open("a") as pool:
        pool.write(f"access.log = /srv/{DOMAIN}/var/log/pool-access.log\n")
    return scene


def archive_of(product: Product, node: Node) -> str:
    """Migrate, undo; the archive that came of it."""
    product.ready(node, DOMAIN)
    assert product.migrate(node, DOMAIN).ok
    assert product.rollback(node, DOMAIN).ok
    return product.points(node, DOMAIN)[0].filename


def test_php_runs_what_was_restored_and_logs_where_it_is(node: Node, product: Product, scene: Scene) -> None:
    write_version(scene, 1)
    archive = archive_of(product, node)
    write_version(scene, 2)
    restored = product.rollback(node, DOMAIN, archive=archive)
    assert restored.ok, restored
    assert php_says(node) == "version 1"
    assert logs_held_open(node) == {f"/srv/{DOMAIN}/var/log/pool-access.log"}
    back = product.resume(node, DOMAIN, undo=True)
    assert back.ok, back
    assert php_says(node) == "version 2"
    assert logs_held_open(node) == {f"/srv/{DOMAIN}/var/log/pool-access.log"}
    assert scene.wrong() == []


def test_a_restore_with_which_php_fpm_would_not_start_is_taken_back(
    node: Node, product: Product, scene: Scene
) -> None:
    """The archive is older than the folder that the pool works in."""
    write_version(scene, 1)
    archive = archive_of(product, node)
    (scene.upath / "web/new").mkdir()
    pool = node.path(POOL)
    pool.write_text(pool.read_text().replace(f"chdir = /srv/{DOMAIN}/web", f"chdir = /srv/{DOMAIN}/web/new"))
    write_version(scene, 2)
    restored = product.rollback(node, DOMAIN, archive=archive, exact=True)
    assert (restored.ok, restored.exit_code) == (False, 5), restored
    assert "php-fpm -t after the restore" in restored.errors[0]
    assert php_says(node) == "version 2"
    scene.restart()
    wait_for("PHP after a restart", lambda: php_says(node) == "version 2", 20)
    assert scene.wrong() == []


def test_a_php_fpm_that_somebody_stopped_is_not_started(node: Node, product: Product, scene: Scene) -> None:
    write_version(scene, 1)
    archive = archive_of(product, node)
    (scene.upath / "web/version.php").write_text("<?php echo 'version 2';\n")
    node.sh("systemctl stop php8.2-fpm")
    restored = product.rollback(node, DOMAIN, archive=archive)
    assert restored.ok, restored
    assert any("php-fpm does not run" in word for word in restored.warnings), restored
    assert node.sh("systemctl is-active php8.2-fpm", check=False).stdout.strip() == "inactive"
    scene.restart()
    wait_for("the page", lambda: php_says(node) == "version 1", 20)
