"""The nginx stand-in serves, and behaves at reload as the real one was measured to."""

from __future__ import annotations

import asyncio
import os

import pytest


def site_file(visitor, kind):
    return visitor.root / "etc/nginx/sites-available" / visitor.domain(kind)


def workers(visitor):
    """The children of the running master."""
    pid = int((visitor.root / "run/nginx.pid").read_text())
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as stat:
                    state, parent = stat.read().rsplit(")", 1)[1].split()[:2]
            except OSError:
                continue
            if int(parent) == pid and state != "Z":
                found.add(int(entry))
    return found


async def reload(visitor):
    before = workers(visitor)
    answer = await visitor.run("systemctl reload nginx")
    await visitor.until(lambda: bool(workers(visitor)) and not workers(visitor) & before, "a new worker")
    return answer


async def test_every_seeded_page_answers(visitor):
    for site in visitor.world.sites:
        for page in site.pages:
            status, body = await visitor.get(site.domain, page)
            assert (status, bool(body)) == (200, True), (site.domain, page, body)


@pytest.mark.parametrize(
    ("kind", "path", "status"),
    [
        ("shared", "/nothing", 404),
        ("shared", "/.htaccess", 403),
        ("shared", "/inc/", 403),
        ("own", "/inc/", 403),
        ("own", "/about", 301),
        ("own", "/about/na%C3%AFve%20caf%C3%A9.txt", 200),
        ("own", "/home/", 200),
        ("own", "/no.php", 404),
        ("own", "/../../../etc/passwd", 404),
        ("shared", "/log/changes.txt", 200),
    ],
)
async def test_statuses(visitor, kind, path, status):
    assert (await visitor.get(visitor.domain(kind), path))[0] == status


async def test_www_is_redirected_and_logs_are_written(visitor):
    domain = visitor.domain("own")
    assert (await visitor.get(f"www.{domain}", "/about"))[0] == 301
    await visitor.get(domain, "/style.css?probe=17")
    log = visitor.root / "srv" / domain / "var/log/access.log"
    assert "GET /style.css?probe=17 HTTP/1.1" in log.read_text()


async def test_a_changed_configuration_is_live_after_the_reload(visitor):
    conf = site_file(visitor, "own")
    conf.write_text(conf.read_text().replace("index.php index.html", "style.css"))
    assert b"<h1>" in (await visitor.get(visitor.domain("own"), "/"))[1]
    assert (await reload(visitor))[0] == 0
    assert b"font:" in (await visitor.get(visitor.domain("own"), "/"))[1]


async def test_a_bad_configuration_fails_the_test_and_the_old_one_stays(visitor):
    conf = site_file(visitor, "shared")
    conf.write_text(conf.read_text().replace("listen", "lissen"))
    before = workers(visitor)
    status, _out, errors = await visitor.run("nginx -t")
    assert status == 1
    assert b'[emerg] unknown directive "lissen" in ' in errors and b"test failed" in errors
    assert (await visitor.run("systemctl reload nginx"))[0] == 1
    await visitor.run("kill -HUP $(cat $NSMIG_ROOT/run/nginx.pid)")
    log = visitor.root / "var/log/nginx/error.log"
    await visitor.until(lambda: "[emerg]" in log.read_text(), "the master complained")
    assert workers(visitor) == before
    assert (await visitor.get(visitor.domain("shared"), "/"))[0] == 200


async def test_a_missing_log_directory_passes_the_reload_command_but_not_the_test(visitor):
    conf = site_file(visitor, "own")
    conf.write_text(conf.read_text().replace("var/log/error.log", "var/logs/error.log"))
    status, _out, errors = await visitor.run("nginx -t")
    assert status == 1 and b"failed (2: No such file or directory)" in errors
    assert (await visitor.run("systemctl reload nginx"))[0] == 0
    log = visitor.root / "var/log/nginx/error.log"
    await visitor.until(lambda: "[emerg]" in log.read_text(), "the master complained")
    assert (await visitor.get(visitor.domain("own"), "/"))[0] == 200


async def test_the_test_creates_logs_that_are_missing(visitor):
    conf = site_file(visitor, "own")
    conf.write_text(conf.read_text().replace("var/log/error.log", "var/log/new.log"))
    assert (await visitor.run("nginx -t"))[0] == 0
    assert (visitor.root / "srv" / visitor.domain("own") / "var/log/new.log").exists()


async def test_conditions_and_set_choose_a_root(visitor):
    top = visitor.root / "srv" / visitor.domain("shared")
    site_file(visitor, "shared").write_text(
        f"""server {{
            listen 80;
            server_name {visitor.domain("shared")};
            set $nsmig_root "{top}/web";
            if (-d {top}/other) {{ set $nsmig_root {top}/other; }}
            root $nsmig_root;
        }}"""
    )
    assert (await reload(visitor))[0] == 0
    assert (await visitor.get(visitor.domain("shared"), "/style.css"))[0] == 200
    (top / "other").mkdir()
    assert (await visitor.get(visitor.domain("shared"), "/style.css"))[0] == 404


async def test_no_request_is_lost_while_it_reloads(visitor):
    domain, going, answers = visitor.domain("own"), True, []

    async def ask():
        while going:
            answers.append((await visitor.get(domain, "/hello.php"))[0])

    asking = [asyncio.create_task(ask()) for _ in range(3)]
    for _ in range(4):
        await reload(visitor)
    going = False
    await asyncio.gather(*asking)
    assert answers and set(answers) == {200}


async def test_dump_names_each_file_once_and_dash_V_says_where_things_are(visitor):
    status, out, errors = await visitor.run("nginx -T")
    names = [line[21:-1] for line in out.decode().splitlines() if line.startswith("# configuration file ")]
    assert status == 0 and b"test is successful" in errors
    assert names[0] == f"{visitor.root}/etc/nginx/nginx.conf"
    assert f"{visitor.root}/etc/nginx/common.conf" in names and len(names) == len(set(names))
    _status, _out, said = await visitor.run("nginx -V")
    assert f"--conf-path={visitor.root}/etc/nginx/nginx.conf ".encode() in said
    assert f"--pid-path={visitor.root}/run/nginx.pid".encode() in said


async def test_a_worker_that_is_killed_is_replaced(visitor):
    before = workers(visitor)
    await visitor.run(f"kill -KILL {before.pop()}")
    await visitor.until(lambda: bool(workers(visitor)) and not workers(visitor) & before, "a new worker")
    assert (await visitor.get(visitor.domain("shared"), "/"))[0] == 200
