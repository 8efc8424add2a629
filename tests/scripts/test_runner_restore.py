"""A restore's parts: what may be unpacked, room for it, and what is never deleted with its staging."""

import os
import tarfile

import pytest
from scripts.test_runner_base import ARCHIVING, TOP, archive, folder, journal, text

STAGED = """
PHASE=undo S=$R/v/.nsmig/a.test VPATH=$R/v B=
mkdir -p "$S/restore/tree/web" "$S/restore/tree/var/log" "$J/restored"
echo today >"$S/restore/tree/web/page"
"""


@pytest.mark.parametrize("what", ["web", "var/log"])
@pytest.mark.parametrize("column", ["now", "before"])
def test_staging_with_what_was_live_is_never_deleted(sh, what, column):
    then = f"""
    i=$(ino "$S/restore/tree/{what}")
    printf '{what}\\t%s\\t%s\\n' {'"$i" 1' if column == "now" else '1 "$i"'} >"$J/restored/list"
    : >"$J/restored/begun"
    clear_staging
    """
    done = sh.run(text(sh, STAGED + then))
    assert done.returncode == 6, done
    assert (sh.root / "v/.nsmig/a.test/restore/tree/web/page").read_text() == "today\n"
    assert "holds what was live" in journal(sh)[0][4]


def test_staging_without_it_is_and_the_copy_of_a_restore_to_come_stays(sh):
    then = """
    printf 'web\\t1\\t2\\n' >"$J/restored/list"
    : >"$J/restored/begun"
    mkdir "$S/new"
    B=$S/restore
    clear_staging
    ls -A "$S"
    drop_copy
    ls -A "$VPATH"
    """
    done = sh.run(text(sh, STAGED + then))
    assert (done.returncode, done.stdout) == (0, b"restore\n"), done


def device(name):
    info = tarfile.TarInfo(name)
    info.type, info.devmajor, info.devminor = tarfile.CHRTYPE, 1, 9
    return info, b""


@pytest.mark.parametrize("listed", [True, False])
def test_a_device_comes_back_only_where_the_manifest_lists_it(sh, listed):
    archive(sh.root / "a.tar.gz", [TOP, folder("./dev"), device("./dev/urandom")])
    row = "c\t666\t0\t0\t1\t0\t1.0\t-\t./dev/urandom\t\n"
    (sh.root / "manifest").write_text(row if listed else row.replace("c\t", "f\t", 1))
    then = 'TAR=$(tar_flavour) PHASE=preflight\ncheck_members "$R/a.tar.gz" "$R/manifest"'
    done = sh.run(text(sh, then))
    assert done.returncode == (0 if listed else 4), done


@pytest.mark.parametrize(
    ("free", "code"), [("9000 9000", 0), ("2023 9000", 4), ("9000 163", 4), ("9000 0", 0), ("9000 -", 0)]
)
def test_a_restore_needs_room_for_all_of_it(sh, free, code):
    kib, inodes = free.split()
    then = f"PHASE=preflight VPATH=$R\nroom_at() {{ avail={kib} inodes={inodes}; }}\ncheck_room 1000 100"
    done = sh.run(text(sh, then))
    assert done.returncode == code, done
    if code:
        assert "to restore" in journal(sh)[0][4]


@pytest.mark.parametrize(("migrated", "mail", "expected"), [(0, 0, "1"), (1, 0, "1"), (0, 1, "2")])
def test_what_is_new_is_measured_in_either_layout(sh, migrated, mail, expected):
    public = sh.root / ("srv/a.test/web/app/public" if migrated else "srv/a.test/web")
    mails = sh.root / "srv/a.test/msg"
    for path in (public, mails):
        path.mkdir(parents=True)
    (public / "old").write_text("old")
    (public / "new").write_text("x" * 9000)
    (mails / "letter").write_text("new")
    names = ["./web", "./web/old", "./msg", ".", "./web/app"]
    (sh.root / "manifest").write_text("".join("\t".join(["f"] * 8 + [n, ""]) + "\n" for n in names))
    then = f"""
    EXACT=0 WITH_MAIL={mail}
    {': >"$CUR/plan"' if migrated else ""}
    measure_new "$R/manifest"
    echo "$NEW_ENTRIES" "$NEW_KIB"
    """
    done = sh.run(text(sh, then))
    entries, kib = done.stdout.decode().split()
    assert (entries, int(kib) >= 8) == (expected, True), done


def test_what_was_archived_again_is_never_written_through_a_link(sh):
    """A folder that was a link when the first archive was made: its target must not get what was in it."""
    tree, second, outside = (sh.root / name for name in ("b/tree", "b/second", "outside"))
    for path in (tree / "web/kept", second / "web/evil", second / "web/new/deep", outside):
        path.mkdir(parents=True)
    (tree / "web/evil").symlink_to(outside)
    (tree / "web/page").write_text("then")
    (tree / "web/kept/only copy").write_text("then")
    (second / "web/evil/passwd").write_text("now")
    (second / "web/page").write_text("now")
    (second / "web/new/deep/x\ny").write_text("now")
    (second / "web/kept").symlink_to("elsewhere")
    done = sh.run(text(sh, 'lay_over "$B/second"'))
    assert done.returncode == 0, done
    found = {str(path.relative_to(tree)): path.read_text() for path in tree.rglob("*") if path.is_file()}
    assert found == {
        "web/evil/passwd": "now",
        "web/page": "now",
        "web/new/deep/x\ny": "now",
        "web/kept/only copy": "then",
    }
    assert list(outside.iterdir()) == []
    assert "was a folder" in journal(sh)[0][4]


def test_folders_that_change_or_come_while_they_are_archived_do_not_hinder_a_restore(sh):
    web = sh.root / "srv/a.test/web"
    (web / "uploads").mkdir(parents=True)
    (web / "uploads/one").write_text("then")
    (web / "current").symlink_to("uploads")
    then = f"""
    pt() {{ case $1 in backup-manifest)
      next_second
      umask 022
      chmod 2775 {web}/uploads && echo more >{web}/uploads/two
      rm {web}/current && mkdir {web}/current && echo now >{web}/current/x
      mkdir -p {web}/later/deep && echo now >{web}/later/deep/x
      umask 077 ;;
    esac; }}
    make_archive
    unpack "$UPATH/.archive/pre-migration-$TS.tar.gz" || exit 8
    again=$UPATH/.archive/pre-migration-$TS.again.tar.gz
    mkdir "$B/second" && unpack "$again" "$B/second" || exit 9
    lay_over "$B/second"
    check_unpacked "$J/manifests/pre-migration-$TS" "$again"
    """
    done = sh.run(text(sh, ARCHIVING + then))
    assert done.returncode == 0, (sh.root / "j/journal").read_text()
    there = sh.root / "b/tree/web"
    assert (there / "later/deep").stat().st_mode & 0o777 == 0o755
    assert [(there / name).read_text() for name in ("current/x", "later/deep/x")] == ["now\n"] * 2
    assert not (there / "current").is_symlink()


def test_names_that_busybox_cannot_list_are_told_when_they_are_archived(sh):
    web = sh.root / "srv/a.test/web"
    web.mkdir(parents=True)
    (web / "two\nlines").write_text("words")
    then = """
    make_archive
    """
    done = sh.run(text(sh, ARCHIVING + then))
    assert done.returncode == 0, done
    told = "rollback --archive will refuse it" in (sh.root / "j/journal").read_text()
    assert told == (sh.name == "busybox")


def test_what_comes_between_the_carry_over_and_the_switch_goes_along_too(sh):
    """What was being written then is copied again, unless somebody wrote to the copy since."""
    live, tree = sh.root / "srv/a.test/web", sh.root / "b/tree/web"
    for path in (live / "up", tree / "up", sh.root / "j/restored"):
        path.mkdir(parents=True)
    for name in ("early", "growing", "theirs"):
        (live / "up" / name).write_text("early")
        os.utime(live / "up" / name, (1000, 1000))
    for path in (live, tree):
        (path / "page").write_text("then")
    then = f"""
    EXACT=0
    : >"$B/changed"
    mark_time "$B/carried.time"
    carry_over web
    sleep 0.1
    for f in growing theirs late two; do echo late >>{live}/up/"$f"; done
    mkdir {live}/later && echo late >{live}/later/x
    echo edited >{live}/page
    printf 'web\\t%s\\t%s\\n' "$(ino {tree})" "$(ino {live})" >"$J/restored/list"
    in_dir "$UPATH" "$(ino "$UPATH")" switch_component web web || exit 9
    next_second
    : >"$B/switched.time"
    next_second
    echo since >{live}/up/theirs
    rm {live}/up/early
    carry_late
    echo last >"$B/old/web/up/last"
    carry_late
    sort "$B/changed"
    """
    done = sh.run(text(sh, then))
    assert (done.returncode, done.stdout) == (0, b"web/page\nweb/up/theirs\n"), done
    found = {str(path.relative_to(live)): path.read_text() for path in live.rglob("*") if path.is_file()}
    assert found == {
        "up/growing": "earlylate\n",
        "up/theirs": "since\n",
        "up/late": "late\n",
        "up/two": "late\n",
        "up/last": "last\n",
        "later/x": "late\n",
        "page": "then",
    }


@pytest.mark.parametrize(("recorded", "there", "code"), [(1, 1, 0), (1, 0, 4), (0, 1, 0), (0, 0, 0)])
def test_an_archive_whose_second_one_is_missing_is_refused(sh, recorded, there, code):
    name = "pre-migration-20260101-000000"
    then = f"""
    PHASE=preflight ARCHIVE={name}.tar.gz
    mkdir -p "$UPATH/.archive"
    if [ {recorded} = 1 ]; then printf '{name}.again.tar.gz\\tsum\\t1\\t1\\n' >"$J/archives"; fi
    if [ {there} = 1 ]; then : >"$UPATH/.archive/{name}.again.tar.gz"; fi
    name_second
    echo "$SECOND"
    """
    done = sh.run(text(sh, then))
    assert done.returncode == code, done
    if code == 0:
        assert done.stdout.decode() == (f"{name}.again.tar.gz\n" if there else "\n")


RESTORED = """
PHASE=preflight S=$R/v/.nsmig/a.test VPATH=$R/v TS=20260102-000000 STEP= EXACT=0 OWNER=$ROOT_ID
rm -r "$CUR"
nginx_test() { :; }
nginx_reload() { :; }
mkdir -p "$S/restore" "$UPATH/.archive/replaced-1/var/log" "$UPATH/var/log" "$J/restored"
for c in web msg; do
  mkdir -p "$UPATH/.archive/replaced-1/$c" "$UPATH/$c"
  echo before >"$UPATH/.archive/replaced-1/$c/page"
  echo restored >"$UPATH/$c/page"
done
for c in web msg var/log; do
  printf '%s\\t%s\\t%s\\n' "$c" "$(ino "$UPATH/$c")" "$(ino "$UPATH/.archive/replaced-1/$c")"
done >"$J/restored/list"
printf replaced-1 >"$J/restored/replaced"
: >"$J/restored/begun"
: >"$J/restored/done"
"""


def kept(sh):
    """What was live, by its path below .archive/replaced-TS."""
    top = sh.root / "srv/a.test/.archive/replaced-20260102-000000"
    return {str(path.relative_to(top)): path.read_text() for path in top.rglob("*") if path.is_file()}


def test_what_replaced_a_restored_folder_gives_way_to_what_was_before(sh):
    then = """
    mv "$UPATH/web" "$R/old" && mkdir "$UPATH/web" && echo deployed >"$UPATH/web/page"
    rm -r "$UPATH/var"
    unrestore
    """
    done = sh.run(text(sh, RESTORED + then))
    assert done.returncode == 0, (done, journal(sh))
    up = sh.root / "srv/a.test"
    assert (up / "web/page").read_text() == "before\n"
    assert (up / "var/log").is_dir() and (up / "var/run").is_dir()
    assert kept(sh) == {"web/page": "deployed\n", "msg/page": "restored\n"}
    assert any("web was replaced since the restore" in line[4] for line in journal(sh))
    assert not (sh.root / "j/restored").exists() and not (sh.root / "v/.nsmig").exists()


def test_a_folder_that_changes_places_keeps_its_time_where_the_file_system_sets_it(sh):
    """As XFS does; a restored folder, the one that it replaces, and both once more when it is taken back."""
    then = """
    XCHG=perl
    xchg() { mv -T "$1" "$R/x" && mv -T "$2" "$1" && mv -T "$R/x" "$2" && touch "$1" "$2"; }
    B=$S/restore
    mkdir -p "$B/tree/web"
    touch -d @2000 "$B/tree/web"
    touch -d @1000 "$UPATH/web"
    (cd "$UPATH" && switch_component web web) && stat -c %Y "$UPATH/web" "$B/tree/web"
    (cd "$UPATH" && unswitch_component web "$B/tree/web" "$B/lived") && stat -c %Y "$UPATH/web" "$B/tree/web"
    """
    done = sh.run(text(sh, RESTORED + then))
    assert (done.returncode, done.stdout.split()) == (0, [b"2000", b"1000", b"1000", b"2000"]), done


def test_a_taking_back_that_broke_off_after_its_newcomer_goes_on(sh):
    """The newcomer waits among what was live; another one has come to its place."""
    then = """
    mv "$UPATH/web" "$R/old" && mkdir "$UPATH/web" && echo one >"$UPATH/web/page"
    (unswitch_component() { mv -T "./$1" "$3"; exit 9; }; unrestore)
    mkdir -p "$UPATH/web" && echo two >"$UPATH/web/page"
    unrestore
    """
    done = sh.run(text(sh, RESTORED + then))
    assert done.returncode == 0, (done, journal(sh))
    assert (sh.root / "srv/a.test/web/page").read_text() == "before\n"
    assert kept(sh) == {"web/page": "one\n", "web-2/page": "two\n", "msg/page": "restored\n"}


def test_a_mount_in_a_restored_folder_refuses_its_taking_back_before_the_first_act(sh):
    mounts = sh.root / "mountinfo"
    mounts.write_text(f"1 2 3:4 / {sh.root}/srv/a.test/web/up\\040load rw - ext4 /dev/x rw\n")
    done = sh.run(text(sh, RESTORED + "unrestore").replace("/proc/self/mountinfo", str(mounts)))
    assert done.returncode == 4, done
    assert "web/up\\040load is a mount point" in journal(sh)[0][4]
    assert (sh.root / "srv/a.test/web/page").read_text() == "restored\n"
    assert (sh.root / "j/restored/done").exists()


def test_mail_that_came_to_a_restored_mailbox_goes_along(sh):
    """Not what the archive brought, nor what is there under another flag."""
    then = """
    for m in "$UPATH/.archive/replaced-1/msg" "$UPATH/msg"; do
      mkdir -p "$m/info/cur" "$m/info/new"
      echo seen >"$m/info/new/100.host"
    done
    echo archived >"$UPATH/msg/info/cur/50.host:2,S"
    next_second
    : >"$J/restored/done"
    mv "$UPATH/msg/info/new/100.host" "$UPATH/msg/info/cur/100.host:2,S"
    echo new >"$UPATH/msg/info/new/200.host"
    mkdir -p "$UPATH/msg/.Sent/cur" && echo sent >"$UPATH/msg/.Sent/cur/201.host:2,S"
    unrestore
    """
    done = sh.run(text(sh, RESTORED + then))
    assert done.returncode == 0, (done, journal(sh))
    mail = sh.root / "srv/a.test/msg"
    found = {str(path.relative_to(mail)): path.read_text() for path in mail.rglob("*") if path.is_file()}
    assert found == {
        "page": "before\n",
        "info/new/100.host": "seen\n",
        "info/new/200.host": "new\n",
        ".Sent/cur/201.host:2,S": "sent\n",
    }
    assert any("2 new file(s) of mail went along" in line[4] for line in journal(sh))
    assert kept(sh)["msg/info/new/200.host"] == "new\n"


def test_exact_puts_aside_what_is_new_in_var_too_but_no_socket(sh):
    live = sh.root / "srv/a.test"
    for name in ("var/new", "var/log", "var/run", "var/redis", "top"):
        (live / name).mkdir(parents=True)
        (live / name / "x").write_text("x")
    then = """
    EXACT=1 OLD_SOCKETS=
    printf 'var/log\\n' >"$B/components"
    mkdir -p "$J/restored"
    : >"$J/restored/list"
    socket_in() { case $1 in */redis) SOCKET=$1/s ;; *) return 1 ;; esac; }
    LIVE_INO=$(ino "$UPATH")
    put_extras_aside
    (cd "$B/gone" && find . -type f | sort)
    """
    done = sh.run(text(sh, then))
    assert (done.returncode, done.stdout) == (0, b"./top/x\n./var/new/x\n"), (done, journal(sh))
    assert sorted(path.name for path in (live / "var").iterdir()) == ["log", "redis", "run"]
    assert "a socket is never moved" in (sh.root / "j/journal").read_text()


@pytest.mark.parametrize(
    ("says", "code"),
    [
        ('open() "/srv/a.test/var/log/x.log" failed (2: No such file or directory)', 0),
        ('open() "/srv/b.test/var/log/x.log" failed (2: No such file or directory)', 4),
        ("unknown directive", 4),
    ],
)
def test_a_restore_may_begin_where_nginx_misses_only_what_is_this_vhosts(sh, says, code):
    then = f"""
    PHASE=preflight UPATH=/srv/a.test
    rm -r "$CUR"
    nginx_test() {{ NGINX_SAYS='{says}'; return 1; }}
    nginx_is_well_or_misses_ours
    echo "$SICK"
    """
    done = sh.run(text(sh, then))
    assert done.returncode == code, done
    if not code:
        assert done.stdout == b"1\n"


@pytest.mark.parametrize("exact", ["0", "1"])
def test_what_is_new_and_goes_along_is_not_called_changed(sh, exact):
    live, tree = sh.root / "srv/a.test/web", sh.root / "b/tree/web"
    for path in (live / "up", tree / "up"):
        path.mkdir(parents=True)
    for name in ("page", "same"):
        (tree / name).write_text("then")
        (live / name).write_text("then")
    os.utime(live / "same", (1000, 1000))
    for name in ("new.txt", "up/new\nline"):
        (live / name).write_text("new")
    then = f"""
    EXACT={exact}
    : >"$B/changed"
    : >"$B/archive.time"
    touch -d "@$(($(date +%s) - 100))" "$B/archive.time"
    if [ "$EXACT" != 1 ]; then carry_over web; fi
    list_changed web
    sort "$B/changed"
    """
    done = sh.run(text(sh, then))
    told = b"web/page\n" if exact == "0" else b"web/new.txt\nweb/page\nweb/up/new?line\n"
    assert (done.returncode, done.stdout) == (0, told), done


@pytest.mark.parametrize("copies", [True, False])
def test_nothing_is_moved_where_a_rename_would_be_a_copy(sh, copies):
    """Between folders of different quota projects, as between file systems, mv copies."""
    then = f"""
    PHASE=preflight S=$R/v/.nsmig/a.test MINE=0
    {'mv() { cp "$2" "$3" && rm "$2"; }' if copies else ""}
    mkdir -p "$S" "$UPATH" && mkdir -m 700 "$UPATH/.archive"
    renames_hold "$S"
    """
    done = sh.run(text(sh, then))
    assert done.returncode == (4 if copies else 0), done
    assert list((sh.root / "srv/a.test/.archive").iterdir()) == []
    if copies:
        assert "quota project" in journal(sh)[0][4]
        assert not (sh.root / "v/.nsmig").exists()
