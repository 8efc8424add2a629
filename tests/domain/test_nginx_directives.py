"""Which directives follow a migration, which stay with a word, and which cannot be told."""

from dataclasses import replace

import pytest
from vhost_facts import DOMAIN, HEALTHY, POOL, VNODE, fpm_config, nginx_config, seen, serving
from web_config_cases import UPATH, nginx, site

from nsmig_tui.domain.nginx_directives import FOLLOWS, STAYS, TELLS, UNKNOWN, takes_variables, use_of
from nsmig_tui.domain.nginx_rewrite import foreseen, nginx_changes
from nsmig_tui.domain.options import MigrateOptions
from nsmig_tui.domain.path_map import final_map
from nsmig_tui.domain.planning import make_plan
from nsmig_tui.domain.service_config import ConfigFile, ServiceConfig
from nsmig_tui.domain.validation import validate

FILE = "/etc/nginx/sites-enabled/a"
WEB = f"{UPATH}/web"


def server(inside: str) -> bytes:
    return f"server {{ server_name a.test; root /srv/a.test/web;\n{inside} }}".encode()


def facts(inside: str, exchange="mv", outside="", **more):
    can = replace(HEALTHY.capabilities, exchange=exchange)
    return seen(nginx=nginx_config(outside.encode() + server(inside)), capabilities=can, **more)


def plan(given, **options):
    return make_plan(VNODE, DOMAIN, given, serving(given), MigrateOptions(**options), "20260101-000000")


def judged(given):
    return [f for f in validate(DOMAIN, UPATH, given, serving(given)) if f.severity != "passed"]


@pytest.mark.parametrize(
    "directive",
    [
        "proxy_ssl_trusted_certificate {};",
        "proxy_ssl_certificate {};",
        "proxy_ssl_certificate_key {};",
        "proxy_ssl_crl {};",
        "proxy_ssl_password_file {};",
        "grpc_ssl_trusted_certificate {};",
        "uwsgi_ssl_certificate {};",
        "ssl_crl {};",
        "ssl_dhparam {};",
        "lua_ssl_trusted_certificate {};",
        "js_import main from {};",
        "xml_entities {};",
        "geoip2 {} {{ $a country; }}",
        "modsecurity_rules_file {};",
        "scgi_temp_path {} 1 2;",
        "disable_symlinks on from={};",
        "content_by_lua_file {};",
    ],
)
def test_what_nginx_opens_itself_is_mapped(directive):
    old = server(directive.format(f"{WEB}/x/y"))
    model = nginx({"a": old})
    outcome = nginx_changes(model, site(model), final_map(UPATH))
    assert outcome.problems == ()
    assert outcome.changes[0].new == old.replace(b"/srv/a.test/web", b"/srv/a.test/web/app/public")


@pytest.mark.parametrize(
    "name",
    ["proxy_ssl_trusted_certificate", "grpc_ssl_certificate_key", "uwsgi_temp_path", "init_by_lua_file"],
)
def test_what_takes_no_variable_is_known(name):
    assert use_of(name) == FOLLOWS and not takes_variables(name)
    assert takes_variables("proxy_store") and takes_variables("content_by_lua_file")


@pytest.mark.parametrize(
    ("directive", "compat_web", "compat_var"),
    [
        (f'return 200 "{WEB}/x";', True, False),
        (f"rewrite ^/x {WEB}/x;", True, False),
        (f'add_header X-Root "{WEB}";', True, False),
        (f"proxy_set_header X-Accel-Mapping {WEB}/files/=/files/;", True, False),
        (f"sub_filter {UPATH}/var/log/x y;", False, True),
        (f"location {WEB}/files/ {{ internal; }}", True, False),
        (f"proxy_cache_key {WEB}$uri;", True, False),
        ("add_header X-Root /srv/$host/web/x;", True, False),
    ],
)
def test_text_stays_with_a_word_and_counts_as_a_use(directive, compat_web, compat_var):
    given = facts(directive)
    made = plan(given)
    assert (made.blocked, made.compat_web, made.compat_var) == ((), compat_web, compat_var)
    assert any("is not changed" in warning for warning in made.warnings)
    (found,) = (f for f in judged(given) if "is not changed" in f.message)
    assert (found.severity, f"{FILE}:2" in found.message, bool(found.hint)) == ("warning", True, True)
    never = plan(given, compat="never")
    assert (never.blocked, never.compat_web) == ((), False)


@pytest.mark.parametrize(
    "directive",
    [f"pagespeed FileCachePath {WEB}/cache;", f"content_by_lua 'f(\"{WEB}/x\")';", f"some_new_file {WEB}/x;",
     f'content_by_lua_block {{ f("{WEB}/x") }}', "some_file /srv/$host/web/x;"],
)  # fmt: skip
def test_what_nobody_knows_is_an_error_of_validate(directive):
    given = facts(directive)
    (found,) = judged(given)
    assert (found.severity, f"{FILE}:2" in found.message, bool(found.hint)) == ("error", True, True)
    assert plan(given).blocked == (found.message,)


@pytest.mark.parametrize(
    "directive", ["some_file /srv/a.test/etc/x;", "some_file /srv/b.test/web/x;", "some on;"]
)
def test_what_stays_may_be_named_by_anything(directive):
    assert [f.severity for f in judged(facts(directive)) if f.blocks] == []


CACHE = "fastcgi_cache_path {} levels=1:2 keys_zone=A:1m;\n"


@pytest.mark.parametrize(
    ("place", "compat_web", "compat_var"),
    [(f"{WEB}/cache", True, False), (f"{UPATH}/var/tmp/c", False, True)],
)
def test_a_cache_stays_where_a_link_leads_to_it(place, compat_web, compat_var):
    """nginx refuses a reload that gives a cache's zone another path."""
    given = facts("fastcgi_cache A;", outside=CACHE.format(place))
    made = plan(given)
    assert (made.blocked, made.compat_web, made.compat_var) == ((), compat_web, compat_var)
    for config in made.configs:
        for text in config.stages.values():
            assert text.count(place.encode() + b" levels") == (1 if config.path == FILE else 0)
    assert [f.severity for f in judged(given)] == ["warning"]
    assert made.relocate_tmp is compat_var
    assert made.values["NEEDS_XCHG"] == "1"
    (why,) = plan(given, compat="never").blocked
    assert place in why and FILE in why and "--compat" in why


def test_a_cache_that_no_link_can_hold_is_an_error():
    for given in (
        facts("", outside=CACHE.format(f"{UPATH}/var/run/c")),
        facts("", outside=CACHE.format(f"{UPATH}/web/cache"), exchange="none"),
        facts("", outside=CACHE.format(f"{UPATH}/var/tmp/c"), exchange="none"),
        facts("", outside=CACHE.format(f"{UPATH}/web/log/c"), entries=HEALTHY.entries | {"web": ("log",)}),
    ):
        (error,) = {f.message: f for f in judged(given) if f.blocks}.values()
        assert error.hint and plan(given).blocked


def test_a_temporary_directory_is_no_cache():
    assert (use_of("proxy_temp_path"), use_of("uwsgi_cache_path")) == (FOLLOWS, STAYS)
    assert (use_of("more_set_headers"), use_of("grpc_set_header"), use_of("zone")) == (TELLS, TELLS, UNKNOWN)


def test_what_only_a_vnode_without_exchange_goes_through_blocks_no_other():
    inside = f"ssl_certificate {WEB}/c.pem;"
    assert (judged(facts(inside)), plan(facts(inside)).blocked) == ([], ())
    assert plan(facts(inside)).values["NEEDS_XCHG"] == "1"
    assert plan(facts("")).values["NEEDS_XCHG"] == plan(facts("", "none")).values["NEEDS_XCHG"] == ""
    given = facts(inside, "none")
    (error,) = (f for f in judged(given) if f.blocks)
    assert error.hint and plan(given).blocked == (error.message,)


def test_validate_says_whatever_blocks_the_plan():
    own = "/srv/a.test/web/nginx.conf"
    config = nginx_config(server(f"include {own};"))
    with_own = ServiceConfig(
        config.main,
        files=(*config.files, ConfigFile(own, own, b"if (-f /srv/a.test/web/y) { return 404; }")),
        test_rc=0,
    )
    linked = ServiceConfig(
        config.main,
        files=tuple(replace(f, real="/srv/a.test/etc/n.conf") if f.path == FILE else f for f in config.files),
        test_rc=0,
    )
    for given in (seen(nginx=with_own), seen(nginx=linked)):
        errors = [f for f in judged(given) if f.blocks]
        assert errors and all(f.hint for f in errors)
        assert set(plan(given).blocked) <= {f.message for f in errors}


def test_sockets_of_other_programs_stay_however_they_are_named():
    app, php = f"{UPATH}/var/run/app.sock", f"{UPATH}/var/run/fpm.sock"
    inside = f"""set $backend unix:{app}; set $php unix:{php};
        fastcgi_param APP {app}; fastcgi_param PHP {php};
        access_log syslog:server=unix:{app},tag=x combined;
        set $deep {UPATH}/var/run/own/deep.sock; set $pid {UPATH}/var/run/app.pid;"""
    given = facts(inside, entries=HEALTHY.entries | {"socket": (app, php, f"{UPATH}/var/run/own/deep.sock")})
    made = plan(given)
    assert made.blocked == ()
    (text,) = (c.stages["final"] for c in made.configs if c.path == FILE)
    assert text.count(app.encode()) == 3 and b"own/deep.sock" in text and b"var/run/own" in text
    assert text.count(b"/srv/a.test/web/run/fpm.sock") == 2 and b"web/run/app.pid" in text


def test_a_socket_that_a_pool_names_needs_no_file():
    redis, own = "unix:///srv/a.test/var/run/redis.sock?auth=x", "unix:/srv/a.test/var/run/fpm.sock"
    lines = f'php_value[session.save_path] = "{redis}"\nenv[OWN] = {own}\nenv[R] = {UPATH}/var/run/r.pid\n'
    made = plan(seen(fpm=(fpm_config(POOL + lines.encode()),)))
    (text,) = (c.stages["final"] for c in made.configs if c.kind == "fpm")
    assert redis.encode() in text and b"unix:/srv/a.test/web/run/fpm.sock" in text
    assert b"/srv/a.test/web/run/r.pid" in text


def test_a_socket_by_its_spelling_needs_no_file():
    model = nginx({"a": server(f"set $b unix:{UPATH}/var/run/app.sock; proxy_pass http://$b:/;")})
    outcome = nginx_changes(model, site(model), final_map(UPATH), sockets=[f"{UPATH}/var/run//fpm.sock"])
    assert b"unix:/srv/a.test/var/run/app.sock" in outcome.changes[0].new
    moved = nginx({"a": server(f"set $b unix:{UPATH}/var/run/fpm.sock; fastcgi_pass $b;")})
    outcome = nginx_changes(moved, site(moved), final_map(UPATH), sockets=[f"{UPATH}/var/run//fpm.sock"])
    assert b"unix:/srv/a.test/web/run/fpm.sock" in outcome.changes[0].new


def test_a_socket_in_web_stays_valid_by_a_link():
    given = facts(f"location /a {{ proxy_pass http://unix:{WEB}/app.sock:/; }}")
    assert plan(given).compat_web and plan(given, compat="never").blocked


def test_a_socket_that_cannot_be_told_is_an_error():
    model = nginx({"a": server("fastcgi_pass unix:/srv/a.test/var/run/$arg_x.sock;")})
    problems, _ = foreseen(model, site(model), final_map(UPATH), [f"{UPATH}/var/run/fpm.sock"])
    assert [p.severity for p in problems] == ["error"] and problems[0].hint


@pytest.mark.parametrize(
    ("used", "severity"), [("etc/ssl/w.pem", "warning"), ("web/w.pem", "error"), ("private/w.pem", "warning")]
)
def test_what_another_site_names_is_no_fault_where_it_stays(used, severity):
    other = (
        f"server {{ server_name sub.b.test; root /srv/b.test/web; ssl_certificate {UPATH}/{used}; }}".encode()
    )
    given = seen(nginx=nginx_config(b_site=other))
    (found,) = (f for f in judged(given) if "sub.b.test" in f.message)
    assert found.severity == severity
    assert plan(given).keep_legacy == (("etc",) if used.startswith("etc") else ())


@pytest.mark.parametrize(
    ("real", "text"),
    [("/srv/a.test/web/n.conf", b"# nothing"), (None, b"include /srv/*/web/conf/*.conf;\n")],
)
def test_files_that_nginx_finds_in_moving_places_are_an_error(real, text):
    config = nginx_config(server(""))
    more = ConfigFile("/etc/nginx/sites-enabled/0", real or "/etc/nginx/sites-enabled/0", text)
    found = (
        ()
        if real
        else (ConfigFile("/srv/a.test/web/conf/x.conf", "/srv/a.test/web/conf/x.conf", b"gzip on;"),)
    )
    given = seen(nginx=ServiceConfig(config.main, files=(*config.files, more, *found), test_rc=0))
    (error,) = (f for f in judged(given) if f.blocks)
    assert "which moves" in error.message and error.hint


def test_files_that_are_read_from_etc_keep_it():
    config = nginx_config(server(""))
    own = ConfigFile("/etc/nginx/sites-enabled/0", "/srv/a.test/etc/n.conf", b"# nothing")
    given = seen(nginx=ServiceConfig(config.main, files=(*config.files, own), test_rc=0))
    assert [f for f in judged(given) if f.blocks] == []
    assert plan(given).keep_legacy == ("etc",)
