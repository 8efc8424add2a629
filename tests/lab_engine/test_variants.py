"""Servers that lack something or have something else in its place: there and back all the same."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lab.fleet import SUDO_PASSWORD, Lab
from lab.node import Node, wait_for
from lab.prober import Prober
from lab.product import Product
from lab.scene import DOMAIN, Operator, Scene, set_scene
from lab.tree import differences, node_picture
from lab.variants import busybox_first, replace_tool, without_perl

from nsmig_tui import wiring
from nsmig_tui.domain.fleet import Vnode

pytestmark = pytest.mark.lab


def there_and_back(
    lab: Lab,
    scene: Scene,
    place: Path,
    *,
    alias: str = "",
    service: dict[str, str] | None = None,
    password: str = "",
    whole_seconds: bool = False,
) -> Operator:
    """Discover, validate, migrate, undo: as promised, and byte for byte as before."""
    product = Product(lab, place)

    async def ask_password(prompt: str) -> str | None:
        return password or None

    async def work() -> Operator:
        app = wiring.build(product.settings(), ask_password=ask_password if password else None)
        try:
            name = scene.node.name
            app.store.save_vnode(Vnode(name, ssh_host=alias or name, service=service or {}))
            operator = Operator(app, scene)
            await operator.ready()
            went = await operator.migrate()
            assert went.ok, went
            scene.is_migrated()
            back = await operator.rollback()
            assert back.ok, back
            if whole_seconds:  # what its cp keeps of a configuration file's time
                for path, entry in scene.before.items():
                    if path.startswith(b"etc/") and entry.mtime_ns:
                        kept = entry.mtime_ns // 10**9 * 10**9
                        at = (scene.node.root / os.fsdecode(path)).lstat().st_mtime_ns
                        scene.before[path] = replace(entry, mtime_ns=at if at == kept else entry.mtime_ns)
            scene.is_as_before()
            return operator
        finally:
            await app.close()

    return asyncio.run(work())


def no_static_answer_is_wrong(lab: Lab, scene: Scene, place: Path) -> None:
    """There and back, each page of a static kind asked every 2 ms."""
    static = [t for t in scene.pages() if not t.path.endswith((".php", "/"))]
    with Prober(scene.node, static, interval_ms=2) as prober:
        there_and_back(lab, scene, place)
    assert prober.wrong == [], (len(prober.wrong), prober.wrong[:2], prober.wrong[-1])


ODD = {"shape": "literal", "content": "odd"}
"""The longest way: a content with an app of its own."""


@pytest.mark.parametrize("form", [ODD, {"shape": "shared"}], ids=["odd", "shared"])
def test_without_perl(lab: Lab, node: Node, tmp_path: Path, form: dict[str, Any]) -> None:
    """No atomic exchange: nginx is taught both places meanwhile, and no static answer is ever wrong."""
    scene = set_scene(node, **form)
    without_perl(node)
    no_static_answer_is_wrong(lab, scene, tmp_path)


@pytest.mark.parametrize("form", [{"shape": "literal"}, {"shape": "shared"}], ids=["literal", "shared"])
def test_without_perl_no_answer_hangs_on_a_path(
    lab: Lab, node: Node, tmp_path: Path, form: dict[str, Any]
) -> None:
    """While the tree may be switched, static answers come wherever the content stands.

    A request that nginx has given its root and whose file it has not opened yet meets the rename: no path
    on disk could be right for it, so none is used.
    """
    scene = set_scene(node, **form)
    without_perl(node)
    replace_tool(
        node,
        "mv",
        f"""if [ "$2" = /srv/{DOMAIN}/web ]; then
            "$REAL" -T "$2" "$2.elsewhere" && sleep 0.3 && "$REAL" -T "$2.elsewhere" "$2" || exit 1
            echo >>/root/moved
        fi
        exec "$REAL" "$@" """,
    )
    no_static_answer_is_wrong(lab, scene, tmp_path)
    assert len(node.path("/root/moved").read_text()) == 2
    assert node.sh("pgrep -u www-data -x sleep || true").stdout == ""


def test_without_perl_a_site_that_does_not_answer_goes_back_by_itself(
    lab: Lab, node: Node, tmp_path: Path
) -> None:
    """The last step fails: an application needs its old paths, and no link may stay there."""
    scene = set_scene(node, shape="literal", content="absolute")
    without_perl(node)
    product = Product(lab, tmp_path)
    product.add(node)
    product.ready(node, DOMAIN)
    went = product.migrate(node, DOMAIN, compat="never")
    assert (went.ok, went.exit_code) == (False, 5), went
    assert [what for what in scene.changed() if "php-errors.log" not in what] == []
    assert scene.wrong() == []
    assert not (node.srv / ".nsmig").exists()


LOCATIONS = f"""set $base /srv/{DOMAIN};
    root $base/web;
    include
        snippets/lab-more.conf; # on two lines
    location /priv/ {{ alias /srv/{DOMAIN}/web/../private/; }}
    location ~ ^/dl(/.*)$ {{ alias /srv/{DOMAIN}/web$1; }}"""
STATIC = f"server {{ listen 80; server_name static.{DOMAIN}; root /srv/{DOMAIN}/web/css; }}\n"


@pytest.mark.parametrize("has_perl", [True, False], ids=["exchange", "renames"])
def test_paths_that_are_not_spelled_out(lab: Lab, node: Node, tmp_path: Path, has_perl: bool) -> None:
    """A variable, a capture, a climbing path, an include on two lines, and a block for static files."""
    scene = set_scene(node, shape="literal")
    node.path("/etc/nginx/snippets").mkdir(exist_ok=True)
    node.path("/etc/nginx/snippets/lab-more.conf").write_text("location /more/ { alias $base/web/css/; }\n")
    (scene.upath / "private").mkdir()
    (scene.upath / "private/x.txt").write_text("beside the site")
    file = node.path(f"/etc/nginx/sites-available/{DOMAIN}")
    text = file.read_text()
    assert f"root /srv/{DOMAIN}/web;" in text
    file.write_text(text.replace(f"root /srv/{DOMAIN}/web;", LOCATIONS, 1) + STATIC)
    node.sh("nginx -t && systemctl reload nginx")
    more = (
        ("/priv/x.txt", 200, "beside the site"),
        ("/dl/page.html", 200, f"page of {DOMAIN}"),
        ("/more/site.css", 200, "color: teal"),
    )
    scene.vhost = replace(scene.vhost, answers=(*scene.vhost.answers, *more))
    wait_for("the new configuration", lambda: scene.wrong() == [], 20)
    scene.remember()
    if not has_perl:
        without_perl(node)
    no_static_answer_is_wrong(lab, scene, tmp_path)


def test_a_parent_of_all_vhosts_that_is_a_link(lab: Lab, node: Node, tmp_path: Path) -> None:
    """It leads to another disk, and nginx, php-fpm and the settings know the vhosts by way of it."""
    scene = set_scene(node, shape="literal", content="odd")
    node.sh(
        "ln -s /srv /sites;"
        "grep -rl /srv/ /etc/nginx /etc/php /root/.vhosts | xargs sed -i s,/srv/,/sites/,g;"
        "systemctl restart php8.2-fpm nginx"
    )
    scene.remember()
    product = Product(lab, tmp_path)
    product.add(node, vpath="/sites")
    node.sh(f"mkdir /srv/{DOMAIN}/web/nfs; mount -t tmpfs none /srv/{DOMAIN}/web/nfs")
    product.discover(node)
    refused = product.validate(node, DOMAIN)
    assert any("mount point" in error for error in refused.errors), refused
    node.sh(f"umount /srv/{DOMAIN}/web/nfs; rmdir /srv/{DOMAIN}/web/nfs")
    scene.remember()
    product.ready(node, DOMAIN)
    went = product.migrate(node, DOMAIN)
    assert went.ok, went
    assert scene.wrong() == []
    assert product.rollback(node, DOMAIN).ok
    scene.is_as_before()
    back = product.rollback(node, DOMAIN, archive=went.backup_archive)
    assert back.ok, back
    assert scene.wrong() == []


@pytest.mark.parametrize("is_busybox", [False, True], ids=["gnu", "busybox"])
def test_folders_that_hand_their_group_down(lab: Lab, node: Node, tmp_path: Path, is_busybox: bool) -> None:
    """Set-group-id everywhere, the parent of all vhosts with a group of its own and a default ACL besides."""
    scene = set_scene(node, shape="literal")
    if is_busybox:
        busybox_first(node)
    places = " ".join(f"/srv/{DOMAIN}{x}" for x in ("", "/web", "/var", "/var/log", "/var/run", "/var/tmp"))
    try:
        node.sh(f"chgrp staff /srv; chmod g+s /srv {places}")
        node.sh(f"setfacl -m d:g:adm:rwx /srv /srv/{DOMAIN}/var/log")
        scene.remember()
        there_and_back(lab, scene, tmp_path, whole_seconds=is_busybox)
    finally:
        node.sh("setfacl -b /srv; chgrp root /srv; chmod g-s /srv")


def test_busybox(lab: Lab, node: Node, tmp_path: Path) -> None:
    """BusyBox's tools and shell come first."""
    scene = set_scene(node, shape="literal")
    busybox_first(node)
    there_and_back(lab, scene, tmp_path, whole_seconds=True)


def test_busybox_brings_an_archive_back(lab: Lab, node: Node, tmp_path: Path) -> None:
    """Its tar packs what is in the vhost's folder, not the folder itself, which keeps owner and mode."""
    scene = set_scene(node, shape="literal")
    busybox_first(node)
    product = Product(lab, tmp_path)
    product.add(node)
    product.ready(node, DOMAIN)
    went = product.migrate(node, DOMAIN)
    assert went.ok, went
    back = product.rollback(node, DOMAIN, archive=went.backup_archive)
    assert back.ok, back
    assert scene.wrong() == []
    top, before = scene.upath.stat(), scene.before[b"srv/shop.test"]
    assert (top.st_mode & 0o7777, top.st_uid, top.st_gid) == (before.mode & 0o7777, before.uid, before.gid)
    assert product.resume(node, DOMAIN, undo=True).ok
    assert scene.wrong() == []


@pytest.mark.parametrize(("user", "password"), [("ops", ""), ("opspw", SUDO_PASSWORD)])
def test_sudo(lab: Lab, node: Node, tmp_path: Path, user: str, password: str) -> None:
    """An account that may sudo, at once or with its password, which is kept nowhere."""
    scene = set_scene(node, shape="literal")
    there_and_back(lab, scene, tmp_path, alias=f"{node.name}-{user}", password=password)
    if password:
        kept = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert kept and not any(password.encode() in path.read_bytes() for path in kept)
        assert node.sh('grep -rlF -e "$1" /var/lib/nsmig /var/log /tmp || true', password).stdout == ""


@pytest.mark.parametrize("manager", ["command", "sysvinit"])
def test_service_managers(lab: Lab, node: Node, tmp_path: Path, manager: str) -> None:
    """Reloads by commands of the settings, and by init scripts."""
    scene = set_scene(node, shape="literal")
    service = {
        "manager": manager,
        "nginx": "nginx -s reload",
        "php-fpm": "kill -USR2 $(cat /run/php/php8.2-fpm.pid)",
    }
    if manager == "sysvinit":
        service = {"manager": manager}
    there_and_back(lab, scene, tmp_path, service=service)


def test_noisy_logins(lab: Lab, node: Node, tmp_path: Path) -> None:
    """What login scripts print is never read as an answer."""
    scene = set_scene(node, shape="literal")
    noise = 'echo "@stat"; printf "\\033]0;owned\\007started 1 0\\n"; echo noise >&2\n'
    for name in (".bashrc", ".profile"):
        node.path(f"/root/{name}").write_text(noise)
    there_and_back(lab, scene, tmp_path)


def test_a_dry_run_on_read_only_disks(lab: Lab, node: Node, tmp_path: Path) -> None:
    """/srv and /etc read-only: the plan is there, and nothing has changed."""
    set_scene(node, shape="literal", content="odd")
    product = Product(lab, tmp_path)
    product.add(node)
    product.ready(node, DOMAIN)
    parts = ("etc", "srv", "var/lib", "var/log/nginx", "root", "run/php")
    for place in ("/etc", "/srv"):
        node.sh(f"mount --bind {place} {place} && mount -o remount,bind,ro {place}")
    try:
        assert node.sh("touch /etc/x /srv/x", check=False).returncode != 0
        before = node_picture(node, parts)
        plan = product.plan(node, DOMAIN)
        after = node_picture(node, parts)
    finally:
        node.sh("umount /srv; umount /etc")
    assert differences(before, after) == []
    assert len(plan.steps) == 7 and sum(len(step["changes"]) for step in plan.steps) > 10
