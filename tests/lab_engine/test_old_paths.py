"""Sites that use their old paths from everywhere go on working, and an undo leaves nothing of that behind."""

from __future__ import annotations

import os
import subprocess

import pytest
from lab.fleet import Lab
from lab.node import Node, wait_for
from lab.prober import Prober, Target
from lab.product import Product
from lab.scene import DOMAIN, NEIGHBOUR, snapshot
from lab.seed import Vhost, seed_vhost, serve, wrong_answers
from lab.tree import differences

pytestmark = pytest.mark.lab

TOP = f"/srv/{DOMAIN}"
SESSION = (
    "session_start(); $_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1; "
    "echo 'n=', $_SESSION['n'], ' ', session_id();"
)
FILES = {
    "web/config.php": "<?php\n"
    + "".join(f"define('DIR_{n}', '{TOP}/web/{n}/');\n" for n in range(7))
    + f"define('DIR_LOGS', '{TOP}/var/log/'); define('DIR_SESSION', '{TOP}/var/tmp');\n",
    "web/sess.php": "<?php ini_set('display_errors', 0); require __DIR__ . '/config.php'; "
    "echo 'log=', var_export(@file_put_contents(DIR_LOGS . 'shop.log', 'x', FILE_APPEND), true), ' '; "
    f"session_save_path(DIR_SESSION); {SESSION}",
    "web/app/boot.php": "<?php return 'booted';",
    "web/app/deep/x.php": "<?php return ' deeply';",
    "web/shop.php": f"<?php echo require '{TOP}/web/app/boot.php', require '{TOP}/web/app/deep/x.php';",
    "private/smtp.php": "<?php return 'smtp';",
    "web/climb.php": "<?php echo require '../private/smtp.php';",
    "web/contact.php": "<?php echo 'contact ', require __DIR__ . '/../private/smtp.php'; "
    "echo file_put_contents(dirname(__FILE__) . '/../var/log/app.log', 'x', FILE_APPEND);",
}
PAGES = {"/shop.php": "booted deeply", "/contact.php": "contact smtp1"}
HIDDEN = (
    "/private/smtp.php",
    "/log/shop.log",
    "/var/log/shop.log",
    "/../private/smtp.php",
    "/app/../../private/smtp.php",
)


def put(node: Node, vhost: Vhost) -> None:
    """The site's files, and a pool that says nothing of sessions and logs."""
    for name, text in FILES.items():
        path = node.path(f"{TOP}/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for made in (path, path.parent):
            if made.stat().st_uid == 0:
                os.chown(made, vhost.uid, vhost.uid)
    pool = node.path(f"/etc/php/8.2/fpm/pool.d/{DOMAIN}.conf")
    pool.write_text("".join(x for x in pool.read_text().splitlines(True) if "var/tmp" not in x))


def visit(node: Node, cookie: str = "") -> str:
    """One page of a session."""
    return node.http(DOMAIN, "/sess.php", headers={"Cookie": f"PHPSESSID={cookie}"} if cookie else {}).text


def works(node: Node) -> None:
    """Assert that pages, logs and a session of two visits are right."""
    for page, text in PAGES.items():
        assert (node.http(DOMAIN, page).status, node.http(DOMAIN, page).text) == (200, text)
    first = visit(node)
    assert first.startswith("log=1 n=1 ") and visit(node, first.split()[-1]).startswith("log=1 n=2 "), first


def test_every_old_path_keeps_working(node: Node, product: Product) -> None:
    """Logs and sessions named last, the site's own app by absolute paths, PHP that climbs out."""
    vhost = seed_vhost(node, DOMAIN, reload=False)
    put(node, vhost)
    setting = "s/^;*process_control_timeout.*/process_control_timeout = 10s/"
    node.sh(f"sed -i '{setting}' /etc/php/8.2/fpm/php-fpm.conf")
    serve(node, [vhost])
    wait_for("the pages", lambda: node.http(DOMAIN, "/contact.php").status == 200, 20)
    works(node)
    cookie = visit(node).split()[-1]
    kept = [b"shop.log", b"app.log", b"var/tmp"]
    before = snapshot(node)
    product.ready(node, DOMAIN)
    asked = [Target(DOMAIN, "/shop.php", body="booted deeply"), Target(DOMAIN, "/climb.php", body="smtp")]
    with Prober(node, asked) as prober:
        done = product.migrate(node, DOMAIN)
    assert done.ok, done
    assert prober.wrong == [], (len(prober.wrong), prober.wrong[:3])
    assert visit(node, cookie).startswith("log=1 n=2 ")
    works(node)
    assert [page for page in HIDDEN if node.http(DOMAIN, page).status == 200] == []
    links = {p.name: os.readlink(p) for p in node.path(f"{TOP}/web/app").iterdir() if p.is_symlink()}
    assert links == {
        "boot.php": "public/app/boot.php",
        "deep": "public/app/deep",
        "private": "../../private",
        "var": "../../var",
    }
    node.path(f"{TOP}/web/app/since.txt").write_text("written by an old path")
    os.chown(node.path(f"{TOP}/web/app/since.txt"), vhost.uid, vhost.uid)
    with Prober(node, asked) as prober:
        assert product.rollback(node, DOMAIN).ok
    assert prober.wrong == [], (len(prober.wrong), prober.wrong[:3])
    works(node)
    assert node.path(f"{TOP}/web/app/since.txt").read_text() == "written by an old path"
    node.path(f"{TOP}/web/app/since.txt").unlink()
    changed = [
        line
        for line in differences(before, snapshot(node))
        if not any(k.decode() in line for k in kept) and f"{DOMAIN}/web/app' mtime" not in line
    ]
    assert changed == [], changed


def test_nginx_org_packages(node: Node, product: Product) -> None:
    """nginx runs as nginx although www-data exists: PHP answers, and nginx's own files stay its own."""
    node.sh("groupadd -r nginx; useradd -r -g nginx -s /bin/false nginx")
    node.sh("sed -i 's/^user .*/user nginx;/' /etc/nginx/nginx.conf; systemctl restart nginx")
    gid = int(node.sh("id -g nginx").stdout)
    vhost = seed_vhost(node, DOMAIN, reload=False)
    other = seed_vhost(node, NEIGHBOUR, php=False, reload=False)
    node.sh(f"sed -i 's/^listen.owner.*/listen.owner = nginx/; s/^listen.group.*/listen.group = nginx/' "
            f"/etc/php/8.2/fpm/pool.d/{DOMAIN}.conf")  # fmt: skip
    for name in ("var", "var/run", "var/log", "web"):
        os.chown(node.path(f"{TOP}/{name}"), vhost.uid, gid)
    dav = f"{NEIGHBOUR}/web/dav"
    node.sh(f"install -d -o nginx -g nginx -m 700 /srv/{dav}; "
            f"install -m 600 -o nginx -g nginx /etc/hostname /srv/{dav}/up.txt")  # fmt: skip
    # a php-fpm of before an upgrade, which nobody runs
    fpm = "/etc/php/7.4/fpm"
    node.sh(f"mkdir -p {fpm}/pool.d; cd /etc/php/8.2/fpm; sed s/8.2/7.4/g php-fpm.conf >{fpm}/php-fpm.conf; "
            f"sed s/8.2/7.4/g pool.d/{DOMAIN}.conf >{fpm}/pool.d/x.conf")  # fmt: skip
    serve(node, [vhost, other])
    for domain in (DOMAIN, NEIGHBOUR):
        product.ready(node, domain)
        done = product.migrate(node, domain)
        assert done.ok, done
    assert wrong_answers(node, vhost) + wrong_answers(node, other) == []
    assert node.http(NEIGHBOUR, "/dav/up.txt").status == 200
    assert node.path(f"{TOP}/web/run").stat().st_gid == gid


def put_users(node: Node, vhost: Vhost) -> None:
    """Services, scripts and an account that know old paths."""
    for path, text in {
        "/etc/dovecot/conf.d/10-ssl.conf": f"ssl_cert = <{TOP}/etc/ssl/full.pem\n",
        "/etc/cron.d/all": "1 2 3 4 * root for d in a; do php /srv/$d/var/log/x; done\n",
        f"{TOP}/repo.git/hooks/post-receive": f"#!/bin/sh\ncat {TOP}/web/page.html\n",
        f"{TOP}/etc/ssl/full.pem": "certificate\n",
    }.items():
        node.path(path).parent.mkdir(parents=True, exist_ok=True)
        node.path(path).write_text(text)
    home, keys = f"{TOP}/web", f"{TOP}/web/.ssh"
    node.sh(
        f"sed -i 's|:{TOP}:|:{home}:|' /etc/passwd; usermod -p '*' {vhost.user}; "
        f"install -d -m 700 -o {vhost.uid} {keys}; "
        f"install -m 600 -o {vhost.uid} /root/.ssh/authorized_keys {keys}/authorized_keys"
    )


def test_who_knows_old_paths_goes_on(lab: Lab, node: Node, product: Product) -> None:
    """A certificate of dovecot's, a hook beside web, a log by a shell's variable, a login by keys in web."""
    vhost = seed_vhost(node, DOMAIN)
    put_users(node, vhost)

    def login() -> str:
        command = ["ssh", "-F", str(lab.ssh_config), "-l", vhost.user, node.name, "cat page.html"]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout

    page = node.http(DOMAIN, "/page.html").text
    assert login() == page
    product.ready(node, DOMAIN)
    done = product.migrate(node, DOMAIN)
    assert done.ok, done
    assert login() == page
    assert node.path(f"{TOP}/etc/ssl/full.pem").read_text() == "certificate\n"
    assert node.sh(f"sh {TOP}/repo.git/hooks/post-receive").stdout == page
    assert os.readlink(node.path(f"{TOP}/var/log")) == "../web/log"
    assert product.rollback(node, DOMAIN).ok
    assert login() == page


def test_nginx_that_could_no_longer_write_is_refused(node: Node, product: Product) -> None:
    """A PUT that works today and would be an error afterwards."""
    seed_vhost(node, DOMAIN, php=False)
    site = node.path(f"/etc/nginx/sites-available/{DOMAIN}")
    dav = f"location /dav/ {{ alias {TOP}/web/; dav_methods PUT; }} location /files/"
    site.write_text(site.read_text().replace("location /files/", dav))
    node.sh(f"chmod 775 {TOP}/web; chgrp www-data {TOP}/web; nginx -t && systemctl reload nginx")
    product.discover(node)
    refused = product.validate(node, DOMAIN)
    assert refused.status != "validated"
    assert any("no longer write to web" in str(error) for error in refused.errors), refused
    node.sh(f"chmod g-w {TOP}/web")
    product.ready(node, DOMAIN)
