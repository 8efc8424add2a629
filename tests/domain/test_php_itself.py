"""What is for all sites of a php-fpm, its own settings and php.ini, and names moving places of a vhost."""

from dataclasses import replace

import pytest
from vhost_facts import DOMAIN, FPM_MAIN, HEALTHY, POOL, VNODE, seen, service, serving

from nsmig_tui.domain.options import MigrateOptions
from nsmig_tui.domain.planning import make_plan
from nsmig_tui.domain.readings import Reference
from nsmig_tui.domain.validation import validate

UPATH = "/srv/a.test"
NO_EXCHANGE = replace(HEALTHY.capabilities, exchange="none")


def plan(given, **options):
    return make_plan(VNODE, DOMAIN, given, serving(given), MigrateOptions(**options), "20260101-000000")


def judged(given):
    return [f for f in validate(DOMAIN, UPATH, given, serving(given)) if f.severity != "passed"]


def with_global(*lines: bytes, main=FPM_MAIN, **files: bytes):
    text = b"[global]\n" + b"\n".join(lines) + b"\ninclude=/etc/php/8.2/fpm/pool.d/*.conf\n"
    texts = {main: text, "/etc/php/8.2/fpm/pool.d/a.conf": POOL}
    texts |= {path.replace("__", "/"): content for path, content in files.items()}
    return service(main, texts, binary="/usr/sbin/php-fpm8.2")


@pytest.mark.parametrize(
    ("line", "severities"),
    [
        (b"error_log = /srv/a.test/var/log/php-fpm.log", ["error"]),
        (b"pid = /srv/a.test/var/run/fpm.pid", ["error"]),
        (b"error_log = /srv/a.test/web/../var/log/x", ["error"]),
        (b"error_log = /srv/a.test/etc/x.log", ["warning"]),
        (b"error_log = /srv/b.test/var/log/x.log", []),
        (b"error_log = /var/log/php8.2-fpm.log", []),
        (b"; error_log = /srv/a.test/var/log/php-fpm.log", []),
    ],
)
def test_php_fpms_own_settings(line, severities):
    given = seen(fpm=(with_global(line),))
    found = judged(given)
    assert [f.severity for f in found] == severities
    assert all(f.hint and FPM_MAIN in f.message for f in found)
    assert plan(given).keep_legacy == (("etc",) if severities == ["warning"] else ())


def test_a_php_fpm_that_does_not_run_gets_a_word_only():
    other = "/etc/php/7.4/fpm/php-fpm.conf"
    idle = service(other, {other: b"[global]\nerror_log=/srv/a.test/var/log/x\n"})
    found = judged(seen(fpm=(*HEALTHY.fpm, idle)))
    assert [f.severity for f in found] == ["warning"] and other in found[0].message


@pytest.mark.parametrize(("place", "severity"), [("etc", "warning"), ("web", "error")])
def test_pools_that_php_fpm_reads_from_the_vhost(place, severity):
    path = f"/srv/a.test/{place}/pool.conf"
    config = with_global(b"include=/srv/*/*/pool.conf", **{path.replace("/", "__"): b"[x]\nlisten=/run/x\n"})
    given = seen(fpm=(config,))
    assert plan(given).keep_legacy == (("etc",) if place == "etc" else ())
    assert ("error" in [f.severity for f in judged(given)]) is (severity == "error")


INI = "/etc/php/8.2/fpm/conf.d/99-pre.ini"


@pytest.mark.parametrize(
    ("path", "needed"),
    [("web/preload.php", True), ("var/log/php.log", True), ("var/tmp", True), ("etc/x.ini", False)],
)
def test_what_php_ini_names_needs_its_link(path, needed):
    given = seen(references=(Reference("php.ini", INI, "1", f"{UPATH}/{path}"),))
    made = plan(given)
    assert made.blocked == () and (made.compat_web or made.compat_var) is needed
    never = plan(given, compat="never").blocked
    assert len(never) == needed and all(INI in why and path in why for why in never)
    assert [f for f in judged(given) if f.blocks] == []
    without = replace(given, capabilities=NO_EXCHANGE)
    assert len([f for f in judged(without) if f.blocks and f.hint]) == (needed and "web" in path)


@pytest.mark.parametrize(
    ("file", "path", "needed"),
    [
        ("/etc/systemd/system/php8.2-fpm.service.d/sandbox.conf", "var/log", True),
        ("/etc/systemd/system/php8.2-fpm.service.d/sandbox.conf", "var", True),
        ("/etc/systemd/system/nginx.service", "web/app.sock", True),
        ("/etc/systemd/system/php8.2-fpm.service.d/sandbox.conf", "etc/x", False),
        ("/etc/systemd/system/backup.service", "var/log", False),
    ],
)
def test_a_service_whose_unit_names_old_places_would_not_start_without_links(file, path, needed):
    given = seen(references=(Reference("systemd", file, "3", f"{UPATH}/{path}"),))
    assert plan(given).blocked == () and plan(replace(given, capabilities=NO_EXCHANGE)).blocked == ()
    never = plan(given, compat="never").blocked
    assert len(never) == needed and all(file in why and "--compat never" in why for why in never)


def test_what_cron_names_may_do_without_a_link():
    given = seen(references=(Reference("cron", "/etc/cron.d/a", "1", f"{UPATH}/web/cron.php"),))
    assert plan(given, compat="never").blocked == ()
