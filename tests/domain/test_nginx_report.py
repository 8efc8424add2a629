"""What no mapping reaches is named."""

import pytest
from web_config_cases import A_SITE, LITERAL, UPATH, nginx, site

from nsmig_tui.domain.config_report import fpm_leftovers, nginx_leftovers
from nsmig_tui.domain.fpm_pools import load_fpm


@pytest.mark.parametrize("text", [A_SITE, LITERAL])
def test_ordinary_sites_leave_nothing(text):
    model = nginx({"a": text})
    assert nginx_leftovers(model, site(model))[0] == []


@pytest.mark.parametrize(
    ("inside", "word"),
    [
        ("access_log /srv/a.test/var/other/x;", "leaves the live tree"),
        ("alias /srv/a.test/x/../web/y;", "form that cannot be changed"),
        ("root /srv/$domain/web;", "$domain, which cannot be followed"),
    ],
)
def test_leftovers(inside, word):
    model = nginx({"a": f"server {{ server_name a.test; {inside} }}".encode()})
    (problem,) = nginx_leftovers(model, site(model))[0]
    assert word in problem.message
    assert (problem.severity, problem.where) == ("error", "/etc/nginx/sites-enabled/a:1")


@pytest.mark.parametrize(
    ("inside", "name"),
    [
        ("auth_basic_user_file /srv/a.test/etc/htpasswd;", "etc"),
        ("ssl_certificate /srv/$host/etc/c.pem;", "etc"),
        ("include /srv/a.test/bin/*.conf;", "bin"),
        ('fastcgi_param PHP_VALUE "auto_prepend_file=/srv/a.test/etc/p.php";', "etc"),
        ("set $base /srv/a.test; auth_basic_user_file $base/etc/htpasswd;", "etc"),
    ],
)
def test_what_is_named_stays_and_is_told(inside, name):
    model = nginx({"a": f"server {{ server_name a.test; {inside} }}".encode()})
    (problem,) = nginx_leftovers(model, site(model))[0]
    assert (problem.severity, f"so {name} stays" in problem.message) == ("warning", True)


def test_what_is_in_a_var_that_stays_is_no_fault():
    cache = b"fastcgi_cache_path /srv/a.test/var/cache levels=1:2 keys_zone=c:1m;\n"
    model = nginx({"0": cache, "a": b"server { server_name a.test; }"})
    (problem,) = nginx_leftovers(model, site(model), ("log", "run", "tmp"))[0]
    assert (problem.severity, "leaves the live tree" in problem.message) == ("error", True)
    assert nginx_leftovers(model, site(model), ("log", "run", "cache"))[0] == []
    (pool,) = load_fpm({"/p": b"[a.test]\nphp_value[session.save_path]=/srv/$pool/var/sessions\n"}).pools
    assert [p.severity for p in fpm_leftovers([pool], UPATH)] == ["error"]
    assert fpm_leftovers([pool], UPATH, (), ("log", "sessions")) == []


SERVER = "server {{ server_name a.test; {} }}"


@pytest.mark.parametrize(
    ("text", "severity", "word"),
    [
        (SERVER.format("root $elsewhere/web;"), "error", "$elsewhere, whose value cannot be told"),
        (SERVER.format("access_log $logs/a.log;"), "warning", "$logs, whose value cannot be told"),
        (
            SERVER.format("fastcgi_param SCRIPT_FILENAME $where$fastcgi_script_name;"),
            "warning",
            "$where, whose value cannot be told",
        ),
        (
            SERVER.format('fastcgi_param PHP_VALUE "include_path=.:$lib/php";'),
            "warning",
            "$lib, whose value cannot be told",
        ),
        (
            SERVER.format("location ~ ^/dl(.*)$ { alias /srv/a.test/web$1; }"),
            "error",
            "decides to which place",
        ),
        (SERVER.format("location ~ ^/(w.*)$ { alias /srv/a.test/$1; }"), "error", "decides to which place"),
        (
            SERVER.format("location ~ ^(/x/.*)$ { rewrite ^/x/(.*)$ /$1; alias /srv/a.test/web$1; }"),
            "error",
            "decides to which place",
        ),
        (
            SERVER.format("set $b /srv/a.test; if ($arg_x) { set $b /srv/b.test; } root $b/web;"),
            "error",
            "every value of its variables",
        ),
        (SERVER.format("set $v /srv/a.test/var; access_log $v/log/a.log;"), "error", "form that cannot"),
        (SERVER.format("set $part web; root /srv/a.test/$part;"), "error", "form that cannot"),
        (
            SERVER.format('if ($request_filename ~ "^/srv/a\\.test/web$") { return 403; }'),
            "error",
            "form that cannot",
        ),
        (
            "map $host $r { ~^(www\\.)?(?<d>.+)$ /srv/$d/web; }" + SERVER.format("root $r;"),
            "error",
            "form that cannot",
        ),
        (SERVER.format("alias /srv/a.test/web/x/../../y;"), "error", "form that cannot"),
        (
            "map $http_user_agent $d { default web; ~phone phone; }" + SERVER.format("root /srv/a.test/$d;"),
            "error",
            "form that cannot",
        ),
    ],
)
def test_what_cannot_be_spelled_is_said(text, severity, word):
    model = nginx({"a": text.encode()})
    (problem,) = nginx_leftovers(model, site(model))[0]
    assert (problem.severity, problem.where) == (severity, "/etc/nginx/sites-enabled/a:1")
    assert word in problem.message, problem


@pytest.mark.parametrize(
    "inside",
    [
        "root /srv/a.test/web; location / { try_files $uri $uri/ =404; }",
        "access_log /var/log/nginx/$host.log combined if=$loggable;",
        "fastcgi_param SCRIPT_FILENAME $request_filename;",
        "fastcgi_param SCRIPT_FILENAME $realpath_root$fastcgi_script_name;",
        'fastcgi_param PHP_VALUE "session.name=$brand";',
        "set $x $http_x_brand; add_header X $x; proxy_pass http://$x;",
        "location ~ ^/(.+)$ { alias /srv/a.test/web/$1; }",
        r"if ($host ~ ^www\.a\.test$) { return 301 http://a.test$uri; }",
        r"if ($request_filename ~ ^/srv/b\.test/web) { return 403; }",
    ],
)
def test_what_needs_no_word(inside):
    model = nginx({"a": SERVER.format(inside).encode()})
    assert nginx_leftovers(model, site(model))[0] == []


@pytest.mark.parametrize(
    ("inside", "severities"),
    [
        ("location /web/ { root /srv/a.test; }", ["error"]),
        ("location /we { root /srv/$host/; }", ["error"]),
        ("set $top /srv/a.test; location = /web/x.txt { root $top; }", ["error"]),
        ("location ^~ /log/ { root /srv/a.test/var; }", ["error"]),
        ("location / { root /srv/a.test; }", ["error"]),
        ("location /files/ { alias /srv/a.test/; }", ["error"]),
        ("location /logs/ { location /logs/x/ { alias /srv/a.test/var/; } }", ["error"]),
        ("location ~ \\.pdf$ { root /srv/a.test; }", ["warning"]),
        ("location /private/ { internal; root /srv/a.test; }", []),
        ("location /website/ { root /srv/a.test; }", []),
        ("location /msg { root /srv/a.test; }", []),
        ("location /cache/ { root /srv/a.test/var; }", []),
        ("location /web/ { root /srv/a.test/web; }", []),
        ("location /web/ { root /srv; }", []),
    ],
)
def test_a_location_in_which_requests_name_what_moves(inside, severities):
    model = nginx({"a": SERVER.format(f"root /srv/a.test/web; {inside}").encode()})
    problems = nginx_leftovers(model, site(model), ("cache",))[0]
    assert [p.severity for p in problems] == severities
    assert all("lets requests name" in p.message for p in problems)


def test_an_included_file_that_we_did_not_get_is_an_error():
    model = nginx({"a": b"server { server_name a.test; include\n snippets/root.conf; include parts/*; }"})
    (problem,) = nginx_leftovers(model, site(model))[0]
    assert (problem.severity, problem.message) == (
        "error",
        "the included file /etc/nginx/snippets/root.conf was not read",
    )


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (b"default /srv/$host/web;", ["critical"]),
        (b"~^(.*)$ /srv/$host/web;", ["critical"]),
        (b"~^/srv/a.test/web 1;", ["critical"]),
        (b"~^/srv/a\\.test/web 1;", ["critical"]),
        (b"~^/srv/b\\.test/web 1;", []),
        (b"a.test /srv/a.test/web;", []),
        (b"default /srv/b.test/web;", []),
    ],
)
def test_maps(entry, expected):
    text = b"map $host $r { %b } server { server_name a.test; root $r; }" % entry
    model = nginx({"a": text})
    assert [problem.severity for problem in nginx_leftovers(model, site(model))[0]] == expected
    unused = nginx({"a": text.replace(b"root $r", b"root /x")})
    assert nginx_leftovers(unused, site(unused))[0] == []


def test_pools_leftovers():
    text = b"[a.test]\nenv[PATH]=/bin:/srv/$pool/bin\nphp_value[auto_prepend_file]=/srv/a.test/etc/p.php\n"
    (pool,) = load_fpm({"/p": text}).pools
    assert [p.severity for p in fpm_leftovers([pool], UPATH)] == ["warning", "warning"]
    (pool,) = load_fpm({"/p": b"[a.test]\nchdir = /srv/a.test/x/../web\n"}).pools
    assert [p.severity for p in fpm_leftovers([pool], UPATH)] == ["error"]
