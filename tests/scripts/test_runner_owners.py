"""Who gets the account's ownership: never a file that has another name outside of the content."""

import os

import pytest

PARTS = (
    *("prelude", "capabilities", "walk", "run_base", "run_notes", "run_look", "run_lock", "run_pins"),
    *("run_manifest", "run_owners"),
)
SETUP = """
J=$R/j CUR=$R/j/cur S=$R/s RD=$R/rd DOMAIN=a.test RUN=r1 OPERATOR=me CRASH_AT=0 FAIL_AT= PHASE=forward
CONTENT=$R/content WEB_INO=$(ino "$R/content") OWNERS=${T_OWNERS:-foreign}
MINE=$(id -u) UIDN=4711 GIDN=4712 WUIDN=4713 OWNER=4711:4712
mkdir -p "$CUR" "$S" "$RD"
: >>"$J/journal"
sync() { :; }
seek_content() { :; }
chown() { echo "$3" >>"$R/chowned"; }
chmod() { echo "$2" >>"$R/chmodded"; }
"""


def run(sh, then, **env):
    return sh.run(sh.parts(*PARTS, then=SETUP + then), **env)


def lines(sh, name):
    path = sh.root / name
    return sorted(path.read_text().splitlines()) if path.exists() else []


def warnings(sh):
    rows = [line.split("\t") for line in (sh.root / "j/journal").read_text().splitlines()]
    return [row[4] for row in rows if row[3] == "warning"]


@pytest.fixture
def content(sh):
    """Everything here belongs to whoever runs this, which is neither the account nor the web server."""
    top = sh.root / "content"
    (top / "sub").mkdir(parents=True)
    for name in ("plain", "twin", "shared", "sub/half", "odd\nshared"):
        (top / name).write_text(name)
        (top / name).chmod(0o4755)
    os.link(top / "twin", top / "sub/twin")
    os.link(top / "sub/half", top / "half")
    for number, name in enumerate(("shared", "half", "odd\nshared")):
        os.link(top / name, sh.root / f"neighbours{number}")
    (top / "link").symlink_to("plain")
    os.link(top / "link", sh.root / "neighbours-link", follow_symlinks=False)
    return top


@pytest.mark.parametrize("owners", ["foreign", "all"])
def test_a_file_with_names_elsewhere_keeps_its_owner_and_mode(sh, content, owners):
    done = run(sh, "fix_owners", T_OWNERS=owners)
    assert done.returncode == 0, done
    assert lines(sh, "chowned") == ["./plain", "./sub", "./twin", "./twin"]
    assert lines(sh, "chmodded") == ["./plain", "./twin", "./twin"]
    (warning,) = warnings(sh)
    assert warning.startswith("5 file(s) keep their owner")
    assert "hard links" in warning
    for name in ("./shared", "./half", "./sub/half", "./odd shared", "./link"):
        assert f"{name} " in warning
    recorded = (sh.root / "j/cur/owners").read_bytes().split(b"\0")[:-1]
    assert sorted(row.split(b" ", 3)[3] for row in recorded) == [
        b"./plain",
        b"./sub",
        b"./sub/twin",
        b"./twin",
    ]


def test_a_link_made_between_the_list_and_the_change_counts_too(sh, content):
    then = """
    pt() { case $1 in owners-recorded) ln "$R/content/plain" "$R/late"; rm "$R/content/sub/twin" ;; esac; }
    fix_owners
    """
    done = run(sh, then)
    assert done.returncode == 0, done
    assert lines(sh, "chowned") == ["./sub", "./twin"]
    assert "./plain " in warnings(sh)[1]
    recorded = (sh.root / "j/cur/owners").read_bytes()
    assert b"./plain\0" not in recorded and b"./twin\0" in recorded


def test_what_got_another_name_since_is_not_given_back(sh, content):
    for path in [*content.iterdir(), content / "sub/half"]:
        if path.name in ("shared", "half", "odd\nshared", "link"):
            path.unlink()
    os.link(content / "twin", content / "third")
    (content / "free").write_text("free")
    os.link(content / "plain", sh.root / "late")
    rows = ["./plain", "./sub", "./sub/twin", "./twin", "./free"]
    then = """
    OWNER=$MINE:9 PHASE=undo
    is_as_it_was() { :; }
    in_dir "$CONTENT" "$WEB_INO" restore_owners
    """
    (sh.root / "j/cur").mkdir(parents=True)
    (sh.root / "j/cur/owners").write_text("".join(f"50 60 644 {row}\0" for row in rows))
    done = run(sh, then)
    assert done.returncode == 0, done
    assert lines(sh, "chowned") == ["./free", "./sub", "./twin", "./twin"]
    (warning,) = warnings(sh)
    assert "./plain " in warning and "are not given back" in warning


FLAGS = """
lsattr() {
  shift 2
  for f; do case $f in *fixed) echo "----i---e--- $f" ;; *) echo "--------e--- $f" ;; esac; done
}
"""


@pytest.mark.parametrize("flags", [FLAGS, "lsattr() { :; }"])
def test_what_is_immutable_since_keeps_its_owner_with_a_word(sh, flags):
    for name in ("fixed", "free"):
        (sh.root / "content").mkdir(exist_ok=True)
        (sh.root / "content" / name).write_text(name)
    then = """
    OWNER=$MINE:9 PHASE=undo
    is_as_it_was() { :; }
    chown() { case $3 in *fixed) return 1 ;; esac; echo "$3" >>"$R/chowned"; }
    in_dir "$CONTENT" "$WEB_INO" restore_owners
    """
    (sh.root / "j/cur").mkdir(parents=True)
    (sh.root / "j/cur/owners").write_text("50 60 644 ./fixed\x0050 60 644 ./free\x00")
    done = run(sh, flags + then)
    assert done.returncode == (0 if flags == FLAGS else 1), "another reason is a failure"
    if flags == FLAGS:
        assert lines(sh, "chowned") == ["./free"]
        assert "./fixed (50:60 644)" in warnings(sh)[0]


@pytest.mark.parametrize(
    ("name", "flag", "code"), [("a\nia x", "e", 0), ("a", "i", 1), ("i a", "a", 1), ("-i", "e", 0)]
)
def test_only_flags_tell_what_is_immutable_whatever_the_name(sh, name, flag, code):
    then = f"""
    lsattr() {{ shift 2; printf '%s %s\\n' '-----{flag}---' "$1"; }}
    is_changeable '{name}'
    """
    assert run(sh, then).returncode == code


@pytest.mark.parametrize("at", ["", "web/app/public", "web/log", ".archive", ".archive/legacy-1/bin"])
@pytest.mark.parametrize("flag", ["i", "a", "e"])
def test_nothing_is_undone_where_a_folder_cannot_be_renamed(sh, at, flag):
    up = sh.root / "srv/a.test"
    for folder in ("web/app/public", "web/log", ".archive/legacy-1/bin", "var/run"):
        (up / folder).mkdir(parents=True)
    (sh.root / "content").mkdir()
    then = f"""
    PHASE=preflight UPATH={up} CONTENT={up}/web/app/public LEGACY=legacy-1
    lsattr() {{
      shift 2
      for f; do if [ "$f" = "{up / at}" ]; then echo "----{flag}--- $f"; else echo "-------- $f"; fi; done
    }}
    nothing_fixed
    """
    done = sh.run(sh.parts(*PARTS, "run_way", then=SETUP + then))
    assert done.returncode == (0 if flag == "e" else 4), done
    if flag != "e":
        assert f"{up / at} is immutable or append-only; chattr" in (sh.root / "j/journal").read_text()
