"""Who outside of the site names an old path, and what follows of it: links, what stays, words to people."""

from base64 import b64encode
from dataclasses import replace

import pytest
from vhost_facts import DOMAIN, HEALTHY, UPATH, VNODE, seen, serving

from nsmig_tui.domain.findings import PASSED, WARNING
from nsmig_tui.domain.options import MigrateOptions
from nsmig_tui.domain.planning import make_plan
from nsmig_tui.domain.readings import Reference, VnodeReading, read_inspection
from nsmig_tui.domain.validation import validate


def ref(kind, text, file="/etc/x", line="3"):
    return Reference(kind, file, line, text)


def planned(facts, **options):
    return make_plan(VNODE, DOMAIN, facts, serving(facts), MigrateOptions(**options), "20260101-000000")


def judged(facts):
    found = validate(DOMAIN, UPATH, facts, serving(facts))
    return [f for f in found if f.severity != PASSED and "root opens log" not in f.message]


@pytest.mark.parametrize("kind", ["dovecot", "postfix", "opendkim", "certbot", "/usr/local"])
@pytest.mark.parametrize("name", ["etc", "bin"])
def test_what_a_service_names_stays(kind, name):
    plan = planned(seen(references=(ref(kind, f"{UPATH}/{name}/ssl/full.pem"),)))
    assert plan.keep_legacy == (name,) and plan.values["LEGACY_KEEP"] == name
    assert not plan.compat_web and not plan.compat_var


JOB = ref("vhost/bin", f"{UPATH}/web/cron.php", f"{UPATH}/bin/job")
CHAIN = (ref("vhost/etc", f"{UPATH}/bin/job", f"{UPATH}/etc/crontab"), JOB)


@pytest.mark.parametrize(
    ("references", "options", "keep", "links"),
    [
        ((JOB,), {}, (), False),
        ((JOB, ref("cron", f"{UPATH}/bin/job")), {}, ("bin",), True),
        (CHAIN, {}, (), False),
        ((*CHAIN, ref("cron", f"{UPATH}/etc/crontab")), {}, ("bin", "etc"), True),
        ((JOB,), {"backup": False}, (), True),
    ],
)
def test_what_leaves_the_live_tree_names_nothing(references, options, keep, links):
    facts = seen(references=references, more_references={"vhost/bin": 3})
    plan = planned(facts, **options)
    assert (plan.keep_legacy, plan.compat_web) == (keep, links)
    if not options:
        told = [f for f in judged(facts) if "vhost/bin" in f.message]
        assert bool(told) == ("bin" in keep)


def test_a_pattern_of_a_shell_or_of_systemd_finds_the_vhost():
    for text in ("/srv/$d/web/wp-cron.php", "/srv/${d}/web", "/srv/%i/web", "/srv/$(x y)/web", "/srv/*/web"):
        glob = Reference("cron", "/etc/cron.d/all", "1", text)
        assert planned(seen(globs=(glob,))).compat_web, text
    glob = Reference("cron", "/etc/cron.d/all", "1", "/srv/$d/etc/ssl")
    assert planned(seen(globs=(glob,))).keep_legacy == ("etc",)
    (finding,) = judged(seen(globs=(glob,)))
    assert "stays" in finding.hint
    other = Reference("cron", "/etc/cron.d/all", "1", "/srv/$d/website")
    assert not planned(seen(globs=(other,))).compat_web


def test_what_was_not_searched_is_told_and_all_links_stay():
    facts = seen(unread=("/etc/large",))
    plan = planned(facts)
    assert plan.compat_web and plan.compat_var and plan.keep_legacy == ("bin", "etc")
    (finding,) = judged(facts)
    assert finding.severity == WARNING and "/etc/large was not searched" in finding.message and finding.hint


def test_a_link_is_told_as_one():
    (finding,) = judged(seen(references=(ref("logrotate", f"{UPATH}/etc/x", "/etc/logrotate.d/x", "0"),)))
    assert "/etc/logrotate.d/x is a link to an old path" in finding.message


HOMES = [
    ("web", "web/app/public", (True, False), ()),
    ("web/x", "web/app/public/x", (True, False), ()),
    ("var/log", "web/log", (False, True), ()),
    ("etc/x", None, (False, False), ("etc",)),
    (".ssh", None, (False, False), (".ssh",)),
    ("msg/x", None, (False, False), ()),
    ("home/x", None, (False, False), ()),
]


@pytest.mark.parametrize(("home", "new", "links", "keep"), HOMES)
def test_homes(home, new, links, keep):
    facts = seen(homes=(("ftp 1", f"{UPATH}/{home}"),))
    plan = planned(facts)
    assert ((plan.compat_web, plan.compat_var), plan.keep_legacy) == (links, keep)
    assert not any("loses its home" in w for w in plan.warnings)
    found = [f for f in judged(facts) if "home of" in f.message]
    command = f"usermod -d {UPATH}/{new} 'ftp 1'"
    assert [command in f.hint for f in found] == ([True] if new else [])
    lost = [w for w in planned(facts, compat="never").warnings if "loses its home" in w]
    assert [command in w for w in lost] == ([True] if new else [])


def test_what_nginx_and_php_fpm_include_is_no_user():
    """Their files are read as they read them, and rewritten."""

    def row(*parts):
        first, *rest = parts
        return "\t".join([*first.split(), *rest]) + "\n"

    def b64(text):
        return b64encode(text.encode()).decode()

    mine, other = "/opt/nginx/site.conf", "/opt/nginx/old.conf"
    rows = [row("ref x", b64(f), "1", b64(f"{UPATH}/web")) for f in (mine, other)]
    config = HEALTHY.nginx
    file = replace(config.files[0], path=mine, real=mine)
    before = VnodeReading(("x", "", ""), HEALTHY.capabilities, replace(config, files=(file,)), ())
    told = read_inspection(("@refs\n" + "".join(rows) + "@unchanged\n").encode(), before)
    assert [r.file for r in told.references] == [other]
