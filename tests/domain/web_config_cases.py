"""Configuration of a small vnode that the tests of nginx and php-fpm share."""

from nsmig_tui.domain.nginx_load import load_nginx
from nsmig_tui.domain.nginx_model import NginxModel
from nsmig_tui.domain.nginx_sites import Site, find_site

UPATH = "/srv/a.test"

MAIN = b"""user www-data;
events { worker_connections 64; }
http {
    include mime.types;
    access_log /var/log/nginx/access.log;
    include /etc/nginx/sites-enabled/*;
}
"""

COMMON = b"""# shared by all vhosts, see /srv/$host/web
root /srv/$host/web;
access_log /srv/$host/var/log/access.log;
include php.conf;
location ~ /\\. { deny all; }
"""

PHP = b"""location ~ ^(.+\\.php)(.*)$ {
    include fastcgi_params;
    fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
    fastcgi_pass unix:/srv/$host/var/run/fpm.sock;
}
"""

SHARED = {
    "/etc/nginx/nginx.conf": MAIN,
    "/etc/nginx/mime.types": b"types { text/html html; }\n",
    "/etc/nginx/fastcgi_params": b"fastcgi_param QUERY_STRING $query_string;\n",
    "/etc/nginx/common.conf": COMMON,
    "/etc/nginx/php.conf": PHP,
}

A_SITE = b"server { listen 80; listen [::]:80; server_name a.test www.a.test; include common.conf; }\n"
B_SITE = b"server {\n  server_name a.test.other b.test;\n  include common.conf;\n}\n"

LITERAL = b"""# a.test, old root was /srv/a.test/web
server {
    listen 80;\r
    server_name a.test;
    root "/srv/a.test/web/public"; # keep /srv/a.test/web here
    error_log /srv/a.test/var/log/error.log warn;
    location /files/ { alias /srv/a.test/web/files/; }
    location ~ \\.php$ {
        fastcgi_param DOCUMENT_ROOT /srv/a.test/web$fastcgi_script_name;
        fastcgi_pass unix:/srv/a.test/var/run/fpm.sock;
    }
    location /x/ { alias /srv/a.test/website/; }
}
server { server_name b.test; root /srv/b.test/web; access_log /srv/b.test/var/log/a.log; }"""


def nginx(sites: dict[str, bytes], **shared: bytes) -> NginxModel:
    """The model of the shared files and these in sites-enabled; ``shared`` overrides by bare name."""
    files = dict(SHARED)
    files |= {f"/etc/nginx/{name}.conf": text for name, text in shared.items()}
    return load_nginx(files | {f"/etc/nginx/sites-enabled/{name}": text for name, text in sites.items()})


def site(model: NginxModel, **options) -> Site:
    """The site of a.test on a vnode that has directories for a.test and b.test."""
    return find_site(model, "a.test", UPATH, **{"real_dirs": {"a.test", "b.test"}, **options})
