"""What people did to a migrated vhost before its undo: folders replaced, var made anew, things put beside."""

from __future__ import annotations

import pytest
from lab.node import Node, wait_for
from lab.product import Product
from lab.scene import Scene, set_scene

pytestmark = pytest.mark.lab


@pytest.fixture
def scene(node: Node, product: Product) -> Scene:
    """A migrated vhost."""
    made = set_scene(node)
    product.ready(node, made.domain)
    assert product.migrate(node, made.domain).ok
    return made


def test_what_stands_in_the_way_goes_aside(node: Node, product: Product, scene: Scene) -> None:
    """A new web/log, a var of somebody's, a dump and a link beside the content: served before as after."""
    up, uid = scene.vhost.upath, scene.vhost.uid
    node.sh(
        f"cd {up}/web && mv log log.old && install -d -o {uid} -g 33 -m 750 log && systemctl reload nginx"
    )
    node.sh(f"mkdir -p {up}/var/log && echo x >{up}/var/log/cron.log && chown -R {uid}:33 {up}/var")
    node.sh(f"echo dump >{up}/web/dump.sql; ln -s /mnt/data {up}/web/app/storage")
    went = product.rollback(node, scene.domain)
    assert went.ok, went
    assert scene.wrong() == []
    scene.restart()
    assert scene.wrong() == []
    assert node.http(scene.domain, "/dump.sql").status == 404
    assert (scene.upath / "var/log/cron.log").read_text() == "x\n"
    (kept,) = (scene.upath / ".archive").glob("since-*")
    assert (kept / "web/dump.sql").exists() and (kept / "web/app/storage").is_symlink()
    assert (kept / "web/log.old/old.log.1").exists()
    assert any(kept.name in w and "dump.sql" in w for w in went.warnings), went.warnings


def test_a_replaced_document_root(node: Node, product: Product, scene: Scene) -> None:
    """As a link it is refused before anything is touched; as a folder of the account it goes back."""
    app = f"{scene.vhost.upath}/web/app"
    node.sh(
        f"cd {app} && mkdir releases && cp -a public releases/1 && mv public old && ln -s releases/1 public"
    )
    refused = product.rollback(node, scene.domain)
    assert (refused.exit_code, refused.status) == (4, "migrated"), refused
    assert "web/app/public" in refused.errors[0] and "/old" in refused.errors[0], refused.errors
    assert scene.wrong() == []
    node.sh(f"cd {app} && rm public && mv releases/1 public && echo v2 >public/v.txt")
    went = product.rollback(node, scene.domain)
    assert went.ok, went
    assert scene.wrong() == [] and node.http(scene.domain, "/v.txt").text == "v2\n"
    (kept,) = (scene.upath / ".archive").glob("since-*")
    assert (kept / "web/app/old/page.html").exists()


LISTENS = (
    'use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, pack_sockaddr_un("{}")); listen(S, 9); '
    'while (accept(C, S)) {{ print C "PONG"; close C }}'
)


def test_old_paths_are_back_before_a_service_is_asked(node: Node, product: Product, scene: Scene) -> None:
    """What names them outside of our files keeps nginx and php-fpm from starting, and not the undo."""
    content, old = scene.upath / "web/app/public", f"{scene.vhost.upath}/web"
    content.joinpath("zz.conf").write_text("# nothing\n")
    content.joinpath("pre.php").write_text("<?php\n")
    ini = "/etc/php/8.2/fpm/conf.d/99-preload.ini"
    node.path("/etc/nginx/conf.d/zz.conf").write_text(f"include {old}/zz.conf;\n")
    node.path(ini).write_text(f"opcache.preload={old}/pre.php\nopcache.preload_user=www-data\n")
    assert node.sh("nginx -t", check=False).returncode and node.sh("php-fpm8.2 -t", check=False).returncode
    went = product.rollback(node, scene.domain)
    assert went.ok, went
    scene.restart()
    assert scene.wrong() == []


def test_a_socket_of_another_service_is_never_moved(node: Node, product: Product) -> None:
    """Redis in var/run, or in a folder there, answers before, after and after the undo; the plan says so."""
    scene = set_scene(node)
    sockets = [f"{scene.vhost.upath}/var/run/{name}" for name in ("redis.sock", "d/deep.sock")]
    node.sh(f"mkdir {scene.vhost.upath}/var/run/d")
    for path in sockets:
        node.sh(f"setsid perl -e '{LISTENS.format(path)}' </dev/null >/dev/null 2>&1 &")
        wait_for(path, lambda path=path: node.path(path).exists(), 10)
    connects = '$s = IO::Socket::UNIX->new($_) or exit 1; print <$s>, "\n"'
    asks = f"perl -MIO::Socket::UNIX -e 'for (@ARGV) {{ {connects} }}' "

    def answers() -> list[str]:
        return node.sh(asks + " ".join(sockets), check=False).stdout.split()

    assert answers() == ["PONG", "PONG"]
    product.ready(node, scene.domain)
    plan = product.plan(node, scene.domain)
    assert sum("a socket is never moved" in warning for warning in plan.warnings) == 2
    went = product.migrate(node, scene.domain)
    assert went.ok, went
    assert answers() == ["PONG", "PONG"] and scene.wrong() == []
    assert product.rollback(node, scene.domain).ok
    assert answers() == ["PONG", "PONG"] and scene.wrong() == []
