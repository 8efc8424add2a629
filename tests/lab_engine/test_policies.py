"""`--owners` and `--compat`: what they change, and that the way back knows about it."""

from __future__ import annotations

import os

import pytest
from lab.node import Node
from lab.product import Product
from lab.seed import seed_references, seed_vhost, wrong_answers
from lab.tree import differences, picture

pytestmark = pytest.mark.lab
DOMAIN = "shop.test"


def web(node: Node) -> dict:
    """The content in the old layout."""
    return {p: e for p, e in picture(node.srv / DOMAIN / "web").items() if e.kind != "socket"}


@pytest.mark.parametrize(
    ("owners", "foreign", "upload"), [("keep", 0, 33), ("foreign", 1101, 33), ("all", 1101, 1101)]
)
def test_owners(node: Node, product: Product, owners: str, foreign: int, upload: int) -> None:
    """Foreign entries, the web server's own, links, setuid and shared files; all come back exactly."""
    seed_vhost(node, DOMAIN, uid=1101)
    top = node.srv / DOMAIN / "web"
    for name, uid in (("left-by-root", 0), ("upload", 33), ("tool", 0)):
        (top / name).write_text(name)
        os.chown(top / name, uid, uid)
    (top / "tool").chmod(0o4755)
    (top / "link").symlink_to("/etc/passwd")
    os.link(top / "tool", top / "twin")
    (node.srv / "neighbours").write_text("somebody else's too")
    os.link(node.srv / "neighbours", top / "shared")
    before = web(node)
    product.ready(node, DOMAIN)
    went = product.migrate(node, DOMAIN, owners=owners)
    assert went.ok, went
    public = node.srv / DOMAIN / "web/app/public"
    assert (node.srv / "neighbours").stat().st_uid == 0
    assert any("./shared" in warning for warning in went.warnings) == (owners != "keep"), went.warnings
    assert (public / "twin").stat().st_uid == foreign
    assert (public / "left-by-root").stat().st_uid == foreign
    assert (public / "upload").stat().st_uid == upload
    assert (public / "tool").stat().st_mode & 0o7777 == 0o4755
    assert os.stat("/etc/passwd").st_uid == 0 and node.path("/etc/passwd").stat().st_uid == 0
    assert product.rollback(node, DOMAIN).ok
    assert differences(before, web(node)) == []


def test_immutable_entries_keep_their_owner(node: Node, product: Product) -> None:
    """A foreign file with chattr +i is left as it is, with a word (reliability.md D05)."""
    seed_vhost(node, DOMAIN)
    top = node.srv / DOMAIN / "web"
    for name in ("fixed", "free"):
        (top / name).write_text(name)
        os.chown(top / name, 0, 0)
    node.sh(f"chattr +i /srv/{DOMAIN}/web/fixed")
    before = web(node)
    product.ready(node, DOMAIN)
    went = product.migrate(node, DOMAIN)
    assert went.ok, went
    assert any("immutable" in warning for warning in went.warnings), went.warnings
    public = node.srv / DOMAIN / "web/app/public"
    assert ((public / "fixed").stat().st_uid, (public / "free").stat().st_uid) == (0, 1101)
    node.sh(f"chattr +i /srv/{DOMAIN}/web/app /srv/{DOMAIN}/web/app/public/free")
    refused = product.rollback(node, DOMAIN)
    assert refused.exit_code == 4 and "web/app is immutable" in refused.errors[0], refused
    node.sh(f"chattr -i /srv/{DOMAIN}/web/app")
    back = product.rollback(node, DOMAIN)
    assert back.ok and any("./free (0:0 644)" in warning for warning in back.warnings), back
    node.sh(f"cd /srv/{DOMAIN}/web && chattr -i fixed free && chown 0:0 free")
    assert differences(before, web(node)) == []


@pytest.mark.parametrize(
    ("compat", "used", "links"),
    [("auto", False, False), ("auto", True, True), ("never", True, False), ("always", False, True)],
)
def test_compat(node: Node, product: Product, compat: str, used: bool, links: bool) -> None:
    """Links at old places stay where something uses them, or as told; they are gone after the undo."""
    vhost = seed_vhost(node, DOMAIN)
    if used:
        seed_references(node, vhost)
    before = web(node)
    product.ready(node, DOMAIN)
    went = product.migrate(node, DOMAIN, compat=compat)
    assert went.ok, went
    top = node.srv / DOMAIN
    assert (top / "web/page.html").is_symlink() is links
    assert (top / "var/log").is_symlink() is links
    if links:
        assert (top / "web/page.html").read_text() == (top / "web/app/public/page.html").read_text()
        stay = {entry.name for entry in (top / "web").iterdir() if entry.is_symlink()}
        told = next(w for w in went.warnings if "stay in web" in w).partition(": ")[2].split()
        assert set(told) == stay and len(stay) > 5, "each link that stays is named"
    assert wrong_answers(node, vhost) == []
    assert product.rollback(node, DOMAIN).ok
    assert differences(before, web(node)) == []


def test_each_move_is_planned_and_each_link_that_stays_is_named(node: Node, product: Product) -> None:
    """Entries of var/run, links in var and web/app, a link that climbs, a reload more for an entry `run`."""
    seed_vhost(node, DOMAIN)
    top = node.srv / DOMAIN
    for place in ("web/app", "web/run", "var/run/sub"):
        (top / place).mkdir()
    (top / "web/app/own.txt").write_text("own\n")
    (top / "var/run/left.pid").write_text("7\n")
    (top / "web/mail").symlink_to("../msg/info")
    product.ready(node, DOMAIN)
    steps = {s["name"]: s["changes"] for s in product.plan(node, DOMAIN, compat="always").steps}
    rows = [row for row in steps["structural_migration"] if row["what"] in ("move", "link", "create")]
    planned = {row["from" if row["what"] == "link" else "to"].removeprefix(f"/srv/{DOMAIN}/") for row in rows}
    went = product.migrate(node, DOMAIN, compat="always")
    assert went.ok, went
    assert {"web/run/left.pid", "web/run/sub", "var/log", "var/run", "var/tmp"} <= planned
    assert {f"var/{p.name}" for p in (top / "var").iterdir()} <= planned
    own = {f"web/run/{p.name}" for p in (top / "web/run").iterdir() if not p.is_socket()}
    assert own <= planned
    told = " ".join(w.partition(": ")[2] for w in went.warnings if "stay" in w).split()
    links = [p for place in ("web", "web/app", "var") for p in (top / place).iterdir() if p.is_symlink()]
    assert len(links) > 10 and {"log", "run", "tmp", "own.txt"} <= {p.name for p in links}
    assert {p.name for p in links} <= {name.rpartition("/")[2] for name in told}
    (reloads,) = [w for w in went.warnings if "php-fpm was reloaded" in w]
    assert "3 times" in reloads and any("three times" in row["what"] for row in steps["service_reload"])


def test_without_an_archive(node: Node, product: Product) -> None:
    """`--no-backup`: the old directories stay, nothing can be restored, undo still works."""
    vhost = seed_vhost(node, DOMAIN)
    before = web(node)
    product.ready(node, DOMAIN)
    went = product.migrate(node, DOMAIN, backup=False)
    assert (went.ok, went.backup_archive) == (True, None), went
    assert any("no archive" in w for w in went.warnings)
    assert (node.srv / DOMAIN / ".ssh/authorized_keys").is_file()
    assert product.points(node, DOMAIN) == []
    assert wrong_answers(node, vhost) == []
    assert product.rollback(node, DOMAIN).ok
    assert differences(before, web(node)) == []


def test_what_the_account_put_in_anothers_place_stays_its_own(node: Node, product: Product) -> None:
    """Giving a setuid file back to root whose content the account has replaced would make it root."""
    vhost = seed_vhost(node, DOMAIN)
    top = node.srv / DOMAIN / "web"
    for name, mode in (("tool", 0o4755), ("conf.php", 0o600), ("kept", 0o4755), ("by-root", 0o644)):
        (top / name).write_text(f"then {name}")
        os.chown(top / name, 0, 0)
        (top / name).chmod(mode)
    product.ready(node, DOMAIN)
    assert product.migrate(node, DOMAIN).ok
    node.sh(
        f"cd /srv/{DOMAIN}/web/app/public && su -s /bin/sh {vhost.user} -c '"
        "cp /usr/bin/id tool; rm conf.php; echo now >conf.php; chmod 640 conf.php' && "
        "rm by-root && echo now >by-root && chown 0:33 by-root"
    )
    went = product.rollback(node, DOMAIN)
    assert went.ok, went
    assert any("2 file(s) keep the account as owner" in warning for warning in went.warnings), went.warnings
    facts = {name: (top / name).stat() for name in ("tool", "conf.php", "kept", "by-root")}
    assert {name: (f.st_uid, f.st_mode & 0o7777) for name, f in facts.items()} == {
        "tool": (vhost.uid, 0o755),
        "conf.php": (vhost.uid, 0o640),
        "kept": (0, 0o4755),
        "by-root": (0, 0o644),
    }
    assert facts["by-root"].st_gid == 33


def test_what_is_mounted_below_a_replaced_tree_survives_its_deletion(node: Node, product: Product) -> None:
    seed_vhost(node, DOMAIN)
    product.ready(node, DOMAIN)
    went = product.migrate(node, DOMAIN)
    assert product.rollback(node, DOMAIN, archive=went.backup_archive).ok
    replaced = node.sh(f"ls -d /srv/{DOMAIN}/.archive/replaced-*").stdout.strip()
    node.sh(
        "mkdir -p /srv/elsewhere && echo precious >/srv/elsewhere/photo && "
        'mkdir "$1/media" && mount --bind /srv/elsewhere "$1/media"',
        replaced,
    )
    assert product.rollback(node, DOMAIN, archive=went.backup_archive).ok  # whose way back needs another tree
    node.sh('mkdir "$1/media" && mount --bind /srv/elsewhere "$1/media"', f"/srv/{DOMAIN}/web")
    refused = product.rollback(node, DOMAIN, archive=went.backup_archive)
    assert refused.exit_code == 4 and f"/srv/{DOMAIN}/web/media is a mount point" in str(refused.errors)
    node.sh(f"umount /srv/{DOMAIN}/web/media")

    async def prune(app):
        return await app.engine.prune(node.name, DOMAIN, 0, 0, lambda _event: None)

    refused = product.run(prune)
    assert not refused.ok and "a file system is mounted at" in str(refused.errors), refused
    assert (node.srv / "elsewhere/photo").read_text() == "precious\n"
    node.sh('umount "$1/media"', replaced)
    assert product.run(prune).ok
    assert not node.path(replaced).exists()
