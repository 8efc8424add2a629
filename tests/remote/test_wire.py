"""The frame around a script: arrives intact or not at all; the answer is whole or no answer."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsmig_tui.remote import wire

NONCE = "0123456789abcdef0123456789abcdef"
SHELLS = [["dash"], ["busybox", "sh"], ["bash"], ["bash", "--posix"]]
INSTALLED = [shell for shell in SHELLS if shutil.which(shell[0])]


def feed(shell: list[str], stream: bytes, **env: str) -> subprocess.CompletedProcess[bytes]:
    """What a shell makes of a stream on its standard input."""
    return subprocess.run(
        shell, input=stream, capture_output=True, check=False, env={"PATH": os.environ["PATH"], **env}
    )


@pytest.fixture(params=INSTALLED, ids=lambda shell: "-".join(shell))
def shell(request: pytest.FixtureRequest) -> list[str]:
    """Each POSIX shell of this machine."""
    return list(request.param)


ODD_ARGS: list[str | bytes] = [
    "a b",
    "$(id)",
    "`id`",
    "-n",
    "",
    "x\ny\n",
    "it's",
    '"',
    "\\",
    "*",
    b"\xff\xfe",
    "é",
    "NSMIG_SCRIPT_" + NONCE[:4],
]


def test_odd_arguments_arrive_intact(shell: list[str]) -> None:
    answer = feed(shell, wire.frame('printf \'<%s>\' "$#" "$@"', ODD_ARGS, NONCE))
    raw = [a if isinstance(a, bytes) else a.encode() for a in ODD_ARGS]
    expected = b"".join(b"<%b>" % a for a in [str(len(raw)).encode(), *raw])
    assert wire.parse(answer.stdout, NONCE) == (0, expected)


@pytest.mark.parametrize("payload", ["", "\n", "\n\n", "x", "x\n", "x\n\n\n", "\nx"])
def test_newlines_of_the_payload_survive(shell: list[str], payload: str) -> None:
    answer = feed(shell, wire.frame('printf %s "$1"; exit 3', [payload], NONCE))
    assert wire.parse(answer.stdout, NONCE) == (3, payload.encode())


def test_script_text_is_not_touched_on_the_way(shell: list[str]) -> None:
    script = "cat <<'E'\n$HOME `id` \\n \\\\ 'q' \"d\" {n} {{ }} %s\nE\n\n\n"
    answer = feed(shell, wire.frame(script, [], NONCE))
    assert wire.parse(answer.stdout, NONCE) == (0, b"$HOME `id` \\n \\\\ 'q' \"d\" {n} {{ }} %s\n")


def test_script_sees_c_locale_private_umask_and_no_input(shell: list[str]) -> None:
    stream = wire.frame("umask; echo $LC_ALL; pwd; cat; echo end", [], NONCE) + b"\necho intruder\n"
    rc, payload = wire.parse(feed(shell, stream, LC_ALL="de_DE.UTF-8").stdout, NONCE)
    assert rc == 0
    assert payload.split()[0] in (b"0077", b"077")
    assert payload.split()[1:] == [b"C", b"/", b"end"]


@pytest.mark.parametrize("shell", [["bash", "--posix"]], ids=["bash"])
def test_options_that_a_login_exports_are_none_of_the_script(shell: list[str], tmp_path: Path) -> None:
    """bash as sh takes them from SHELLOPTS: with noclobber no file could be written a second time."""
    script = "echo a >f; bash -c 'echo b >f; false | true && echo *; echo $none; set -o'"
    odd = "allexport:errexit:noclobber:noglob:nounset:pipefail:verbose:xtrace"
    answer = feed(shell, wire.frame(f"cd {tmp_path}; {script}", [], NONCE), SHELLOPTS=odd)
    rc, payload = wire.parse(answer.stdout, NONCE)
    assert (rc, (tmp_path / "f").read_text(), payload.splitlines()[0]) == (0, "b\n", b"f"), answer
    on = {line.split()[0].decode() for line in payload.splitlines()[2:] if line.endswith(b"on")}
    assert not on & set(odd.split(":"))


@pytest.mark.parametrize("data", [b"", b"x", b"\0\xff\n" * 5000, b"'\n$(id)\n"])
def test_data_reaches_the_standard_input_of_the_script(shell: list[str], data: bytes) -> None:
    answer = feed(shell, wire.frame("cat; exit 9", ["a"], NONCE, data))
    assert wire.parse(answer.stdout, NONCE) == (9, data)


def test_a_stream_cut_at_any_byte_runs_nothing(shell: list[str], tmp_path: Path) -> None:
    effect = tmp_path / "effect"
    stream = wire.frame(f"touch {effect}\ntouch {effect}", ["a", "b"], NONCE, b"some data")
    step = 1 if shell == INSTALLED[0] else 7
    for cut in [*range(0, len(stream), step), len(stream) - 1]:
        feed(shell, stream[:cut])
        assert not effect.exists(), f"cut at {cut} of {len(stream)}"
    feed(shell, stream)
    assert effect.exists()


@pytest.mark.parametrize("damage", [(b"touch ", b"touch -"), (b"c29tZSBk", b"c29tZSBl")])
def test_a_damaged_stream_is_refused(shell: list[str], tmp_path: Path, damage: tuple[bytes, bytes]) -> None:
    effect = tmp_path / "effect"
    stream = wire.frame(f"touch {effect}", [], NONCE, b"some data").replace(*damage, 1)
    with pytest.raises(wire.WireError, match="did not arrive whole"):
        wire.parse(feed(shell, stream).stdout, NONCE)
    assert not effect.exists()


def test_a_shell_that_has_run_a_script_runs_it_again_without_its_text(shell: list[str]) -> None:
    script = "printf '<%s>' \"$1\" 'it is'; cat\n\n"
    one, other, third = (wire.new_nonce() for _ in range(3))
    again = wire.frame(script, ["2"], other, b"input", more=True, known=True)
    assert script.encode()[:-2] not in again
    answer = feed(
        shell,
        wire.frame(script, ["1"], one, more=True)
        + wire.frame("true", [], third, more=True)
        + again
        + wire.frame(script, ["3"], NONCE, known=True),
    )
    assert [wire.parse(answer.stdout, nonce) for nonce in (one, other, NONCE)] == [
        (0, b"<1><it is>"),
        (0, b"<2><it is>input"),
        (0, b"<3><it is>"),
    ]


def test_a_shell_without_the_script_refuses_a_frame_without_its_text(
    shell: list[str], tmp_path: Path
) -> None:
    effect = tmp_path / "effect"
    answer = feed(shell, wire.frame(f"touch {effect}", [], NONCE, more=True, known=True))
    with pytest.raises(wire.WireError, match="did not arrive whole"):
        wire.parse(answer.stdout, NONCE)
    assert not effect.exists()


def tools(folder: Path, *names: str) -> str:
    """A PATH with only some tools of this machine."""
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(shutil.which(name) or f"/nowhere/{name}")
    return str(folder)


HASHERS = [tool for tool in ("sha256sum", "openssl", "busybox", "shasum") if shutil.which(tool)]


@pytest.mark.parametrize("hasher", HASHERS)
def test_any_tool_for_sha256_will_do(tmp_path: Path, hasher: str) -> None:
    path = tools(tmp_path / "bin", "cat", "wc", "base64", hasher)
    stream = wire.frame("echo ran", [], NONCE, b"data").replace(b"/usr/local/sbin:", b"/nowhere #", 1)
    answer = feed(["/bin/sh"], stream, PATH=path)
    assert wire.parse(answer.stdout, NONCE) == (0, b"ran\n")


def test_without_a_tool_for_sha256_nothing_runs(tmp_path: Path) -> None:
    path = tools(tmp_path / "bin", "cat", "wc")
    stream = wire.frame("echo ran", [], NONCE).replace(b"/usr/local/sbin:", b"/nowhere #", 1)
    with pytest.raises(wire.WireError, match="no tool for SHA-256"):
        wire.parse(feed(["/bin/sh"], stream, PATH=path).stdout, NONCE)


def test_what_cannot_travel_is_refused_before_sending() -> None:
    for script, args, data in [
        ("a\0b", [], None),
        ("#" * (wire.MAX_SCRIPT + 1), [], None),
        ("true", ["a\0"], None),
        ("true", ["x" * (wire.MAX_SCRIPT + 1)], None),
        ("true", ["x" * 100_000] * 11, None),
        ("true", [], b"x" * (wire.MAX_DATA + 1)),
    ]:
        with pytest.raises(ValueError, match=r"."):
            wire.frame(script, args, NONCE, data)
    with pytest.raises(ValueError, match="nonce"):
        wire.frame("true", [], "$(id)")


def test_biggest_script_and_arguments_run(shell: list[str]) -> None:
    script = "#" * (wire.MAX_SCRIPT - 30) + "\nprintf %s ${#1}"
    answer = feed(shell, wire.frame(script, ["y" * wire.MAX_SCRIPT] * 5, NONCE))
    assert wire.parse(answer.stdout, NONCE) == (0, str(wire.MAX_SCRIPT).encode())


def answer_of(payload: bytes, rc: int = 0, nonce: str = NONCE) -> bytes:
    """What a shell prints around a payload."""
    return b"\nNSMIG-BEGIN %b\n%b\nNSMIG-END %b %d\n" % (nonce.encode(), payload, nonce.encode(), rc)


@given(before=st.binary(max_size=300), payload=st.binary(max_size=300), after=st.binary(max_size=300))
def test_only_what_stands_in_the_frame_counts(before: bytes, payload: bytes, after: bytes) -> None:
    fake = answer_of(b"fake", nonce="f" * 32)
    assert wire.parse(before + fake + answer_of(payload, 5) + fake + after, NONCE) == (5, payload)


@given(payload=st.binary(max_size=60), data=st.data())
@settings(max_examples=60)
def test_a_cut_answer_is_never_an_answer(payload: bytes, data: st.DataObject) -> None:
    whole = b"noise" + answer_of(payload)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(wire.WireError):
        wire.parse(whole[:cut], NONCE)


@given(pieces=st.lists(st.binary(max_size=40), max_size=8), payload=st.binary(max_size=100))
def test_the_cut_of_the_pieces_does_not_matter(pieces: list[bytes], payload: bytes) -> None:
    whole = b"".join(pieces) + answer_of(payload, 1) + b"late"
    reader = wire.AnswerReader(NONCE)
    for at in range(len(whole)):
        reader.feed(whole[at : at + 1])
    assert reader.result() == (1, payload)


def test_noise_is_dropped_and_payload_is_bounded() -> None:
    reader = wire.AnswerReader(NONCE, limit=1000)
    for _ in range(2000):
        reader.feed(b"noise " * 1000)
    with pytest.raises(wire.WireError, match="before the script started"):
        reader.result()
    assert reader.feed(answer_of(b"x" * 1000))
    assert reader.result() == (0, b"x" * 1000)
    flooded = wire.AnswerReader(NONCE, limit=1000)
    with pytest.raises(wire.WireError, match="longer than 1000"):
        flooded.feed(answer_of(b"")[:-45] + b"x" * 3000)
