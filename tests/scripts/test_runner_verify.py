"""The tree against its manifest: what others changed meanwhile is named, what we did is found."""

import os
import shutil
import time

import pytest

PARTS = (
    "prelude",
    "walk",
    "run_base",
    "run_notes",
    "run_look",
    "run_pins",
    "run_manifest",
    "run_again",
    "run_backup",
    "run_verify",
)
SETUP = """
J=$R/j CUR=$R/j/cur S=$R/s RD=$R/rd CRASH_AT=0 FAIL_AT= NICE=0 LOWERED=1 WEB_INO=1 OWNER=7:8
mkdir -p "$CUR" "$S" "$RD"
find_prints || :
seek_content() { CONTENT=$R/content; }
in_dir() { (cd "$1" && shift 2 && "$@"); }
"""
WRITE = 'cd "$R/top" && make_manifest "$CUR/manifest"'
COMPARE = 'differences "$CUR/manifest" "$1"; cat "$S/differences"'
FILES = ("page", "mode", "times", "gone", "old/a", "old/deep/b", "rel/q", "busy/kept", "given", "sub/x")


def run(sh, then, *args):
    done = sh.run(sh.parts(*PARTS, then=SETUP + then), *args)
    assert (done.returncode, done.stderr) == (0, b""), done
    return sorted(done.stdout.decode().splitlines())


@pytest.fixture
def top(sh):
    """A vhost's top whose manifest is written; what stays of it has times of long ago."""
    web = sh.root / "top/web"
    for name in FILES:
        (web / name).parent.mkdir(parents=True, exist_ok=True)
        (web / name).write_text(name)
    (web / "next").mkdir()
    (web / "next/q").write_text("another")
    for folder, _, names in os.walk(web, topdown=False):
        for name in (*names, ""):
            os.utime(os.path.join(folder, name), (10**9, 10**9))
    run(sh, WRITE)
    return web


def a_second_later():
    began = int(time.time()) + 1
    while time.time() < began:
        time.sleep(0.01)
    return began


def test_names_with_backslashes_end_the_search_for_a_folder(sh, top):
    """A manifest writes backslash, TAB and newline with a backslash, at which the awk of BusyBox stumbles."""
    odd = top / "a\\b/tab\there"
    odd.mkdir(parents=True)
    (odd / "two\nlines").write_text("words")
    for path in (odd / "two\nlines", odd, odd.parent, top):
        os.utime(path, (10**9, 10**9))
    run(sh, WRITE)
    began = a_second_later()
    content = sh.root / "content"
    os.rename(top, content)
    shutil.rmtree(content / "a\\b")
    (content / "new\\").mkdir()
    (content / "new\\/fi\\le").write_text("words")
    lost = (r"a\\b", r"a\\b/tab\there", r"a\\b/tab\there/two\nlines")
    came = (r"new\\", r"new\\/fi\\le")
    assert run(sh, COMPARE, began) == sorted(f"live\t./{name}" for name in (*lost, *came))


def test_what_others_change_is_live(sh, top):
    began = a_second_later()
    content = sh.root / "content"
    os.rename(top, content)
    assert run(sh, COMPARE, began) == []
    content.chmod(0o755)  # ours: what it is to be is looked at elsewhere
    (content / "mode").chmod(0o640)
    (content / "page").unlink()
    (content / "page").write_text("deployed")
    os.utime(content / "page", (10**9 + 5, 10**9 + 5))  # rsync -a
    (content / "busy/gone-soon").write_text("")
    os.rename(content / "old", content / "new")
    os.rename(content / "rel", content / "rel.old")
    os.rename(content / "next", content / "rel")
    (content / "gone").unlink()
    os.utime(content, (10**9 + 5, 10**9 + 5))
    found = run(sh, COMPARE, began)
    assert found and all(line.startswith("live\t") for line in found), found
    assert {line.split("\t")[1] for line in found} >= {
        "./mode", "./page", "./gone", "./old", "./old/deep/b", "./new/deep/b", "./rel/q", "./busy/gone-soon",
    }  # fmt: skip


def test_damage_of_our_own_is_found(sh, top):
    """Another tree in place of the content, and what was given to the account and is not as it was."""
    content = sh.root / "content"
    shutil.copytree(top, content)
    (content / "mode").chmod(0o600)
    shutil.rmtree(content / "old")
    (content / "sub/y").write_text("")
    for folder in (content / "sub", content):
        os.utime(folder, (10**9, 10**9))
    began = a_second_later()
    (sh.root / "j/cur/owners").write_bytes(b"0 0 644 ./given\0")
    (content / "given").chmod(0o611)
    assert run(sh, COMPARE, began) == [
        "changed\t./given", "changed\t./mode", "missing\t./old", "missing\t./old/a", "missing\t./old/deep",
        "missing\t./old/deep/b", "new\t./sub/y",
    ]  # fmt: skip


STARTS = """
VAR=$R/v FPM_CONF=$1 UPATH=/srv/a.test WHY=
mkdir -p "$VAR" "$R/etc/nginx" "$R/fpm"
: >"$S/after.walk"
nginx_test() { echo nginx; }
fpm_test() { echo fpm; FPM_SAYS="no such file: /srv/a.test/web/preload.php"; [ ! -e "$R/preload" ]; }
start_from_disk && echo starts
printf '%s\\n' "$WHY" >"$R/why"
"""


def test_what_is_on_disk_must_start_both_services(sh):
    parts = (*PARTS, "run_config")

    def said(main):
        done = sh.run(sh.parts(*parts, then=SETUP + STARTS), main)
        return done.stdout.decode().split(), (sh.root / "why").read_text()

    conf = sh.root / "fpm/php-fpm.conf"
    conf.parent.mkdir()
    conf.touch()
    assert said(conf)[0] == ["nginx", "fpm", "starts"]
    assert said("")[0] == ["nginx", "starts"]
    (sh.root / "preload").touch()
    lines, why = said(conf)
    assert "starts" not in lines
    assert why.startswith("php-fpm -t: no such file: /srv/a.test/web/preload.php; ") and "--compat" in why
