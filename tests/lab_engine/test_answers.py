"""What a site's answers prove, asked of real servers: broken sites are seen, living ones are let go."""

from __future__ import annotations

import pytest
from lab.node import Node
from lab.prober import Prober, Target
from lab.product import Product
from lab.seed import seed_vhost, serve

pytestmark = pytest.mark.lab

BLOCK = """server {
    listen @LISTEN@;
    server_name @NAME@;
    root /srv/@D@/web;
    index index.php;
    access_log /srv/@D@/var/log/access.log;
    location / { try_files $uri $uri/ =404; }
    location ~ \\.php$ { include fastcgi.conf; fastcgi_pass unix:/srv/@D@/var/run/fpm.sock; }
}
"""
AWAY = "server { listen 80; server_name @D@ www.@D@; return 301 https://www.@D@$request_uri; }\n"
TLS = "443 ssl; ssl_certificate /etc/ssl/lab/@D@.pem; ssl_certificate_key /etc/ssl/lab/@D@.key"
BREAKS = "<?php if (is_dir(dirname(__DIR__, 2) . '/app')) http_response_code(404); echo 'home';\n"
"""A front page that breaks in the new place, and nothing else of the site does."""

CLOCK = "<?php ini_set('display_errors', 1); echo $undefined; echo date('H:i:s'), ' on every page';\n"
SSO = "<?php header('Location: https://sso.example/auth?client=1&state=' . bin2hex(random_bytes(8)));\n"


def put(node: Node, domain: str, front: str, text: str = "") -> None:
    """A site with this front page, and with this site file where one is given."""
    seed_vhost(node, domain, reload=False, tls=TLS in text)
    (node.srv / domain / "web/index.php").write_text(front)
    if text:
        node.path(f"/etc/nginx/sites-available/{domain}").write_text(text.replace("@D@", domain))


def block(listen: str, name: str) -> str:
    """A server block that serves the site."""
    return BLOCK.replace("@LISTEN@", listen).replace("@NAME@", name)


def test_a_broken_page_is_seen_at_whatever_door_it_is(node: Node, product: Product) -> None:
    put(node, "far.test", BREAKS, AWAY + block(TLS, "www.@D@"))
    put(node, "six.test", BREAKS, block("[::]:80 ipv6only=on", "@D@"))
    serve(node, [])
    product.ready(node, "far.test", "six.test")
    for domain, word in (
        ("far.test", "https://www.far.test/ answered"),
        ("six.test", "http://six.test/ (at ::1)"),
    ):
        result = product.migrate(node, domain)
        assert (result.ok, result.exit_code) == (False, 5), result
        assert word in result.errors[0] and "200 before and 404 now" in result.errors[0]
        assert not any("nobody saw a page" in warning for warning in result.warnings)


def test_pages_that_change_by_themselves_hinder_nobody(node: Node, product: Product) -> None:
    put(node, "clock.test", CLOCK)
    put(node, "sso.test", SSO)
    serve(node, [])
    product.ready(node, "clock.test", "sso.test")
    assert b"/srv/clock.test/web/index.php" in node.http("clock.test", "/").body
    for domain in ("clock.test", "sso.test"):
        result = product.migrate(node, domain)
        assert result.ok, result
        assert not any("another text" in warning for warning in result.warnings), result.warnings
    assert b"/srv/clock.test/web/app/public/index.php" in node.http("clock.test", "/").body
    assert product.rollback(node, "clock.test").ok


def test_static_pages_are_found_where_nginx_follows_no_links(node: Node, product: Product) -> None:
    seed_vhost(node, "links.test", reload=False)
    path = node.path("/etc/nginx/sites-available/links.test")
    refusing = "disable_symlinks if_not_owner from=$document_root; index index.php"
    path.write_text(path.read_text().replace("index index.php", refusing, 1))
    serve(node, [])
    product.ready(node, "links.test")
    for verb in (product.migrate, product.rollback):
        with Prober(node, [Target("links.test", "/page.html", 200, "page of links.test")]) as prober:
            assert verb(node, "links.test").ok
        assert len(prober.wrong) <= 1, (verb.__name__, prober.wrong)  # in the instant of a rename
