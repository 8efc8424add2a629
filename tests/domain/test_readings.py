"""What the reading scripts print is parsed to the byte, and nothing that arrives makes the parser fall."""

import base64
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsmig_tui.domain.layout import layout_of, read_journal
from nsmig_tui.domain.readings import (
    read_capabilities,
    read_discovery,
    read_inspection,
)
from nsmig_tui.domain.sections import as_name, split_sections
from nsmig_tui.domain.service_config import read_service_configs


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def rows(*lines: tuple[str, ...] | str) -> bytes:
    """Lines as a script prints them; a tuple's columns are tab-separated."""
    return b"".join(
        (line if isinstance(line, str) else "\t".join(line)).encode("utf-8", "surrogateescape") + b"\n"
        for line in lines
    )


def packed(files: dict[str, bytes]) -> str:
    """A base64 tar.gz as the vnode makes it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path, data in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return b64(buffer.getvalue())


SECTIONS = "@stat @tree @entries @nginx @fpm @settings @account @vhosts @passwd @ @refs @mounts @pools"
KINDS = """@copies @journal @capabilities stat odd entry sibling climb conf file files names pid test vhost
journal archives settings account ref listening copy oldlink mount immutable project apart"""
VALUES = """fpm=1 wugid=www-data:33 now=inf entries=nan avail_kb=1e999 uid= = inodes_free=- dir link 1:2:3 ²
1:2:755:4:5:6:/ YQ== YQ a=b \udcff"""
WORDS = st.sampled_from([*f"{SECTIONS} {KINDS} {VALUES}".split(), "", "\t", "9" * 400])


@given(st.lists(st.lists(WORDS, max_size=6).map("\t".join), max_size=30).map("\n".join))
def test_no_shuffled_answer_raises(text):
    raw = text.encode("utf-8", "surrogateescape")
    assert read_inspection(raw).journal is not None
    assert read_discovery(raw).accounts is not None


@given(st.binary(max_size=300))
def test_no_bytes_raise(raw):
    assert read_inspection(raw).capabilities.uid >= -1
    assert layout_of(dict.fromkeys(v.name for v in read_discovery(raw).vhosts)) is not None


@given(st.binary(min_size=1, max_size=40).filter(lambda raw: b"\0" not in raw))
def test_every_file_name_comes_through(name):
    seen = read_inspection(rows("@entries", ("entry", "web", b64(name)), ("climb", b64(name), b64(b"../x"))))
    assert [e.encode("utf-8", "surrogateescape") for e in seen.entries["web"]] == [name]
    assert seen.climbing[0][0] == as_name(b64(name))


def test_a_whole_inspection():
    seen = read_inspection(
        rows(
            "@stat",
            ("stat", "upath", "dir", "1003:33:755:10:9", ""),
            ("stat", "web", "link", "0:0:777:11:9", b64(b"/tmp/\xff")),
            ("stat", "var", "other", "", ""),
            "@tree",
            "entries=7",
            "alloc=1e3",
            ("odd", "setuid", b64(b"./web/su\n")),
            ("odd", "setuid", b64(b"./web/su2")),
            "@mounts",
            ("mount", "/srv/a.test/web/m"),
            "@refs",
            ("ref", "cron", b64(b"/etc/cron.d/a"), "3", b64(b"/srv/a.test/web/cron.sh")),
            "@pools",
            ("listening", "/run/x.sock"),
            "@capabilities",
            "machine_id= abc\x1b[31m",
            "inodes_free=5",
            "tools=nginx perl",
            "wugid=nginx:101",
            "wuid=nginx:100",
            ("fpm=7", "/etc/php-fpm.conf", "php-fpm.service"),
            "@settings",
            ("settings", b64(b"UUSER=second\nDPASS=geheim\n")),
            "@account",
            ("account", "first", "1003", "33", "/srv/a.test", "/bin/sh"),
            ("account", "second", "1003", "33", "/srv/a.test", "/bin/sh"),
        )
    )
    assert seen.places["web"].target == "/tmp/\udcff" and seen.places["web"].kind == "link"
    assert (seen.places["upath"].uid, seen.places["upath"].mode, seen.places["upath"].inode) == (
        1003,
        "755",
        "10",
    )
    assert seen.is_dir("upath") and not seen.is_dir("web") and not seen.is_dir("msg")
    assert seen.places["var"].uid == -1
    assert seen.tree["entries"] == 7 and seen.tree["alloc"] == 1000
    assert seen.odd["setuid"] == ("./web/su\n", "./web/su2")
    assert seen.mounts == ("/srv/a.test/web/m",)
    assert seen.references[0].file == "/etc/cron.d/a" and seen.references[0].line == "3"
    assert seen.account and seen.account[0] == "second"
    assert seen.settings == {"UUSER": "second"}
    assert "geheim" not in repr(seen)
    can = seen.capabilities
    assert can.machine_id == "abc31m"
    assert (can.web_user, can.web_gid, can.web_uid) == ("nginx", 101, 100)
    assert can.tools == {"nginx", "perl"} and can.inodes_free == 5
    assert can.masters[0].conf == "/etc/php-fpm.conf"


@pytest.mark.parametrize("said, kept", [("", None), ("inodes_free=", None), ("inodes_free=0", 0)])
def test_unknown_is_not_zero(said, kept):
    assert read_capabilities(split_sections(rows("@capabilities", said))).inodes_free is kept


def test_web_server_ids_stay_unknown_when_there_is_no_group():
    can = read_capabilities(split_sections(b"@capabilities\nwuid=nginx:100\n"))
    assert can.web_gid is None and can.web_uid is None


def test_service_configs():
    text = b"server {\t}\n\xff\0"
    tree = packed({"/etc/a.conf": text, "/etc/b.conf": b"", "/etc/\u2028c": b"c"})
    sections = split_sections(
        rows(
            "@fpm",
            ("files", packed({"/lost": b"belongs to no tree"}), b64(b"/lost\n"), b64(b"/lost\n")),
            ("conf", b64(b"/etc/a.conf"), "/usr/sbin/php-fpm8.2"),
            ("pid", b64(b"/run/a.pid")),
            ("test", "78", b64(b"[emerg]\n\xff")),
            (
                "files",
                tree,
                b64("/etc/\u2028c\n/etc/a.conf\n/etc/b.conf\n/etc/gone.conf\n".encode()),
                b64("/etc/\u2028c\n/real/a.conf\n\n/etc/gone.conf\n".encode()),
            ),
            ("conf", b64(b"/etc/second.conf")),
            ("files", "YQ==", b64(b"/etc/second.conf\n"), b64(b"/etc/second.conf\n")),
        )
    )
    one, two = read_service_configs(sections, "fpm")
    assert (one.main, one.binary, one.pid_file) == ("/etc/a.conf", "/usr/sbin/php-fpm8.2", "/run/a.pid")
    assert one.test_rc == 78 and one.test_says.startswith("[emerg]")
    assert one.texts() == {"/etc/\u2028c": b"c", "/etc/a.conf": text, "/etc/b.conf": b""}
    assert one.resolve() == {"/etc/a.conf": "/real/a.conf"}
    assert two.main == "/etc/second.conf" and two.test_rc is None and two.files == ()


def test_a_whole_discovery():
    found = read_discovery(
        rows(
            "@vhosts",
            ("vhost", b64(b"a.test"), "dir", "1003:33:755:1:2", "", "web=1003:33:755", "var/log=link", "odd"),
            ("vhost", b64(b"\xff x"), "link", "", b64(b"/srv/a.test")),
            ("journal", "a.test", b64(b"1\t2\tr\tbegin\tmigrate me\n")),
            ("archives", "a.test", "2"),
            "@settings",
            ("settings", b64(b"./a.test:VHOST=a.test\n./a.test:MPASS=x\n./b:UUSER=b\xff:\nnoise\n")),
            "@passwd",
            "u1:1003:33:/srv/a.test:/bin/sh",
            "twin:1003:33:/:/bin/sh",
            "broken",
            "power:²:",
        )
    )
    assert [(v.name, v.kind, v.uid) for v in found.vhosts] == [
        ("a.test", "dir", 1003),
        ("\udcff x", "link", -1),
    ]
    assert found.vhosts[0].flags == {"web": "1003:33:755", "var/log": "link"}
    assert found.vhosts[1].target == "/srv/a.test"
    assert read_journal(found.journals["a.test"]).verb == "migrate"
    assert found.archives == {"a.test": 2}
    assert found.settings == {"a.test": {"VHOST": "a.test"}, "b": {"UUSER": "b\ufffd:"}}
    assert found.accounts == {1003: "u1"}
    assert found.nginx is None and found.fpm == ()
