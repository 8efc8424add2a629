"""The nginx and PHP-FPM files of a seeded vhost, in the shapes that are met on real servers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.node import Node
    from lab.seed import Vhost

COMMON_CONF = """\
# shared by every vhost of this server
index  index.php index.html;
root   /srv/$host/web;
access_log /srv/$host/var/log/access.log;

location = /favicon.ico { log_not_found off; access_log off; }
location ~ /\\.(?!well-known) { deny all; }
location / { try_files $uri $uri/ =404; }
"""

PHP_CONF = """\
location ~ \\.php$ {
    try_files      $fastcgi_script_name =404;
    include        fastcgi.conf;
    fastcgi_pass   unix:/srv/$host/var/run/fpm.sock;
}
"""

FPM_COMMON = """\
; shared by the pools that include it
listen = /srv/$pool/var/run/fpm.sock
listen.owner = www-data
listen.group = www-data
listen.mode = 0660
pm = ondemand
pm.max_children = 4
pm.process_idle_timeout = 10s
chdir = /srv/$pool/web
env[TMP] = /srv/$pool/var/tmp
php_admin_value[error_log] = /srv/$pool/var/log/php-errors.log
php_admin_value[upload_tmp_dir] = /srv/$pool/var/tmp
php_value[session.save_path] = /srv/$pool/var/tmp
"""

LITERAL = """\
# @D@ -- edited by hand, more than once
#   old root was /srv/@D@/public, see ticket 42
server {
        listen 80;
    listen [::]:80;
@TLS@
    server_name   @D@ @ALIASES@
                  ;   # the names
    root /srv/@D@/web;
    index index.php  index.html ;

    access_log  "/srv/@D@/var/log/access.log"   combined;
    error_log /srv/@D@/var/log/error.log warn;

    location ~ /\\.(?!well-known) {deny all;}
    location /files/ {
        alias /srv/@D@/web/download/;   # keep the slash
    }
    location / { try_files $uri $uri/ =404; }
@PHP@}
"""

LITERAL_PHP = """\
    location ~ \\.php$ {
        include fastcgi.conf;
        # fastcgi_pass 127.0.0.1:9000;
        fastcgi_pass unix:/srv/@D@/var/run/fpm.sock;
        fastcgi_param DOCUMENT_ROOT /srv/@D@/web;
    }
"""

SHARED = """\
server {
    listen 80;
    listen [::]:80;
@TLS@
    server_name @D@;
    include /etc/nginx/common.conf;
@PHP@}
"""

REDIRECT = """\

server {
    listen 80;
    listen [::]:80;
    server_name @NAMES@;
    return 301 $scheme://@D@$request_uri;
}
"""

TLS = """\
    listen 443 ssl;
    ssl_certificate /etc/ssl/lab/@D@.pem;
    ssl_certificate_key /etc/ssl/lab/@D@.key;"""

OWN_POOL = """\
[@D@]
; pool of @D@, was /srv/@D@/old
user = @USER@
group = www-data

listen=/srv/@D@/var/run/fpm.sock
listen.owner = www-data
listen.group = www-data
listen.mode  = 0660

pm = ondemand
pm.max_children = 4
chdir = /srv/@D@/web

env[TMP] = /srv/@D@/var/tmp
php_admin_value[error_log] = /srv/@D@/var/log/php-errors.log
php_admin_value[upload_tmp_dir] = "/srv/@D@/var/tmp"
php_value[session.save_path] = /srv/@D@/var/tmp   ; sessions survive a reload
"""

INCLUDING_POOL = """\
[@D@]
user = @USER@
group = www-data
include=/etc/php/8.2/fpm/common.conf
"""


def write_shared(node: Node) -> None:
    """The includes that all vhosts of the shared shapes use; there is room for long names too."""
    files = {
        "/etc/nginx/common.conf": COMMON_CONF,
        "/etc/nginx/php.conf": PHP_CONF,
        "/etc/nginx/conf.d/names.conf": "server_names_hash_bucket_size 128;\n",
        "/etc/php/8.2/fpm/common.conf": FPM_COMMON,
    }
    for path, text in files.items():
        if not node.path(path).exists():
            node.path(path).write_text(text)


def write_site_file(node: Node, vhost: Vhost) -> None:
    """``sites-available/DOMAIN`` with its link in ``sites-enabled``; the www name only redirects."""
    literal = vhost.shape == "literal"
    tls = ""
    if vhost.tls:
        make_certificate(node.path("/etc/ssl/lab"), vhost.domain)
        tls = TLS
    php = (LITERAL_PHP if literal else "    include /etc/nginx/php.conf;\n") if vhost.php else ""
    names = [f"www.{vhost.domain}", *(() if literal else vhost.aliases)]
    text = (LITERAL if literal else SHARED) + REDIRECT
    text = text.replace("@TLS@\n", tls + "\n" if tls else "").replace("@PHP@", php)
    text = text.replace("@NAMES@", " ".join(names)).replace("@ALIASES@", " ".join(vhost.aliases))
    node.path(f"/etc/nginx/sites-available/{vhost.domain}").write_text(text.replace("@D@", vhost.domain))
    os.symlink(f"../sites-available/{vhost.domain}", node.path(f"/etc/nginx/sites-enabled/{vhost.domain}"))


def write_pool_file(node: Node, vhost: Vhost, kind: str) -> None:
    """The PHP pool, with its own values ("own") or with the common ones ("include")."""
    text = {"own": OWN_POOL, "include": INCLUDING_POOL}[kind]
    text = text.replace("@D@", vhost.domain).replace("@USER@", vhost.user)
    node.path(f"/etc/php/8.2/fpm/pool.d/{vhost.domain}.conf").write_text(text)


def make_certificate(directory: Path, domain: str) -> None:
    """A self-signed certificate ``DOMAIN.pem`` with its key ``DOMAIN.key``."""
    directory.mkdir(parents=True, exist_ok=True)
    argv = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    argv += ["-days", "30", "-subj", f"/CN={domain}", "-addext", f"subjectAltName=DNS:{domain}"]
    argv += ["-keyout", str(directory / f"{domain}.key"), "-out", str(directory / f"{domain}.pem")]
    subprocess.run(argv, check=True, capture_output=True)
    os.chmod(directory / f"{domain}.key", 0o600)
