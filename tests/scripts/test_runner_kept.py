"""What is in staging when a run is killed: what was not ours is found again, in a live place or .archive."""

import os
import socket
import subprocess
from contextlib import contextmanager

import pytest
from scripts.test_runner_base import BASE, SETUP

PARTS = (*BASE, "run_tree", "run_tail", "run_hold", "run_keeper", "run_way", "run_undo")

STANDS = """
PHASE=undo VPATH=$R/srv S=$R/srv/.nsmig/a.test TS=20260102-030405 HOLD=${T_HOLD:-app} XCHG=none
OLD_SOCKETS='' NEW_SOCKETS='' LOG_INO='' TMP_INO='' B= OWNER=$ROOT_ID WEB_INO=none WELL_KNOWN=
: >>"$J/journal"
mkdir -p "$S" "$UPATH/.archive"
: >>"$CUR/climb"
chmod 700 "$UPATH/.archive"
SKEL=$(ino "$UPATH/web") VAR_INO=$(ino "$UPATH/var")
mv() { # the run is killed after one of its renames
  command mv "$@" || return 1
  echo . >>"$R/renames"
  if [ "$(wc -l <"$R/renames")" = "$DIES_AFTER" ]; then kill -9 $$; exit 1; fi
}
"""


def build(sh):
    """A vhost in the new layout, with a folder in web/run; answers its top."""
    for old in ("srv", "j", "renames"):
        subprocess.run(["rm", "-rf", sh.root / old], check=True)
    top = sh.root / "srv/a.test"
    for name in ("web/app/public", "web/run/sup", "var/run", ".archive"):
        (top / name).mkdir(parents=True)
    (sh.root / "j/cur").mkdir(parents=True)
    return top


@pytest.fixture
def vhost(sh):
    """Such a vhost."""
    return build(sh)


def run(sh, then, dies_after=0, **env):
    return sh.run(sh.parts(*PARTS, then=SETUP + STANDS + then), DIES_AFTER=str(dies_after), **env)


@contextmanager
def socket_folder(path):
    """A short name of a folder: names of sockets are short."""
    number = os.open(path, os.O_PATH)
    yield f"/proc/self/fd/{number}"
    os.close(number)


def found(sh, text):
    """Where files with this text are, whatever they are called; the run's own record left out."""
    files = [p for p in sorted((sh.root / "srv").rglob("*")) if p.is_file()]
    return [str(p.relative_to(sh.root)) for p in files if p.read_text() == text]


def killed_at_each_rename(sh, then, prepare, texts):
    """Killed after each of its renames in turn, and begun again: every text is there at both moments."""
    for dies_after in range(1, 30):
        prepare(build(sh))
        for ends_with in (-9, 0):
            done = run(sh, then, dies_after if ends_with else 0)
            assert [len(found(sh, text)) for text in texts] == [1] * len(texts), (dies_after, done)
            if done.returncode == 0 and ends_with:
                return dies_after - 1
            assert done.returncode == ends_with, done
    raise AssertionError("it never ends")


UNDO = """
if [ ! -e "$CUR/made.run" ]; then ino "$UPATH/web/run" >"$CUR/made.run"; fi
for x in log run tmp; do unmake "$x"; done
drop_staging
"""


def test_what_web_run_held_survives_a_kill_at_each_rename_of_the_undo(sh):
    listens = socket.socket(socket.AF_UNIX)

    def prepare(top):
        nonlocal listens
        (top / "web/run/sup/state.db").write_text("state")
        (top / "web/run/pid").write_text("pid")
        listens.close()
        listens = socket.socket(socket.AF_UNIX)
        with socket_folder(top / "web/run/sup") as folder:
            listens.bind(f"{folder}/x.sock")
        listens.listen()

    try:
        assert killed_at_each_rename(sh, UNDO, prepare, ["state", "pid"]) == 4
    finally:
        listens.close()
    (where,) = found(sh, "state")
    assert where == "srv/a.test/.archive/since-20260102-030405/web/run/sup/state.db"
    assert found(sh, "pid") == ["srv/a.test/var/run/pid"]
    assert not (sh.root / "srv/.nsmig").exists()
    said = (sh.root / "j/journal").read_text()
    assert ".archive/since-20260102-030405: " in said and "web/run/sup/state.db" in said


MOVE = (
    'PHASE=forward\nmove_run_entries "$UPATH/var/run" "$UPATH/web/run" && { finish_carry || carry_aside; }\n'
)


def test_entries_of_var_run_survive_a_kill_at_each_rename(sh):
    """Also the one that was on its way when the run was killed, while the next goes."""
    names = ["a.pid", "b.pid", "c.pid"]

    def prepare(top):
        for name in names:
            (top / "var/run" / name).write_text(name)

    assert killed_at_each_rename(sh, MOVE, prepare, names) == 6
    assert [found(sh, name) for name in names] == [[f"srv/a.test/web/run/{name}"] for name in names]


def test_who_took_the_place_meanwhile_is_not_overwritten(sh, vhost):
    """A pid file that a service has made anew while the old one was on its way."""
    (vhost / "var/run/a.pid").write_text("old")
    assert run(sh, MOVE, 1).returncode == -9
    (vhost / "web/run/a.pid").write_text("new")
    done = run(sh, "finish_carry || carry_aside; drop_staging")
    assert done.returncode == 0, done
    assert found(sh, "new") == ["srv/a.test/web/run/a.pid"]
    assert found(sh, "old") == ["srv/a.test/.archive/since-20260102-030405/a.pid"]


STAGED = ("new/web/page", "log/access.log", "tmp/sess", "app/up.txt", "folder/x", "tlog/a.log", "var.since/y")


@pytest.mark.parametrize("staged", STAGED)
def test_a_restores_end_leaves_what_another_run_has_staged(sh, vhost, staged):
    path = sh.root / "srv/.nsmig/a.test" / staged
    path.parent.mkdir(parents=True)
    path.write_text("precious")
    (sh.root / "srv/.nsmig/a.test/restore/tree").mkdir(parents=True)
    done = run(sh, 'mv "$CUR" "$R/record"\ndrop_copy\nmv "$R/record" "$CUR"')
    assert done.returncode == 0, done
    assert path.read_text() == "precious" and not (sh.root / "srv/.nsmig/a.test/restore").exists()
    assert "srv/.nsmig/a.test" in (sh.root / "j/journal").read_text()
    done = run(sh, "drop_staging")
    assert done.returncode == 0, done
    assert (vhost / ".archive/since-20260102-030405" / staged).read_text() == "precious"


@pytest.mark.parametrize("target", ["link", "file"])
def test_what_came_to_web_app_goes_to_the_contents_app(sh, vhost, target):
    """Links that somebody made there as well as files; ours go."""
    app = vhost / "web/app"
    (app / "public").rmdir()
    (vhost / "web/.nsmig-app/public/app").mkdir(parents=True)
    (app / "public").symlink_to("../.nsmig-app/public")
    (app / "lib").symlink_to("public/app/lib")
    if target == "link":
        (app / "current").symlink_to("/elsewhere/3")
    else:
        (app / "current").write_text("x")
    then = 'WEB_INO=$(ino "$UPATH/web/.nsmig-app/public")\ndrop_app\ndrop_staging'
    done = run(sh, then, T_HOLD=".nsmig-app")
    assert done.returncode == 0, done
    inside = vhost / "web/.nsmig-app/public/app"
    assert [p.name for p in inside.iterdir()] == ["current"], done


LOGS = """
mkdir -p "$S/tlog"; echo 20260102 >"$CUR/ts"
if [ ! -e "$R/written" ]; then echo line >"$S/tlog/access.log"; : >"$R/written"; fi
"""


@pytest.mark.parametrize("folder", ["there", "made", "nowhere", "taken"])
def test_log_lines_of_the_transition_are_kept(sh, vhost, folder):
    """Where the folder is known, was made by us, is not there, or holds those of the way there already."""
    logs = vhost / "var/log"
    if folder != "nowhere":
        logs.mkdir()
    if folder == "taken":
        (logs / "access.log.transition-20260102").write_text("earlier")
    known = {
        "there": 'LOG_INO=$(ino "$UPATH/var/log")',
        "made": 'ino "$UPATH/var/log" >"$CUR/made.log"',
        "nowhere": "",
        "taken": 'LOG_INO=$(ino "$UPATH/var/log")',
    }[folder]
    done = run(sh, LOGS + known + '\nkeep_transition_logs "$UPATH/var/log"\ndrop_staging')
    assert done.returncode == 0, done
    where = {
        "taken": "var/log/access.log.transition-20260102-2",
        "nowhere": ".archive/since-20260102-030405/tlog/access.log",
    }.get(folder, "var/log/access.log.transition-20260102")
    assert (vhost / where).read_text() == "line\n"
    if folder == "taken":
        assert (logs / "access.log.transition-20260102").read_text() == "earlier"


@pytest.mark.parametrize("name", ["page", "two\nlines", "ends in a newline\n", "back\\slash", "*"])
def test_a_link_at_an_old_path_follows_the_content_whatever_its_name(sh, name):
    web = sh.root / "srv/a.test/web"
    (web / "app/public").mkdir(parents=True)
    (web / "app/public" / name).write_text("content")
    (web / name).symlink_to(f".nsmig-app/public/{name}")
    begin = SETUP + "HOLD=.nsmig-app\n"
    done = sh.run(
        sh.parts(*PARTS, then=begin + 'compat_links "$UPATH/web" app/public "$UPATH/web/app/public"')
    )
    assert (done.returncode, os.readlink(web / name)) == (0, f"app/public/{name}"), done
    done = sh.run(sh.parts(*PARTS, then=begin + 'cd "$UPATH/web" && drop_web_links'))
    assert (done.returncode, sorted(os.listdir(web))) == (0, ["app"]), done
