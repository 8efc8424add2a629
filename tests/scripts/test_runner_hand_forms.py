"""Forms of commands that the hand knows: names from where a shell stands, copies, whole folders."""

import os
import shutil
import subprocess

import pytest
from test_runner_hand import NO_COMMANDS, PARTS, READY, SETUP, has_hand, the_same_by_hand, with_hand

MORE = (
    *PARTS,
    "run_config",
    "run_manifest",
    "run_again",
    "run_backup",
    "run_tree",
    "run_owners",
    "run_verify",
    "run_preflight",
)


def script(sh, then, ready=READY):
    return sh.parts(*MORE, then=SETUP + ready + then)


ACTS = """
here=$R/t HOLD=app
fail() { echo "failed: $*"; exit 9; }
mkdir "$here/in" "$here/in/deep" "$here/to" "$here/set"
cd "$here/in"
mkdir a b; printf 1 >f; printf 2 >g; printf 3 >"-odd name"
ln -s x l; ln -s ../y/one ../y/two "two
lines" .; ln -s there .; ln -s /one /two/three "$here/to"
ln -s again /two/three "$here/to" 2>/dev/null; echo "some $?"
ln -s p/again /two/three "$here/to" 2>/dev/null; echo "none $?"
mv a f "$here/to/"; mv "./-odd name" ./deep/odd; mv ./b ./g deep; mv -T l m
mv deep/odd nothing "$here/to" 2>/dev/null; echo "half $?"
mv -f m "$here/to" 2>/dev/null; echo "mv $?"
(cd deep && mkdir sub && ln -s z z && rm g && rmdir b && rm -f none z && mkdir -p p/q/r)
(cd -P "$here/to" && rm ./one ./three && chmod 750 . && mkdir 1 2 && rmdir ./1 ./2)
mkdir 1 2 3 4 5 6 7 8 9 10 11; rmdir 1 2 3 4 5 6 7 8 9 10 11; echo "many $?"
touch q1 q2 q3 q4 q5 q6 q7 q8 q9 q10 q11; mkdir q; mv q1 q2 q3 q4 q5 q6 q7 q8 q9 q10 q11 q; echo "many $?"
rmdir deep 2>/dev/null; echo "rmdir $?"
cd "$here"
mkdir -p r/a/b/c k/in; : >r/a/f; ln -s ../../k r/a/l; : >k/f; rm -rf r none; ls k
mkdir -p r1/x r2; rm -rf ./r1 ./r2; mkdir -p r1/x "$here/r2/y/z"; rm -rf "$here/r2" ./r1; echo "rm $?"
command chmod 2750 set; chmod u=rwx,g=rx,o=rx,u-s,g-s,o-t set to
mkdir log top; command chmod 3775 log top
chmod u=rwx,g=rx,o=,u-s,g-s,o-t log; chmod u=rwx,g=x,o=x,u-s,g-s,o-t top
(cd in && chmod u=rwx,g=rx,o=rx,u-s,g-s,o-t .)
printf text >to/t; command chmod 4751 to/t; cp -p to/t to/u; printf longer >to/v
cp -p to/t to/v; cp -p to/none to/w 2>/dev/null
echo "cp $?"
ln -s t to/link; cp -p to/link to/from-link
printf '{"a":1}' >meta; printf 'x ' >rec
add "$here/meta" "$here/rec"; add "$here/none" "$here/rec" 2>/dev/null
echo "add $?"
own_of "$here/to/t"; echo "${OWN#* }"; note_own "$here/to" "$here/was"
note_own "$here/none" "$here/was2" 2>/dev/null
inode_of "$here/none"; echo "inode $INODE"
inode_of "$here/to/link"; [ "$INODE" = "$(command stat -c %i "$here/to/link")" ] && echo same
devices_of "$here" in to/link "$here/to"; set -- $DEVICES; echo "devices $#"
[ "$1$1$1$1" = "$1$2$3$4" ] && echo "one device"
devices_of "$here" none 2>/dev/null || echo "no devices"
is_among 1 "$here/to" || echo nowhere
(cd in && content_modes "$CUR" "$(command id -u):$(command id -g)")
mkdir -p plan/conf kept; printf 1 >plan/conf/1.orig; printf 2 >plan/conf/list; printf 3 >plan/meta
: >plan/climb
cp -R "$here/plan/conf" plan/meta "$here/plan/climb" "$here/kept/" && mkdir -p kept/again/conf; echo "cp $?"
printf old >kept/again/conf/list; cp -R "$here/plan/conf" "$here/kept/again/"; echo "cp $?"
mkdir plan/conf/sub; cp -R "$here/plan/conf" "$here/kept/again"; echo "cp $?"
cut -d ' ' -f 2 <"$CUR/was.content"
w=$(ino "$here/in"); mkdir -p "$S"
ln -s app/public/one "$here/in/c1"; ln -s other "$here/in/c2"
drop_compat() { if [ -L "./$1" ]; then
  case $(readlink -- "./$1") in "$HOLD/public/$1") rm "./$1" ;; esac; fi; }
ln -s app/public/c3 "$here/in/c3"
for c in c1 c2 c3 c4 deep; do in_dir "$here/in" "$w" drop_compat "$c" || echo "drop $c"; done
drop_hop() { if [ ! -L ./app ] && [ -L "./app/$HOP" ]; then rm "./app/$HOP"; fi; }
in_dir "$here/in" "$w" drop_hop; echo "hop $?"
mkdir real "$here/in/app"; ln -s x "$here/in/app/$HOP"; : >"$here/in/app/f"
in_dir "$here/in" "$w" drop_hop; echo "hop $?"
rm -rf "$here/in/app"; ln -s ../real "$here/in/app"; ln -s x "$here/real/$HOP"
in_dir "$here/in" "$w" drop_hop; echo "hop $?"
OWNER=$(command id -u):$(command id -g) PHASE=preflight
expect_dirs 755 "$here/in" "$here/to" 700 "$here/in/deep"; echo "as expected"
(expect_dirs 755 "$here/in" 750 "$here/to")
VPATH=$here UPATH=$here/to; mkdir to/web; UPATH_INO=$(ino "$UPATH") WEB_INO=$(ino "$UPATH/web")
structure_is_sound; echo sound
(WEB_INO=1; structure_is_sound); (UPATH_INO=1; structure_is_sound)
room_at "$here"; echo "room $((avail > 0)) $((inodes >= 0))"
"""
SAID = (
    *("some 1", "none 1", "half 1", "mv 0", "many 0", "many 0", "rmdir 1"),
    *("f", "in", "rm 0", "cp 1", "add 1", "4751"),
    *("inode ", "same", "devices 4", "one device", "no devices", "nowhere", "cp 0", "cp 0", "cp 0", "755"),
    *("hop 0", "hop 0", "hop 0"),
    *("as expected", "failed: not as it should be: 755 OWNER HERE/to", "sound"),
    "failed: web is not the folder that was examined",
    "failed: HERE/to is not the folder that was examined",
    "room 1 1",
)


def test_the_hand_does_these_forms_as_the_commands_do(sh):
    place = str(sh.root / "t")
    said = [line.replace("HERE", place).replace("OWNER", f"{os.getuid()}:{os.getgid()}") for line in SAID]
    left = the_same_by_hand(sh, script(sh, ACTS, ready=""), script(sh, ACTS), said, ["t", "j", "s"])
    assert {"in/there", "in/two\nlines", "in/one", "in/deep/p/q/r"} <= left.keys()


@with_hand
def test_these_forms_cost_no_process(sh):
    acts = """
    mkdir "$R/t/in" && mkdir "$R/t/to" && cd "$R/t/in" || exit 1
    ln -s ../one ../two . && mkdir a && mkdir b && mv a b "$R/t/to/" && rm one two || exit 2
    (cd ../to && rmdir a && chmod u=rwx,g=rx,o=rx,u-s,g-s,o-t . && own_of . && [ "${OWN#* }" = 755 ])
    [ $? = 0 ] || exit 3
    printf x >f && cp -p f g && add "$R/t/in/f" "$R/t/in/g" && mkdir -p "$R/t/in/x/y" || exit 4
    rm -rf "$R/t/in/x" || exit 4
    mkdir k && printf x >k/n && cp -R f k "$R/t/to/" || exit 4
    devices_of . "$R/t" && inode_of . && is_among "$INODE" "$R/t" "$R/t/in" && room_at "$R/t" || exit 5
    hand sockets || exit 6
    rmdir ../to 2>/dev/null && exit 7
    have() { :; }
    [ -e "$R/t/to/b" ] && (content_modes "$CUR" 0:0) && [ -e "$CUR/was.acl" ] || exit 8
    : >"$VAR/nginx.good" && config_was_good nginx || exit 9
    """
    (sh.root / "etc/nginx").mkdir(parents=True)
    os.utime(sh.root / "etc/nginx", (1, 1))
    done = sh.run(script(sh, NO_COMMANDS + acts.replace("0:0", f"{os.getuid()}:{os.getgid()}")))
    assert (done.returncode, done.stderr) == (0, b"")


@with_hand
def test_a_copy_has_owner_mode_and_times_to_the_nanosecond(sh):
    (sh.root / "t").mkdir()
    file = sh.root / "t/f"
    file.write_bytes(os.urandom(200_000))
    file.chmod(0o2640)
    if os.getuid() == 0:
        os.chown(file, 1234, 4321)
        file.chmod(0o2640)
    os.utime(file, ns=(1_600_000_000_123_456_789, 1_500_000_000_987_654_321))
    was = file.stat()
    assert sh.run(script(sh, NO_COMMANDS + 'cp -p "$R/t/f" "$R/t/g"')).returncode == 0
    now = (sh.root / "t/g").stat()
    assert (sh.root / "t/g").read_bytes() == file.read_bytes()
    assert [now.st_mode, now.st_uid, now.st_gid, now.st_mtime_ns] == [
        was.st_mode,
        was.st_uid,
        was.st_gid,
        was.st_mtime_ns,
    ]
    assert now.st_atime_ns == was.st_atime_ns


WITH_MORE = {
    "an access list": ("setfacl -m u:1234:r t/f", "getfacl -nc t/g"),
    "an attribute": ("setfattr -n user.x -v 1 t/f", "cat t/g"),
    "a link": ("mv t/f t/real; ln -s real t/f", "cat t/g"),
}


@pytest.mark.parametrize("what", WITH_MORE)
@with_hand
def test_the_command_copies_what_is_more_than_a_plain_file(sh, what):
    give, look = WITH_MORE[what]
    (sh.root / "t").mkdir()
    (sh.root / "t/f").write_text("content")
    given = subprocess.run(["sh", "-c", give], cwd=sh.root, capture_output=True, check=False)
    if given.returncode:
        pytest.skip(given.stderr.decode())
    then = (
        'hand copy "$R/t/f" "$R/t/g" && echo "by hand"; [ ! -e "$R/t/g" ] && cp -p "$R/t/f" "$R/t/g" && '
        + look
    )
    done = sh.run(script(sh, 'cd "$R"\n' + then))
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"by hand" not in done.stdout
    assert (b"user:1234:r" if "list" in what else b"content") in done.stdout


@with_hand
def test_the_command_asks_for_an_access_list_where_there_is_one(sh):
    (sh.root / "t").mkdir()
    if not shutil.which("setfacl"):
        pytest.skip("setfacl is not installed here")
    subprocess.run(["setfacl", "-m", "d:u:1234:r", sh.root / "t"], check=True)
    owner = f"{os.getuid()}:{os.getgid()}"
    assert sh.run(script(sh, f'cd "$R/t" && content_modes "$CUR" {owner}')).returncode == 0
    assert "default:user:1234:r--" in (sh.root / "j/cur/was.acl").read_text()


@with_hand
def test_only_the_command_goes_into_folders_of_others(sh):
    then = """
    mkdir -p "$R/t/a/open/x" "$R/t/b"; command chmod 777 "$R/t/a/open"
    hand rmrf "$R/t/a" && echo "by hand"
    [ -e "$R/t/a/open/x" ] && rm -rf "$R/t/a" && [ ! -e "$R/t/a" ] && echo gone
    mkdir -p "$R/t/c/d"; (cd "$R/t" && hand rmrf ./b ./c) && echo "by hand"
    (cd "$R/t" && rm -rf ./c "$R/t/none") && echo gone
    """
    assert sh.run(script(sh, then)).stdout == b"gone\ngone\n"


@pytest.mark.parametrize("stand", ["the runner", "a subshell"])
@with_hand
def test_names_are_those_of_who_asks(sh, stand):
    for name in ("one", "two"):
        (sh.root / "t" / name).mkdir(parents=True)
        (sh.root / "t" / name / "x").touch()
    acts = {
        "the runner": 'cd "$R/t/two"; rm x; cd "$R/t/one"',
        "a subshell": 'cd "$R/t/one"; (cd "$R/t/two" && rm x)',
    }
    assert sh.run(script(sh, NO_COMMANDS + acts[stand])).returncode == 0
    assert [p.name for p in (sh.root / "t").glob("*/*")] == ["x"] and (sh.root / "t/one/x").exists()


@with_hand
def test_names_in_a_folder_that_was_swapped_are_those_of_the_old_one(sh):
    (sh.root / "t/one").mkdir(parents=True)
    (sh.root / "t/one/x").touch()
    (sh.root / "t/other").mkdir()
    (sh.root / "t/other/x").touch()
    then = 'cd -P "$R/t/one"; mv "$R/t/one" "$R/t/was"; ln -s other "$R/t/one"\n' + NO_COMMANDS + "rm ./x"
    assert sh.run(script(sh, then)).returncode == 0
    assert (sh.root / "t/other/x").exists() and not (sh.root / "t/was/x").exists()


CHANGES = {
    "nothing": (":", "as it was"),
    "a file": ("echo x >etc/nginx/conf.d/a", "newer"),
    "a new link": ("ln -s nowhere etc/nginx/l", "newer"),
    "a file that went": ("rm etc/nginx/conf.d/a", "newer"),
    "what a link leads to": ("echo x >etc/elsewhere", "as it was"),
    "the whole folder": ("rm -r etc/nginx", "newer"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_configuration_that_changed_is_seen(sh, what):
    change, verdict = CHANGES[what]
    conf = sh.root / "etc/nginx/conf.d"
    conf.mkdir(parents=True)
    (conf / "a").touch()
    (sh.root / "etc/elsewhere").touch()
    (conf / "to").symlink_to("../../elsewhere")
    for path in (conf / "a", conf / "to", conf, conf.parent):
        os.utime(path, (1, 1), follow_symlinks=False)
    then = f"""
    : >"$R/good"; cd "$R"; touch -d @1000000000 "$R/good"; {change}
    if is_newer "$R/etc/nginx" "$R/good"; then echo newer; else echo "as it was"; fi
    """
    for ready in ("", READY)[: 1 + has_hand(sh)]:
        if ready and what != "nothing":
            then = then[: then.rindex(change)] + ":" + then[then.rindex(change) + len(change) :]
        assert sh.run(script(sh, then, ready=ready)).stdout.decode().strip() == verdict


@with_hand
def test_a_newer_file_by_a_nanosecond_is_newer(sh):
    (sh.root / "t").mkdir()
    (sh.root / "good").touch()
    os.utime(sh.root / "good", ns=(1, 1_500_000_000_000_000_001))
    for ns, verdict in ((0, "as it was"), (1, "as it was"), (2, "newer")):
        os.utime(sh.root / "t", ns=(1, 1_500_000_000_000_000_000 + ns))
        then = 'if is_newer "$R/t" "$R/good"; then echo newer; else echo "as it was"; fi; hand bye'
        assert sh.run(script(sh, NO_COMMANDS + then)).stdout.decode().strip() == verdict


def test_the_room_is_what_df_says(sh):
    then = 'room_at "$R"; echo "$avail $inodes"; HAND=; room_at "$R"; echo "$avail $inodes"'
    done = sh.run(script(sh, then, ready=READY if has_hand(sh) else ""))
    (kib, inodes), (df_kib, df_inodes) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert abs(kib - df_kib) < 0.01 * df_kib and abs(inodes - df_inodes) <= 0.01 * df_inodes + 10


def originals(sh, listed):
    """Saves the originals of two files whose planned sums are those of ``listed``."""
    folder = sh.root / "etc/nginx"
    folder.mkdir(parents=True)
    conf = sh.root / "j/cur/conf"
    conf.mkdir(parents=True)
    rows = []
    for n, text in enumerate(("one\n", "two\n"), 1):
        (folder / str(n)).write_text(text)
        planned = subprocess.run(
            ["sha256sum"], input=listed[n - 1].encode(), stdout=subprocess.PIPE, check=True
        )
        rows.append(f"{n}\tnginx\t{planned.stdout.split()[0].decode()}\t{folder / str(n)}\n")
    (conf / "list").write_text("".join(rows))
    then = 'PHASE=preflight\nsave_originals && ls "$CUR/conf"'
    return sh.run(script(sh, then, ready=READY if has_hand(sh) else ""))


def test_originals_are_saved_all_or_none(sh):
    done = originals(sh, ("one\n", "two\n"))
    assert done.stdout.split() == [b"1.orig", b"2.orig", b"list"]


def test_a_file_that_changed_since_the_plan_refuses_the_run(sh):
    done = originals(sh, ("one\n", "too\n"))
    assert done.returncode == 4
    assert "etc/nginx/2 changed since the plan was made; plan again" in (sh.root / "j/journal").read_text()


def test_the_program_of_the_hand_is_strict(sh):
    then = 'printf "use strict; use warnings; %s" "$HAND_PROGRAM" >"$R/hand.pl"; perl -c "$R/hand.pl"'
    done = sh.run(sh.parts("prelude", "run_hand_program", then=then))
    assert (done.returncode, done.stderr.count(b"\n")) == (0, 1), done.stderr


SAYS = "sh -c 'nice; ionice -p $$'"
LOW = f"""
(step_back; low {SAYS}; : | become_low {SAYS}; echo "${{LOWERED:-by commands}}")
{SAYS}
step_back; {SAYS}; echo "${{LOWERED:-not the runner}}"
"""
STEPS = {
    ("ionice -c 2 -n 7", "10"): ("10", "best-effort: prio 7"),
    ("ionice -c 3", "3"): ("3", "idle"),
    ("", "30"): ("19", "none: prio 0"),
    ("ionice -c 2 -n 6", "0"): ("0", "best-effort: prio 6"),
}


@pytest.mark.parametrize("ready", [READY, ""], ids=["hand", "commands"])
@pytest.mark.parametrize("wish", STEPS)
@with_hand
def test_heavy_work_steps_back_as_it_is_told_and_the_runner_does_not(sh, wish, ready):
    if not shutil.which("ionice"):
        pytest.skip("ionice is not installed here")
    done = sh.run(script(sh, f"IONICE='{wish[0]}' NICE={wish[1]}\n{LOW}", ready=ready))
    by_hand = ready and wish[0] != "ionice -c 2 -n 6"
    expected = [*STEPS[wish] * 2, "1" if by_hand else "by commands"]
    runner = ["0", "none: prio 0"]
    assert (done.stderr, done.stdout.decode().splitlines()) == (
        b"",
        [*expected, *runner, *runner, "not the runner"],
    )


@with_hand
def test_an_archive_is_written_by_who_steps_back(sh):
    (sh.root / "t").mkdir()
    (sh.root / "t/f").write_text("content")
    then = """
    IONICE='ionice -c 3' NICE=5 TAR=gnu GZ=gzip
    cd "$R/t"; write_tar "$S/a" ./f; echo "$?"; write_tar "$S/b" ./none; echo "$?"
    GZ=false; write_tar "$S/c" ./f; echo "$?"
    [ -s "$RD/gzip.pid" ] && tar -xzOf "$S/a" ./f; echo "${LOWERED:-}"
    """
    for ready in (READY, ""):
        done = sh.run(script(sh, then + "hand bye", ready=ready))
        assert (done.stderr, done.stdout) == (b"", b"0\n2\n2\ncontent\n")
