"""The php-fpm stand-in: reloads keep sockets, and what took the real one down takes it down too."""

from __future__ import annotations

import asyncio
import os
import stat
import time

import pytest


def pool_file(visitor, kind):
    return visitor.root / "etc/php/8.2/fpm/pool.d" / f"{visitor.domain(kind)}.conf"


def top(visitor, kind):
    return visitor.root / "srv" / visitor.domain(kind)


def reloads(visitor):
    """How many reloads came to an end well."""
    return (visitor.root / "var/log/php8.2-fpm.log").read_text().count("ready to handle connections")


async def reload(visitor):
    log = visitor.root / "var/log/php8.2-fpm.log"
    log.touch()
    before = reloads(visitor)
    assert (await visitor.run("php-fpm8.2 -t && systemctl reload php8.2-fpm"))[0] == 0
    await visitor.until(lambda: reloads(visitor) > before, "reloaded")


async def down(visitor):
    """Wait until the service has said why it cannot go on, and is not active any more."""
    log = visitor.root / "var/log/php8.2-fpm.log"
    log.touch()  # the reload that fails may be the first to write
    give_up = time.monotonic() + 30
    while (
        "FPM initialization failed" not in log.read_text()
        or (await visitor.run("systemctl is-active php8.2-fpm"))[1] == b"active\n"
    ):
        assert time.monotonic() < give_up
        await asyncio.sleep(0.05)
    return log.read_text()


async def test_sockets_have_their_mode_and_children_their_names(visitor):
    socket = top(visitor, "shared") / "var/run/fpm.sock"
    facts = socket.stat()
    assert stat.S_ISSOCK(facts.st_mode) and stat.S_IMODE(facts.st_mode) == 0o660
    _status, out, _errors = await visitor.run(
        "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null; echo; done"
    )
    lines = {line.strip() for line in out.decode().splitlines()}
    assert f"php-fpm: master process ({visitor.root}/etc/php/8.2/fpm/php-fpm.conf)" in lines
    assert f"php-fpm: pool {visitor.domain('shared')}" in lines


async def test_a_reload_keeps_wanted_sockets_binds_new_ones_and_unlinks_the_others(visitor):
    old = top(visitor, "own") / "var/run/fpm.sock"
    new = top(visitor, "own") / "web/fpm.sock"
    kept = (top(visitor, "shared") / "var/run/fpm.sock").stat().st_ino
    conf = pool_file(visitor, "own")
    conf.write_text(conf.read_text().replace("var/run/fpm.sock", "web/fpm.sock"))
    await reload(visitor)
    assert new.is_socket() and not old.exists()
    assert (top(visitor, "shared") / "var/run/fpm.sock").stat().st_ino == kept
    assert (await visitor.get(visitor.domain("own"), "/hello.php"))[0] == 502
    assert (await visitor.get(visitor.domain("shared"), "/hello.php"))[0] == 200


async def test_a_moved_socket_takes_php_down_at_the_reload(visitor):
    """The socket moved with its directory, the pool follows: -t and reload say yes, and PHP is gone."""
    os.rename(top(visitor, "own") / "var/run", top(visitor, "own") / "web/run")
    conf = pool_file(visitor, "own")
    conf.write_text(conf.read_text().replace("var/run/fpm.sock", "web/run/fpm.sock"))
    assert (await visitor.run("php-fpm8.2 -t && systemctl reload php8.2-fpm"))[0] == 0
    assert "Another FPM instance seems to already listen on" in await down(visitor)
    assert (await visitor.get(visitor.domain("shared"), "/hello.php"))[0] == 502
    assert (await visitor.run("systemctl reset-failed php8.2-fpm; systemctl start php8.2-fpm"))[0] == 0
    assert (await visitor.get(visitor.domain("shared"), "/hello.php"))[0] == 200


async def test_a_missing_socket_directory_passes_the_test_and_takes_php_down(visitor):
    conf = pool_file(visitor, "own")
    conf.write_text(conf.read_text().replace("var/run/fpm.sock", "nowhere/fpm.sock"))
    assert (await visitor.run("php-fpm8.2 -t && systemctl reload php8.2-fpm"))[0] == 0
    assert "unable to bind listening socket" in await down(visitor)
    status, _out, errors = await visitor.run("php-fpm8.2")
    assert (status, b"FPM initialization failed" in errors) == (78, True)


async def test_a_link_to_the_new_directory_before_the_reload_loses_the_new_socket(visitor):
    """Unwanted sockets are unlinked by path, and that path now leads to the new socket."""
    place = top(visitor, "own")
    os.rename(place / "var/run", place / "old-run")
    (place / "web/run").mkdir()
    (place / "var/run").symlink_to("../web/run")
    conf = pool_file(visitor, "own")
    conf.write_text(conf.read_text().replace("var/run/fpm.sock", "web/run/fpm.sock"))
    await reload(visitor)
    assert (await visitor.run("systemctl is-active php8.2-fpm"))[1] == b"active\n"
    assert not (place / "web/run/fpm.sock").exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("pm = dynamic", "pmx = dynamic", "unknown entry 'pmx'"),
        ("pm.max_children = 12", "", "please specify 'pm.max_children'"),
        ("chdir = ", "chdir = /nowhere", "the chdir path '/nowhere"),
    ],
)
async def test_dash_t_finds_what_the_real_one_finds(visitor, old, new, words):
    conf = pool_file(visitor, "own")
    conf.write_text(conf.read_text().replace(old, new))
    status, _out, errors = await visitor.run(
        'php-fpm8.2 -t --fpm-config "$NSMIG_ROOT/etc/php/8.2/fpm/php-fpm.conf"'
    )
    assert status == 78 and words in errors.decode()


async def test_the_last_listen_wins_and_the_first_php_value_wins(visitor):
    conf, place = pool_file(visitor, "shared"), top(visitor, "shared")
    more = f"listen = {place}/web/late.sock\nphp_value[session.save_path] = /late\n"
    conf.write_text(conf.read_text() + more)
    (place / "web/ini.php").write_text("<?= ini_get('session.save_path') ?>")
    await reload(visitor)
    assert (place / "web/late.sock").is_socket() and not (place / "var/run/fpm.sock").exists()
    shared = visitor.root / "etc/nginx/php.conf"
    shared.write_text(shared.read_text().replace("var/run/fpm.sock", "web/late.sock"))
    await visitor.run("systemctl reload nginx")
    saved = f"{place}/var/tmp".encode()
    give_up = time.monotonic() + 30
    while (await visitor.get(visitor.domain("shared"), "/ini.php"))[1] != saved:
        assert time.monotonic() < give_up


async def test_the_script_is_read_at_each_request_and_its_errors_are_logged(visitor):
    page = top(visitor, "own") / "web/hello.php"
    assert b"Hello from" in (await visitor.get(visitor.domain("own"), "/hello.php"))[1]
    page.write_text("<?php require '/nowhere/file.php'; ?>")
    assert (await visitor.get(visitor.domain("own"), "/hello.php"))[0] == 500
    assert "Failed opening required" in (top(visitor, "own") / "var/log/php-errors.log").read_text()
    page.write_text("plain")
    assert await visitor.get(visitor.domain("own"), "/hello.php") == (200, b"plain")


async def test_systemctl_tells_state_and_refuses_what_does_not_run(visitor):
    show = "systemctl show -p MainPID,ActiveState --value php8.2-fpm.service"
    pid = (visitor.root / "run/php/php8.2-fpm.pid").read_text().strip()
    assert (await visitor.run(show))[1].decode().split() == [pid, "active"]
    assert (await visitor.run("systemctl stop php8.2-fpm && systemctl is-active php8.2-fpm"))[:2] == (
        3,
        b"inactive\n",
    )
    assert (await visitor.run("systemctl reload php8.2-fpm"))[0] == 1
    assert (await visitor.run("systemctl reload sshd"))[0] == 5
