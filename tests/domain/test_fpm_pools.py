"""php-fpm's files: which values are in force, whose pool is whose, and the stages of the edit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsmig_tui.domain.fpm_pools import find_pools, load_fpm
from nsmig_tui.domain.fpm_rewrite import fpm_changes
from nsmig_tui.domain.path_map import final_map
from nsmig_tui.domain.php_values import map_value

UPATH = "/srv/a.test"
ETC = "/etc/php/8.2/fpm"
MAIN = b"[global]\nerror_log = /var/log/fpm.log\ninclude=/etc/php/8.2/fpm/pool.d/*.conf\n"
COMMON = b"""listen = /srv/$pool/var/run/fpm.sock ; here
chdir = /srv/$pool/web
php_value[session.save_path] = "N;/srv/$pool/var/tmp"
"""
POOL = b"[a.test]\nuser = u1001\ngroup = u1001\ninclude=/etc/php/8.2/fpm/common.conf"
SOCKET = "unix:/srv/a.test/var/run/fpm.sock"


def model(pools, common=COMMON, **options):
    files = {f"{ETC}/php-fpm.conf": MAIN, f"{ETC}/common.conf": common}
    return load_fpm(files | {f"{ETC}/pool.d/{name}.conf": text for name, text in pools.items()}, **options)


def own(loaded, sockets=(SOCKET,)):
    ((_, found),) = find_pools([loaded], UPATH, sockets)
    return found


def changes(loaded, **options):
    return {
        c.path: c.new for c in fpm_changes(loaded, own(loaded).pools, final_map(UPATH), **options).changes
    }


def test_values_in_force():
    text = b"""[a.test]
listen = /first ; comment
php_admin_value[x] = "one;still" ; c
;php_admin_value[x] = zero
include=/etc/php/8.2/fpm/common.conf
php_admin_value[x] = two
 listen=/last\r
[other]
user = o
[a.test]
group = g
"""
    pool, other = model({"a": text}).pools
    assert (pool.name, pool.listen, pool.value("php_admin_value[x]")) == ("a.test", "/last", "one;still")
    assert (pool.group, pool.user, pool.value("none"), other.user) == ("g", "", None, "o")
    assert pool.value("chdir") == "/srv/a.test/web"
    assert pool.where == f"{ETC}/pool.d/a.conf:1"


def test_a_file_without_a_header_goes_on_in_the_last_section():
    first, second = model({"a": b"[one]\nuser=a\n", "b": b"user=b\n[two]\nuser=c\n"}).pools
    assert (first.user, second.user) == ("b", "c")


@pytest.mark.parametrize(
    ("text", "sockets", "expected"),
    [
        (POOL, [SOCKET], ["a.test"]),
        (b"[Global]\nerror_log=/x\n['a.test'] ; ours\nlisten=/srv/$pool/var/run/fpm.sock\n", [], ["a.test"]),
        (b"[www]\nlisten=127.0.0.1:9001\n", ["127.0.0.1:9001"], ["www"]),
        (b"[www]\nlisten=9001\n", ["localhost:9001"], ["www"]),
        (b"[www]\nlisten=/run/php/x.sock\n", ["unix:/run/php/x.sock"], ["www"]),
        (b"[www]\nlisten=/run/php/x.sock\n", ["unix:/var/run/php/x.sock"], ["www"]),
        (b"[www]\nlisten=/var/run/php/x.sock\n", ["unix:/run/php/x.sock:"], ["www"]),
        (b"[www]\nlisten=/run/x\nchdir=/srv/a.test/web\n", [], ["www"]),
        (b"[a]\nlisten=/srv/a.test/var/run/f\n[b]\nlisten=/srv/a.test.other/var/run/f\n", [], ["a"]),
    ],
)
def test_own_pools(text, sockets, expected):
    assert [pool.name for pool in own(model({"x": text}), sockets).pools] == expected


def test_a_master_without_the_vhost_is_left_out():
    assert find_pools([model({"b": b"[b]\nlisten=/run/b\n"})], UPATH, [SOCKET]) == []


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        (POOL + b"\nchroot=/srv/a.test\n", "critical"),
        (POOL + b"\nprefix=/srv/a.test\n", "critical"),
        (b"[a]\nprefix=/srv/a.test\nlisten=var/run/fpm.sock\nchdir=/\n", "critical"),
        (b"[a]\nchroot=/srv/a.test\nlisten=/run/a.sock\nchdir=/web\n", "critical"),
        (POOL + b"\nlisten=/srv/" + b"x" * 110 + b"\nchdir=/srv/a.test\n", "critical"),
        (POOL + b"\n[b]\nlisten=/run/b\nphp_value[include_path]=.:/srv/a.test/web/lib\n", "error"),
    ],
)
def test_shapes_that_are_refused(text, severity):
    assert [problem.severity for problem in own(model({"a": text})).problems] == [severity]


def test_final_points_to_a_copy_of_the_shared_file():
    new = changes(model({"a": POOL, "b": POOL.replace(b"a.test", b"b.test")}))
    assert new == {
        f"{ETC}/pool.d/a.conf": POOL.replace(b"common", b"common.ns3"),
        f"{ETC}/common.ns3.conf": COMMON.replace(b"var/run", b"web/run")
        .replace(b"$pool/web\n", b"$pool/web/app/public\n")
        .replace(b"var/tmp", b"web/tmp"),
    }


def test_both_sockets_for_a_while():
    loaded = model({"a": POOL})
    new = changes(loaded, copies=False, keep_old_socket=True)
    ((path, text),) = new.items()
    first, second = load_fpm({path: text}).pools
    assert (first.name, first.listen) == ("a.test", "/srv/a.test/web/run/fpm.sock")
    assert (second.name, second.listen) == ("a.test-ns1", "/srv/a.test/var/run/fpm.sock")
    for key in ("user", "group", "chdir", "php_value[session.save_path]"):
        assert first.value(key) == second.value(key)
    assert second.value("chdir") == "/srv/a.test/web/app/public"


@pytest.mark.parametrize(
    ("address", "first", "second"),
    [
        ("127.0.0.1:9123", "127.0.0.1:9123", None),
        ("9123", "9123", None),
        ("/run/php/$pool-status.sock", "/run/php/a.test-status.sock", None),
        ('"/srv/$pool/var/run/s.sock"', "/srv/a.test/web/run/s.sock", "/srv/a.test/var/run/s.sock"),
    ],
)
def test_an_address_of_its_own_is_given_to_one_pool_only(address, first, second):
    """php-fpm -t: "unable to set listen address as it's already used in another pool"."""
    more = f"\npm.status_path = /status\npm.status_listen = {address}\n"
    loaded = model({"a": POOL + more.encode()})
    ((path, text),) = changes(loaded, copies=False, keep_old_socket=True).items()
    pools = load_fpm({path: text}).pools
    assert [pool.value("pm.status_listen") for pool in pools] == [first, second]
    assert [pool.value("pm.status_path") for pool in pools] == ["/status", "/status"]
    assert [pool.listen for pool in pools] == ["/srv/a.test/web/run/fpm.sock", "/srv/a.test/var/run/fpm.sock"]


def test_logs_may_go_elsewhere_for_a_while():
    loaded = model({"a": POOL + b"\nslowlog=/srv/$pool/var/log/slow\n"})
    paths = final_map(UPATH).with_target("var/log", "/srv/.nsmig/a.test/log")
    outcome = fpm_changes(loaded, own(loaded).pools, paths, copies=False, keep_old_socket=True)
    (change,) = outcome.changes
    assert change.new.count(b"slowlog=/srv/.nsmig/a.test/log/slow\n") == 2


def test_a_pool_whose_socket_stays_has_no_second_one():
    text = b"[www]\nlisten = /run/php/x.sock\nchdir = /srv/a.test/web"
    loaded = model({"a": text})
    assert changes(loaded, keep_old_socket=True) == {f"{ETC}/pool.d/a.conf": text + b"/app/public"}


def test_one_of_several_pools_in_a_file_is_edited():
    text = (
        b"[b]\r\nlisten=/srv/b/var/run/f\r\n; [x] /srv/a.test/web\r\n"
        b"[a.test]\r\nlisten=/srv/a.test/var/run/f\r\nenv[TMP] = /srv/a.test/var/tmp ;t\r\n"
        b"[c]\r\nlisten=/srv/a.test.c/var/run/f\r\n"
    )
    expected = text.replace(b"a.test/var/run", b"a.test/web/run").replace(
        b"a.test/var/tmp", b"a.test/web/tmp"
    )
    assert changes(model({"all": text})) == {f"{ETC}/pool.d/all.conf": expected}
    both = changes(model({"all": text}), keep_old_socket=True)[f"{ETC}/pool.d/all.conf"]
    assert both.startswith(expected) and b"[a.test-ns1]\r\n" in both


def test_the_second_pool_needs_its_name():
    text = POOL + b"\n[a.test-ns1]\nlisten=/run/other\n"
    loaded = model({"a": text})
    outcome = fpm_changes(loaded, own(loaded).pools, final_map(UPATH), keep_old_socket=True)
    assert [problem.severity for problem in outcome.problems] == ["critical"]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("/srv/a.test/web:/tmp", "/srv/a.test/web:/tmp"),
        ('"/srv/a.test/web/"', '"/srv/a.test/web/"'),
        ("/srv/a.test/web/pub:/srv/$pool/var/tmp", "/srv/a.test/web/app/public/pub:/srv/$pool/web/tmp"),
        ("/srv/a.test/web:/srv/a.test/var/log/", "/srv/a.test/web:/srv/a.test/web/log/"),
    ],
)
def test_open_basedir_keeps_the_top(raw, expected):
    assert map_value(final_map(UPATH), "php_admin_value[open_basedir]", raw, {"pool": "a.test"}) == expected
    assert (
        map_value(final_map(UPATH).inverse(), "php_admin_value[open_basedir]", expected, {"pool": "a.test"})
        == raw
    )


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("/srv/a.test/web/:/srv/a.test/var/", "/srv/a.test/web/:/srv/a.test/var/"),
        (
            '"/srv/$pool/web/pub:/srv/$pool/var"',
            '"/srv/$pool/web/app/public/pub:/srv/$pool/var'
            ':/srv/$pool/web/log:/srv/$pool/web/run:/srv/$pool/web/tmp"',
        ),
        ("/srv/a.test/:/srv/a.test/var", "/srv/a.test/:/srv/a.test/var"),
    ],
)
def test_what_lay_in_var_may_be_opened_where_it_goes(raw, expected):
    assert map_value(final_map(UPATH), "php_admin_value[open_basedir]", raw, {"pool": "a.test"}) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (".:/srv/a.test/web/../private", ".:/srv/a.test/private"),
        ("/srv/$pool/web/./../var/log/../tmp", "/srv/$pool/web/tmp"),
        ("/srv/a.test/web/x/../y", "/srv/a.test/web/app/public/x/../y"),
    ],
)
def test_what_climbs_leads_where_it_led(raw, expected):
    assert map_value(final_map(UPATH), "php_value[include_path]", raw, {"pool": "a.test"}) == expected


def test_private_includes_are_edited_in_place():
    common = b"listen = /srv/a.test/var/run/fpm.sock"
    assert changes(model({"a": POOL}, common=common)) == {
        f"{ETC}/common.conf": b"listen = /srv/a.test/web/run/fpm.sock"
    }


def test_pools_in_the_tree_of_the_site_are_not_edited():
    main = b"[global]\ninclude=/srv/*/etc/pool.conf\n"
    loaded = load_fpm(
        {"/e/php-fpm.conf": main, "/srv/a.test/etc/pool.conf": COMMON.join([b"[a.test]\n", b""])}
    )
    outcome = fpm_changes(loaded, own(loaded).pools, final_map(UPATH))
    assert outcome.changes == ()
    assert [problem.severity for problem in outcome.problems] == ["error"]


def test_php_has_no_variables():
    with pytest.raises(ValueError, match="variables"):
        fpm_changes(model({"a": POOL}), [], final_map(UPATH).with_target("web", "$x"))


@given(st.text(st.sampled_from("[a]=;\"' \n\r\x0b/$.\u2028"), max_size=60))
def test_any_text_is_read_and_its_spans_are_true(text):
    raw = text.encode()
    loaded = load_fpm({"/x": raw})
    for pool in loaded.pools:
        for entry in pool.entries:
            assert entry.value in text[entry.start : entry.end]
            assert text[entry.line_start : entry.line_end].strip().startswith(entry.key)
            assert text[: entry.line_start].count("\n") == entry.line - 1


def test_a_second_include_is_no_part_of_the_last_pool_before_it():
    texts = {
        f"{ETC}/php-fpm.conf": b"[global]\ninclude=/etc/one/*.conf\ninclude=/etc/two/*.conf\n",
        "/etc/one/b.conf": b"[b.test]\nlisten=/srv/b.test/var/run/fpm.sock\n",
        "/etc/two/a.conf": b"; the site's\n[a.test]\nlisten=/srv/a.test/var/run/fpm.sock\n",
    }
    loaded = load_fpm(texts)
    assert loaded.users == {}
    (served,) = find_pools([loaded], UPATH, ())
    outcome = fpm_changes(loaded, served[1].pools, final_map(UPATH), copies=False, keep_old_socket=True)
    assert [c.path for c in outcome.changes] == ["/etc/two/a.conf"] and outcome.problems == ()
    assert outcome.changes[0].new.count(b"/srv/a.test/web/run/fpm.sock") == 1
    tail = texts | {"/etc/two/a.conf": b"pm = static\n[a.test]\nlisten=/srv/a.test/var/run/fpm.sock\n"}
    assert load_fpm(tail).users == {"/etc/two/a.conf": frozenset({"b.test"})}


def test_no_pool_is_added_to_the_sites_own_files():
    own = "/srv/a.test/etc/fpm.conf"
    loaded = load_fpm(
        {
            f"{ETC}/php-fpm.conf": b"include=/srv/*/etc/fpm.conf\n",
            own: b"[a.test]\nlisten=/srv/a.test/var/run/x\n",
        }
    )
    (served,) = find_pools([loaded], UPATH, ())
    outcome = fpm_changes(loaded, served[1].pools, final_map(UPATH), copies=False, keep_old_socket=True)
    assert outcome.changes == ()
    assert {(p.severity, p.where, bool(p.hint)) for p in outcome.problems} == {("error", own, True)}
