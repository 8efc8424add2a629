"""One vhost there and back again on a real server: content, answers, configuration, owners, times."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lab.node import Node
from lab.prober import Prober, Target
from lab.product import Product
from lab.seed import Vhost, seed_vhost, wrong_answers
from lab.tree import Tree, differences, node_picture, picture

pytestmark = pytest.mark.lab

LEFT_BEHIND = ("srv/{0}/.archive",)
SHAPES = [
    pytest.param({"shape": "literal"}, id="literal"),
    pytest.param({"shape": "shared"}, id="shared"),
    pytest.param({"shape": "literal", "php": False}, id="static"),
    pytest.param({"shape": "literal", "tls": True, "aliases": ("www.{0}",)}, id="tls-and-names"),
    pytest.param({"shape": "shared", "pool": "include"}, id="pool-with-include"),
    pytest.param({"shape": "literal", "content": "absolute"}, id="absolute-paths"),
    pytest.param({"shape": "literal", "content": "odd"}, id="odd"),
]


def seeded(node: Node, domain: str, form: dict) -> Vhost:
    """A vhost of this form and a neighbour."""
    form = {**form, "aliases": tuple(a.format(domain) for a in form.get("aliases", ()))}
    seed_vhost(node, "neighbour.test", shape="shared")
    return seed_vhost(node, domain, **form)


def content_of(node: Node, domain: str, where: str) -> Tree:
    """The site's content, wherever it stands, without its own folder's mode and owner."""
    tree = picture(node.srv / domain / where)
    return {path: entry for path, entry in tree.items() if path != b"." and entry.kind != "socket"}


def snapshot(node: Node, domain: str) -> Tree:
    """Trees and configuration, without what nsmig keeps for itself and without live sockets and logs."""
    whole = node_picture(node, ("etc", "srv"), ignore=[f"srv/{domain}/.archive"])
    kept = {
        p: e for p, e in whole.items() if e.kind != "socket" and not p.endswith((b"access.log", b"error.log"))
    }
    # a file put in place by rename changes its folder's time: said of /etc, not of the vhost's tree
    return {
        p: replace(e, mtime_ns=0) if e.kind == "dir" and not p.startswith(b"srv/") else e
        for p, e in kept.items()
    }


@pytest.mark.parametrize("form", SHAPES)
def test_migrate_and_undo(node: Node, product: Product, form: dict) -> None:
    """Content and answers survive the way there; the way back restores the old tree byte for byte."""
    domain = "shop.test"
    vhost = seeded(node, domain, form)
    before = snapshot(node, domain)
    content = content_of(node, domain, "web")
    product.ready(node, domain)

    went = product.migrate(node, domain)
    assert went.ok, went
    assert went.status == "migrated"
    assert len(went.steps_completed) == 7
    assert (node.srv / domain / ".archive" / went.backup_archive).is_file()
    assert differences(content, content_of(node, domain, "web/app/public"), ["uid", "gid"]) == []
    assert wrong_answers(node, vhost) == []
    for place, mode in {
        "web": 0o755,
        "web/app": 0o755,
        "web/app/public": 0o755,
        "web/log": 0o750,
        "web/run": 0o750,
    }.items():
        seen = (node.srv / domain / place).stat()
        assert (seen.st_mode & 0o7777, seen.st_uid, seen.st_gid) == (mode, vhost.uid, 33), place
    assert not (node.srv / ".nsmig").exists()
    again = product.migrate(node, domain)
    assert (again.ok, again.skipped, again.steps_completed) == (True, True, ())

    back = product.rollback(node, domain)
    assert back.ok, back
    assert back.status == "validated"
    assert differences(before, snapshot(node, domain)) == []
    assert wrong_answers(node, vhost) == []
    node.sh("nginx -t && php-fpm8.2 -t && systemctl is-active nginx php8.2-fpm")


def test_what_is_written_after_migration_survives_the_undo(node: Node, product: Product) -> None:
    """Uploads, edits and mail of the time between stay (reliability.md G06)."""
    domain = "shop.test"
    seeded(node, domain, {"shape": "literal"})
    product.ready(node, domain)
    assert product.migrate(node, domain).ok
    public = node.srv / domain / "web/app/public"
    (public / "upload.txt").write_text("uploaded since\n")
    (public / "page.html").write_text("edited since\n")
    (node.srv / domain / "msg/info/Maildir/new/late").write_text("mail since\n")
    assert product.rollback(node, domain).ok
    assert node.http(domain, "/upload.txt").text == "uploaded since\n"
    assert node.http(domain, "/page.html").text == "edited since\n"
    assert (node.srv / domain / "msg/info/Maildir/new/late").read_text() == "mail since\n"
    product.ready(node, domain)
    assert product.migrate(node, domain).ok
    assert node.http(domain, "/page.html").text == "edited since\n"


def test_an_edit_by_an_administrator_is_not_overwritten(node: Node, product: Product) -> None:
    """A site file edited after the migration: the undo is refused, nothing is touched (G13)."""
    domain = "shop.test"
    vhost = seeded(node, domain, {"shape": "literal"})
    product.ready(node, domain)
    assert product.migrate(node, domain).ok
    site = node.path(f"/etc/nginx/sites-available/{domain}")
    written = site.read_text()
    site.write_text(written + "# the administrator was here\n")
    refused = product.rollback(node, domain)
    assert (refused.exit_code, refused.status) == (4, "migrated")
    assert site.name in refused.errors[0]
    assert site.read_text().endswith("was here\n")
    assert wrong_answers(node, vhost) == []
    site.write_text(written)
    assert product.rollback(node, domain).ok


@pytest.mark.parametrize("shape", ["literal", "shared"])
def test_nobody_notices(node: Node, product: Product, shape: str) -> None:
    """Static answers are never wrong, on the way there nor back; a neighbour's neither, PHP included."""
    domain = "shop.test"
    seeded(node, domain, {"shape": shape})
    node.sh(
        "sed -i 's/^;*process_control_timeout.*/process_control_timeout = 10s/' /etc/php/8.2/fpm/php-fpm.conf"
    )
    node.sh("systemctl reload php8.2-fpm")
    product.ready(node, domain)
    targets = [
        Target(domain, "/page.html", body=f"page of {domain}"),
        Target(domain, "/css/site.css", body="teal"),
        Target(domain, "/", body=f"home of {domain}"),
        Target("neighbour.test", "/page.html", body="page of neighbour.test"),
        Target("neighbour.test", "/", body="home of neighbour.test"),
    ]
    with Prober(node, targets, interval_ms=2) as prober:
        assert product.migrate(node, domain).ok
        assert product.rollback(node, domain).ok
    counts = {f"{found.host}{found.path}": found.count for found in prober.findings}
    assert all(count > 100 for count in counts.values()), counts
    assert prober.wrong == [], (prober.wrong[:3], prober.wrong[-1])
