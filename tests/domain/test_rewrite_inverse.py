"""A file edited after the migration finds its way back, with the edit in it."""

from test_fpm_pools import POOL, UPATH, changes, model
from web_config_cases import A_SITE, B_SITE, LITERAL, nginx, site

from nsmig_tui.domain.inverse import inverse_text
from nsmig_tui.domain.nginx_rewrite import nginx_changes
from nsmig_tui.domain.path_map import final_map

NGINX = "/etc/nginx/nginx.conf"
FILE = "/etc/nginx/sites-enabled/a"


def migrated(text):
    loaded = nginx({"a": text})
    outcome = nginx_changes(loaded, site(loaded), final_map(UPATH))
    back = {copy: original for original, copy in outcome.copies}
    return next(c.new for c in outcome.changes if c.path == FILE), back


def test_literal_file_with_an_edit():
    new, _ = migrated(LITERAL)
    edited = new.replace(b"listen 80;", b"listen 80; # edited\n  alias /srv/a.test/web/log/x;")
    expected = LITERAL.replace(b"listen 80;", b"listen 80; # edited\n  alias /srv/a.test/var/log/x;")
    assert inverse_text(edited, "nginx", UPATH, names=["a.test"]) == expected


def test_includes_come_back_only_in_own_blocks():
    new, back = migrated(A_SITE + B_SITE)
    other = new.replace(B_SITE, B_SITE.replace(b"common.conf", b"common.ns3.conf"))
    result = inverse_text(other, "nginx", UPATH, names=["a.test"], includes=back, main=NGINX)
    assert result == A_SITE + B_SITE.replace(b"common.conf", b"common.ns3.conf")


def test_templates_come_back_only_in_own_blocks():
    text = b"server { server_name %b; root /srv/$host/web/app/public; }"
    both = text % b"a.test" + text % b"b.test"
    expected = both.replace(b"/app/public", b"", 1)
    assert inverse_text(both, "nginx", UPATH, names=["a.test"]) == expected


def test_maps_come_back():
    text = b"map $host $r { a.test /srv/a.test/web/app/public; b.test /srv/b.test/web/app/public; }"
    expected = text.replace(b"/app/public", b"", 1)
    assert inverse_text(text, "nginx", UPATH, names=["a.test"]) == expected


def test_pools_come_back():
    text = POOL + b"\nslowlog = /srv/$pool/var/log/slow ; c\n[b.test]\ninclude=/etc/php/8.2/fpm/common.conf"
    new = changes(model({"a": text}))["/etc/php/8.2/fpm/pool.d/a.conf"]
    back = {"/etc/php/8.2/fpm/common.ns3.conf": "/etc/php/8.2/fpm/common.conf"}
    assert inverse_text(new, "fpm", UPATH, names=["a.test"], includes=back) == text
