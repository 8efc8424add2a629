"""Who serves: the php-fpm that runs, and the account that nginx names."""

from dataclasses import replace

import pytest
from vhost_facts import CAN, FPM_MAIN, POOL, fpm_config, seen, service, serving
from web_config_cases import A_SITE, SHARED

from nsmig_tui.domain.findings import WARNING
from nsmig_tui.domain.nginx_load import load_nginx
from nsmig_tui.domain.surroundings import web_account
from nsmig_tui.domain.validation import validate

OLD_MAIN = "/etc/php/7.4/fpm/php-fpm.conf"
OLD = service(OLD_MAIN, {OLD_MAIN: b"[global]\n" + POOL}, binary="")


def test_a_php_fpm_that_does_not_run_is_left_out_with_a_word():
    facts = seen(fpm=(OLD, fpm_config()))
    served = serving(facts)
    assert served.fpm is not None and served.fpm.main == FPM_MAIN
    found = [f for f in validate("a.test", "/srv/a.test", facts, served) if f.severity != "passed"]
    assert [(f.severity, OLD_MAIN in f.message) for f in found] == [(WARNING, True)] and found[0].hint


def test_two_that_run_are_not_supported():
    both = replace(CAN, masters=(*CAN.masters, replace(CAN.masters[0], pid=8, conf=OLD_MAIN)))
    problems = serving(seen(fpm=(OLD, fpm_config()), capabilities=both)).problems
    assert any(p.severity == "critical" and "more than one" in p.message for p in problems)


def test_where_none_runs_nothing_is_left_out():
    problems = serving(seen(fpm=(OLD, fpm_config()), capabilities=replace(CAN, masters=()))).problems
    assert any(p.severity == "critical" for p in problems)


def test_one_that_runs_without_a_pool_of_the_vhost_leaves_nothing_out():
    facts = seen(fpm=(OLD, fpm_config(b"[www]\nlisten = /run/php/www.sock\n")))
    found = validate("a.test", "/srv/a.test", facts, serving(facts))
    assert any("no running php-fpm uses /etc/php/7.4" in f.message for f in found)


KNOWN = replace(
    CAN, users={"www-data": 33, "nginx": 101, "web": 500}, groups={"www-data": 33, "nginx": 102, "sites": 600}
)


@pytest.mark.parametrize(
    "line, worker, account",
    [
        (b"user nginx;", None, ("nginx", 101, 102)),
        (b"user nginx;", (33, 33), ("nginx", 101, 102)),
        (b"user www-data;", (101, 102), ("www-data", 33, 33)),
        (b"user web sites;", None, ("web", 500, 600)),
        (b"user 'web'  sites;", None, ("web", 500, 600)),
        (b"user web;", (500, 500), ("web", None, None)),
        (b"user ghost;", (33, 33), ("ghost", None, None)),
        (b"", (101, 102), ("nginx", 101, 102)),
        (b"", (65534, 65534), ("", 65534, 65534)),
        (b"", (0, 0), ("www-data", 33, 33)),
        (b"", None, ("www-data", 33, 33)),
        (b"map $x $y { user nginx; }", None, ("www-data", 33, 33)),
    ],
)
def test_the_web_server_is_who_nginx_says(line, worker, account):
    main = b"http { include /etc/nginx/sites-enabled/*; }\n"
    block = line if line.startswith(b"user") else b""
    http = main if not line.startswith(b"map") else b"http { " + line + b" }\n"
    texts = SHARED | {"/etc/nginx/nginx.conf": block + b"\n" + http, "/etc/nginx/sites-enabled/a": A_SITE}
    order = {"/etc/nginx/nginx.conf": texts.pop("/etc/nginx/nginx.conf"), **texts}
    can = web_account(replace(KNOWN, web_worker=worker), load_nginx(order))
    assert (can.web_user, can.web_uid, can.web_gid) == account


def test_without_a_configuration_the_workers_tell():
    assert web_account(replace(KNOWN, web_worker=(101, 102)), None).web_gid == 102
    assert web_account(KNOWN, None) == KNOWN
