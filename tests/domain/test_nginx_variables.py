"""Paths that are built from variables, that climb, or that end in what a pattern captured."""

import re

import pytest
from web_config_cases import UPATH, nginx, site

from nsmig_tui.domain.config_report import nginx_leftovers
from nsmig_tui.domain.nginx_model import MapRule
from nsmig_tui.domain.nginx_rewrite import Transition, nginx_changes
from nsmig_tui.domain.nginx_syntax import parse
from nsmig_tui.domain.nginx_variables import _groups
from nsmig_tui.domain.path_map import final_map

FILE = "/etc/nginx/sites-enabled/a"
SERVER = "server {{ server_name a.test; {} }}"
PUBLIC = f"{UPATH}/web/app/public"


BRIDGE = final_map(UPATH).without("var/run")


def final(text, **shared):
    """The file after the migration, and what validation has to say."""
    model = nginx({"a": text.encode()}, **shared)
    found = site(model)
    new = {
        change.path: change.new.decode() for change in nginx_changes(model, found, final_map(UPATH)).changes
    }
    return new.get(FILE, text), new, nginx_leftovers(model, found)[0]


@pytest.mark.parametrize(
    ("inside", "old", "new"),
    [
        ("set $base /srv/a.test; root $base/web;", "root $base/web", "root $base/web/app/public"),
        ('set $base "/srv/a.test"; root "${base}/web/pub";', "base}/web/", "base}/web/app/public/"),
        ("set $top /srv; set $base $top/$host; root $base/web;", "base/web", "base/web/app/public"),
        ("location / { set $base /srv/a.test; root $base/web; }", "base/web", "base/web/app/public"),
        ("set $b /srv/a.test; access_log $b/var/log/a.log;", "$b/var/log", "$b/web/log"),
        ("set $root /srv/a.test/web; root $root;", "set $root /srv/a.test/web", f"set $root {PUBLIC}"),
        ("set $root /srv/a.test/web; root $root/pub;", "set $root /srv/a.test/web", f"set $root {PUBLIC}"),
        (
            "set $r /srv/a.test/web; if ($arg_m) { set $r /srv/a.test/web/m; } root $r;",
            "set $r /srv/a.test/web",
            f"set $r {PUBLIC}",
        ),
        (
            "if ($document_root ~ '^/srv/a.test/web$') { return 403; }",
            "/srv/a.test/web$",
            f"{PUBLIC}$",
        ),
        ("set $sub /x; root /srv/a.test/web$sub;", "/web$sub", "/web/app/public$sub"),
        (
            "root /srv/a.test/web; fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;",
            "root /srv/a.test/web;",
            f"root {PUBLIC};",
        ),
    ],
)
def test_what_a_variable_holds_is_followed(inside, old, new):
    text = SERVER.format(inside)
    assert old in text
    assert final(text)[::2] == (text.replace(old, new), [])


def test_the_first_name_is_known_without_its_dot():
    text = "server { server_name .a.test; root /srv/$server_name/web; }"
    assert final(text)[::2] == (text.replace("/web", "/web/app/public"), [])
    assert site(nginx({"a": text.encode()})).document_root == "/srv/a.test/web"


@pytest.mark.parametrize(
    "lines",
    [
        "default /srv/none; a.test /srv/a.test; b.test /srv/b.test;",
        "default /srv/none; ~^(www\\.)?(?<d>.+)$ /srv/$d;",
        "hostnames; default /srv/none; .a.test /srv/a.test;",
        "default /srv/$host;",
        "include /etc/nginx/roots.conf;",
    ],
)
def test_what_a_map_gives_is_followed(lines):
    text = f"map $host $siteroot {{ {lines} }}" + SERVER.format("root $siteroot/web;")
    roots = b"a.test /srv/a.test; b.test /srv/b.test;"
    expected = text.replace("$siteroot/web", "$siteroot/web/app/public")
    assert final(text, roots=roots)[::2] == (expected, [])


def test_a_shared_file_with_a_variable_gets_a_copy():
    text = SERVER.format("set $base /srv/a.test; include tail.conf;")
    other = "\nserver { server_name b.test; set $base /srv/b.test; include tail.conf; }"
    _, new, problems = final(text + other, tail=b"root $base/web;")
    assert new == {
        FILE: text.replace("tail.conf", "tail.ns3.conf") + other,
        "/etc/nginx/tail.ns3.conf": "root $base/web/app/public;",
    }
    assert problems == []


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        ("^(/x/.*)$", {"1"}),
        ("^/dl(/.*)$", {"1"}),
        ("^/dl(/.*)?$", {"1"}),
        (r"^(.+\.php)(/.+|)$", {"1", "2"}),
        ("^/dl(.*)$", set()),
        ("^/(a|b)(/x|y)$", set()),
        ("^/(?:a|b)(?<rest>/x|/y)$", {"1", "rest"}),
        ("^([a-z/])+x", set()),
        ("^/x(/?.*)$", set()),
        (r"^/[(](\/x)", {"1"}),
    ],
)
def test_captures_that_begin_with_a_slash(pattern, groups):
    found = {key for n, (name, slash) in enumerate(_groups(pattern), 1) for key in (str(n), name) if slash}
    assert found - {""} == groups


@pytest.mark.parametrize("tail", ["SCRIPT_FILENAME /srv/a.test/web$1", "DOCUMENT_ROOT /srv/a.test/web${1}"])
def test_a_capture_that_begins_with_a_slash_may_follow(tail):
    text = SERVER.format(f"location ~ ^(/sub/.+\\.php)$ {{ fastcgi_param {tail}; }}")
    assert final(text)[::2] == (text.replace("/web$", "/web/app/public$"), [])
    text = SERVER.format("location ~ ^/dl(?<rest>/.*)$ { alias /srv/a.test/web$rest; }")
    assert final(text)[::2] == (text.replace("/web$", "/web/app/public$"), [])


@pytest.mark.parametrize(
    ("inside", "old", "new"),
    [
        ("alias /srv/a.test/web/../private/;", "/web/..", ""),
        ("alias /srv/$host/web/./..//private/;", "/web/./..", ""),
        ("set $b /srv/a.test; alias $b/web/../private/;", "/web/..", ""),
        ("alias /srv/a.test/web/../var/tmp/x;", "/web/../var/tmp", "/web/tmp"),
        ("alias /srv/./a.test/web/x;", "/srv/./a.test/web", PUBLIC),
        ("alias /srv/a.test/web/x/../y;", "web/x", "web/app/public/x"),
        (
            "set $r /srv/a.test/web; access_log $r/../var/log/a.log; root $r;",
            "set $r /srv/a.test/web; access_log $r/../var/log",
            f"set $r {PUBLIC}; access_log /srv/a.test/web/log",
        ),
        (
            "root /srv/$host/web; location /m/ { auth_basic_user_file $document_root/../.htpasswd; }",
            "/web; location /m/ { auth_basic_user_file $document_root/..",
            "/web/app/public; location /m/ { auth_basic_user_file /srv/$host",
        ),
        (
            "root /srv/a.test/web/pub; auth_basic_user_file $document_root/../.htpasswd;",
            "/web/pub",
            "/web/app/public/pub",
        ),
    ],
)
def test_what_climbs_leads_where_it_led(inside, old, new):
    text = SERVER.format(inside)
    assert old in text
    assert final(text)[::2] == (text.replace(old, new), [])


def test_what_climbs_above_several_roots_is_an_error():
    text = SERVER.format(
        "root /srv/a.test/web; auth_basic_user_file $document_root/../.htpasswd;"
        " location /x { root /srv/a.test/web/x; }"
    )
    (problem,) = final(text)[2]
    assert (problem.severity, "auth_basic_user_file" in problem.message) == ("error", True)


def test_what_php_may_open_goes_along():
    text = SERVER.format('fastcgi_param PHP_ADMIN_VALUE "open_basedir=/srv/a.test/web/:/srv/a.test/var/";')
    assert final(text)[::2] == (text, [])
    text = text.replace("web/:", "web/pub/:")
    more = ":".join(f"/srv/a.test/web/{name}/" for name in ("log", "run", "tmp"))
    expected = text.replace("web/pub", "web/app/public/pub").replace("var/", f"var/:{more}")
    assert final(text)[::2] == (expected, [])


def test_while_the_tree_is_switched_a_variable_is_told_by_its_value():
    staged, switched, held = (
        "/srv/.nsmig/a.test/new",
        f"{UPATH}/web/.nsmig-switched",
        "/srv/.nsmig/a.test/held",
    )
    transition = Transition(f"{UPATH}/web", staged, switched, PUBLIC, held)
    text = SERVER.format(
        "set $base /srv/a.test; root $base/web; set $r /srv/a.test/web;"
        " auth_basic_user_file $document_root/../.htpasswd;"
    )
    model = nginx({"a": text.encode()})
    outcome = nginx_changes(model, site(model), BRIDGE, copies=False, transition=transition)
    (change,) = outcome.changes
    new = change.new.decode()
    parse(new)
    assert "set $nsmig_disk /srv/a.test/web;" in new
    assert "root $nsmig_root;" in new and "set $r $nsmig_disk;" in new
    assert "auth_basic_user_file $base/.htpasswd;" in new
    assert outcome.problems == ()


def test_no_variable_of_ours_is_put_into_a_pattern():
    text = SERVER.format(
        "root /srv/a.test/web; if ($request_filename ~ ^/srv/a.test/web/up/) { return 403; }"
    )
    model = nginx({"a": text.encode()})
    there = f"{UPATH}/x"
    transition = Transition(f"{UPATH}/web", there, there, PUBLIC, there)
    outcome = nginx_changes(model, site(model), BRIDGE, copies=False, transition=transition)
    assert [p.severity for p in outcome.problems] == ["critical"]
    assert "cannot change while the tree is switched" in outcome.problems[0].message
    assert "~ ^/srv/a.test/web/up/)" in outcome.changes[0].new.decode()


def test_maps_by_patterns():
    def rule(lines):
        (directive,) = parse(f"map $host $x {{ {lines} }}")
        return MapRule.of(directive, directive.block)

    assert rule("hostnames; *.a.test 1; .b.test 2; c.* 3; default 4;").answer("b.test") == "2"
    assert rule("hostnames; *.a.test 1; *.x.a.test 2;").answer("y.x.a.test") == "2"
    assert rule("hostnames; c.* 3;").answer("c.org") == "3"
    assert rule("~^(?<d>A)\\.test$ $d; ~*^(?<d>A)\\.test$ /$d/$1;").answer("a.test") == "/a/a"
    assert rule("b.test 1;").answer("a.test") == ""
    assert rule("~(?P 1; default 2;").answer("a.test") is None


def test_each_of_our_words_says_what_to_do():
    text = SERVER.format("set $v /srv/a.test/var; access_log $v/log/a.log;")
    (problem,) = final(text)[2]
    assert re.search(r"Write it as /srv/a\.test/var/log/a\.log\.", problem.hint)
