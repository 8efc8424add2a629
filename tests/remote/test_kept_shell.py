"""A shell on the vnode answers one question after another, and nothing of one is felt by the next."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator

import pytest

from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.remote import ssh_shell, wire
from nsmig_tui.remote.ssh_transport import Limits

from .conftest import Site

OF = 'ps -o ppid= -p "$PPID"'
"""Says which shell asks: a script is run by a subshell of it."""


async def test_one_shell_answers_many_questions(site: Site) -> None:
    shell = await site.connector().shell(site.vnode)
    before = len(site.habits.commands)
    answers = {(await shell.run(OF))[1] for _ in range(5)}
    assert await shell.send("cat", [], b"\0data\n") == (0, b"\0data\n")
    assert len(answers) == 1 and len(site.habits.commands) == before + 1


async def test_the_text_of_a_script_travels_once_to_a_shell(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[bytes] = []
    frame = wire.frame

    def noted(*words, **more) -> bytes:
        frames.append(frame(*words, **more))
        return frames[-1]

    shell = await site.connector().shell(site.vnode)
    await shell.run("true")
    monkeypatch.setattr(wire, "frame", noted)
    for answer in ("a", "b"):
        assert await shell.run("echo from the script: $1", [answer]) == (
            0,
            f"from the script: {answer}\n".encode(),
        )
        assert await shell.run("exit 3 # another") == (3, b"")
    assert [b"from the script" in sent or b"another" in sent for sent in frames] == [True, True, False, False]


async def test_questions_at_the_same_time_have_shells_of_their_own_and_few_are_kept(site: Site) -> None:
    shell = await site.connector().shell(site.vnode)
    for _ in range(3):
        assert await asyncio.gather(*(shell.run(f"sleep 0.2; echo {n}") for n in range(8))) == [
            (0, f"{n}\n".encode()) for n in range(8)
        ]
    opened = len(site.habits.commands) - 1
    assert opened == 8 + 2 * (8 - ssh_shell.KEPT)
    assert site.habits.most_sessions <= 8


async def test_nothing_of_one_question_is_left_for_the_next(site: Site) -> None:
    shell = await site.connector().shell(site.vnode)
    look = 'pwd; umask; printf "%s\\n" "$PATH" "${LEFT:-none}" "$#"; set | grep -c ^nsmig_'
    first = await shell.run(look)
    assert await shell.run("cd /tmp; umask 0; LEFT=x; export LEFT; PATH=/; exit 9", ["a", "b"]) == (9, b"")
    assert await shell.run(look) == first


async def test_a_shell_that_was_ended_meanwhile_is_replaced(site: Site) -> None:
    shell = await site.connector().shell(site.vnode)
    _, number = await shell.run(OF)
    await shell.run("kill -9 $1 2>/dev/null || :", ["999999999"])
    killer = await site.connector().shell(site.vnode)
    await killer.run("kill -9 $1", [number.decode().strip()])
    assert (await shell.run("echo on"))[1] == b"on\n"
    await asyncio.sleep(0.1)
    assert (await shell.run("echo on"))[1] == b"on\n"
    assert site.habits.connections == 2


async def test_a_shell_that_has_gone_silent_is_given_up_with_its_line(site: Site) -> None:
    shell = await site.connector(limits=Limits(open=1.0)).shell(site.vnode)
    _, number = await shell.run(OF)
    os.kill(int(number), signal.SIGSTOP)
    assert await shell.run("echo on") == (0, b"on\n")
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(number), signal.SIGKILL)
    assert site.habits.connections == 2


async def test_a_shell_whose_question_was_cut_off_is_not_asked_again(site: Site) -> None:
    shell = await site.connector().shell(site.vnode)
    _, number = await shell.run(OF)
    with pytest.raises(ConnectError):
        await shell.run("sleep 20", timeout=0.2)
    late = asyncio.create_task(shell.run("sleep 20"))
    await asyncio.sleep(0.3)
    late.cancel()
    await asyncio.gather(late, return_exceptions=True)
    rc, other = await shell.run(OF)
    assert rc == 0 and other != number


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(ssh_shell, "KEPT_S", 0.1)
    yield


async def test_a_shell_without_work_is_ended(site: Site, impatient: None) -> None:
    shell = await site.connector().shell(site.vnode)
    _, number = await shell.run(OF)
    await asyncio.sleep(0.5)
    rc, other = await shell.run(OF)
    assert rc == 0 and other != number


@pytest.mark.parametrize("cut", [1, 2, 30, 60])
async def test_a_stream_that_is_cut_runs_nothing_or_all(cut: int, tmp_path) -> None:
    nonce = wire.new_nonce()
    stream = wire.frame(f"echo ran >>{tmp_path}/ran", [], nonce, more=True)
    child = await asyncio.create_subprocess_exec(
        "/bin/sh",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, _ = await child.communicate(stream[:-cut])
    whole = (tmp_path / "ran").exists()
    assert whole == (b"NSMIG-END" in said)
