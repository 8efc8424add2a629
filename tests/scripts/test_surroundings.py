"""What all vhosts of a vnode share is read again when something of it may have changed, else not."""

import os
import shutil
import subprocess
import sys
import time

import pytest
from scripts.conftest import next_second

from nsmig_tui.domain.readings import read_inspection
from nsmig_tui.remote.script_loader import load_script


@pytest.fixture
def vnode(sh):
    """A vhost on a vnode with nginx and php-fpm running, as far as their command lines say so."""
    etc = sh.root / "etc"
    for folder in ("nginx/sites-available", "nginx/sites-enabled", "nginx/conf.d", "php/8.2/fpm/pool.d"):
        (etc / folder).mkdir(parents=True)
    (etc / "nginx/nginx.conf").write_text(f"include {etc}/nginx/sites-enabled/*;\ninclude conf.d/*.conf;\n")
    (etc / "nginx/sites-available/a").write_text("server {}\n")
    (etc / "nginx/sites-enabled/a").symlink_to("../sites-available/a")
    (etc / "php/8.2/fpm/php-fpm.conf").write_text(f"include={etc}/php/8.2/fpm/pool.d/*.conf\n")
    (etc / "php/8.2/fpm/pool.d/a.conf").write_text("[a]\n")
    (etc / "passwd").write_text("www-data:x:33:33::/:/bin/false\n")
    (sh.root / "srv/a.test/web").mkdir(parents=True)
    (sh.root / "shims").mkdir()
    (sh.root / "shims/nginx").write_text("#!/bin/sh\n")
    (sh.root / "shims/nginx").chmod(0o755)
    sh.path = f"{sh.root}/shims:{sh.path}"
    titles = (
        f"nginx: master process nginx -c {etc}/nginx/nginx.conf -g x",
        f"php-fpm: master process ({etc}/php/8.2/fpm/php-fpm.conf)",
    )
    masters = [subprocess.Popen([title, "600"], executable="/bin/sleep") for title in titles]
    next_second()  # what has just been written may not be whole
    yield sh, etc, masters
    for master in masters:
        master.kill()
        master.wait()


def look(sh, before=None):
    """The raw answer, and what it means."""
    known = before.hangs_on if before else ()
    args = ("a.test", sh.root / "srv/a.test", os.getuid(), 33, "dry", *known)
    done = sh.run(load_script("inspect"), *args)
    assert done.returncode == 0, done.stderr
    return done.stdout, read_inspection(done.stdout, before)


def test_what_has_not_changed_is_not_read_again(vnode):
    sh, etc, _ = vnode
    raw, first = look(sh)
    assert b"@unchanged" not in raw and first.vnode is not None
    assert [f.path for f in first.nginx.files] == [
        f"{etc}/nginx/nginx.conf",
        f"{etc}/nginx/sites-enabled/a",
    ]
    (sh.root / "srv/a.test/web/new").touch()
    raw, second = look(sh, first.vnode)
    assert b"@unchanged" in raw and b"@nginx" not in raw
    assert (second.nginx, second.fpm, second.capabilities) == (first.nginx, first.fpm, first.capabilities)
    assert second.vnode == first.vnode
    assert "new" in second.entries["web"]


def test_the_web_server_is_told_as_nginx_names_it(vnode):
    sh, etc, _ = vnode
    (etc / "passwd").write_text("www-data:x:33:33::/:/bin/false\nweb:x:500:77::/:/bin/false\n")
    (etc / "group").write_text("www-data:x:33:\nsites:x:600:\nweb:x:501:\n")
    (etc / "nginx/nginx.conf").write_text(f"user  web sites; # us\ninclude {etc}/nginx/sites-enabled/*;\n")
    can = look(sh)[1].capabilities
    assert (can.users, can.groups) == (
        {"www-data": 33, "web": 500},
        {"www-data": 33, "sites": 600, "web": 501},
    )
    assert can.web_worker is None


def test_workers_are_those_of_our_masters(vnode):
    sh, etc, masters = vnode
    conf = f"{etc}/nginx/nginx.conf"
    child = (
        "import subprocess; subprocess.Popen(['nginx: worker process', '60'], executable='/bin/sleep').wait()"
    )
    title = f"nginx: master process nginx -c {conf} -g x"
    stranger = subprocess.Popen(["nginx: worker process", "60"], executable="/bin/sleep")
    try:
        assert look(sh)[1].capabilities.web_worker is None
        masters[0].kill()
        masters[0].wait()
        masters[0] = subprocess.Popen([title, "-c", child], executable=sys.executable)
        for _ in range(100):
            seen = look(sh)[1].capabilities.web_worker
            if seen:
                break
            time.sleep(0.05)
        assert seen == (os.geteuid(), os.getegid())
    finally:
        stranger.kill()
        stranger.wait()
        subprocess.run(["pkill", "-P", str(masters[0].pid)], check=False)


def edit_in_place(etc):
    (etc / "nginx/sites-available/a").write_text("server { }\n")


def edit_and_set_the_time_back(etc):
    path = etc / "nginx/sites-available/a"
    before = path.stat()
    path.write_text("SERVER {}\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def one_more_where_there_was_none(etc):
    (etc / "nginx/conf.d/more.conf").write_text("server {}\n")


def one_less(etc):
    (etc / "nginx/sites-enabled/a").unlink()


def another_behind_the_link(etc):
    (etc / "nginx/sites-enabled/a").unlink()
    (etc / "nginx/sites-enabled/a").symlink_to("../sites-available/b")


def one_more_pool(etc):
    (etc / "php/8.2/fpm/pool.d/b.conf").write_text("[b]\n")


def another_php(etc):
    (etc / "php/8.3/fpm").mkdir(parents=True)


def another_user(etc):
    (etc / "passwd").write_text("www-data:x:34:33::/:/bin/false\n")


CHANGES = (
    edit_in_place,
    edit_and_set_the_time_back,
    one_more_where_there_was_none,
    one_less,
    another_behind_the_link,
    one_more_pool,
    another_php,
    another_user,
)


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_seen(vnode, change):
    sh, etc, _ = vnode
    _, first = look(sh)
    change(etc)
    raw, _ = look(sh, first.vnode)
    assert b"@unchanged" not in raw and b"@capabilities" in raw and b"@nginx" in raw


@pytest.mark.parametrize("which", [0, 1], ids=["nginx", "php-fpm"])
def test_a_master_that_is_gone_is_seen(vnode, which):
    sh, _, masters = vnode
    _, first = look(sh)
    masters[which].kill()
    masters[which].wait()
    raw, second = look(sh, first.vnode)
    assert b"@unchanged" not in raw
    assert second.vnode is None, "it may be started at any time"


def test_after_another_boot_all_is_read(vnode):
    sh, _, _ = vnode
    _, first = look(sh)
    places, states, masters = first.vnode.hangs_on
    boot, _, rest = masters.partition("\n")
    raw, _ = look(sh, type(first.vnode)((places, states, f"{boot[::-1]}\n{rest}"), None, None, ()))
    assert b"@unchanged" not in raw


def test_what_changed_in_the_second_of_reading_is_not_built_on(vnode):
    sh, etc, _ = vnode
    for _ in range(10):
        edit_in_place(etc)
        _, first = look(sh)
        if int((etc / "nginx/sites-available/a").stat().st_ctime) >= first.capabilities.now:
            break
    else:
        pytest.fail("every reading began in another second than the change before it")
    assert first.vnode is None


def test_includes_from_any_number_of_folders_are_always_read(vnode):
    sh, etc, _ = vnode
    (etc / "nginx/nginx.conf").write_text(f"include {etc}/nginx/*/a;\n")
    next_second()
    _, first = look(sh)
    assert [f.path for f in first.nginx.files][1:] == [
        f"{etc}/nginx/sites-available/a",
        f"{etc}/nginx/sites-enabled/a",
    ]
    assert first.vnode is None


INCLUDES = r"""include parts/1;
server { include	"parts/2" ; location / { include 'parts/3'; include parts/4;include parts/5; } }
include
    parts/6
    ;
include # the next line says what; not parts/no1
    # include parts/no2;
    parts/7; # include parts/no3;
#include parts/no4;
return 200 "# x"; include parts/8;
include parts/9;# include parts/no5;
log_format x '$include'; proxy_set_header include_x 1;
include "parts/with a blank";
include
parts/crlf
;
no_include parts/no6;
"""


@pytest.mark.parametrize("awk", ["mawk", "busybox awk"])
def test_every_form_of_include_is_read(vnode, awk):
    sh, etc, _ = vnode
    program = shutil.which(awk.split()[0])
    assert program is not None
    (sh.root / "shims/awk").write_text(f'#!/bin/sh\nexec {program} {awk.partition(" ")[2]} "$@"\n')
    (sh.root / "shims/awk").chmod(0o755)
    wanted = [*map(str, range(1, 10)), "with a blank", "crlf"]
    (etc / "nginx/parts").mkdir()
    for name in (*wanted, *(f"no{n}" for n in range(1, 7))):
        (etc / f"nginx/parts/{name}").write_text("")
    text = INCLUDES.replace("include\nparts/crlf\n", "include\r\nparts/crlf\r\n")
    (etc / "nginx/sites-available/a").write_bytes(text.encode())
    (etc / "nginx/conf.d/z.conf").write_text("include parts/1;\n")
    _, seen = look(sh)
    read = {f.path.partition("/parts/")[2] for f in seen.nginx.files} - {""}
    assert read == set(wanted)
