"""What a live site moves, replaces or writes to while it is archived comes back from the archive."""

import os

import pytest
from scripts.conftest import next_second
from scripts.test_runner_base import ARCHIVING, text

NAME = "pre-migration-20260101-000000"
# Between the manifest and the archive, and between the archive and the second look, somebody acts.
ARCHIVE = (
    ARCHIVING
    + """
W=$UPATH/web
pt() { (umask 022; act "$1"); }
make_archive
unpack "$UPATH/.archive/$NAME.tar.gz" || exit 8
SECOND=$UPATH/.archive/$NAME.again.tar.gz
if [ -e "$SECOND" ]; then
  check_members "$SECOND" "$J/manifests/$NAME"
  mkdir "$B/second" && unpack "$SECOND" "$B/second" || exit 9
  lay_over "$B/second"
else SECOND=
fi
check_unpacked "$J/manifests/$NAME" "$SECOND"
"""
)


@pytest.fixture
def web(sh):
    top = sh.root / "srv/a.test/web"
    for folder in ("read", "unread/rel/deep", "live", "staged"):
        (top / folder).mkdir(parents=True)
    for name in (
        "unread/rel/f1",
        "unread/rel/deep/f2",
        "unread/one",
        "live/page",
        "staged/page",
        "staged/new",
    ):
        (top / name).write_text(f"{name}\n")
        os.utime(top / name, (1000, 1000))
    os.link(top / "unread/rel/f1", top / "unread/twin")
    next_second()
    return top


def script(sh, before, after, more=""):
    acts = f"act() {{ case $1 in backup-manifest)\n{before}\n;; backup-tar)\n{after}\n;; esac; }}\n"
    return text(sh, f"NAME={NAME}\n{acts}{more}{ARCHIVE}")


def archived(sh, before, after=":"):
    """The archive of a site in which somebody acts before and after tar reads, unpacked with the second."""
    done = sh.run(script(sh, before, after))
    assert done.returncode == 0, (done, (sh.root / "j/journal").read_text())
    return sh.root / "b/tree/web"


def test_a_folder_that_is_moved_while_tar_reads(sh, web):
    """From where tar was still to come to where it had been: tar meets neither."""
    back = archived(sh, f'mv "$W/unread/rel" {sh.root}/way', f'mv {sh.root}/way "$W/read/rel"')
    assert (back / "read/rel/f1").read_text() == "unread/rel/f1\n"
    assert (back / "read/rel/deep/f2").read_text() == "unread/rel/deep/f2\n"
    assert (back / "read/rel/f1").stat().st_ino == (back / "unread/twin").stat().st_ino, "hard links stay"
    assert (back / "read/rel/deep").stat().st_mode == (web / "read/rel/deep").stat().st_mode


def test_a_file_that_is_moved_while_tar_reads(sh, web):
    back = archived(sh, f'mv "$W/unread/one" {sh.root}/way', f'mv {sh.root}/way "$W/read/one"')
    assert (back / "read/one").read_text() == "unread/one\n"


def test_a_folder_that_another_takes_the_place_of(sh, web):
    """A deploy by rename: the names are those of the manifest, the files are others."""
    act = f'mv "$W/live" "$W/old" && mv {sh.root}/way "$W/live"'
    back = archived(sh, f'mv "$W/staged" {sh.root}/way', act)
    found = {name: (back / "live" / name).read_text() for name in ("page", "new")}
    assert found == {"page": "staged/page\n", "new": "staged/new\n"}
    assert (back / "old/page").read_text() == "live/page\n"


def test_a_file_that_is_replaced_by_one_with_old_times(sh, web):
    act = """
    echo other >"$W/live/.new"; touch -r "$W/live/page" "$W/live/.new"; mv "$W/live/.new" "$W/live/page"
    """
    assert (archived(sh, ":", act) / "live/page").read_text() == "other\n"


def test_a_folder_that_went_and_came_back_the_same(sh, web):
    back = archived(sh, f'mv "$W/unread/rel" {sh.root}/way', f'mv {sh.root}/way "$W/unread/rel"')
    assert (back / "unread/rel/deep/f2").read_text() == "unread/rel/deep/f2\n"


def test_what_does_not_change_is_archived_once(sh, web):
    archived(sh, ":")
    assert not list((sh.root / "srv/a.test/.archive").glob("*.again.tar.gz"))
    assert len((sh.root / "j/archives").read_text().splitlines()) == 1


def test_a_second_archive_that_does_not_hold_all_is_none(sh, web):
    """Nothing else would hold it: what tar leaves out without a word must not pass."""
    act = 'echo more >>"$W/live/page"; echo more >>"$W/unread/one"'
    some = 'PHASE=preflight\nwrite_tar() ( step_back; pack "$1" ./web/live/page )\n'
    done = sh.run(script(sh, ":", act, some))
    assert done.returncode == 4, done
    assert "cannot archive again what changed" in (sh.root / "j/journal").read_text()


def test_what_a_try_that_broke_off_left_is_not_taken_for_the_second_one(sh, web):
    left = sh.root / f"srv/a.test/.archive/{NAME}.again.tar.gz"
    left.parent.mkdir(mode=0o700)
    left.write_bytes(b"of another time")
    archived(sh, ":")
    assert not left.exists()


def test_what_goes_before_it_is_archived_again_is_no_hindrance(sh, web):
    """Sessions on a busy site: whenever the second archive is written, one of them is not there any more."""
    act = 'echo more >>"$W/live/page"; echo short >"$W/live/session"'
    goes = 'write_tar() ( rm -f "$W/live/session"; step_back; pack "$@" )\n'
    done = sh.run(script(sh, ":", act, goes))
    assert done.returncode == 0, (done, (sh.root / "j/journal").read_text())
    assert (sh.root / "b/tree/web/live/page").read_text() == "live/page\nmore\n"


@pytest.mark.parametrize("times", [1, 9])
def test_what_moves_on_before_it_is_archived_again_is_followed(sh, web, times):
    """It is in neither archive then; what never stands still is no reason to go on without it."""
    act = f'mv {sh.root}/way "$W/read/one"'
    moves = f"""
    PHASE=preflight moves=0 stands=one
    write_tar() {{
      if [ $moves -lt {times} ]; then
        moves=$((moves + 1))
        mv "$W/read/$stands" "$W/read/$moves"
        stands=$moves
      fi
      (step_back; pack "$@")
    }}
    """
    done = sh.run(script(sh, f'mv "$W/unread/one" {sh.root}/way', act, moves))
    assert done.returncode == (0 if times == 1 else 4), (done, (sh.root / "j/journal").read_text())
    if times == 1:
        assert (sh.root / "b/tree/web/read/1").read_text() == "unread/one\n"


def test_a_run_that_is_killed_when_it_has_an_archive_knows_both_parts_of_it(sh, web):
    """The run that goes on makes none: what is not recorded of the second one by then never is."""
    killed = 'mv() { command mv "$@"; case $* in *"$CUR/archive") kill -9 $$ ;; esac; }\n'
    done = sh.run(script(sh, ":", 'echo more >>"$W/live/page"', killed))
    assert done.returncode == -9, done
    then = f"""
    make_archive
    judge "$UPATH/.archive" {NAME}.tar.gz "$(record_of {NAME}.tar.gz)" hash
    echo "$JUDGED" "$(record_of {NAME}.again.tar.gz | wc -l)"
    """
    done = sh.run(text(sh, then))
    assert (done.returncode, done.stdout) == (0, b"verified 1\n"), done
