"""What no mapping reaches is named."""

import pytest
from web_config_cases import A_SITE, LITERAL, UPATH, nginx, site

from nsmig_tui.domain.config_report import fpm_leftovers, nginx_leftovers, uses_tmp
from nsmig_tui.domain.fpm_pools import load_fpm


@pytest.mark.parametrize("text", [A_SITE, LITERAL])
def test_ordinary_sites_leave_nothing(text):
    model = nginx({"a": text})
    assert nginx_leftovers(model, site(model)) == []


@pytest.mark.parametrize(
    ("inside", "word"),
    [
        ("auth_basic_user_file /srv/a.test/etc/htpasswd;", "leaves the live tree"),
        ("ssl_certificate /srv/$host/etc/c.pem;", "leaves the live tree"),
        ("include /srv/a.test/etc/*.conf;", "leaves the live tree"),
        ("access_log /srv/a.test/var/other/x;", "leaves the live tree"),
        ("alias /srv/./a.test/web/x;", "form that cannot be changed"),
        ("alias /srv/a.test/x/../web/y;", "form that cannot be changed"),
        ("root /srv/$domain/web;", "$domain, which cannot be followed"),
    ],
)
def test_leftovers(inside, word):
    model = nginx({"a": f"server {{ server_name a.test; {inside} }}".encode()})
    (problem,) = nginx_leftovers(model, site(model))
    assert word in problem.message
    assert (problem.severity, problem.where) == ("error", "/etc/nginx/sites-enabled/a:1")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (b"default /srv/$host/web;", ["critical"]),
        (b"~^(.*)$ /srv/$host/web;", ["critical"]),
        (b"~^/srv/a.test/web 1;", ["critical"]),
        (b"a.test /srv/a.test/web;", []),
        (b"default /srv/b.test/web;", []),
    ],
)
def test_maps(entry, expected):
    text = b"map $host $r { %b } server { server_name a.test; root $r; }" % entry
    model = nginx({"a": text})
    assert [problem.severity for problem in nginx_leftovers(model, site(model))] == expected
    unused = nginx({"a": text.replace(b"root $r", b"root /x")})
    assert nginx_leftovers(unused, site(unused)) == []


def test_pools_leftovers_and_tmp():
    text = b"[a.test]\nenv[PATH]=/bin:/srv/$pool/bin\nphp_value[auto_prepend_file]=/srv/a.test/etc/p.php\n"
    (pool,) = load_fpm({"/p": text}).pools
    assert [p.severity for p in fpm_leftovers([pool], UPATH)] == ["warning", "error"]
    found = site(nginx({"a": A_SITE}))
    assert not uses_tmp(found, [pool])
    (pool,) = load_fpm({"/p": b"[a.test]\nenv[TMP]=/srv/$pool/var/tmp\n"}).pools
    assert uses_tmp(found, [pool])
