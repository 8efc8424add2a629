"""What the runner writes down on a full disk, and what it finds again of what it could not write."""

from pathlib import Path

import pytest

PARTS = ("prelude", "run_base", "run_notes", "run_look", "run_pins", "run_way")
SETUP = """
J=$R/j CUR=$R/j/cur S=$R/s RD=$R/rd DOMAIN=a.test RUN=r1 OPERATOR=me CRASH_AT=0 FAIL_AT= UPATH=$R/srv/a.test
VAR=$R/var/lib/nsmig HAND='' XCHG=none
mkdir -p "$CUR" "$S" "$RD" "$VAR" "$UPATH"
sync() { :; }
sleep() { :; }
undo_everything() { echo "undo: $*"; exit 5; }
"""


# /dev/full stands for a full disk, a path in a folder that is not there for a journal that cannot be written


def run(sh, then):
    return sh.run(sh.parts(*PARTS, then=SETUP + then))


def test_a_note_without_room_keeps_the_old_one_and_stops_the_run(sh):
    done = run(
        sh, 'PHASE=forward; note "$CUR/legacy" one; ln -s /dev/full "$CUR/legacy.new"; note "$CUR/legacy" two'
    )
    assert done.returncode == 5 and b"cannot write" in done.stdout
    assert (sh.root / "j/cur/legacy").read_text() == "one\n"


def test_nothing_is_noted_of_what_is_not_there(sh):
    done = run(sh, 'PHASE=forward; note_inode "$CUR/made.x" "$R/nothing"')
    assert done.returncode == 5 and not (sh.root / "j/cur/made.x").exists()


def test_a_flag_without_room_is_no_reason_to_die_unheard(sh):
    done = run(sh, 'rmdir "$CUR"; PHASE=forward; flag x || echo no; must_flag x')
    assert done.returncode == 5 and done.stdout.startswith(b"no\nundo: ")


@pytest.mark.parametrize("kind", ["step", "await"])
def test_a_step_that_nobody_could_read_of_does_not_begin(sh, kind):
    done = run(sh, f'ln -s "$R/none/x" "$J/journal"; PHASE=forward; j {kind} x; echo not reached')
    assert done.returncode == 5 and b"not reached" not in done.stdout


def test_how_a_run_ends_is_said_when_there_is_room_again(sh):
    """And what was written of a line before the disk was full stays a line of its own."""
    then = """
    j one x
    printf '2\tcut' >>"$J/journal"
    mv "$J/journal" "$R/kept"; ln -s "$R/none/x" "$J/journal"
    j warning lost
    : >"$J/reserve"
    sleep() { rm "$J/journal"; mv "$R/kept" "$J/journal"; }
    j end ok
    """
    done = run(sh, then)
    assert (done.returncode, done.stdout) == (0, b"")
    lines = (sh.root / "j/journal").read_text().splitlines()
    assert len(lines) == 3 and lines[1] == "2\tcut" and lines[2].endswith("\tend\tok")
    assert not (sh.root / "j/reserve").exists()


def test_the_old_folders_are_found_without_the_note(sh):
    (sh.root / "srv/a.test/.archive/legacy-T").mkdir(parents=True)
    done = run(
        sh,
        ': >"$CUR/legacy"; echo T >"$CUR/ts"; which_legacy; echo "$LEGACY"',
    )
    assert done.stdout == b"legacy-T\n"


def test_what_is_put_aside_never_takes_the_place_of_something(sh):
    top = sh.root / "top"
    top.mkdir()
    for text in "ab":
        (top / "x").write_text(text)
        assert run(sh, 'set_aside "$R/top" "$(stat -c %i "$R/top")" x web').returncode == 0
    assert {p.name: p.read_text() for p in (sh.root / "s/kept/web").iterdir()} == {"x": "a", "x-2": "b"}


def test_an_entry_whose_place_is_gone_is_kept(sh):
    then = """
    mkdir -p "$S/carry"; echo text >"$S/carry/x"
    printf '%s\\n%s\\n%s' "$R/gone" 1 "a
b" >"$CUR/carry"
    finish_carry || carry_aside
    """
    assert run(sh, then).returncode == 0
    assert (sh.root / "s/kept/a\nb").read_text() == "text\n"
    assert not (sh.root / "j/cur/carry").exists()


def test_the_plan_knows_what_was_adopted(sh):
    (sh.root / "j/cur").mkdir(parents=True)
    (sh.root / "j/cur/plan").write_text("LOG_INO='1'\n")
    done = run(sh, 'plan_says LOG_INO 2; echo "$LOG_INO"; LOG_INO=; . "$CUR/plan"; echo "$LOG_INO"')
    assert done.stdout.split() == [b"2", b"2"]


def test_a_mount_point_is_seen(sh):
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    deep = next((p for p in points if p.count("/") > 1 and "\\" not in p), None)
    if deep is None:
        pytest.skip("nothing is mounted below a folder here")
    above = deep.rsplit("/", 1)[0]
    done = run(
        sh,
        f'mount_below {above}; echo "$MOUNT"; mount_below "$S"; echo "[$MOUNT]"',
    )
    assert done.stdout.startswith(f"{above}/".encode()) and done.stdout.endswith(b"\n[]\n")


def test_a_mount_point_is_seen_where_names_have_blanks_and_backslashes(each_sh, tmp_path):
    for sh in each_sh:
        top = sh.root / "our vhosts/a\\b"
        (top / "msg").mkdir(parents=True, exist_ok=True)
        spelled = str(top).replace("\\", "\\134").replace(" ", "\\040")
        mounts = tmp_path / "mountinfo"
        mounts.write_text(f"1 2 3:4 / {spelled}/msg/in rw - ext4 /dev/x rw\n")
        then = """
            say() { printf '[%s]\n' "$MOUNT"; }
            mount_below "$1"; say; mount_below "$1" "$1/msg"; say
            mount_at "$1/msg"; say; mount_at "$1/web"; say
        """
        whole = sh.parts("prelude", "run_base", "run_look", then=then)
        done = sh.run(whole.replace("/proc/self/mountinfo", str(mounts)), top)
        said = done.stdout.decode().splitlines()
        assert said == [f"[{spelled}/msg/in]", "[]"] * 2, (sh.name, done.stderr)


def test_what_cannot_be_synced_at_once_does_not_lose_a_caller_its_place(sh):
    """A file system may not sync folders; who asks for it goes through names, as each part does."""
    calls = 'sync_all "$R" "$CUR"; devices_of "$R" "$CUR"; echo "$x"'
    done = run(sh, "sync() { return 1; }\nfor x in log tmp; do " + calls + "; done")
    assert done.stdout == b"log\ntmp\n"


@pytest.mark.parametrize("missing", ["web", "var"])
def test_times_that_cannot_be_kept_stop_the_run_before_they_change(sh, missing):
    then = f"""PHASE=forward; mkdir -p "$UPATH/web" "$UPATH/var/log"
      touch() {{ case $3 in */times.part/{missing}) return 1 ;; esac; command touch "$@"; }}
      take_times"""
    # the undo is only told, not made
    done = sh.run(sh.parts(PARTS[0], "run_undo", *PARTS[1:], then=SETUP + then))
    assert done.returncode == 5 and b"cannot keep the folders' times" in done.stdout


def test_a_record_that_could_not_be_put_away_is_told(sh):
    """Otherwise the undo would end well, and the next migration be refused for it."""
    then = """
    drop_staging() { :; }
    times_back() { :; }
    printf 'x\\n' >"$J/undone"
    PHASE=undo
    keep_undone 2>/dev/null
    """
    done = sh.run(sh.parts(*PARTS, "run_undo", then=SETUP + then))
    assert (sh.root / "j/cur").is_dir()
    assert b"\twarning\tall is undone, but " in (sh.root / "j/journal").read_bytes(), done
