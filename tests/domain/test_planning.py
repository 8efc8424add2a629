"""One plan is shown, run and undone: it must be whole, quoted for a shell, and lose nothing."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vhost_facts import (
    DOMAIN,
    HEALTHY,
    POOL,
    POOL_WITH_TMP,
    VNODE,
    fpm_config,
    nginx_config,
    place,
    places,
    seen,
    serving,
    without,
)

from nsmig_tui.domain.fleet import Vnode
from nsmig_tui.domain.nginx_sites import Site
from nsmig_tui.domain.old_paths import climbs, names
from nsmig_tui.domain.options import MigrateOptions
from nsmig_tui.domain.planning import make_plan, plan_text
from nsmig_tui.domain.readings import Inspection, Reference
from nsmig_tui.domain.surroundings import Serving
from nsmig_tui.domain.validation import validate

STAMP = "20260101-000000"
UPATH = "/srv/a.test"
A_FILE = "/etc/nginx/sites-enabled/a"


def plan_for(facts=HEALTHY, **options):
    return make_plan(VNODE, DOMAIN, facts, serving(facts), MigrateOptions(**options), STAMP)


PREPENDED = (
    b"server { server_name a.test; set $base /srv/a.test; include common.conf;"
    b' fastcgi_param PHP_VALUE "auto_prepend_file=/srv/a.test/etc/x"; }'
)


def ref(text, kind="cron"):
    return Reference(kind, "/etc/cron.d/a", "1", text)


def test_a_healthy_vhost_has_a_whole_plan():
    plan = plan_for()
    assert plan.blocked == ()
    assert plan.values["HOLD"] == "app"
    assert plan.values["OLD_SOCKETS"] == f"{UPATH}/var/run/fpm.sock"
    assert plan.values["NEW_SOCKETS"] == f"{UPATH}/web/run/fpm.sock"
    assert plan.values["FPM_UNIT"] == "php8.2-fpm.service"
    assert int(plan.values["NEED_KB"]) * 1024 >= 2 * plan.sizes["allocated"]
    assert (plan.values["UIDN"], plan.values["GIDN"]) == ("1003", "33")
    assert (plan.values["WEB_INO"], plan.values["LOG_INO"], plan.values["TMP_INO"]) == ("11", "14", "")
    assert not (plan.compat_web or plan.compat_var or plan.keep_legacy or plan.climbing)


@pytest.mark.parametrize(
    "tools, ionice, words",
    [
        ({"ionice"}, "best-effort", "ionice -c 2 -n 7"),
        ({"ionice"}, "idle", "ionice -c 3"),
        ({"ionice"}, "none", ""),
        ({"nice"}, "idle", ""),
    ],
)
def test_the_disks_are_left_to_the_sites_where_the_vnode_can(tools, ionice, words):
    facts = replace(HEALTHY, capabilities=replace(HEALTHY.capabilities, tools=frozenset(tools)))
    values = plan_for(facts, ionice=ionice, nice=3).values
    assert (values["IONICE"], values["NICE"]) == (words, "3")


STAGES = {"nginx": {"bridge", "transition", "final"}, "fpm": {"apart", "both", "both_t", "final"}}


@pytest.mark.parametrize("pool", [None, POOL_WITH_TMP])
def test_every_file_has_every_stage_of_its_kind(pool):
    facts = seen(fpm=(fpm_config(pool),)) if pool else HEALTHY
    plan = plan_for(facts)
    files = plan.run_files(b"runner", {"RUN": "r1"})
    listed = [line.split("\t") for line in files["conf/list"].decode().splitlines()]
    assert {kind for _, kind, _, _ in listed} == {"nginx", "fpm"}
    for number, kind, sha, path in listed:
        stages = {name.split(".")[1] for name in files if name.startswith(f"conf/{number}.")}
        assert stages == (STAGES[kind] if sha != "absent" else stages & STAGES[kind]), path
        assert "final" in stages
        assert b"/srv/a.test/var/run/fpm.sock" not in files[f"conf/{number}.final"]
    assert [sha == "absent" for _, _, sha, _ in listed] == sorted(
        (sha == "absent" for _, _, sha, _ in listed), reverse=True
    ), "new files come before those that include them"
    assert b"RUN=r1\n" in files["plan"] and files["runner.sh"] == b"runner"


def test_both_sockets_accept_while_nginx_changes_over():
    plan = plan_for()
    pool = next(c for c in plan.configs if c.path.endswith("pool.d/a.conf"))
    assert b"/srv/a.test/web/run/fpm.sock" in pool.stages["both"]
    assert b"/srv/a.test/var/run/fpm.sock" in pool.stages["both"]
    assert b"/srv/a.test/var/" not in pool.stages["final"]


def test_pools_begin_elsewhere_while_web_may_be_missing():
    pool = next(c for c in plan_for().configs if c.path.endswith("pool.d/a.conf"))
    assert pool.stages["apart"] == pool.original.replace(
        b"chdir = /srv/a.test/web", b"chdir = /srv/.nsmig/a.test"
    )
    outside = POOL_WITH_TMP.replace(b"chdir = /srv/a.test/web", b"chdir = /")
    plan = plan_for(seen(fpm=(fpm_config(outside),)))
    assert not any("apart" in c.stages for c in plan.configs)


def test_a_migrated_vhost_is_not_planned_again():
    new = {name: place() for name in ("web/app", "web/app/public", "web/log", "web/run", ".archive")}
    kept = {name: place() for name in ("upath", "vpath", "web", "msg")}
    migrated = seen(places=kept | new, entries=HEALTHY.entries | {"web": ("app", "log", "run")})
    assert plan_for(migrated).blocked == ("a.test does not have the old layout",)
    assert (
        plan_for(seen(places=without(HEALTHY.places, "web"))).blocked
        == plan_for(seen(places={})).blocked
        != ()
    )
    assert plan_for(seen(places=places(web_app=place(), web_app_public=place()))).blocked == ()


VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30) | st.sampled_from(
    ["", "'", "''", "$(id)", "`id`", "a\nb\n", "\\", "\\'", '"', "-n", " x ", "%s", "~", "*", "!", "\udcff"]
)
SHELLS = [["dash"], ["busybox", "sh"]]


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.dictionaries(st.from_regex(r"[A-Z][A-Z_]{0,8}X", fullmatch=True), VALUES, max_size=6))
def test_a_shell_reads_back_exactly_what_was_planned(shell, values, tmp_path):
    if not shutil.which(shell[0]):
        pytest.skip(f"{shell[0]} is not installed here")
    (tmp_path / "plan").write_bytes(plan_text(values))
    order = sorted(values)
    script = ". ./plan\n" + "".join(f'printf "%s\\0" "${name}"\n' for name in order)
    done = subprocess.run([*shell, "-c", script], cwd=tmp_path, capture_output=True, check=True)
    read = done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]
    assert dict(zip(order, read, strict=True)) == values


@pytest.mark.parametrize(
    "entries, exchange, hold, warned",
    [
        (("index.html",), "mv", "app", False),
        (("application", "App"), "none", "app", False),
        (("app", "index.html"), "mv", ".nsmig-app", False),
        (("app",), "none", ".nsmig-app", True),
    ],
)
def test_content_with_an_entry_called_app_waits_beside(entries, exchange, hold, warned):
    facts = seen(
        entries=HEALTHY.entries | {"web": entries},
        capabilities=replace(HEALTHY.capabilities, exchange=exchange),
    )
    plan = plan_for(facts)
    assert plan.values["HOLD"] == hold
    assert any("called app" in w for w in plan.warnings) is warned
    bridge = b"".join(c.stages.get("bridge", b"") for c in plan.configs if c.kind == "nginx")
    assert f"web/{hold}/public".encode() in bridge
    final = b"".join(c.stages["final"] for c in plan.configs)
    assert b"web/app/public" in final and b".nsmig-app" not in final


NO_LINKS = b"server { server_name a.test; root /srv/a.test/web; %s location /x { %s } } %s"


@pytest.mark.parametrize(
    "own, inner, outer, way",
    [
        (b"", b"", b"", "mv"),
        (b"disable_symlinks on;", b"", b"", "none"),
        (b"", b"disable_symlinks if_not_owner from=$document_root;", b"", "none"),
        (b"", b"", b"disable_symlinks on;", "none"),
        (b"disable_symlinks off;", b"", b"disable_symlinks on;", "mv"),
        (b"disable_symlinks off;", b"disable_symlinks on;", b"", "none"),
    ],
)
def test_no_exchange_where_nginx_follows_no_links(own, inner, outer, way):
    facts = seen(nginx=nginx_config(NO_LINKS % (own, inner, outer)))
    assert plan_for(facts).values["XCHG"] == way
    within = replace(facts, entries=HEALTHY.entries | {"web": ("app",)})
    told = [f for f in validate(DOMAIN, UPATH, within, serving(within)) if "disable_symlinks" in f.message]
    assert [f.severity for f in told] == (["error"] if way == "none" else [])
    told = [f for f in validate(DOMAIN, UPATH, facts, serving(facts)) if "disable_symlinks" in f.message]
    assert [f.severity for f in told] == (["warning"] if way == "none" else [])


OLD_LINK = ((f"{UPATH}/web/l", f"{UPATH}/web/up/x"),)


@pytest.mark.parametrize(
    "facts, policy, web, var",
    [
        ({}, "auto", False, False),
        ({}, "always", True, True),
        ({"references": (ref(f"php {UPATH}/web/cron.php"),)}, "auto", True, False),
        ({"references": (ref(f"php {UPATH}/web/cron.php"),)}, "never", False, False),
        ({"references": (ref(f"{UPATH}/web:/tmp", "application"),)}, "auto", True, False),
        ({"references": (ref(f"x {UPATH}/etc/a {UPATH}/web"),)}, "auto", True, False),
        ({"references": (ref(f"{UPATH}/website"),)}, "auto", False, False),
        ({"references": (ref(f"/backup{UPATH}/web"),)}, "auto", False, False),
        ({"references": (ref(f"{UPATH}/var/log/*.log"),)}, "auto", False, True),
        ({"references": (ref(UPATH),)}, "auto", True, True),
        ({"globs": (ref("/srv/*/var/log/*.log", "logrotate"),)}, "auto", False, True),
        ({"globs": (ref("/srv/*/var/cache/*", "logrotate"),)}, "auto", False, False),
        ({"globs": (ref("/srv/b.*/var/log/*", "logrotate"),)}, "auto", False, False),
        ({"old_links": OLD_LINK}, "auto", True, False),
        ({"climbing": ((f"{UPATH}/web/l", "../var/log/x"),)}, "auto", False, True),
        ({"climbing": ((f"{UPATH}/web/l", "../web/x"),)}, "auto", True, False),
        ({"climbing": ((f"{UPATH}/web/l", "../msg/x"),)}, "auto", False, False),
    ],
)
def test_links_for_old_paths_where_they_are_used(facts, policy, web, var):
    plan = plan_for(seen(**facts), compat=policy)
    assert (plan.compat_web, plan.compat_var) == (web, var)
    assert (plan.values["COMPAT_WEB"], plan.values["COMPAT_VAR"]) == tuple(
        "all" if on else "none" for on in (web, var)
    )


RENEWAL = "/etc/letsencrypt/renewal/a.test.conf"


@pytest.mark.parametrize(
    ("kind", "file", "text", "wanted"),
    [
        ("certbot", RENEWAL, f"{UPATH}/web,", True),
        ("certbot", RENEWAL, f"{UPATH}/web", True),
        ("certbot", RENEWAL, f"{UPATH}/web/", True),
        ("certbot", "/root/.acme.sh/a.test/a.test.conf", f"{UPATH}/web'", True),
        ("certbot", RENEWAL, f"{UPATH}/web/public", False),
        ("certbot", RENEWAL, f"{UPATH}/etc/cert.pem", False),
        ("certbot", RENEWAL, f"/backup{UPATH}/web", False),
        ("cron", "/etc/cron.d/lego", f"{UPATH}/web", True),
        ("systemd", "/etc/systemd/system/dehydrated.service", f"{UPATH}/web", True),
        ("cron", "/etc/cron.d/a", f"{UPATH}/web/.well-known/acme-challenge", True),
        ("cron", "/etc/cron.d/a", f"{UPATH}/web/.well-knowns", False),
        ("cron", "/etc/cron.d/a", f"{UPATH}/web", False),
        ("cron", "/etc/cron.d/dehydrated", f"{UPATH}/web/cron.php", False),
    ],
)
def test_what_makes_tokens_at_the_old_place_finds_a_link_there(kind, file, text, wanted):
    facts = seen(references=(Reference(kind, file, "1", text),))
    assert plan_for(facts).values["WELL_KNOWN"] == ("1" if wanted else "")
    never = plan_for(facts, compat="never")
    assert never.values["WELL_KNOWN"] == ""
    assert any(file in warning and "renewed" in warning for warning in never.warnings) == wanted


@pytest.mark.parametrize(
    "facts, kept",
    [
        ({}, ()),
        ({"references": (ref(f"{UPATH}/bin/backup.sh"),)}, ("bin",)),
        ({"references": (ref(f"PATH={UPATH}/bin:/bin"),)}, ("bin",)),
        ({"references": (ref(f"{UPATH}/binary"),)}, ()),
        ({"references": (ref(f"{UPATH}/"),)}, ("bin", "etc")),
        ({"references": (ref(f"{UPATH}/.ssh/authorized_keys", "sshd"),)}, (".ssh",)),
        ({"old_links": ((f"{UPATH}/web/l", f"{UPATH}/etc/x"),)}, ("etc",)),
        ({"climbing": ((f"{UPATH}/web/a/l", "../../etc/x"),)}, ("etc",)),
        (
            {
                "nginx": nginx_config(
                    b"server { server_name a.test; include common.conf; ssl_certificate /srv/a.test/etc/x; }"
                )
            },
            ("etc",),
        ),
        ({"nginx": nginx_config(PREPENDED)}, ("etc",)),
        ({"nginx": nginx_config(PREPENDED.replace(b"/srv/a.test/", b"$base/"))}, ("etc",)),
    ],
)
def test_old_directories_stay_where_something_names_them(facts, kept):
    plan = plan_for(seen(**facts))
    assert plan.keep_legacy == kept
    assert plan.values["LEGACY_KEEP"] == " ".join(kept)
    assert all(any(w.startswith(f"{name} stays") for w in plan.warnings) for name in kept)


def test_sockets_of_others_keep_var_where_it_is():
    redis = f"{UPATH}/var/run/redis.sock"
    facts = seen(listening=HEALTHY.listening | {redis, "/run/other.sock"})
    told = [w for w in plan_for(facts).warnings if "socket" in w]
    assert len(told) == 1 and redis in told[0]
    assert not [w for w in plan_for().warnings if "socket" in w]


@pytest.mark.parametrize(
    "facts, moved",
    [
        ({}, False),
        ({"fpm": (fpm_config(POOL_WITH_TMP),)}, True),
        (
            {"fpm": (fpm_config(POOL + b"php_value[open_basedir] = /srv/a.test/web/x:/srv/a.test/var/\n"),)},
            True,
        ),
        ({"nginx": nginx_config(PREPENDED.replace(b"/etc/x", b"/var/tmp"))}, True),
        ({"references": (ref(f"upload_tmp_dir = {UPATH}/var/tmp", "application"),)}, True),
        ({"references": (ref(f"{UPATH}/var/tmp", "php.ini"),)}, True),
        ({"references": (ref(UPATH, "application"),)}, True),
        ({"fpm": (fpm_config(POOL_WITH_TMP),), "places": places(var_tmp=None)}, None),
    ],
)
def test_sessions_move_where_they_are_used(facts, moved):
    plan = plan_for(seen(**facts))
    assert plan.values["TMP_INO"] == ("16" if moved else "")
    if moved is not None:
        assert plan.relocate_tmp is moved


@pytest.mark.parametrize(
    ("file", "blocked"),
    [(A_FILE, True), ("/etc/nginx/sites-enabled", True), ("/etc/nginx/sites-enabled/b", False)],
)
def test_a_file_that_chattr_protects_blocks_the_plan_where_it_is_changed(file, blocked):
    facts = seen(nginx=nginx_config(fixed=(file,)))
    plan = plan_for(facts)
    said = [text for text in plan.blocked if "immutable or append-only" in text]
    found = [f for f in validate(DOMAIN, UPATH, facts, serving(facts)) if "append-only" in f.message]
    assert (bool(said), bool(found)) == (blocked, blocked)
    assert all(file in text and A_FILE in text for text in said)
    assert all(f.blocks and "chattr" in f.hint for f in found)


def test_a_file_with_another_name_by_a_hard_link_gets_a_word():
    facts = seen(nginx=nginx_config(linked=(A_FILE, "/etc/nginx/sites-enabled/b")))
    plan = plan_for(facts)
    assert plan.blocked == ()
    assert [text.split()[0] for text in plan.warnings if "hard link" in text] == [A_FILE]
    found = [f for f in validate(DOMAIN, UPATH, facts, serving(facts)) if "hard link" in f.message]
    assert [(f.severity, f.message.split()[0]) for f in found] == [("warning", A_FILE)]


def test_a_file_outside_our_reach_blocks_the_plan():
    nobody = make_plan(VNODE, DOMAIN, HEALTHY, serving(seen(nginx=None)), MigrateOptions(), STAMP)
    assert nobody.values["NGINX_PID"] == "/run/nginx.pid" and nobody.configs == ()
    links = ((f"{UPATH}/web/l", "../../../etc/passwd"), (f"{UPATH}/web/a/b", "../../public/x"))
    blocked = plan_for(seen(climbing=links)).blocked
    assert len(blocked) == 2 and all("would lead elsewhere" in why for why in blocked)


@pytest.mark.parametrize(
    "link, target, height",
    [("l", "x", 0), ("l", "../x", 1), ("a/l", "../x", 0), ("a/l", "../../x", 1), ("a/l", "../../../x", 2),
     ("l", "a/../../x", 1), ("l", "../web/x", 1), ("l", "..x/y", 0), ("l", "./.././x", 1), ("a//l", "..", 0)],
)  # fmt: skip
def test_how_far_a_link_climbs(link, target, height):
    assert climbs(f"{UPATH}/web/{link.replace('//', '/')}", target, UPATH) == height


def test_a_name_with_a_tab_or_newline_makes_no_line_of_its_own():
    plan = plan_for(seen(climbing=((f"{UPATH}/web/l", "../x\ty/z"), (f"{UPATH}/web/m", "../x\nweb/e\t/etc"))))
    assert len(plan.blocked) == 2 and plan.run_files(b"", {})["climb"] == b""


def test_names_end_at_component_boundaries():
    assert names("root=/srv/a.test/web;", "/srv/a.test/web")
    assert not names("/srv/a.test/web.old", "/srv/a.test/web")
    assert names("/srv/a.test/web2 /srv/a.test/web/x", "/srv/a.test/web")


FILES = ("web/f", "web/d/f", "web/d/e/f", "web/msg/f", "msg/f", "bin/f", "etc/f", "var/log/f", "var/tmp/f",
         "var/own/f", "other/f", "../b.test/web/f", "../shared/f")  # fmt: skip
LINKS = st.lists(
    st.tuples(st.sampled_from(["", "d/", "d/e/"]), st.integers(0, 2), st.sampled_from(FILES)),
    min_size=1,
    max_size=6,
)


def build(top: Path) -> Path:
    upath = top / "srv" / DOMAIN
    for name in FILES:
        path = Path(os.path.normpath(upath / name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return upath


def relocate(upath: Path, plan) -> None:
    """What the runner does to the tree, by plain means."""
    web, var, legacy = upath / "web", upath / "var", upath / ".archive/legacy"
    legacy.mkdir(parents=True)
    web.rename(upath / "content")
    (web / "app").mkdir(parents=True)
    (upath / "content").rename(web / "app/public")
    (var / "log").rename(web / "log")
    if plan.relocate_tmp:
        (var / "tmp").rename(web / "tmp")
    elif (var / "tmp").exists():
        (var / "tmp").rename(legacy / "tmp")
    for name in {"bin", "etc"} - set(plan.keep_legacy):
        (upath / name).rename(legacy / name)
    if plan.compat_web:
        for entry in (web / "app/public").iterdir():
            if not os.path.lexists(web / entry.name):
                (web / entry.name).symlink_to(f"app/public/{entry.name}")
    if plan.compat_var:
        for name in ("log", "tmp"):
            if (web / name).is_dir():
                (var / name).symlink_to(f"../web/{name}")
    for at, to in plan.climbing:
        assert not os.path.lexists(upath / at)
        (upath / at).symlink_to(to)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(links=LINKS)
def test_relative_links_lead_to_the_same_places_after_the_migration(links, tmp_path):
    top = tmp_path / "world"
    shutil.rmtree(top, ignore_errors=True)
    upath = build(top)
    climbing, before = [], {}
    for number, (folder, height, file) in enumerate(links):
        ups = folder.count("/") + height
        start = os.path.normpath(upath / "web" / folder / "/".join([".."] * ups or ["."]))
        link = upath / "web" / folder / f"link{number}"
        link.symlink_to("../" * ups + os.path.relpath(os.path.normpath(upath / file), start))
        before[f"{folder}link{number}"] = os.stat(link).st_ino
        climbing.append((str(link), os.readlink(link)))
    facts = Inspection(
        places={"web": place(), "upath": place(), "var/tmp": place()},
        entries={"web": ("f", "d", "msg", *(f"link{n}" for n in range(len(links))))},
        climbing=tuple(climbing),
    )
    served = Serving(Site(DOMAIN, str(upath)), None)
    plan = make_plan(Vnode("vn1", vpath=str(top / "srv")), DOMAIN, facts, served, MigrateOptions(), STAMP)
    if plan.blocked:
        assert any(climbs(link, target, str(upath)) > 2 for link, target in climbing)
        return
    relocate(upath, plan)
    now = {name: os.stat(upath / "web/app/public" / name).st_ino for name in before}
    assert now == before


@pytest.mark.parametrize(("owners", "told"), [("foreign", 1), ("all", 1), ("keep", 0)])
def test_files_with_names_elsewhere_keep_their_owner(owners, told):
    facts = seen(tree=HEALTHY.tree | {"n_hardlink": 2})
    assert len([w for w in plan_for(facts, owners=owners).warnings if "2 file(s)" in w]) == told


def test_a_socket_that_stays_is_neither_new_nor_old():
    """Something accepts there already, and is never to go."""
    pool = POOL.replace(b"/srv/a.test/var/run/fpm.sock", b"/run/php/a.sock")
    plan = plan_for(seen(fpm=(fpm_config(pool),)))
    assert (plan.values["OLD_SOCKETS"], plan.values["NEW_SOCKETS"]) == ("", "")
    assert plan.values["FPM_CONF"]
