"""A pool that is not the account's: what it can do today it can do afterwards, or we say so before."""

from dataclasses import replace

import pytest
from vhost_facts import DOMAIN, HEALTHY, POOL, POOL_WITH_TMP, fpm_config, place, places, seen, serving

from nsmig_tui.domain.findings import ERROR, USER, WARNING
from nsmig_tui.domain.readings import read_capabilities
from nsmig_tui.domain.sections import split_sections
from nsmig_tui.domain.validation import validate

UPATH = "/srv/a.test"


def judged(user, group="", pool=POOL_WITH_TMP, **facts):
    """Severities and messages on a pool with this user, after facts about it."""
    lines = f"user = {user}\n" + (f"group = {group}\n" if group else "")
    text = pool.replace(b"user = u1003\n", lines.encode())
    served = seen(fpm=(fpm_config(text),), **facts)
    found = validate(DOMAIN, UPATH, served, serving(served))
    assert all(f.hint for f in found if f.blocks)
    return [(f.severity, f.message) for f in found if f.category == USER and "the pool [a]" in f.message]


WRITES = place(gid=33, mode="770")
READS = place(gid=33, mode="750")
FINE = {"places": places(var_log=READS, var_tmp=READS)}


@pytest.mark.parametrize("user", ["u1003", "1003"])
def test_the_accounts_own_pool_is_no_matter(user):
    assert judged(user, places=places(var_tmp=WRITES, web=place(gid=33, mode="2775"))) == []


LOSES = [
    ("www-data", "www-data", {"var_tmp": WRITES}, "var/tmp"),
    ("www-data", "", {"var_tmp": WRITES}, "var/tmp"),
    ("33", "33", {"var_tmp": WRITES}, "var/tmp"),
    ("www-data", "", {"var_log": WRITES}, "var/log"),
    ("www-data", "", {"web": place(gid=33, mode="2775")}, "web"),
    ("www-data", "", {"web": place(mode="777")}, "web"),
    ("www-data", "", {"var_tmp": place(uid=33, gid=33, mode="700")}, "var/tmp"),
    ("www-data", "u1003", {"var_tmp": place(mode="770")}, "var/tmp"),
    ("php-a", "www-data", {"var_tmp": WRITES}, "var/tmp"),
    ("php-a", "php-a", {"var_tmp": place(uid=1777, mode="700")}, "var/tmp"),
    ("php-a", "php-a", {"var_log": place(uid=0, gid=0, mode="755")}, "var/log"),
]


@pytest.mark.parametrize(("user", "group", "changed", "named"), LOSES)
def test_a_right_that_would_be_lost_is_an_error(user, group, changed, named):
    ((severity, message),) = judged(user, group, places=FINE["places"] | places_only(changed))
    assert severity == ERROR and f"{named} (" in message and f"runs as {user}" in message


def test_no_pool_is_told_to_run_as_root_where_web_is_roots():
    root = place(uid=0, gid=0, mode="755")
    lines = POOL_WITH_TMP.replace(b"user = u1003\n", b"user = php-a\n")
    facts = {"places": FINE["places"] | {"web": root}, "account": ("root", 0, 0, "/root", "/bin/sh")}
    served = seen(fpm=(fpm_config(lines),), **facts)
    blocking = [f for f in validate(DOMAIN, UPATH, served, serving(served)) if f.blocks]
    assert [f.message for f in blocking] == ["web belongs to root"]


def places_only(changed):
    return {name.replace("_", "/"): value for name, value in changed.items()}


@pytest.mark.parametrize(
    ("user", "group"), [("www-data", ""), ("www-data", "www-data"), ("php-a", "www-data")]
)
def test_who_only_reads_loses_nothing(user, group):
    assert judged(user, group, **FINE) == []


def test_what_php_has_no_part_in_does_not_count():
    """No line of the pool and nothing else names var/tmp."""
    assert judged("www-data", pool=POOL, places=FINE["places"] | {"var/tmp": WRITES}) == []


def test_what_hangs_on_groups_that_nobody_told_is_a_warning():
    ((severity, message),) = judged("www-data", places=FINE["places"] | {"web": place(mode="775")})
    assert severity == WARNING and "if it is in their groups" in message


def test_entries_that_may_be_the_pools_own_are_an_error():
    facts = FINE | {"tree": HEALTHY.tree | {"n_foreign": 3}}
    ((severity, message),) = judged("php-a", "www-data", **facts)
    assert severity == ERROR and "3 entries" in message
    assert judged("www-data", **facts) == []


OUTSIDE = POOL.replace(b"/srv/a.test/var/run/fpm.sock", b"/run/php/a.sock")


@pytest.mark.parametrize(
    ("mounts", "pool", "refused"),
    [
        ("rw:/", POOL, False),
        ("", POOL, False),
        ("ro:/ rw:/srv/a.test/var", POOL, True),
        ("ro:/ rw:/srv/a.test/var rw:/srv/a.test/web", POOL, True),
        ("ro:/ rw:/srv/a.test", POOL, False),
        ("ro:/ rw:/srv", POOL, False),
        ("ro:/ rw:/srv/a.test/var", OUTSIDE, True),
        ("ro:/ rw:/srv/b.test", OUTSIDE, False),
        ("rw:/ ro:/srv", POOL, True),
        ("ro:/ rw:/srv rw:/ rw:/srv", POOL, False),
    ],
)
def test_a_sandbox_that_leaves_the_new_places_out(mounts, pool, refused):
    row = f"fpm=7\t/etc/php/8.2/fpm/php-fpm.conf\tphp8.2-fpm.service\t{mounts}\n"
    masters = read_capabilities(split_sections(row.encode()), "").masters
    listens = frozenset({"/srv/a.test/var/run/fpm.sock", "/run/php/a.sock"})
    facts = seen(
        fpm=(fpm_config(pool),),
        capabilities=replace(HEALTHY.capabilities, masters=masters),
        listening=listens,
    )
    found = [f for f in validate(DOMAIN, "/srv/a.test", facts, serving(facts)) if "lets php-fpm" in f.message]
    assert [f.blocks for f in found] == [True] * refused
    assert all("ReadWritePaths=/srv/a.test " in f.hint for f in found)


def test_a_sandbox_is_seen_by_where_the_folder_really_is():
    row = "fpm=7\t/etc/php/8.2/fpm/php-fpm.conf\tu.service\tro:/ rw:/data\\040s/a.test\n"
    masters = read_capabilities(split_sections(row.encode()), "").masters
    facts = seen(real="/data s/a.test", capabilities=replace(HEALTHY.capabilities, masters=masters))
    assert not [f for f in validate(DOMAIN, "/srv/a.test", facts, serving(facts)) if "lets php" in f.message]
