"""A dry run shows the very plan: the seven steps, each change, the trees before and after."""

import json

import pytest
from vhost_facts import DOMAIN, HEALTHY, PLACES, POOL_WITH_TMP, VNODE, fpm_config, place, seen, serving

from nsmig_tui.domain.describing import describe_plan, expected_seconds
from nsmig_tui.domain.fleet import STEPS
from nsmig_tui.domain.options import MigrateOptions
from nsmig_tui.domain.planning import make_plan
from nsmig_tui.domain.readings import Reference

UPATH = "/srv/a.test"
STAMP = "20260101-000000"
CRON = Reference("cron", "/etc/crontab", "1", f"{UPATH}/bin/x {UPATH}/web/y {UPATH}/var/log/z")
CERTBOT = Reference("certbot", "/etc/letsencrypt/renewal/a.conf", "3", f"{UPATH}/web,")
WITH_SSH = {
    "places": PLACES | {".ssh": place(mode="700")},
    "entries": HEALTHY.entries | {"top": (*HEALTHY.entries["top"], ".ssh")},
}

IN_RUN = HEALTHY.entries | {
    "run": ("a.pid", "d", "redis"),
    "socket": (f"{UPATH}/var/run/fpm.sock", f"{UPATH}/var/run/redis/s.sock"),
}


def described(facts=HEALTHY, **options):
    served = serving(facts)
    plan = make_plan(VNODE, DOMAIN, facts, served, MigrateOptions(**options), STAMP)
    return plan, describe_plan(plan, facts, served)


def changes(planned, step):
    return next(s["changes"] for s in planned.steps if s["name"] == step)


def moves(planned, what):
    rows = changes(planned, "structural_migration")
    return {(c["from"].removeprefix(UPATH), c["to"].removeprefix(UPATH)) for c in rows if c["what"] == what}


def test_seven_steps_and_every_planned_file_with_its_diff():
    plan, planned = described()
    assert tuple(s["name"] for s in planned.steps) == STEPS
    assert all(s["changes"] for s in planned.steps)
    shown = {c["to"]: c for c in changes(planned, "configuration_update")}
    assert shown.keys() == {c.path for c in plan.configs}
    for config in plan.configs:
        new = config.stages["final"].decode().splitlines()
        added = [
            line[1:]
            for line in shown[config.path]["diff"].splitlines()
            if line[:1] == "+" and line[:3] != "+++"
        ]
        assert added and set(added) <= set(new)
        assert shown[config.path]["what"] == ("create" if config.original is None else "edit")
    assert json.loads(json.dumps(planned.as_json()))["type"] == "plan"


@pytest.mark.parametrize(
    "facts, options, what, expected",
    [
        ({}, {}, "move", {("/web", "/web/app/public"), ("/var/log", "/web/log")}),
        (
            {"fpm": (fpm_config(POOL_WITH_TMP),)},
            {},
            "move",
            {("/web", "/web/app/public"), ("/var/log", "/web/log"), ("/var/tmp", "/web/tmp")},
        ),
        ({}, {"backup": False}, "put away", set()),
        (
            WITH_SSH,
            {},
            "put away",
            {(f"/{n}", f"/.archive/legacy-{STAMP}/{n}") for n in (".ssh", "bin", "etc", "var")},
        ),
        (
            {"references": (CRON,)},
            {},
            "link",
            {("/web/*", "app/public/*"), ("/var/log", "../web/log"), ("/var/run", "../web/run")},
        ),
        (
            {"references": (CRON,), "entries": IN_RUN},
            {},
            "move",
            {
                ("/web", "/web/app/public"),
                ("/var/log", "/web/log"),
                ("/var/run/a.pid", "/web/run/a.pid"),
                ("/var/run/d", "/web/run/d"),
            },
        ),
        (
            {"references": (CRON,), "entries": IN_RUN},
            {},
            "link",
            {("/web/*", "app/public/*"), ("/var/log", "../web/log")},
        ),
        (
            {"entries": IN_RUN},
            {},
            "put away",
            {(f"/{n}", f"/.archive/legacy-{STAMP}/{n}") for n in ("bin", "etc", "var/tmp")},
        ),
        (
            {"entries": HEALTHY.entries | {"var": (*HEALTHY.entries["var"], "spool")}},
            {},
            "put away",
            {(f"/{n}", f"/.archive/legacy-{STAMP}/{n}") for n in ("bin", "etc", "var/run", "var/tmp")},
        ),
        ({"references": (CRON,)}, {"compat": "never"}, "link", set()),
        ({"references": (CERTBOT,)}, {}, "create", {("", "/web/run"), ("", "/web/app/public/.well-known")}),
        (
            {"references": (CERTBOT,), "entries": {"web": (".well-known",)}},
            {},
            "create",
            {("", "/web/run")},
        ),
        ({"climbing": ((f"{UPATH}/web/l", "../msg/x"),)}, {}, "link", {("/web/app/msg", "../../msg")}),
    ],
)
def test_what_moves(facts, options, what, expected):
    _, planned = described(seen(**facts), **options)
    assert moves(planned, what) == expected


def test_what_something_names_is_not_put_away():
    _, planned = described(seen(references=(CRON,)))
    assert "/bin" not in {old for old, _ in moves(planned, "put away")}
    assert any(line.startswith("bin/") for line in planned.tree_after)


def test_the_archive_is_named_or_missed():
    _, with_archive = described()
    assert (
        changes(with_archive, "backup_creation")[0]["to"] == f"{UPATH}/.archive/pre-migration-{STAMP}.tar.gz"
    )
    _, without_one = described(backup=False)
    assert changes(without_one, "backup_creation") == [{"what": "no archive is made"}]
    assert any("no archive" in w for w in without_one.warnings)
    assert not any(line.startswith(".archive") for line in without_one.tree_after)


@pytest.mark.parametrize(
    "owners, words", [("foreign", "4 foreign entries"), ("all", "every entry"), ("keep", "")]
)
def test_owners(owners, words):
    _, planned = described(seen(tree=HEALTHY.tree | {"n_foreign": 4}), owners=owners)
    said = [c["what"] for c in changes(planned, "permissions_update") if c["what"] != "mode"]
    assert (len(said) == 1 and words in said[0]) if words else said == []


def test_modes_are_those_of_the_new_layout():
    _, planned = described()
    rows = {c["to"]: c["mode"] for c in changes(planned, "permissions_update") if c["what"] == "mode"}
    assert rows == {
        f"{UPATH}/{at}": f"{mode} 1003:33"
        for at, mode in [
            ("web", 755),
            ("web/app", 755),
            ("web/app/public", 755),
            ("web/log", 750),
            ("web/run", 750),
        ]
    }


def test_a_folder_of_sessions_that_moves_gets_its_mode():
    _, planned = described(seen(fpm=(fpm_config(POOL_WITH_TMP),)))
    rows = [c for c in changes(planned, "permissions_update") if c["to"] == f"{UPATH}/web/tmp"]
    assert [row["mode"] for row in rows] == ["750 1003:33"]


@pytest.mark.parametrize("names, often", [((), "twice"), (("run",), "three times")])
def test_how_often_php_is_reloaded(names, often):
    _, planned = described(seen(entries=HEALTHY.entries | {"web": names}))
    assert any(f"reload php-fpm {often}:" in c["what"] for c in changes(planned, "service_reload"))


def test_more_bytes_take_longer():
    assert 0 < expected_seconds(0) < expected_seconds(10**9) < expected_seconds(10**11)
