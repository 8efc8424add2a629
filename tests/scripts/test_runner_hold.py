"""The side name that content with an entry called "app" has for a while."""

import pytest

PARTS = (
    *("prelude", "capabilities", "run_base", "run_notes", "run_look", "run_lock", "run_pins"),
    *("run_tree", "run_hold", "run_tail", "run_kept"),
)

SETUP = """
DOMAIN=a.test RUN=r OPERATOR=me CRASH_AT=0 FAIL_AT= PHASE=undo STEP= XCHG=none HOLD=.nsmig-app
J=$VAR/a.test CUR=$VAR/a.test/cur RD=$R/rd S=$R/srv/.nsmig/a.test UPATH=$R/srv/a.test
mkdir -p "$RD" "$S"
open_lock
sync() { :; } # the machine's disks are not what is tested
WEB_INO=$(ino "$UPATH/web/app/public") SKEL=$(ino "$UPATH/web")
"""


@pytest.mark.parametrize("left", [(), ("public",), ("private",)])
def test_the_way_back_finds_a_side_name_that_was_half_taken_away(sh, left):
    """A run was killed among the links that it took out of it, one by one."""
    upath, record = sh.root / "srv/a.test", sh.var / "a.test/cur"
    record.mkdir(parents=True)
    (record / "climb").write_text("web/app/private\t../../private\n")
    (upath / "web/app/public/app").mkdir(parents=True)
    (upath / "web/app/public/index.html").write_text("home")
    (upath / "private").mkdir()
    (upath / "private/secret.php").write_text("secret")
    side = upath / "web/.nsmig-app"
    side.mkdir()
    for name in left:
        (side / name).symlink_to({"public": "../app/public", "private": "../../private"}[name])
    done = sh.run(sh.parts(*PARTS, then=SETUP + "content_to_hold\n"))
    assert done.returncode == 0, done.stderr
    assert (side / "public/index.html").read_text() == "home"
    assert (side / "private/secret.php").read_text() == "secret"


def test_a_place_is_on_the_disk_before_a_configuration_can_name_it(sh):
    """After a power cut php-fpm would not start without its socket's folder, nor nginx without its log's."""
    upath = sh.root / "srv/a.test"
    (sh.var / "a.test/cur").mkdir(parents=True)
    (sh.var / "a.test/cur/climb").touch()
    (upath / "web/.nsmig-app/public").mkdir(parents=True)
    (upath / "var/log").mkdir(parents=True)
    then = """
    UIDN=$(id -u) GIDN=$(id -g) OWNER=$(id -u):$(id -g)
    SKEL=$(ino "$UPATH/web") LOG_INO=$(ino "$UPATH/var/log")
    web() { LC_ALL=C ls -A "$UPATH/web" | tr '\\n' ' '; }
    sync() { for synced; do if [ "$synced" = "$UPATH/web" ]; then here=$(web); fi; done; }
    for act in "new_folder run 750" "relay_new log $LOG_INO" make_app mark_switched; do
      here=never
      $act
      [ "$here" = "$(web)" ] || echo "$act: $here, not $(web)"
    done
    web
    """
    setup = SETUP.replace(
        'WEB_INO=$(ino "$UPATH/web/app/public")', 'WEB_INO=$(ino "$UPATH/web/.nsmig-app/public")'
    )
    done = sh.run(sh.parts(*PARTS, then=setup + then))
    assert (done.returncode, done.stdout) == (0, b".nsmig-app .nsmig-switched app log run "), done
