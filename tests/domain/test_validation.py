"""One fact bent, one judgement: which rule speaks, how severely, and when all is silent."""

from dataclasses import replace

import pytest
from vhost_facts import (
    CAN,
    DOMAIN,
    HEALTHY,
    PLACES,
    SETTINGS,
    fpm_config,
    nginx_config,
    place,
    places,
    seen,
    serving,
    without,
)

from nsmig_tui.domain.findings import (
    COMPLETENESS,
    CONFIGURATION,
    CRITICAL,
    ERROR,
    PASSED,
    SECURITY,
    SERVICES,
    STRUCTURE,
    USER,
    WARNING,
    vnode_trouble,
)
from nsmig_tui.domain.findings import (
    SETTINGS as SETTINGS_,
)
from nsmig_tui.domain.layout import OURS_IN_WEB
from nsmig_tui.domain.readings import Inspection, Reference
from nsmig_tui.domain.surroundings import serving_of
from nsmig_tui.domain.validation import STRUCTURAL, validate

UPATH = "/srv/a.test"
CATEGORIES = (SETTINGS_, USER, STRUCTURE, CONFIGURATION, COMPLETENESS, SERVICES, SECURITY)


def judged(facts):
    """What is found beyond ``passed``."""
    found = validate(DOMAIN, UPATH, facts, serving(facts))
    assert [c for c in CATEGORIES if c not in {f.category for f in found}] == []
    return [f for f in found if f.severity != PASSED]


def test_a_healthy_vhost_passes_in_seven_categories():
    found = validate(DOMAIN, UPATH, HEALTHY, serving(HEALTHY))
    assert [(f.severity, f.category) for f in found] == [(PASSED, c) for c in CATEGORIES]
    assert not any(f.blocks for f in found)


def entries(**more):
    return HEALTHY.entries | more


def tree(**more):
    return HEALTHY.tree | more


def can(**more):
    return {"capabilities": replace(CAN, **more)}


NEW_TOO = {name: place() for name in ("web_app_public", "web_log", "web_run")}
ROOTS = {name: place(uid=0) for name in ("var", "var_run", "var_tmp")}
FOREIGN = Reference("cron", "/etc/cron.d/a", "3", f"{UPATH}/web/cron.php")
PATTERN = Reference("logrotate", "/etc/logrotate.d/vhosts", "1", "/srv/*/var/log/*.log")
LITERAL_LOG = b"""server { server_name a.test; root /srv/a.test/web; access_log /srv/a.test/var/log/a.log;
  location ~ \\.php$ { fastcgi_pass unix:/srv/a.test/var/run/fpm.sock; } }"""

RULES = [
    ({"settings": SETTINGS | {"U_UID": "7"}}, WARNING, SETTINGS_, "U_UID"),
    ({"settings": SETTINGS | {"UPATH": "/home/x"}}, WARNING, SETTINGS_, "UPATH"),
    ({"settings": SETTINGS | {"UUSER": "other"}}, WARNING, SETTINGS_, "UUSER"),
    ({"settings": None}, WARNING, COMPLETENESS, "/root/.vhosts/a.test"),
    ({"settings": without(SETTINGS, "U_GID", "WPATH")}, WARNING, COMPLETENESS, "U_GID, WPATH"),
    ({"account": None}, ERROR, USER, "uid 1003"),
    (
        {
            "places": places(**ROOTS, web=place(uid=0)),
            "settings": without(SETTINGS, "U_UID") | {"U_UID": "0"},
        },
        ERROR,
        USER,
        "root",
    ),
    (can(web_gid=None), ERROR, USER, "www-data or nginx"),
    (can(exchange="none"), WARNING, SERVICES, "in one step"),
    ({"places": places(upath=place(mode="777"))}, ERROR, USER, "everybody may write"),
    ({"places": places(upath=place(mode="1757"))}, ERROR, USER, "everybody may write"),
    ({"places": places(upath=place("link", target="/x"))}, CRITICAL, STRUCTURE, "no real directory"),
    ({"places": places(**ROOTS, web=None)}, ERROR, STRUCTURE, "no web directory"),
    (
        {"places": places(**NEW_TOO), "entries": entries(web=OURS_IN_WEB)},
        CRITICAL,
        STRUCTURE,
        "both layouts are there at once",
    ),
    (
        {
            "places": places(**NEW_TOO, var=None, var_log=None, var_run=None, var_tmp=None),
            "entries": entries(web=OURS_IN_WEB),
        },
        ERROR,
        STRUCTURE,
        "new layout",
    ),
    ({"places": places(msg=place("other"))}, CRITICAL, STRUCTURE, "msg is no directory"),
    ({"places": places(msg=place(device="8"))}, CRITICAL, STRUCTURE, "another file system"),
    ({"places": places(vpath=place(uid=0, device="8"))}, CRITICAL, STRUCTURE, "file system of its own"),
    ({"mounts": (f"{UPATH}/web/nfs",)}, CRITICAL, STRUCTURE, "mount point"),
    ({"entries": HEALTHY.entries | {"soh": ("web/a\x01b",)}}, ERROR, STRUCTURE, "byte"),
    ({"immutable": (f"{UPATH}/web",)}, ERROR, STRUCTURE, "immutable"),
    ({"other_project": True}, CRITICAL, STRUCTURE, "quota project"),
    ({"apart": (f"{UPATH}/web/data",)}, CRITICAL, STRUCTURE, "btrfs subvolume"),
    ({"tree": tree(longest=3990)}, ERROR, STRUCTURE, "too long"),
    ({"tree": {}}, ERROR, STRUCTURE, "cannot look"),
    (
        {"entries": entries(top=(*HEALTHY.entries["top"], "notes\x1b[31m"))},
        WARNING,
        STRUCTURE,
        "'notes\\x1b[31m'",
    ),
    ({"entries": entries(var=("log", "run", "tmp", "cache"))}, WARNING, STRUCTURE, "cache"),
    ({"climbing": ((f"{UPATH}/web/l", "../../../etc/passwd"),)}, ERROR, STRUCTURE, "would lead elsewhere"),
    ({"listening": frozenset({"/run/other.sock"})}, ERROR, CONFIGURATION, "nothing listens on"),
    (can(masters=()), ERROR, SERVICES, "no running php-fpm"),
    ({"nginx": nginx_config(running=False)}, ERROR, SERVICES, "nginx is not running"),
    ({"nginx": nginx_config(test_rc=1, test_says="[emerg] x\ny")}, ERROR, SERVICES, "nginx -t fails"),
    ({"fpm": (fpm_config(test_rc=78, test_says="bad"),)}, ERROR, SERVICES, "php-fpm -t fails"),
    ({"fpm": (replace(fpm_config(), binary="", test_rc=None),)}, ERROR, SERVICES, "cannot test"),
    (
        {"mail": {"dovecot": True, "postfix": False}},
        WARNING,
        SERVICES,
        "postfix is installed, but does not run",
    ),
    (can(manager="none"), ERROR, SERVICES, "no service manager"),
    (
        {"places": PLACES | {".archive": place(mode="700")}},
        CRITICAL,
        SECURITY,
        ".archive does not belong to root",
    ),
    ({"places": places(var_run=place(uid=4711))}, WARNING, SECURITY, "var/run belongs to a foreign uid"),
    ({"places": PLACES | {".ssh": place(mode="700")}}, WARNING, SECURITY, ".ssh leaves"),
    ({"references": (FOREIGN,)}, WARNING, SECURITY, "cron: /etc/cron.d/a line 3"),
    ({"more_references": {"cron": 7}}, WARNING, SECURITY, "cron: and 7 more"),
    ({"globs": (PATTERN,)}, WARNING, SECURITY, "logrotate: /etc/logrotate.d/vhosts line 1"),
    ({"tree": tree(n_writable=2)}, WARNING, SECURITY, "directories that everybody"),
    (
        {"tree": tree(n_setuid=1), "odd": {"setuid": ("./web/\x1bsu",)}},
        WARNING,
        SECURITY,
        "files with setuid",
    ),
    ({"tree": tree(n_foreign=3)}, WARNING, SECURITY, "entries that belong neither"),
    ({"tree": tree(n_hardlink=1)}, WARNING, SECURITY, "hard links"),
    ({"tree": tree(n_special=1)}, WARNING, SECURITY, "pipes"),
    ({"tree": tree(n_oddname=1)}, WARNING, SECURITY, "control characters"),
    (
        {"nginx": nginx_config(LITERAL_LOG), "places": places(var_log=place())},
        WARNING,
        SECURITY,
        "root opens log files",
    ),
]


@pytest.mark.parametrize("changes, severity, category, words", RULES, ids=[f"{r[2]}: {r[3]}" for r in RULES])
def test_one_rule_speaks(changes, severity, category, words):
    found = judged(seen(**changes))
    assert [(f.severity, f.category) for f in found] == [(severity, category)], [f.message for f in found]
    assert words in found[0].message
    assert "\x1b" not in found[0].message + found[0].actual
    assert found[0].hint or not found[0].blocks, "what stands in the way must come with what to do"


NGINX_SAYS = """\
nginx: [warn] conflicting server name "a.test" on 0.0.0.0:80, ignored
nginx: the configuration file /etc/nginx/nginx.conf syntax is ok
nginx: [emerg] open() "/srv/a.test/var/log/access.log" failed (2: No such file or directory)
nginx: configuration file /etc/nginx/nginx.conf test failed
"""
FPM_SAYS = """\
[28-Nov-2026 08:59:51] NOTICE: PHP message: something
[28-Nov-2026 08:59:51] WARNING: [pool a] a pool that has no children to spare
[28-Nov-2026 08:59:51] ERROR: [pool a] the chdir path '/srv/a.test/web' does not exist or is not a directory
[28-Nov-2026 08:59:51] ERROR: failed to post process the configuration
"""


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"nginx": nginx_config(test_rc=1, test_says=NGINX_SAYS)}, "[emerg] open()"),
        ({"fpm": (fpm_config(test_rc=78, test_says=FPM_SAYS),)}, "the chdir path"),
        (
            {"nginx": nginx_config(test_rc=1, test_says="no words that we know\nfailed")},
            "no words that we know",
        ),
    ],
    ids=["nginx", "php-fpm", "unknown"],
)
def test_what_a_failed_test_found_is_its_reason_not_its_first_line(changes, reason):
    (found,) = judged(seen(**changes))
    assert reason in found.actual


def test_a_vhost_that_is_not_there_is_no_link_and_nothing_of_it_has_passed():
    found = judged(seen(places=ROOTS, entries={}, tree={}, account=None))
    structure = [f for f in found if f.category == STRUCTURE]
    assert [(f.severity, f.message) for f in structure] == [(CRITICAL, f"{UPATH} is not there")]
    assert "inks" not in structure[0].hint
    silent = {f.category: f for f in found if f.category in (USER, SECURITY)}
    assert {f.severity for f in silent.values()} == {ERROR} and len(silent) == 2
    assert all("cannot look" in f.message and f.hint for f in silent.values())


def test_a_service_that_is_down_is_its_vnodes_trouble():
    down = [
        can(masters=()),
        {"nginx": nginx_config(running=False)},
        {"nginx": nginx_config(test_rc=1, test_says="[emerg] x")},
        {"fpm": (fpm_config(test_rc=78, test_says="bad"),)},
    ]
    assert all(vnode_trouble(judged(seen(**changes))) for changes in down)
    own = {"tree": tree(longest=3990)}
    assert vnode_trouble(judged(seen(**own))) == ""
    assert "no running php-fpm" in vnode_trouble(judged(seen(**own, **can(masters=()))))
    assert "of_vnode" not in judged(seen(**down[0]))[0].row(), "rows are what users and the database see"


@pytest.mark.parametrize(
    ("text", "later"), [("web", True), ("web/.well-known/x", True), ("web/cron.php", False)]
)
def test_a_hint_does_not_promise_more_than_links_keep(text, later):
    (finding,) = judged(seen(references=(replace(FOREIGN, text=f"{UPATH}/{text}"),)))
    assert ("not what it makes there later" in finding.hint) == later


@pytest.mark.parametrize("name", STRUCTURAL)
def test_a_structural_link_is_critical(name):
    found = judged(seen(places=PLACES | {name: place("link", target="/etc")}))
    assert (CRITICAL, STRUCTURE, f"{name} is a link") in [(f.severity, f.category, f.message) for f in found]


def test_every_reference_that_was_told_is_shown():
    many = tuple(Reference("application", f"{UPATH}/web/{n}", "1", f"{UPATH}/web") for n in range(60))
    assert len(judged(seen(references=(*many, FOREIGN)))) == 61


def test_a_pattern_is_told_in_its_new_form():
    (finding,) = judged(seen(globs=(PATTERN,)))
    assert "/srv/*/web/log/*.log" in finding.hint and finding.actual == PATTERN.text


def test_mail_is_no_concern_of_a_vhost_without():
    assert judged(seen(mail={"postfix": False}, places=without(PLACES, "msg"))) == []


MISSING = ["var/tmp", "var/run", "var/log", "msg", "bin", "etc"]


@pytest.mark.parametrize("name", MISSING)
def test_what_the_migration_does_without_or_makes_is_no_fault(name):
    assert judged(seen(places=without(PLACES, name))) == []


def test_new_structure_in_the_content_is_no_fault():
    own = {"web/app": place(), "web/app/public": place(), "web/log": place()}
    assert judged(seen(places=PLACES | own)) == []


def test_an_unprivileged_demo_may_own_everything():
    facts = seen(places=places(**ROOTS, web=place(uid=0)), settings=None, **can(unprivileged=True))
    assert [f.severity for f in judged(facts)] == [WARNING]


BLIND = [
    ({"nginx": None}, "cannot look at nginx"),
    ({"nginx": nginx_config(b"server { server_name a.test;")}, "cannot be read"),
    ({"nginx": nginx_config(b"# nobody\n")}, "no nginx server block serves a.test"),
    ({"fpm": ()}, "no php-fpm pool listens there"),
    ({"tree": {}}, "cannot look through"),
]


@pytest.mark.parametrize("changes, words", BLIND, ids=[words for _, words in BLIND])
def test_cannot_look_is_never_not_there(changes, words):
    blocking = [f for f in judged(seen(**changes)) if f.blocks]
    assert any(words in f.message for f in blocking)


def test_no_answer_at_all_does_not_validate():
    nothing = Inspection()
    assert any(f.severity == CRITICAL for f in judged(nothing))


def test_a_site_served_from_elsewhere_is_refused():
    elsewhere = b"server { server_name a.test; root /var/www/a; access_log /srv/a.test/var/log/x; }"
    found = judged(seen(nginx=nginx_config(elsewhere), fpm=()))
    assert any(f.severity == ERROR and "web directory" in f.message for f in found)


@pytest.mark.parametrize(
    ("listen", "is_cut"),
    [("", False), ("/run/php/long.sock", False), ("UPATH/web/php.sock", True)],
    ids=["no PHP", "elsewhere", "in a place that gets longer"],
)
def test_a_socket_path_that_would_be_cut_is_an_error(listen, is_cut):
    domain = "a" * 60 + "." + "b" * 28
    listen = listen.replace("UPATH", f"/srv/{domain}")
    server = f"server {{ server_name {domain}; root /srv/{domain}/web; "
    server += f"location ~ \\.php$ {{ fastcgi_pass unix:{listen}; }} }}" if listen else "}"
    pool = f"[a]\nuser = a\nlisten = {listen}\n".encode()
    facts = seen(nginx=nginx_config(server.encode()), fpm=(fpm_config(pool),) if listen else ())
    served = serving_of(domain, f"/srv/{domain}", facts.nginx, facts.fpm, CAN)
    found = validate(domain, f"/srv/{domain}", facts, served)
    said = [f for f in found if f.blocks and "socket" in f.message and "too long" in f.message]
    assert bool(said) is is_cut, said


def test_keys_that_something_names_do_not_leave():
    """AuthorizedKeysFile of sshd, as an example: the plan keeps .ssh for it."""
    keys = replace(FOREIGN, kind="sshd", text=f"{UPATH}/.ssh/authorized_keys")
    places_now = PLACES | {".ssh": place(mode="700")}
    (finding,) = judged(seen(references=(keys,), places=places_now))
    assert finding.message == f"sshd: {keys.file} line {keys.line} names an old path"
