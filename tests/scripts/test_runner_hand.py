"""The hand does what the commands would, and steps back for them whenever it cannot."""

import os
import shutil
import socket
import subprocess
import time

import pytest

PARTS = (
    "prelude",
    "run_base",
    "run_notes",
    "run_look",
    "run_hand_program",
    "run_hand",
    "run_lock",
    "run_pins",
    "run_services",
    "run_fpm",
)
SETUP = """
J=$R/j CUR=$R/j/cur S=$R/s RD=$R/rd DOMAIN=a.test RUN=r1 OPERATOR=me CRASH_AT=0 FAIL_AT= XCHG=perl
mkdir -p "$CUR" "$S" "$RD" "$R/t" "$VAR"
: >>"$J/journal"
take_lock
"""
READY = """
start_hand
tries=0
until hand look / || [ "$tries" -ge 500 ]; do command sleep 0.01; tries=$((tries + 1)); done
hand look / || exit 99
"""
NO_COMMANDS = "PATH=/nonexistent\n"

ACTS = """
cd "$R/t"
here=$R/t
mkdir "$here/one" && mkdir -m 755 "$here/two" "$here/three" && mkdir -p "$here/a/b/c"
printf new >"$here/f"; printf old >"$here/g"; printf old >"$here/h"
mv -T "$here/f" "$here/one/f" && mv "$here/one" "$here/uno"
mv -T "$here/nothing" "$here/uno" 2>/dev/null; echo "mv $?"
ln -s "../some where" "$here/link" && ln -s there "$here/link2"
ln -s again "$here/link" 2>/dev/null; echo "ln $?"
put_link elsewhere "$here/link" && put_link first "$here/link3"
rm "$here/link2"; rm -f "$here/none" "$here/h"; rm -rf "$here/none" "$here/three"
rm "$here/a" 2>/dev/null; echo "rm $?"
rmdir "$here/a/b/c"; rmdir "$here/a" 2>/dev/null; echo "rmdir $?"
chmod 640 "$here/g"; chown "$(command id -u):$(command id -g)" "$here/g"
fill "$here/g" "$here/copy"; printf 'longer than that' >"$here/copy2"; fill "$here/g" "$here/copy2"
same "$here/g" "$here/copy"; echo "same $?"
same "$here/g" "$here/uno/f"; echo "same $?"
sync "$here/g" "$here" && sync_all "$here/g" "$here/none" && echo synced
w=$(ino "$here/uno")
look_for "$w" "$here/none" "$here/link" "$here/uno"; echo "where ${FOUND##*/}"
look_for 1 "$here/uno"; echo "where $FOUND"
is_among "$w" "$here/link" || echo nowhere
in_dir "$here/uno" "$w" mv -T ./f "./a name
in two lines" && in_dir "$here/uno" "$w" put_link to ./l && in_dir "$here/uno" "$w" put_link to2 ./l2
in_dir "$here/uno" "$w" rm ./l2
drop_link() { if [ -L "./$1" ]; then rm "./$1"; fi; }
ln -s x "$here/uno/l3"; in_dir "$here/uno" "$w" drop_link l3; echo "drop $?"
in_dir "$here/uno" "$w" drop_link none; echo "drop $?"
mkdir "$here/uno/real"; in_dir "$here/uno" "$w" drop_link real; echo "drop $?"
mkdir "$here/mode"; chmod 755 "$here/mode"; chown "$(command id -u):$(command id -g)" "$here/mode" "$here/g"
in_dir "$here/uno" 1 rm ./l 2>/dev/null; echo "at $?"
in_dir "$here/gone" "$w" rm ./l 2>/dev/null; echo "at $?"
sleep 0.01; echo "slept $?"
"""
SAID = (
    *("mv 1", "ln 1", "rm 1", "rmdir 1", "same 0", "same 1", "synced", "where uno", "where ", "nowhere"),
    *("drop 0", "drop 0", "drop 0"),
    *("at 1", "at 1", "slept 0"),
)


def script(sh, then, ready=READY):
    return sh.parts(*PARTS, then=SETUP + ready + then)


def tree(root):
    """Every entry with its kind, mode and content."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = os.readlink(path)
        else:
            found[name] = (oct(path.stat().st_mode), path.read_bytes() if path.is_file() else None)
    return found


with_hand = pytest.mark.parametrize("sh", ["dash", "busybox sh"], indirect=True)


def has_hand(sh):
    """BusyBox's tools stand before the system's there, and so are meant to be used."""
    return sh.name != "busybox"


def the_same_by_hand(sh, with_commands, with_a_hand, said, made):
    """Both say ``said`` and leave the same tree; the folders ``made`` go between them. Answers the tree."""
    by_commands = sh.run(with_commands)
    assert (by_commands.returncode, by_commands.stdout.decode().splitlines()) == (0, list(said))
    expected = tree(sh.root / "t")
    for left in made:
        shutil.rmtree(sh.root / left)
    if has_hand(sh):
        by_hand = sh.run(with_a_hand)
        assert (by_hand.returncode, by_hand.stdout, by_hand.stderr) == (0, by_commands.stdout, b"")
        assert tree(sh.root / "t") == expected
    return expected


def test_the_hand_does_what_the_commands_do(sh):
    the_same_by_hand(sh, script(sh, ACTS, ready=""), script(sh, ACTS), SAID, ["t"])
    if not has_hand(sh):
        assert sh.run(script(sh, "")).returncode == 99, "nobody's own tools are passed over"


@with_hand
def test_what_it_can_it_does_without_a_process(sh):
    acts = """
    mkdir "$R/t/a" && mv -T "$R/t/a" "$R/t/b" && ln -s x "$R/t/l" && put_link y "$R/t/l" || exit 1
    sync "$R/t" || exit 1
    rm -f "$R/t/none" && rm "$R/t/l" && chmod 700 "$R/t/b" || exit 2
    printf 1 >"$R/t/f" && fill "$R/t/f" "$R/t/g" || exit 2
    same "$R/t/f" "$R/t/g" && hold 4 "$inode" "$R/t/none" "$R/t" && [ "$HELD4" = "$inode" ] || exit 3
    in_dir "$R/t" "$inode" mv -T ./f ./h && in_dir "$R/t" "$inode" put_link y ./l || exit 4
    in_dir "$R/t" "$inode" rm ./l && in_dir "$R/t" "$inode" xchg ./g ./b || exit 5
    in_dir "$R/t" "$inode" rmdir ./g || exit 5
    sleep 0.01
    """
    done = sh.run(script(sh, 'inode=$(ino "$R/t")\n' + NO_COMMANDS + acts))
    assert (done.returncode, done.stderr) == (0, b"")
    assert set(tree(sh.root / "t")) == {"b", "h"}


@with_hand
def test_times_are_given_to_the_nanosecond(sh):
    (sh.root / "t").mkdir()
    like, folder, made = (sh.root / "t" / name for name in ("like", "folder", "made"))
    like.touch()
    folder.mkdir()
    os.utime(like, ns=(1_600_000_000_123_456_789, 1_500_000_000_987_654_321))
    then = NO_COMMANDS + 'touch -r "$R/t/like" "$R/t/folder" && touch -r "$R/t/like" "$R/t/made"'
    assert sh.run(script(sh, then)).returncode == 0
    for path in (folder, made):
        assert (path.stat().st_atime_ns, path.stat().st_mtime_ns) == (
            1_600_000_000_123_456_789,
            1_500_000_000_987_654_321,
        )


def test_a_folder_that_was_swapped_is_not_touched(sh):
    (sh.root / "t/sub").mkdir(parents=True)
    inode = (sh.root / "t/sub").stat().st_ino
    (sh.root / "other").mkdir()
    (sh.root / "other/x").touch()
    then = f"""
    hold 4 {inode} "$R/t/sub"
    mv "$R/t/sub" "$R/t/was" && ln -s ../other "$R/t/sub"
    in_dir "$R/t/sub" {inode} rm ./x || echo refused
    in_dir "$R/t/sub" {inode} put_link y ./z || echo refused
    in_dir "$R/t/was" {inode} put_link y ./z && echo done
    """
    done = sh.run(script(sh, then, ready=READY if has_hand(sh) else ""))
    assert done.stdout == b"refused\nrefused\ndone\n"
    assert [p.name for p in (sh.root / "other").iterdir()] == ["x"]
    assert os.readlink(sh.root / "t/was/z") == "y"


@pytest.mark.parametrize("how", ["killed", "stopped being ours"])
@with_hand
def test_without_the_hand_the_commands_go_on(sh, how):
    end = {"killed": 'kill -9 "$HAND"; wait "$HAND"', "stopped being ours": 'rm "$RD/hand.says"'}[how]
    then = 'mkdir "$R/t/x" && ln -s a "$R/t/l" && echo did; hand look / || echo gone'
    done = sh.run(script(sh, f"{end} 2>/dev/null\n{then}"))
    assert done.stdout == b"did\ngone\n"
    assert set(tree(sh.root / "t")) == {"x", "l"}


@with_hand
def test_an_answer_that_nobody_fetched_is_not_taken_for_another(sh):
    then = """
    # asked, and gone; at last both together
    (printf '%s\\0' 3 "$((ORDER + 1)).mv" look / >"/proc/$HAND/fd/3")
    hand look "$R/t/none" && echo wrong
    printf '%s\\0' 3 x look / 2 y look >"/proc/$HAND/fd/3"
    rm "$R/t/none" 2>/dev/null && echo wrong
    hand look "$R/t/none" && echo wrong
    hand mv "$R/t/none" "$R/t/x" && echo wrong
    hand look / && echo "$SAID" | grep -c ' '
    """
    assert sh.run(script(sh, then)).stdout == b"1\n"


@with_hand
def test_an_exchange_done_by_half_is_not_done_again(sh):
    then = """
    mkdir "$R/t/a" "$R/t/b"; : >"$R/t/a/x"
    xchg "$R/t/a" "$R/t/b" "$R/t/a" "$R/t/none" 2>/dev/null || echo failed
    xchg "$R/t/a" "$R/t/none" 2>/dev/null || echo failed
    """
    assert sh.run(script(sh, then)).stdout == b"failed\nfailed\n"
    assert (sh.root / "t/b/x").exists()


def test_a_socket_that_accepts_and_one_that_does_not(sh):
    (sh.root / "t").mkdir()
    with socket.socket(socket.AF_UNIX) as live, socket.socket(socket.AF_UNIX) as dead:
        live.bind(str(sh.root / "t/live"))
        live.listen()
        dead.bind(str(sh.root / "t/dead"))
        then = """
        accepts "$R/t/live" && echo live
        accepts "$R/t/live" "$R/t/dead" || echo dead
        accepts "$R/t/none" || echo none
        OTHER_SOCKETS="$R/t/live"; others_listen && echo listens
        OTHER_SOCKETS="$R/t/live $R/t/dead"; others_listen || echo deaf
        OTHER_SOCKETS=; others_listen && echo nobody
        """
        done = sh.run(script(sh, then, ready=READY if has_hand(sh) else ""))
    assert done.stdout == b"live\ndead\nnone\nlistens\ndeaf\nnobody\n"


@with_hand
def test_the_hand_dies_with_the_runner_and_lets_go_of_the_lock(sh):
    for _ in range(5):
        then = 'echo "$HAND" >"$R/hand"; kill -9 $$'
        (sh.root / "s.sh").write_text(script(sh, then))
        ran = subprocess.run([*sh.command, sh.root / "s.sh"], env=sh.environment(), cwd=sh.root, check=False)
        assert ran.returncode == -9
        for _ in range(100):  # until the kernel has taken it away
            took = sh.run(sh.parts(*PARTS, then=SETUP.replace("take_lock", "take_lock || exit 75")))
            if took.returncode == 0:
                break
            time.sleep(0.01)
        assert took.returncode == 0
        for left in (sh.root / "rd").glob("hand.*"):
            left.unlink()


@with_hand
def test_a_run_that_ends_leaves_nobody_with_the_lock(sh):
    ended = sh.run(script(sh, 'echo "$HAND"; finish ok 0'))
    assert ended.returncode == 0 and not os.path.exists(f"/proc/{int(ended.stdout)}")
    assert not list((sh.root / "rd").glob("hand.*"))
    assert sh.run(sh.parts(*PARTS, then=SETUP.replace("take_lock", "take_lock || exit 75"))).returncode == 0


LOCKS = """
other() { command flock "$@" "$VAR/node.lock" true; echo "other $?"; }
other -n
vnode_lock; other -n
mkdir "$R/t/x" && other -n
vnode_unlock; other -n
exec 7>>"$VAR/node.lock"; command flock -n 7
exec 8>>"$VAR/node.lock"
flock_on 8 0; echo "at once $?"
flock_on 8 1; echo "in a second $?"
(command sleep 0.2; exec 7>&- 8>&-) 9>&- & exec 7>&-
flock_on 8 20; echo "waited $?"
flock_on 8 0; echo "again $?"
kill -9 "${HAND:-none}" 2>/dev/null; other -n
flock_on 8 0; echo "again $?"
vnode_unlock; other -n
"""
LOCKED = (
    *("other 0", "other 1", "other 1", "other 0", "at once 1", "in a second 1"),
    *("waited 0", "again 0", "other 1", "again 0", "other 0"),
)


@pytest.mark.parametrize("way", ["hand", "a kernel that lends no descriptor", "commands"])
def test_locks_are_the_runners_own_whoever_takes_them(sh, way):
    ready = {"hand": READY, "commands": ""}.get(way, READY.replace("start_hand", OLD_KERNEL, 1))
    done = sh.run(script(sh, LOCKS, ready=ready if has_hand(sh) else ""))
    assert (done.returncode, done.stderr, tuple(done.stdout.decode().splitlines())) == (0, b"", LOCKED)


OLD_KERNEL = 'syscall_numbers; NUMBERS="$NUMBERS pidfd_getfd 9999"; start_hand'


@with_hand
def test_a_lock_costs_no_process(sh):
    then = NO_COMMANDS + "have() { :; }; vnode_lock && vnode_unlock && vnode_lock && take_lock && echo locked"
    assert sh.run(script(sh, then)).stdout == b"locked\n"


@with_hand
def test_nobody_waits_for_a_hand_that_never_was(sh, tmp_path):
    perl = tmp_path / "own/perl"
    perl.parent.mkdir()
    perl.write_text("#!/bin/sh\nexit 3\n")
    perl.chmod(0o755)
    then = f'PATH={perl.parent}:$PATH; start_hand; mkdir "$R/t/x" && echo "made, $HAND"'
    assert sh.run(script(sh, then, ready="")).stdout == b"made, \n"


@with_hand
def test_a_killed_runner_leaves_no_lock_of_the_vnode(sh):
    (sh.root / "s.sh").write_text(script(sh, "vnode_lock; kill -9 $$"))
    ran = subprocess.run([*sh.command, sh.root / "s.sh"], env=sh.environment(), cwd=sh.root, check=False)
    assert ran.returncode == -9
    assert subprocess.run(["flock", "-n", sh.var / "node.lock", "true"], check=False).returncode == 0
