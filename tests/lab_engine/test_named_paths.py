"""What nginx and PHP name beside roots, logs and sockets works on both sides, and either can start anew."""

from __future__ import annotations

import os

import pytest
from lab import seed_config
from lab.node import Node, wait_for
from lab.prober import Prober, Target
from lab.product import Product
from lab.scene import DOMAIN, snapshot
from lab.seed import seed_vhost, serve
from lab.tree import differences

pytestmark = pytest.mark.lab

TOP = f"/srv/{DOMAIN}"
SITE = f"/etc/nginx/sites-available/{DOMAIN}"
SOCKET = f"{TOP}/var/run/app.sock"
BACKEND = """use Socket; my $p = shift; socket(S, PF_UNIX, SOCK_STREAM, 0);
bind(S, pack_sockaddr_un($p)) or die;
chmod 0777, $p; listen(S, 50);
while (accept(C, S)) { sysread(C, $b, 4096); syswrite(C, "HTTP/1.0 200 OK\\r\\n\\r\\nbackend"); close C }
"""
PLACES = f"""location /api/ {{ set $backend unix:{SOCKET}; proxy_pass http://$backend:/; }}
    location /px/ {{ proxy_ssl_verify on; proxy_ssl_trusted_certificate {TOP}/web/certs/ca.pem;
        proxy_pass https://127.0.0.1:8443; }}
    location /files/"""
CACHE = f"fastcgi_cache_path {TOP}/var/tmp/cache levels=1:2 keys_zone=pages:1m;\n"
CACHED = "fastcgi_cache pages; fastcgi_cache_valid 200 1m; fastcgi_cache_key $request_uri; fastcgi_pass unix"
ASKED = (Target(DOMAIN, "/api/x", body="backend"), Target(DOMAIN, "/asks.php", body="heard"))


def test_all_that_is_named(node: Node, product: Product) -> None:
    """A cache in var/tmp, a certificate in web, another program's socket, a file that PHP loads first."""
    vhost = seed_vhost(node, DOMAIN, reload=False)
    seed_config.make_certificate(node.path(f"{TOP}/web/certs"), "ca")
    node.sh(f"mkdir -p {TOP}/var/tmp/cache; chmod 755 {TOP}/var {TOP}/var/run {TOP}/var/tmp")
    site = node.path(SITE)
    text = site.read_text().replace("location /files/", PLACES, 1).replace("fastcgi_pass unix", CACHED)
    site.write_text(CACHE + text)
    asks = "<?php echo stream_socket_client('unix://' . getenv('APP')) ? 'heard' : 'nothing';"
    node.path(f"{TOP}/web/asks.php").write_text(asks)
    node.path(f"{TOP}/web/preload.php").write_text("<?php\n")
    with node.path(f"/etc/php/8.2/fpm/pool.d/{DOMAIN}.conf").open("a") as pool:
        pool.write(f"env[APP] = {SOCKET}\n")
    node.path("/etc/php/8.2/fpm/conf.d/99-preload.ini").write_text(
        f"opcache.preload={TOP}/web/preload.php\nopcache.preload_user=www-data\n"
    )
    for name in ("certs", "certs/ca.pem", "certs/ca.key", "asks.php", "preload.php"):
        os.chown(node.path(f"{TOP}/web/{name}"), vhost.uid, vhost.uid)
    node.path("/root/backend.pl").write_text(BACKEND)
    node.sh(f"systemd-run --unit=backend /usr/bin/perl /root/backend.pl {SOCKET}")
    serve(node, [vhost])
    wait_for("the program behind nginx", lambda: node.http(DOMAIN, "/api/x").text == "backend", 20)
    before = snapshot(node)
    product.ready(node, DOMAIN)
    refused = product.migrate(node, DOMAIN, compat="never")
    assert not refused.ok and "which only a link keeps" in refused.errors[0], refused
    with Prober(node, ASKED[:1]) as prober:
        done = product.migrate(node, DOMAIN)
    assert done.ok, done
    assert prober.wrong == [], prober.wrong[:3]
    works_after_a_restart(node)
    with Prober(node, ASKED[:1]) as prober:
        assert product.rollback(node, DOMAIN).ok
    assert prober.wrong == [], prober.wrong[:3]
    works_after_a_restart(node)
    assert [line for line in differences(before, snapshot(node)) if "/cache" not in line] == []


def works_after_a_restart(node: Node) -> None:
    """Assert that both services start from what is on disk, and serve."""
    node.sh("nginx -t && php-fpm8.2 -t && systemctl restart nginx php8.2-fpm")
    wait_for("PHP", lambda: node.http(DOMAIN, "/asks.php").text == "heard", 20)
    assert [t.path for t in ASKED if node.http(DOMAIN, t.path).text != t.body] == []
