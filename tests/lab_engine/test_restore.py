"""Restoring an archive on a real server: what comes back, what is carried over, the way back."""

from __future__ import annotations

import pytest
from lab.node import Node
from lab.product import Product
from lab.seed import seed_vhost, wrong_answers
from lab.tree import differences, picture

pytestmark = pytest.mark.lab
DOMAIN = "shop.test"


def content(node: Node) -> dict:
    """The site's content in the old layout, with the folder itself."""
    return {p: e for p, e in picture(node.srv / DOMAIN / "web").items() if e.kind != "socket"}


def migrated(node: Node, product: Product, **form) -> tuple:
    """A migrated vhost, its seed, its content before, and its archive."""
    vhost = seed_vhost(node, DOMAIN, **form)
    before = content(node)
    product.ready(node, DOMAIN)
    went = product.migrate(node, DOMAIN)
    assert went.ok, went
    return vhost, before, went.backup_archive


@pytest.mark.parametrize("odd", ["small", "odd"])
def test_restore_brings_the_archive_back_and_carries_over_what_is_new(
    node: Node, product: Product, odd: str
) -> None:
    """Edited files revert and are kept, new ones stay, mail is not touched; the restore can be taken back."""
    vhost, before, archive = migrated(node, product, content=odd)
    public = node.srv / DOMAIN / "web/app/public"
    (public / "page.html").write_text("edited since\n")
    (public / "new.txt").write_text("new since\n")
    (node.srv / DOMAIN / "msg/info/Maildir/new/late").write_text("mail since\n")
    points = product.points(node, DOMAIN)
    assert [(p.filename, p.ok) for p in points] == [(archive, True)]
    planned = product.plan_rollback(node, DOMAIN, archive=archive)
    words = str(planned.steps)
    assert "page.html" in words and "new.txt" in words
    assert "configuration files go back" in words and "php-fpm" in words

    back = product.rollback(node, DOMAIN, archive=archive)
    assert back.ok, back
    assert back.status == "validated"
    assert any("php-fpm was reloaded" in warning for warning in back.warnings), back.warnings
    now = content(node)
    assert now.pop(b"new.txt").size == len("new since\n")
    assert differences({**before, b".": now[b"."]}, now) == []
    assert wrong_answers(node, vhost) == []
    assert (node.srv / DOMAIN / "msg/info/Maildir/new/late").is_file()
    aside = next((node.srv / DOMAIN / ".archive").glob("replaced-*"))
    assert (aside / "web/page.html").read_text() == "edited since\n"
    told = (aside / "changed-since.txt").read_text().splitlines()
    assert "web/page.html" in told and "web/new.txt" not in told

    assert product.vhost(node, DOMAIN).steps_completed == ()
    again = product.rollback(node, DOMAIN)
    assert again.exit_code == 4, again
    assert again.hint.endswith(f"nsmig resume {node.name} {DOMAIN} --undo")

    (node.srv / DOMAIN / "web/after.txt").write_text("written after the restore\n")
    undone = product.resume(node, DOMAIN, undo=True)
    assert undone.ok, undone
    assert (node.srv / DOMAIN / "web/page.html").read_text() == "edited since\n"
    kept = list((node.srv / DOMAIN / ".archive").glob("replaced-*/web/after.txt"))
    assert [path.read_text() for path in kept] == ["written after the restore\n"]


def test_what_is_written_to_while_it_is_archived_comes_back(node: Node, product: Product) -> None:
    """A live site: its log grows, sessions come and go. Its archive can be restored all the same."""
    vhost = seed_vhost(node, DOMAIN)
    node.sh(f"head -c 30000000 /dev/urandom >{vhost.upath}/web/big.bin")
    product.ready(node, DOMAIN)
    busy = """
    i=0
    while [ ! -e /run/nsmig-enough ]; do
      i=$((i + 1))
      echo line >>"$1/var/log/access.log"
      echo "$i" >"$1/var/tmp/sess_$i"
      echo "$i" >"$1/var/tmp/sess_kept"
      sleep 0.02
      rm -f "$1/var/tmp/sess_$((i - 3))"
    done
    """
    node.sh(f"setsid sh -c '{busy}' sh {vhost.upath} </dev/null >/dev/null 2>&1 &")
    went = product.migrate(node, DOMAIN)
    node.sh("touch /run/nsmig-enough")
    assert went.ok, went
    assert any("access.log" in warning for warning in went.warnings), went.warnings

    back = product.rollback(node, DOMAIN, archive=went.backup_archive)
    assert back.ok, back
    assert wrong_answers(node, vhost) == []
    log = (node.srv / DOMAIN / "var/log/access.log").read_text()
    assert "line\nline\n" in log, log[-200:]


def test_exact_puts_new_files_aside_and_mail_on_request(node: Node, product: Product) -> None:
    """`--exact --with-mail` gives the archive's very state; nothing is lost."""
    vhost, before, archive = migrated(node, product)
    (node.srv / DOMAIN / "web/app/public/new.txt").write_text("new since\n")
    (node.srv / DOMAIN / "msg/info/Maildir/new/late").write_text("mail since\n")
    assert product.rollback(node, DOMAIN, archive=archive, exact=True, with_mail=True).ok
    assert differences(before, content(node)) == []
    aside = next((node.srv / DOMAIN / ".archive").glob("replaced-*"))
    assert (aside / "web/new.txt").read_text() == "new since\n"
    assert (aside / "msg/info/Maildir/new/late").read_text() == "mail since\n"
    assert not (node.srv / DOMAIN / "msg/info/Maildir/new/late").exists()
    assert wrong_answers(node, vhost) == []


def test_a_damaged_archive_is_never_used(node: Node, product: Product) -> None:
    """One flipped byte: listed as damaged, refused, nothing touched."""
    _, _, archive = migrated(node, product)
    path = node.srv / DOMAIN / ".archive" / archive
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert [(p.filename, p.ok) for p in product.points(node, DOMAIN)] == [(archive, False)]
    refused = product.rollback(node, DOMAIN, archive=archive)
    assert (refused.ok, refused.exit_code) == (False, 4)
    assert "damaged" in refused.errors[0]
    assert (node.srv / DOMAIN / "web/app/public").is_dir()


def test_taking_a_restore_back_after_a_deploy_a_mount_and_mail(node: Node, product: Product) -> None:
    """Refused for the mount; then the site of before comes back, and mail that came goes along."""
    up = seed_vhost(node, DOMAIN).upath
    product.ready(node, DOMAIN)
    archive = product.migrate(node, DOMAIN).backup_archive
    assert product.rollback(node, DOMAIN).ok
    node.sh(f"echo edited >{up}/web/page.html; mkdir {up}/var/new; rm -r {up}/var/log; touch {up}")
    went = product.rollback(node, DOMAIN, archive=archive, with_mail=True, exact=True)
    assert went.ok, went
    node.sh(f"mkdir /root/top && tar -xpf {up}/.archive/{archive} --no-recursion -C /root/top ./")
    assert len(set(node.sh(f"stat -c %y {up} /root/top").stdout.splitlines())) == 1
    assert not (node.srv / DOMAIN / "var/new").exists() and (node.srv / DOMAIN / "var/log").is_dir()
    node.sh(f"mkdir /root/upl {up}/web/upl && mount --bind /root/upl {up}/web/upl")
    refused = product.resume(node, DOMAIN, undo=True)
    node.sh(f"umount {up}/web/upl")
    assert (refused.exit_code, f"{up}/web/upl is a mount point" in refused.errors[0]) == (4, True), refused
    assert refused.hint.endswith(f"nsmig resume {node.name} {DOMAIN} --undo")
    node.sh(f"cd {up} && cp -a web next && rm -r web && mv next web && echo v2 >web/page.html")
    node.sh(f"echo late >{up}/msg/info/Maildir/new/late")
    node.sh(f"mkdir -p {up}/var/log")  # what was before lacked it, and nginx would not start from that
    back = product.resume(node, DOMAIN, undo=True)
    assert back.ok, back
    assert any("web was replaced since" in warning for warning in back.warnings), back.warnings
    assert node.sh(f"cat {up}/web/page.html {up}/msg/info/Maildir/new/late").stdout == "edited\nlate\n"
    assert node.sh(f"cat {up}/.archive/replaced-*/web/page.html").stdout == "v2\n"
