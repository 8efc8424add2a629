"""What nginx itself writes below the document root it can write afterwards, or we say so before."""

import pytest
from vhost_facts import DOMAIN, HEALTHY, UPATH, nginx_config, place, places, seen, service, serving

from nsmig_tui.domain.findings import ERROR, USER, WARNING
from nsmig_tui.domain.nginx_writes import writings
from nsmig_tui.domain.validation import validate

SITE = "server {{ listen 80; server_name a.test; root /srv/$host/web; {} }}\n"
SHARED = place(gid=33, mode="775")


def config(inner, **more):
    return nginx_config(SITE.format(inner).encode(), **more)


def folders(inner):
    facts = seen(nginx=config(inner))
    served = serving(facts)
    return {(w.folder.removeprefix(f"{UPATH}/"), w.name) for w in writings(served.blocks, served.site)}


DAV = "dav_methods PUT DELETE MKCOL;"
WRITES = [
    (DAV, {("web", "dav_methods")}),
    ("dav_methods off;", set()),
    (f"location /dav/ {{ alias {UPATH}/web/; {DAV} }}", {("web", "dav_methods")}),
    (f"location /dav/ {{ alias {UPATH}/web/up/; {DAV} }}", {("web/up", "dav_methods")}),
    (f"location /dav/ {{ {DAV} }}", {("web/dav", "dav_methods")}),
    (f"location ~ ^/dav/ {{ {DAV} }}", {("web", "dav_methods")}),
    (f"location /dav/ {{ root /mnt; {DAV} }}", {("/mnt/dav", "dav_methods")}),
    (f"location /dav/ {{ {DAV} location /dav/x/ {{ dav_methods off; }} }}", {("web/dav", "dav_methods")}),
    (f"set $up {UPATH}/web/up; location /dav/ {{ alias $up/; {DAV} }}", {("web/up", "dav_methods")}),
    (f"location / {{ if ($x) {{ set $y 1; }} {DAV} }}", {("web", "dav_methods")}),
    ("location /c/ { proxy_store on; proxy_pass http://x; }", {("web/c", "proxy_store")}),
    ("location /c/ { proxy_store on; }", set()),
    ("proxy_store on; location /c/ { proxy_pass http://x; }", {("web/c", "proxy_store")}),
    ("location /c/ { proxy_store off; proxy_pass http://x; }", set()),
    (f"location /c/ {{ proxy_store {UPATH}/web$uri; proxy_pass http://x; }}", {("web", "proxy_store")}),
    (f"location /c/ {{ proxy_store {UPATH}/web/s/$uri; proxy_pass http://x; }}", {("web/s", "proxy_store")}),
    (f"location /c/ {{ proxy_store {UPATH}/web/s_$arg_a; proxy_pass http://x; }}", {("web", "proxy_store")}),
    (f"location /c/ {{ fastcgi_store {UPATH}/web/s; fastcgi_pass x; }}", {("web/s", "fastcgi_store")}),
]


@pytest.mark.parametrize(("inner", "expected"), WRITES)
def test_where_nginx_writes(inner, expected):
    assert folders(inner) == expected


def test_what_includes_and_http_say_counts():
    texts = {f.path: f.data for f in config("include dav.conf;").files}
    served = serving(
        seen(nginx=service("/etc/nginx/nginx.conf", texts | {"/etc/nginx/dav.conf": DAV.encode()}))
    )
    (writing,) = writings(served.blocks, served.site)
    assert (writing.folder, writing.where) == (f"{UPATH}/web", "/etc/nginx/dav.conf:1")
    main = texts["/etc/nginx/nginx.conf"].replace(b"http {", f"http {{ {DAV}".encode())
    texts |= {"/etc/nginx/nginx.conf": main, "/etc/nginx/dav.conf": b"location /x/ { }"}
    served = serving(seen(nginx=service("/etc/nginx/nginx.conf", texts)))
    assert {w.folder for w in writings(served.blocks, served.site)} == {f"{UPATH}/web", f"{UPATH}/web/x"}
    served = serving(HEALTHY)
    assert list(writings(served.blocks, served.site)) == []


def judged(inner=DAV, **facts):
    told = seen(nginx=config(inner), **facts)
    found = validate(DOMAIN, UPATH, told, serving(told))
    assert all(f.hint for f in found if f.category == USER and f.blocks)
    return [(f.severity, f.message) for f in found if f.category == USER and "nginx runs as" in f.message]


LOSES = [
    ({"web": SHARED}, ERROR),
    ({"web": place(uid=33, gid=33, mode="755")}, None),  # it stays the owner's
    ({"web": place(mode="777")}, ERROR),
    ({"web": place(gid=4711, mode="775")}, WARNING),
    ({"web": place(gid=33, mode="755")}, None),
    ({"web": place()}, None),
]


@pytest.mark.parametrize(("changed", "severity"), LOSES)
def test_a_right_that_would_be_lost_is_told(changed, severity):
    found = judged(places=places(**changed))
    assert [s for s, _ in found] == ([severity] if severity else [])
    assert all("web (" in m and "for dav_methods (/etc/nginx/sites-enabled/a:1)" in m for _, m in found)


FOLDERS = [
    (f"location /dav/ {{ {DAV} }}", ("dav",), False),
    (f"location /dav/ {{ {DAV} }}", (), True),
    (f"location /dav/ {{ alias {UPATH}/web/up/new/; {DAV} }}", ("up",), False),
    (f"location /dav/ {{ alias {UPATH}/website/; {DAV} }}", (), False),
    (f"location /dav/ {{ alias /mnt/; {DAV} }}", (), False),
]


@pytest.mark.parametrize(("inner", "entries", "told"), FOLDERS)
def test_a_folder_of_its_own_keeps_its_rights(inner, entries, told):
    facts = {"places": places(web=SHARED), "entries": HEALTHY.entries | {"web": entries}}
    assert bool(judged(inner, **facts)) == told


def test_an_account_that_is_the_web_servers_loses_nothing():
    mine = {name: place(uid=33, gid=33, inode=p.inode) for name, p in HEALTHY.places.items()}
    assert judged(places=mine, account=("www-data", 33, 33, UPATH, "/bin/sh")) == []
