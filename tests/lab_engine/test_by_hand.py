"""The README's way back without nsmig, word for word, on a real server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lab.node import Node, wait_for
from lab.product import Product
from lab.seed import seed_vhost, wrong_answers
from lab.tree import differences, picture

pytestmark = pytest.mark.lab
DOMAIN = "shop.test"
README = Path(__file__).parents[2] / "README.md"


def commands(stamp: str) -> str:
    """The shell block of the section "By hand", for one domain and time."""
    section = README.read_text().split("## By hand", 1)[1]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block
    text = block[1].replace("-T.", f"-{stamp}.")
    return re.sub(r"(/srv/|/root/)D\b", rf"\g<1>{DOMAIN}", text)


def test_the_readmes_way_back_with_tar_alone(node: Node, product: Product) -> None:
    """Content, configuration and answers as before; today's mail stays; a next migration starts afresh."""
    vhost = seed_vhost(node, DOMAIN, content="odd")
    before = {p: e for p, e in picture(node.srv / DOMAIN / "web").items() if e.kind != "socket"}
    site = node.path(f"/etc/nginx/sites-available/{DOMAIN}").read_bytes()
    product.ready(node, DOMAIN)
    archive = product.migrate(node, DOMAIN).backup_archive
    (node.srv / DOMAIN / "msg/info/Maildir/new/late").write_text("mail since\n")
    stamp = archive.removeprefix("pre-migration-").removesuffix(".tar.gz")
    node.sh("set -e\n" + commands(stamp))
    assert differences(before, picture(node.srv / DOMAIN / "web")) == []
    assert node.path(f"/etc/nginx/sites-available/{DOMAIN}").read_bytes() == site
    assert (node.srv / DOMAIN / "msg/info/Maildir/new/late").read_text() == "mail since\n"
    # systemctl comes back before nginx's old workers have gone
    wait_for("the old site's answers", lambda: wrong_answers(node, vhost) == [])
    node.sh(f"mv /var/lib/nsmig/{DOMAIN} /root/{DOMAIN}.nsmig")
    product.ready(node, DOMAIN)
    assert product.migrate(node, DOMAIN).ok
