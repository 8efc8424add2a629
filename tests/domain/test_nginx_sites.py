"""Which server blocks are a vhost's own, and which shapes are refused."""

import pytest
from web_config_cases import A_SITE, B_SITE, LITERAL, MAIN, SHARED, nginx, site

from nsmig_tui.domain import nginx_load, nginx_syntax
from nsmig_tui.domain.nginx_load import load_nginx
from nsmig_tui.domain.nginx_model import Listen, name_matches
from nsmig_tui.domain.nginx_sites import find_site, is_redirect_only


def severities(found):
    return [problem.severity for problem in found.problems]


def test_shared_include_site():
    model = nginx({"a": A_SITE, "b": B_SITE})
    found = site(model)
    assert found.document_root == "/srv/a.test/web"
    assert found.sockets == ("unix:/srv/a.test/var/run/fpm.sock",)
    assert found.names == ("a.test", "www.a.test")
    assert [listen.probe for listen in found.listens] == [("127.0.0.1", 80, False), ("::1", 80, False)]
    assert found.files == ("/etc/nginx/sites-enabled/a",)
    assert found.problems == ()
    assert model.users["/etc/nginx/common.conf"] == {0, 1}


@pytest.mark.parametrize(
    ("inside", "is_ours"),
    [
        ("server_name static.a.test; root /srv/a.test/web/css;", True),
        ("server_name cdn.test; root /srv/a.test/web/css; access_log /var/log/nginx/cdn.log;", True),
        ("server_name cdn.test; location /x/ { alias /srv/$server_name/web/; }", False),
        ("server_name cdn.test; location / { proxy_pass http://127.0.0.1:8; } root /srv/a.test/web/x;", True),
        ("server_name cdn.test; root /srv/a.test/web/x; location /b { alias /srv/b.test/web/; }", False),
        ("server_name cdn.test; root /var/www; location /b { alias /srv/a.test/web/; }", False),
        ("server_name cdn.test; root /var/www; access_log /srv/a.test/var/log/cdn.log;", False),
        ("server_name b.test; root /srv/a.test/web/x;", False),
    ],
)
def test_a_block_that_serves_from_this_tree_alone_is_the_vhosts_own(inside, is_ours):
    found = site(nginx({"a": A_SITE + b"server { " + inside.encode() + b" }", "b": B_SITE}))
    assert (len(found.servers) == 2) is is_ours
    assert bool(found.problems) is (not is_ours and "/srv/a.test" in inside)


def test_literal_site_beside_another_in_one_file():
    found = site(nginx({"all": LITERAL}))
    assert [server.names for server in found.servers] == [("a.test",)]
    assert found.document_root == "/srv/a.test/web/public"
    assert found.problems == ()


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("8080", Listen("*", 8080)),
        ("10.0.0.1", Listen("10.0.0.1", 80)),
        ("10.0.0.1:81 default_server", Listen("10.0.0.1", 81, default=True)),
        ("[::]:443 ssl http2", Listen("::", 443, tls=True)),
        ("[::1]", Listen("::1", 80)),
        ("localhost:8000 proxy_protocol", Listen("localhost", 8000, proxy_protocol=True)),
        ("unix:/run/n.sock", Listen("unix:/run/n.sock", 0)),
        ("443 quic", Listen("*", 80)),
    ],
)
def test_listen(listen, expected):
    model = nginx({"a": f"server {{ listen {listen}; server_name a.test; }}".encode()})
    assert site(model).listens == (expected,)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("a.test", "a.test", True),
        (".a.test", "a.test", True),
        (".a.test", "x.a.test", True),
        ("*.a.test", "a.test", False),
        ("*.a.test", "x.a.test", True),
        ("a.*", "a.test", True),
        ("~^(?<d>a|b)\\.test$", "b.test", True),
        ("~^(?<d>\\D+)\\.test$", "b.test", True),
        ("~^(?P<D>\\w+)\\.test$", "b.test", True),
        ("~^(?'d'[[:alnum:]_]+)\\.TEST$", "b.test", True),
        ("~^[[:digit:]]+\\.test$", "b.test", False),
        ("~^(?|a|b)\\.test$", "b.test", True),  # nothing that Python can tell
        ("xa.test", "a.test", False),
    ],
)
def test_server_names(pattern, name, expected):
    assert name_matches(pattern, name) is expected


def test_the_machines_own_name_is_none_to_ask_for():
    found = site(nginx({"a": b"server { server_name a.test $hostname; root /srv/a.test/web; }"}))
    assert found.names == ("a.test",)


def test_redirects_are_known_and_aliases_of_the_tree_belong_to_it():
    text = (
        b"server { server_name www.a.test; return 301 http://a.test$request_uri; }"
        b"server { server_name a.test; root /srv/a.test/web/; }"
        b"server { server_name other.example; root /srv/a.test/web; }"
    )
    found = site(nginx({"a": text}))
    assert [is_redirect_only(server) for server in found.servers] == [True, False, False]
    assert found.document_root == "/srv/a.test/web"


def test_names_below_the_domain_that_serve_other_trees_are_not_its_own():
    text = (
        b"server { server_name a.test; root /srv/a.test/web; }"
        b"server { server_name *.a.test; root /srv/b.test/web; fastcgi_pass unix:/srv/b.test/var/run/x; }"
    )
    found = site(nginx({"a": text}))
    assert (len(found.servers), found.sockets, found.problems) == (1, (), ())


@pytest.mark.parametrize("root", ["/srv//$host/web", "/srv/./a.test/web//", "/srv/b.test/../a.test/web"])
def test_the_document_root_is_named_plainly(root):
    found = site(
        nginx({"a": f"server {{ server_name a.test; root {root}; }}".encode()}), real_dirs={"a.test"}
    )
    assert (found.document_root, found.problems) == ("/srv/a.test/web", ())


def test_set_and_map_are_followed():
    text = b"server { server_name a.test; set $top /srv/a.test; root $top/web; fastcgi_pass php_a; }"
    upstream = b"upstream php_a { server unix:/srv/a.test/var/run/x.sock; }"
    found = site(nginx({"a": text, "u": upstream}))
    assert (found.document_root, found.sockets) == ("/srv/a.test/web", ("unix:/srv/a.test/var/run/x.sock",))
    mapped = (
        b"map $host $top { default /none; a.test /srv/a.test/web; }server { server_name a.test; root $top; }"
    )
    assert site(nginx({"a": mapped})).document_root == "/srv/a.test/web"


@pytest.mark.parametrize(
    ("sites", "options", "expected"),
    [
        ({"a": A_SITE}, {"real_dirs": {"a.test", "www.a.test"}}, ["critical"]),
        ({"a": A_SITE}, {"real_dirs": {"a.test"}, "links": ["www.a.test"]}, []),
        ({"a": b"server { server_name a.test *.a.test; root /srv/$host/web; }"}, {}, ["warning"]),
        ({"a": b"server { server_name a.test; root /srv/$host/web; }", "b": B_SITE}, {}, []),
        ({"0": B_SITE, "a": b"server { server_name a.test; root /srv/$host/web; }"}, {}, []),
        (
            {"a": b"server { server_name a.test *.a.test; root /srv/$host/web; }"},
            {"real_dirs": {"a.test", "x.a.test"}},
            ["critical"],
        ),
        (
            {"a": b"server { listen 80 default_server; server_name a.test; root /srv/$host/web; }"},
            {},
            ["critical"],
        ),
        (
            {"a": b"server { server_name a.test ~^(?P<d>\\D+)\\.test$; root /srv/$host/web; }"},
            {},
            ["critical"],
        ),
        ({"z": b"server { listen 80 default_server; root /srv/$host/web; }"}, {}, ["critical"]),
        ({"z": b"server { server_name ~^(?<d>.+)$; root /srv/$host/web; }"}, {}, ["critical"]),
        (
            {"a": A_SITE, "s": b"server { server_name sub.a.test; root /srv/a.test/web/sub; }"},
            {"real_dirs": {"a.test", "sub.a.test"}},
            ["critical"],
        ),
        (
            {"a": A_SITE, "s": b"server { server_name b.test; error_log /srv/a.test/var/log/b; }"},
            {},
            ["error"],
        ),
        ({"a": A_SITE, "s": b"server { server_name b.test; root /srv/a.test.other/web; }"}, {}, []),
        ({"a": A_SITE, "s": b"server { server_name b.test; root /srv/a.test/web$uri; }"}, {}, ["critical"]),
        ({"a": A_SITE, "s": b"server { server_name b.test; root /srv/a.test/w$uri; }"}, {}, ["critical"]),
        ({"a": A_SITE, "s": b"server { server_name b.test; root /srv/a.test/msg$uri; }"}, {}, ["warning"]),
        ({"a": A_SITE, "s": b"server { server_name b.test; root /srv//a.test/web/x; }"}, {}, ["critical"]),
        (
            {"a": A_SITE, "s": b"server { server_name b.test; error_log /srv/b.test/../$x/./a.test/web/e; }"},
            {},
            [],
        ),
        (
            {"a": A_SITE, "s": b"server { server_name b.test; error_log /srv/b.test/.././a.test/web/e; }"},
            {},
            ["error"],
        ),
    ],
)
def test_shapes_that_are_refused(sites, options, expected):
    assert severities(site(nginx(sites), **options)) == expected


def test_who_comes_to_the_first_block_without_a_name_is_known():
    """nginx takes the first block of an address for names that none has, and $host finds their directory."""
    first = b"server { listen 80; listen 81; server_name a.test; root /srv/$host/web; }"
    found = site(
        nginx({"a": first}), real_dirs={"a.test", "b.test", "l.test", "lost+found"}, links={"l.test"}
    )
    assert found.strays == ("b.test",)
    assert [p.message for p in found.problems] == [
        "nginx gives what no block names to this vhost's: it answers for b.test too, by their directories"
    ]
    elsewhere = b"server { listen 80; server_name z.test; root /srv/z.test/web; }"
    assert site(nginx({"0": elsewhere, "a": first})).strays == ("b.test",)  # on port 81
    named = b"server { listen 82; server_name *.test; root /srv/$host/web; }"
    assert site(nginx({"a": first, "n": named})).strays == ()
    literal = b"server { server_name a.test; root /srv/a.test/web; }"
    assert site(nginx({"a": literal})).strays == ()
    redirect = b"server { server_name a.test; return 301 http://$host/srv/$host/; }"
    assert site(nginx({"a": redirect})).strays == ()


def test_paths_inherited_from_http_are_refused():
    main = (
        b"http { root /srv/$host/web; access_log /srv/$host/var/log/a; include /etc/nginx/sites-enabled/*; }"
    )
    found = site(nginx({"a": b"server { server_name a.test; }"}, nginx=main))
    assert found.document_root == "/srv/a.test/web"
    assert severities(found) == ["critical", "error"]
    own = b"server { server_name a.test; root /srv/a.test/web; access_log off; }"
    assert site(nginx({"a": own}, nginx=main)).problems == ()


@pytest.mark.parametrize(
    ("outside", "inside", "expected"),
    [
        ("auth_basic_user_file /srv/$host/etc/htpasswd;", "auth_basic x;", ["error"]),
        ("auth_basic_user_file /srv/$host/etc/htpasswd;", "", []),
        ("auth_basic_user_file /srv/$host/etc/htpasswd;", "auth_basic x; auth_basic_user_file /etc/p;", []),
        ("auth_basic_user_file /srv/a.test/etc/htpasswd;", "auth_basic x;", []),
        ("fastcgi_param SCRIPT_FILENAME /srv/$host/web$uri;", "fastcgi_pass unix:/x;", ["error"]),
        ("fastcgi_param SCRIPT_FILENAME /srv/$host/web$uri;", "include fastcgi_params; fastcgi_pass u;", []),
        ("fastcgi_param HTTPS $https;", "fastcgi_pass unix:/x;", []),
    ],
)
def test_other_paths_inherited_from_http_are_refused(outside, inside, expected):
    main = f"http {{ {outside} include /etc/nginx/sites-enabled/*; }}".encode()
    text = f"server {{ server_name a.test; root /srv/a.test/web; location /x {{ {inside} }} }}".encode()
    assert severities(site(nginx({"a": text}, nginx=main))) == expected


def test_a_vhost_that_nginx_does_not_know():
    found = find_site(nginx({"b": B_SITE}), "mail.test", "/srv/mail.test")
    assert (found.servers, found.document_root, found.problems) == ((), None, ())


def test_an_include_that_reads_itself_ends():
    model = load_nginx(
        {"/n/nginx.conf": b"http { include x; }", "/n/x": b"server { server_name a; } include x;"}
    )
    assert {server.names for server in model.servers} == {("a",)}


def told(model):
    """A model as plain values, without identities."""
    return (
        [
            (s.number, s.file, s.names, s.listens, [(p.where, p.directive) for p in s.inner])
            for s in model.servers
        ],
        [(p.where, p.blocks, p.directive) for p in model.outside],
        [(u.path, u.server.number, u.placed.where) for u in model.paths],
        model.users,
    )


MAPPED = {"/etc/nginx/conf.d/map.conf": b"map $host $top { default /srv/other; a.test /srv/a.test; }\n"}
WITH_MAPS = MAIN.replace(b"include mime.types;", b"include mime.types; include conf.d/*.conf;")


@pytest.mark.parametrize(
    "change",
    [
        {"/etc/nginx/sites-enabled/a": A_SITE + A_SITE.replace(b"a.test", b"c.test")},
        {"/etc/nginx/sites-enabled/a": b"# nothing\n"},
        {"/etc/nginx/common.conf": SHARED["/etc/nginx/common.conf"] + b"error_log /srv/$host/new.log;\n"},
        {"/etc/nginx/php.conf": b"fastcgi_pass unix:$top/fpm.sock;\n"},
        {"/etc/nginx/conf.d/map.conf": MAPPED["/etc/nginx/conf.d/map.conf"].replace(b"/srv/o", b"/srv/O")},
        {"/etc/nginx/nginx.conf": WITH_MAPS.replace(b"/var/log/nginx", b"/srv/a.test/var/log")},
        {"/etc/nginx/sites-enabled/0": B_SITE.replace(b"b.test", b"0.test")},
    ],
)
def test_a_changed_file_is_seen_at_once_wherever_it_stands(change):
    """What is remembered of files by their content must not outlive it."""
    sites = {"/etc/nginx/sites-enabled/a": A_SITE, "/etc/nginx/sites-enabled/b": B_SITE}
    php = {"/etc/nginx/php.conf": b"root $top/web;\n"}
    before = {**SHARED, "/etc/nginx/nginx.conf": WITH_MAPS, **MAPPED, **php, **sites}
    after = before | change
    load_nginx(before)
    again = told(load_nginx(after))
    for cache in (nginx_load._load, nginx_load._file, nginx_load._used_paths, nginx_syntax.includes_in):
        cache.cache_clear()
    assert again == told(load_nginx(after))
    assert again != told(load_nginx(before))
