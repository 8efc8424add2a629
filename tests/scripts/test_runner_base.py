"""The runner's ground: locks, the journal, files put in place, folders pinned, archives that lie."""

import gzip
import hashlib
import io
import os
import re
import subprocess
import tarfile
import time

import pytest
from scripts.conftest import NEXT_SECOND

BASE = (
    "prelude",
    "capabilities",
    "walk",
    "run_base",
    "run_notes",
    "run_look",
    "run_lock",
    "run_pins",
    "run_services",
    "run_fpm",
    "run_config",
    "run_whose",
    "run_manifest",
    "run_again",
    "run_backup",
    "run_way",
    "archive_pair",
    "run_unpack",
    "run_carry",
    "run_restore",
    "run_kept",
    "run_unrestore",
)
SETUP = (
    NEXT_SECOND
    + """
J=$R/j CUR=$R/j/cur S=$R/s RD=$R/rd B=$R/b DOMAIN=a.test RUN=r1 OPERATOR=me CRASH_AT=0 FAIL_AT= NICE=0
VAR=$R/var/lib/nsmig XCHG=none TAR=gnu UPATH=$R/srv/a.test
mkdir -p "$CUR" "$S" "$RD" "$B" "$VAR"
: >>"$J/journal"
sync() { :; } # the machine's disks are not what is tested
"""
)
NO_FLOCK = 'have() { case $1 in flock) return 1 ;; esac; command -v "$1" >/dev/null 2>&1; }\n'


ARCHIVING = """
GZ=gzip TS=20260101-000000 TOTAL_BYTES=100
tar --version 2>&1 | grep -q GNU || TAR=busybox
mkdir -p "$CUR/conf" "$B/tree" && chmod 755 "$B/tree"
"""
"""What `make_archive` needs, and what unpacks an archive."""


def text(sh, then, setup=SETUP):
    return sh.parts(*BASE, then=setup + then)


def journal(sh):
    return [line.split("\t") for line in (sh.root / "j/journal").read_text().splitlines()]


RACE = """
: >"$R/ready.$$"
while [ ! -e "$R/go" ]; do sleep 0.01; done
if take_lock; then echo won; while [ ! -e "$R/stop" ]; do sleep 0.01; done; else echo lost; fi
"""
STALE = "old-boot 1 1\n"


@pytest.mark.parametrize("flock", [True, False], ids=["flock", "no flock"])
@pytest.mark.parametrize("stale", [False, True], ids=["free", "stale"])
def test_of_eight_at_once_exactly_one_gets_the_lock(sh, flock, stale):
    script = sh.root / "race.sh"
    script.write_text(text(sh, ("" if flock else NO_FLOCK) + RACE))
    if stale:
        (sh.root / "j").mkdir()
        (sh.root / "j/lock.owner").write_text(STALE)
    racers = [
        subprocess.Popen(
            [*sh.command, script], env=sh.environment(), cwd=sh.root, stdout=subprocess.PIPE, text=True
        )
        for _ in range(8)
    ]
    try:
        wait_for(lambda: len(list(sh.root.glob("ready.*"))) == 8)
        (sh.root / "go").touch()
        losers = set()
        wait_for(lambda: losers.update(p.pid for p in racers if p.poll() is not None) or len(losers) == 7)
        (sh.root / "stop").touch()
        said = sorted(p.communicate(timeout=30)[0] for p in racers)
    finally:
        (sh.root / "stop").touch()
        for racer in racers:
            racer.kill()
            racer.wait()
    assert said == ["lost\n"] * 7 + ["won\n"]
    assert (sh.root / "j/owner").read_text().startswith("r1\tme\t")
    assert not list((sh.root / "j").glob("lock.owner.*"))


def wait_for(condition, tries=3000):
    """Until it holds; a bound only against hanging."""
    for _ in range(tries):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


def test_a_lock_is_free_again_when_its_owner_is_gone(sh):
    for owner in (STALE, ""):
        (sh.root / "j").mkdir(exist_ok=True)
        (sh.root / "j/lock.owner").write_text(owner)
        done = sh.run(text(sh, NO_FLOCK + 'take_lock && cat "$J/lock.owner" && echo "$$"'))
        if not owner:
            assert done.returncode != 0, "an owner that cannot be read may be alive"
            continue
        boot, pid, start = done.stdout.split()[:3]
        assert pid == done.stdout.split()[3] and start.isdigit() and boot
        again = sh.run(text(sh, NO_FLOCK + "take_lock && echo won"))
        assert again.stdout == b"won\n"


@pytest.mark.parametrize("flock", [True, False], ids=["flock", "no flock"])
def test_what_a_killed_runner_left_at_work_is_ended(sh, flock):
    """And nobody else: not who works for a run that lives, nor who merely waits for the lock."""
    way = "" if flock else NO_FLOCK
    begin = """
    RUN=$1; mkdir -p "$J/runs/$RUN"; boot_id; start_of $$
    printf '%s %s %s\\n' $$ "$START" "$BOOT" >"$J/runs/$RUN/pid"
    open_lock; take_lock || exit 75
    (while :; do sleep 0.1; done) &
    echo $!; wait
    """
    script = sh.root / "dies.sh"
    script.write_text(text(sh, way + begin))
    dies = subprocess.Popen(
        [*sh.command, script, "r0"],
        env=sh.environment(), cwd=sh.root, stdout=subprocess.PIPE, start_new_session=True, text=True,
    )  # fmt: skip
    worker = int(dies.stdout.readline())
    try:
        assert sh.run(text(sh, way + "open_lock; take_lock || echo taken")).stdout == b"taken\n"
        os.kill(worker, 0)
        dies.kill()
        dies.wait()
        done = sh.run(text(sh, way + "open_lock; take_lock && echo mine"))
        assert done.stdout == b"mine\n", done
        wait_for(lambda: not running(worker))
    finally:
        dies.kill()
        if running(worker):
            os.kill(worker, 9)


def running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_the_vnodes_lock_is_let_go_by_its_holder_only(sh):
    then = NO_FLOCK + 'vnode_lock; vnode_lock; cp "$VAR/node.owner" "$R/mine"; vnode_unlock; ls "$VAR"'
    done = sh.run(text(sh, then))
    assert (done.returncode, done.stdout) == (0, b"")
    (sh.var / "node.owner").write_text("other-boot 4711 1\n")
    assert b"node.owner" in sh.run(text(sh, NO_FLOCK + 'vnode_unlock; ls "$VAR"')).stdout


HOLDS = """
if [ "$1" = flock ]; then exec 8>>"$2/node.lock"; flock 8
else
  read -r boot </proc/sys/kernel/random/boot_id
  read -r stat <"/proc/$$/stat"
  set -- "$1" "$2" ${stat##*) }
  shift 2
  echo "$boot $$ ${20}" >"$VAR/node.owner"
fi
: >"$R/held"
sleep 3; :
"""


@pytest.mark.parametrize("without", ["", NO_FLOCK], ids=["flock", "no flock"])
@pytest.mark.parametrize("phase", ["undo", "preflight"])
def test_the_way_back_waits_for_the_vnodes_lock_however_long_it_stays_taken(sh, phase, without):
    """By a run that hangs, for example. The way there gives up instead, as nothing is half-way then."""
    (sh.root / "holds.sh").write_text(HOLDS)
    how = "owner" if without else "flock"
    then = f"""
    PATIENCE=1 PHASE={phase}
    export R VAR
    sh "$R/holds.sh" {how} "$VAR" >/dev/null 2>&1 &
    until [ -e "$R/held" ]; do sleep 0.05; done
    vnode_lock
    echo got
    """
    done = sh.run(text(sh, without + then))
    told = [row[4] for row in journal(sh) if row[3] in ("warning", "error")]
    late = "the vnode's configuration lock stayed taken for 1 s"
    if phase == "undo":
        assert (done.returncode, done.stdout) == (0, b"got\n"), (done, told)
        assert told == [f"{late}; the way back waits for the run that has it"]
    else:
        assert (done.returncode, done.stdout, told) == (4, b"", [late]), done


def test_journal_lines(sh):
    done = sh.run(
        text(
            sh,
            'j one "a  b"; j two "tab\there${NL}line"; j three ""; warn x y; step s1; step s2; j k "%s\\\\n"',
        )
    )
    assert (done.returncode, done.stderr) == (0, b"")
    rows = journal(sh)
    assert [row[0] for row in rows] == [str(n) for n in range(1, len(rows) + 1)]
    assert {row[2] for row in rows} == {"r1"} and all(
        re.fullmatch(r"[0-9]+\.[0-9]{2}", row[1]) for row in rows
    )
    assert [row[3:] for row in rows] == [
        ["one", "a  b"],
        ["two", "tab here line"],
        ["three", ""],
        ["warning", "x y"],
        ["step", "s1"],
        ["step_done", "s1"],
        ["step", "s2"],
        ["k", "%s\\n"],
    ]


def test_a_refusal_before_anything_was_touched(sh):
    done = sh.run(text(sh, 'step pre_flight_checks; fail "no room"; echo not reached'))
    assert (done.returncode, done.stdout) == (4, b"")
    assert [row[3:] for row in journal(sh)][1:] == [["error", "no room"], ["points", "0"], ["end", "refused"]]


def test_a_failing_undo_calls_a_person(sh):
    done = sh.run(text(sh, 'PHASE=undo; fail "stuck"'))
    assert done.returncode == 6
    kinds = [row[3] for row in journal(sh)]
    assert kinds == ["error", "attention", "points", "end"]
    assert "cur" in journal(sh)[1][4] and journal(sh)[-1][4] == "attention"


def test_put_replaces_whole_and_keeps_owner_and_mode(sh):
    folder = sh.root / "etc/nginx/sites-enabled"
    folder.mkdir(parents=True)
    site = folder / "a"
    site.write_text("old")
    site.chmod(0o640)
    new = sh.root / "new"
    new.write_text("new")
    new.chmod(0o600)
    before = site.stat().st_ino
    done = sh.run(text(sh, 'put "$1" "$2" && put "$1" "$2.made"'), new, site)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (site.read_text(), site.stat().st_mode & 0o777) == ("new", 0o640)
    assert site.stat().st_ino != before
    assert (folder / "a.made").stat().st_mode & 0o777 == 0o644
    assert {p.name for p in folder.iterdir()} == {"a", "a.made"}
    assert {p.name for p in folder.parent.iterdir()} == {"sites-enabled"}


def test_what_is_put_and_what_is_saved_keep_extended_attributes_where_cp_can(sh):
    site, new, saved = sh.root / "etc/a", sh.root / "new", sh.root / "saved"
    site.parent.mkdir(exist_ok=True)
    site.write_text("old")
    new.write_text("new")
    os.setxattr(site, "user.origin", b"puppet")
    done = sh.run(
        text(sh, 'copy_exactly "$2" "$3" && put "$1" "$2" && put "$3" "$2.back" exact'), new, site, saved
    )
    assert done.returncode == 0, done.stderr
    files = (site, saved, sh.root / "etc/a.back")
    assert [file.read_text() for file in files] == ["new", "old", "old"]
    if sh.name != "busybox":  # its cp has no word for them
        assert [os.getxattr(file, "user.origin") for file in files] == [b"puppet"] * 3


def test_put_leaves_the_old_file_when_it_cannot_write_the_new(sh, tmp_path):
    folder = sh.root / "etc/nginx/sites-enabled"
    folder.mkdir(parents=True)
    (folder / "a").write_text("old")
    seen = tmp_path / "seen"
    fake = f'cp() {{ printf half >"$3"; printf "%s\\n" "${{3%/*}}" >"{seen}"; return 1; }}\n'
    done = sh.run(text(sh, fake + 'put "$1" "$2"'), sh.root / "script.sh", folder / "a")
    assert done.returncode == 1
    assert (folder / "a").read_text() == "old"
    assert seen.read_text().strip() == str(folder.parent), (
        "the half-written file never stood where nginx includes"
    )
    assert {p.name for p in folder.parent.rglob("*")} == {"sites-enabled", "a"}


def test_a_folder_that_was_swapped_for_a_link_is_not_entered(sh):
    (sh.root / "real").mkdir()
    (sh.root / "other").mkdir()
    inode = (sh.root / "real").stat().st_ino
    script = text(sh, 'in_dir "$1" "$2" touch ./here || echo refused')
    assert sh.run(script, sh.root / "real", inode).stdout == b""
    assert (sh.root / "real/here").exists()
    os.rename(sh.root / "real", sh.root / "moved")
    os.symlink("other", sh.root / "real")
    assert sh.run(script, sh.root / "real", inode).stdout == b"refused\n"
    assert list((sh.root / "other").iterdir()) == []


def member(name, kind=tarfile.REGTYPE, to="", data=b""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.size, entry.mode = kind, to, len(data), 0o644
    return entry, data


def folder(name):
    return member(name, tarfile.DIRTYPE)


LINK, HARD, PIPE = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE
TOP = folder("./")
FILE = member("./web/f", data=b"x")
HOSTILE = {
    "climbs": [TOP, member("./../x")],
    "climbs inside": [TOP, member("./web/../../x")],
    "absolute": [TOP, member("/etc/x")],
    "bare": [TOP, member("x")],
    "dash": [TOP, member("-x")],
    "beneath a link": [TOP, member("./web", LINK, "/etc"), member("./web/passwd")],
    "beneath a link, a backslash": [TOP, member("./web", LINK, "/etc"), member("./web/pass\\wd")],
    "deep beneath a link": [TOP, member("./a", LINK, "b"), member("./a/b/c/d")],
    "link over a folder": [TOP, folder("./web/"), member("./web", LINK, "/etc"), member("./web/x")],
    "beneath a second name of a link": [
        TOP,
        member("./a", LINK, "/etc"),
        member("./b", HARD, "./a"),
        member("./b/x"),
    ],
    "hard link outside": [TOP, member("./web/x", HARD, "/etc/passwd")],
    "hard link climbing": [TOP, FILE, member("./web/x", HARD, "./../../etc/passwd")],
    "hard link through a link": [TOP, member("./l", LINK, "/etc"), member("./x", HARD, "./l/passwd")],
    "hard link to what comes later": [TOP, member("./web/x", HARD, "./web/f"), FILE],
    "hard link with an honest tail": [TOP, FILE, member("./web/x", HARD, "/etc/./web/x")],
    "arrow in a name": [TOP, FILE, member("./a -> ./web/f", HARD, "/etc/passwd")],
    "device": [TOP, member("./dev", tarfile.BLKTYPE)],
    "character device": [TOP, member("./null", tarfile.CHRTYPE)],
    "climbs behind a tab": [TOP, member("./a\t/../../x")],
    "newline and dots": [TOP, member("./a\n../../x")],
}
HARMLESS = {
    "a plain tree": [
        TOP,
        folder("./web/"),
        FILE,
        member("./web/l", LINK, "/anywhere/else"),
        member("./p", PIPE),
    ],
    "hard links": [TOP, FILE, member("./web/g", HARD, "./web/f"), member("./web/h", HARD, "./web/g")],
    "odd names": [
        TOP,
        member("./a b"),
        member("./..."),
        member("./a..b"),
        member("./$(id)"),
        member("./é\\x"),
    ],
    "an arrow in a name": [TOP, member("./a -> b"), member("./a -> ./web/f"), member("./x link to y")],
    "a link with an arrow": [TOP, member("./l -> m", LINK, "n -> o")],
    "a link beside": [TOP, member("./web", LINK, "x"), member("./web2/x")],
}


def archive(path, members):
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        for entry, data in members:
            tar.addfile(entry, io.BytesIO(data))


CHECK = """
TAR=$(tar_flavour) PHASE=preflight
for a in "$R"/archives/*; do
  : >"$J/journal"
  if (check_members "$a") >/dev/null 2>&1; then said=accepted; else said="$? $(cat "$J/journal")"; fi
  printf '%s\\0%s\\0' "${a##*/}" "$said"
done
"""


def checked(sh, corpus):
    """What is said of each archive of a corpus, in one go."""
    (sh.root / "archives").mkdir()
    for name, members in corpus.items():
        archive(sh.root / "archives" / name, members)
    done = sh.run(text(sh, CHECK))
    assert done.returncode == 0, done.stderr
    words = done.stdout.decode().split("\0")[:-1]
    said = dict(zip(words[::2], words[1::2], strict=True))
    assert said.keys() == corpus.keys()
    return said


def test_hostile_archives_are_refused(sh):
    for name, said in checked(sh, HOSTILE).items():
        assert said.startswith("4 "), name
        assert "not accepted" in said or "cannot be" in said, name


def test_honest_archives_are_accepted(sh):
    assert checked(sh, HARMLESS) == dict.fromkeys(HARMLESS, "accepted")


def test_a_newline_in_a_name_is_one_name_or_none(sh):
    said = checked(sh, {"newline": [TOP, member("./a\n/etc/x")]})["newline"]
    assert said.startswith("4 ") if sh.name == "busybox" else said == "accepted"


def test_dots_at_the_end_are_refused_or_stripped(sh):
    """BusyBox strips such a name before it shows or uses it."""
    said = checked(sh, {"dots": [TOP, folder("./web/..")]})["dots"]
    assert said == "accepted" if sh.name == "busybox" else said.startswith("4 ")
    if said == "accepted":
        (sh.root / "b/tree").mkdir()
        sh.run(text(sh, 'TAR=$(tar_flavour)\nunpack "$R/archives/dots"'))
        assert {p.name for p in (sh.root / "b").iterdir()} == {"tree", "names", "long", "devices"}


def test_damaged_archives_are_refused(sh):
    (sh.root / "archives").mkdir()
    path = sh.root / "archives/whole"
    archive(path, [TOP, *[member(f"./f{n}", data=os.urandom(2000)) for n in range(20)]])
    whole = path.read_bytes()
    broken = {"empty": b"", "middle": whole[: len(whole) // 2], "noise": os.urandom(3000), "tail": whole[:-6]}
    for name, data in broken.items():
        (sh.root / "archives" / name).write_bytes(data)
    words = sh.run(text(sh, CHECK)).stdout.decode().split("\0")[:-1]
    said = {name: line[:2] for name, line in zip(words[::2], words[1::2], strict=True)}
    assert said == {"whole": "ac"} | dict.fromkeys(broken, "4 ")


def test_staging_is_made_though_others_take_the_folder_above_away(sh):
    """Runs that end remove the shared folder when it is empty; one that begins must not stumble over it."""
    done = sh.run(
        text(
            sh,
            """
S=$R/v/.nsmig/a.test
PHASE=preflight
mkdir -p "$R/v"
(while [ ! -e "$R/stop" ]; do rmdir "$R/v/.nsmig" 2>/dev/null; done) &
i=0
while [ "$i" -lt 300 ]; do
  make_staging
  [ -d "$S" ] || echo missing
  rm -rf "$S"
  i=$((i + 1))
done
: >"$R/stop"
wait
echo done
""",
        )
    )
    assert done.stdout.split() == [b"done"], done.stderr


def test_what_is_made_in_staging_has_the_group_and_mode_of_who_made_it(sh):
    """VPATH hands its group down, and a default ACL."""
    (sh.root / "v").mkdir()
    subprocess.run(["setfacl", "-m", "d:u:1:rwx,d:g:4:rwx", sh.root / "v"], check=True)
    (sh.root / "v").chmod(0o2775)
    acts = 'PHASE=preflight\nS=$R/v/.nsmig/a.test\nmake_staging\nmkdir -m 750 "$S/log"\n'
    done = sh.run(text(sh, acts))
    assert (done.returncode, done.stderr) == (0, b"")
    modes = {"v/.nsmig": 0o711, "v/.nsmig/a.test": 0o711, "v/.nsmig/a.test/log": 0o750}
    assert {name: (sh.root / name).stat().st_mode & 0o7777 for name in modes} == modes
    assert [name for name in modes if os.listxattr(sh.root / name)] == []


@pytest.mark.parametrize("ours", ["before the test", "after it", "edited since"])
def test_what_nginx_said_after_our_last_move_holds_for_us_too(sh, ours):
    then = """
    nginx_test() { echo tested; }
    config_was_good nginx
    config_good_since nginx "$R/walk" || exit 9
    """
    conf, walk, good = sh.root / "etc/nginx/nginx.conf", sh.root / "walk", sh.var / "nginx.good"
    for path in (conf, walk, good):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for path in (conf, conf.parent):
        os.utime(path, (1000, 1000))
    os.utime(good, (2000, 2000))
    os.utime(walk, (3000, 3000) if ours == "after it" else (1500, 1500))
    if ours == "edited since":
        os.utime(conf, (2500, 2500))
    done = sh.run(text(sh, then))
    assert (done.returncode, done.stderr) == (0, b"")
    # the first question, after an edit, was a test of its own and holds from then on
    assert done.stdout == (b"" if ours == "before the test" else b"tested\n")


@pytest.mark.parametrize(
    ("broken", "code"),
    [("", 0), ("finish_manifest() { return 1; }", 4), ("tar_stream() { return 2; }", 2)],
    ids=["all is well", "no manifest", "no archive"],
)
def test_the_manifest_is_made_beside_the_archive(sh, broken, code):
    then = f"""
    GZ=gzip
    tar --version 2>&1 | grep -q GNU || TAR=busybox
    {broken}
    cd "$UPATH" && walk "$S/m.part.links" >"$S/m.part.walk" || exit 9
    write_tar_and_manifest "$S/archive" "$S/m.part"
    """
    (sh.root / "srv/a.test/web").mkdir(parents=True)
    (sh.root / "srv/a.test/web/page").write_text("words")
    done = sh.run(text(sh, then))
    assert done.returncode == code, done.stderr
    if code == 0:
        manifest = (sh.root / "s/m.part").read_text()
        assert hashlib.sha256(b"words").hexdigest() in manifest
        assert gzip.decompress((sh.root / "s/m.gz.part").read_bytes()).decode() == manifest
        with tarfile.open(sh.root / "s/archive") as archive:
            assert "./web/page" in archive.getnames()


@pytest.mark.parametrize("when", ["before it is packed", "before it is hashed"])
def test_an_archive_of_a_tree_that_is_written_to_can_be_restored(sh, when):
    """What grows, comes or goes between two looks must not make the archive one that its manifest denies."""
    logs = sh.root / "srv/a.test/var/log"
    logs.mkdir(parents=True)
    (sh.root / "srv/a.test/web").mkdir()
    (sh.root / "srv/a.test/web/page").write_text("words")
    for name in ("access.log", "session", "with\nnewline"):
        (logs / name).write_text("old")
    meanwhile = f"""
    next_second
    for f in {logs}/*; do printf more >>"$f"; done
    printf new >{logs}/new
    rm {logs}/session
    """
    then = f"""
    pt() {{ if [ "$1" = backup-manifest ]; then {meanwhile if when == "before it is packed" else ":"}
    fi; }}
    next_second
    make_archive
    unpack "$UPATH/.archive/pre-migration-$TS.tar.gz" || exit 8
    again=$UPATH/.archive/pre-migration-$TS.again.tar.gz
    unpack "$again" || exit 8
    manifest=$J/manifests/pre-migration-$TS
    check_unpacked "$manifest" "$again"
    cd "$UPATH/.archive" && gzip -dc pre-migration-$TS.manifest.gz | cmp - "$manifest" || exit 7
    page=$B/tree/web/page
    cp -p "$page" "$B/page" && printf more >>"$page" && touch -r "$B/page" "$page"
    check_unpacked "$manifest" "$again"
    """
    if when == "before it is hashed":
        once = f"if mkdir {sh.root}/once 2>/dev/null; then {meanwhile}\nfi"
        sh.put_before("sha256sum", f"{NEXT_SECOND}{once}")
    done = sh.run(text(sh, ARCHIVING + then))
    noted = (sh.root / "j/journal").read_text()
    assert "the unpacked archive is not what its manifest says: differs ./web/page," in noted, done
    assert "./web/page" not in next(line for line in noted.splitlines() if "\twarning\t" in line)
    unpacked = {path.name: path.read_text() for path in (sh.root / "b/tree/var/log").iterdir()}
    unpacked.pop("session", "")  # as it was, where it had been packed by then
    assert unpacked == {"access.log": "oldmore", "with\nnewline": "oldmore", "new": "new"}


@pytest.mark.parametrize("odd", ["\nfirst/page", "last\n/page", "\n\n/\n", "two\nlines/and\nmore"])
def test_newlines_at_any_place_of_a_name_are_found_in_the_archive(sh, odd):
    """A listing makes lines of them; GNU tar's has a folder's name with a slash at its end."""
    page = sh.root / "srv/a.test/web" / odd
    page.parent.mkdir(parents=True)
    page.write_text("words")
    then = """
    make_archive
    """
    done = sh.run(text(sh, ARCHIVING + then))
    assert done.returncode == 0, (sh.root / "j/journal").read_text()
    assert "\tarchive\t" in (sh.root / "j/journal").read_text()


def test_what_archives_is_ended_before_a_site_where_memory_runs_out(sh):
    """The kernel goes by oom_score_adj; the runner itself keeps what it has."""
    (sh.root / "srv/a.test/web").mkdir(parents=True)
    told = f"read -r score </proc/self/oom_score_adj; echo tar $score >>{sh.root}/scores\n"
    sh.put_before("tar", f'case " $* " in *" web "*|*" . "*|*./web*) {told}esac')
    then = f"""
    read -r score </proc/self/oom_score_adj && echo runner "$score" >{sh.root}/scores
    make_archive
    read -r now </proc/self/oom_score_adj && [ "$now" = "$score" ] || exit 9
    """
    done = sh.run(text(sh, ARCHIVING + then))
    assert done.returncode == 0, (sh.root / "j/journal").read_text()
    runner, *others = (sh.root / "scores").read_text().split("\n")
    assert runner != "runner 1000" and others == ["tar 1000", ""]


def test_files_without_a_checksum_are_counted_in_a_warning(sh):
    """What sums them may be killed, for want of memory."""
    web = sh.root / "srv/a.test/web"
    web.mkdir(parents=True)
    for name in ("one", "two"):
        (web / name).write_text(name)
    sh.put_before("sha256sum", f"if [ -e {sh.root}/dying ]; then exit 137; fi")
    then = f"""
    pt() {{ case $1 in backup-manifest) touch {sh.root}/dying ;; backup-tar) rm {sh.root}/dying ;; esac; }}
    make_archive
    """
    done = sh.run(text(sh, ARCHIVING + then))
    noted = (sh.root / "j/journal").read_text()
    assert done.returncode == 0 and "\twarning\t2 file(s) have no checksum" in noted, noted


def test_what_no_archive_would_hold_stops_the_run_before_there_is_one(sh):
    """A subvolume, as the walk shows it: a folder on another device, and nothing of what is in it."""
    (sh.root / "srv/a.test/web/data").mkdir(parents=True)
    then = """
    walk() {
      if find_prints; then walk_gnu "$@"; else walk_busybox "$@"; fi | awk '
        NR % 3 == 1 { m = $0; next }
        NR % 3 == 2 { if ($0 == "./web/data") sub(/[0-9]+$/, "0", m); print m }
        { print }'
    }
    make_archive
    """
    sh.run(text(sh, ARCHIVING + then))
    (said,) = (row[4] for row in journal(sh) if row[3] == "error")
    assert "/srv/a.test/web/data is a file system or a btrfs subvolume of its own" in said
    assert list((sh.root / "srv/a.test/.archive").iterdir()) == []


def test_what_changed_and_went_before_it_was_archived_again_leaves_nothing_behind(sh):
    web = sh.root / "srv/a.test/web"
    web.mkdir(parents=True)
    then = f"""
    pt() {{ if [ "$1" = backup-tar ]; then next_second; echo words >{web}/fleeting; fi; }}
    tr() {{ rm -f {web}/fleeting; command tr "$@"; }}
    make_archive
    """
    done = sh.run(text(sh, ARCHIVING + then))
    assert done.returncode == 0, (sh.root / "j/journal").read_text()
    kinds = {path.name.split("-")[-1].partition(".")[2] for path in (web.parent / ".archive").iterdir()}
    assert kinds == {"tar.gz", "manifest.gz", "config.tar"}
    assert "warning" not in (sh.root / "j/journal").read_text()


def test_what_was_gone_when_it_was_packed_and_is_there_again_is_in_the_second_archive(sh):
    web = sh.root / "srv/a.test/web"
    (web / "cache").mkdir(parents=True)
    for path in (web / "lock", web / "cache/one", web / "gone for good", web / "line\nbreak", web / "page"):
        path.write_text("then")
    (web / "cache").chmod(0o750)
    then = f"""
    goes() {{ rm -r {web}/lock {web}/cache {web}/gone* {web}/line*; }}
    comes() {{ next_second
      cd {web} && umask 027 && mkdir cache
      for f in lock cache/two 'line\nbreak'; do printf now >"$f"; done
      cd "$UPATH"; }}
    pt() {{ case $1 in backup-manifest) goes ;; backup-tar) comes ;; esac; }}
    make_archive
    unpack "$UPATH/.archive/pre-migration-$TS.tar.gz" || exit 8
    again=$UPATH/.archive/pre-migration-$TS.again.tar.gz
    unpack "$again" || exit 8
    check_unpacked "$J/manifests/pre-migration-$TS" "$again"
    """
    done = sh.run(text(sh, ARCHIVING + then))
    assert done.returncode == 0, (sh.root / "j/journal").read_text()
    there = sh.root / "b/tree/web"
    found = {str(path.relative_to(there)): path.read_text() for path in there.rglob("*") if path.is_file()}
    assert found == {"lock": "now", "cache/two": "now", "line\nbreak": "now", "page": "then"}
    assert (there / "cache").stat().st_mode & 0o777 == 0o750
    manifest = (sh.root / "j/manifests/pre-migration-20260101-000000").read_text()
    assert "gone for good" not in manifest and "cache/one" not in manifest and "/lock\t" in manifest


def test_what_the_archive_lacks_though_nobody_touched_it_stops_the_run(sh):
    web = sh.root / "srv/a.test/web"
    web.mkdir(parents=True)
    (web / "page").write_text("words")
    then = """
    mkdir -p "$S/less/web"
    pt() { if [ "$1" = backup-tar ]; then (cd "$S/less" && tar -czf ../archive.part .); fi; }
    sleep 2.1
    make_archive
    """
    done = sh.run(text(sh, ARCHIVING + then))
    assert done.returncode != 0
    assert "does not hold all that the manifest lists: ./web/page" in (sh.root / "j/journal").read_text()


@pytest.mark.parametrize("leads", ["loop", "file/beneath", "nowhere"])
def test_a_link_that_leads_nowhere_gives_way_to_another(sh, leads):
    """BusyBox's mv looks where the link that it is to replace leads, and gives up when nobody can tell."""
    then = f"""
    mv() {{
      for to; do :; done
      case $(LC_ALL=C stat -L "$to" 2>&1 >/dev/null) in
        *"Too many levels"*|*"Not a directory"*) return 1 ;;
      esac
      command mv "$@"
    }}
    cd "$R" && : >file && ln -s {leads} loop && put_link target ./loop && readlink ./loop
    """
    done = sh.run(text(sh, then))
    assert (done.returncode, done.stdout) == (0, b"target\n"), done
