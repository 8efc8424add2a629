"""Following a run: the connection may go, the runner may die, an answer get lost; the word is given once."""

import hashlib
import io
import tarfile

import pytest

from nsmig_tui.domain.errors import ConnectError, Interrupted, LockHeld
from nsmig_tui.domain.fleet import Vnode
from nsmig_tui.engine import runner_link
from nsmig_tui.engine.journal_watch import JournalWatch
from nsmig_tui.engine.runner_link import UNBORN, RunnerLink, pack

LOST = ConnectError("gone")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    async def at_once(_seconds):
        return None

    monkeypatch.setattr(runner_link.asyncio, "sleep", at_once)


def lines(*kinds, run="r1"):
    """``kind detail`` words as journal lines."""
    rows = [
        f"{n}\t100\t{run}\t{text.partition(' ')[0]}\t{text.partition(' ')[2]}\n"
        for n, text in enumerate(kinds)
    ]
    return "".join(rows).encode()


class FakeVnode:
    """A connection and the vnode behind it: each poll takes the next (alive, journal bytes) or an error.

    ``refuses``: so many connections fail first. ``launches``: answers to launch, in order.
    """

    def __init__(self, polls=(), launches=(), refuses=0, loses_verdicts=0, full_disks=0):
        self.polls, self.launches = list(polls), list(launches)
        self.refuses, self.loses_verdicts, self.full_disks = refuses, loses_verdicts, full_disks
        self.journal, self.verdicts, self.sent = b"", [], []

    async def shell(self, vnode):
        if self.refuses:
            self.refuses -= 1
            raise LOST
        return self

    async def run(self, script, args=(), *, timeout=60.0):
        assert script == "poll"
        _, domain, run, seen, word = args
        if word:
            self.verdicts.append((domain, run, word))
            if self.loses_verdicts:
                self.loses_verdicts -= 1
                raise LOST
        step = self.polls.pop(0)
        if isinstance(step, Exception):
            raise step
        alive, more, *progress = step
        if isinstance(alive, int):
            return alive, b""
        self.journal += more
        unsaid = word and self.full_disks > 0
        self.full_disks -= bool(unsaid)
        rows = ["unsaid\t0"] * bool(unsaid)
        rows += [f"alive\t0\t{alive}", *("\t".join(("progress", "0", *p)) for p in progress)]
        whole = self.journal.split(b"\n")[:-1]
        return 0, b"\n".join([*(row.encode() for row in rows), *(b"j\t0\t" + w for w in whole[int(seen) :])])

    async def send(self, script, args, data, *, timeout=60.0):
        self.sent.append((script, tuple(args), data))
        answer = self.launches.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def name_of(script):
    return script


def link(fake, run="r1"):
    heard = []
    watch = JournalWatch(fake, Vnode("vn1"), name_of)
    made = RunnerLink(fake, watch, Vnode("vn1"), "a.test", run, name_of, heard.append)
    return made, heard


def said(heard):
    return [
        " ".join(str(x) for x in (e.type, getattr(e, "step", ""), getattr(e, "message", "")) if x)
        for e in heard
    ]


WHOLE = lines(
    "begin migrate me", "step s1", "step_done s1", "step s2", "warning odd", "step_done s2", "end ok"
)


async def test_a_run_is_told_step_by_step_and_once():
    cut = [WHOLE[n : n + 17] for n in range(0, len(WHOLE), 17)]
    one, heard = link(FakeVnode([("yes", piece) for piece in cut]))
    ending = await one.follow()
    assert ending.view.state == "ok" and not ending.died
    assert said(heard) == [
        "step_started s1", "step_finished s1", "step_started s2", "warning odd", "step_finished s2",
    ]  # fmt: skip


@pytest.mark.parametrize("later", ["begin undo you", "begin migrate you"])
@pytest.mark.parametrize(
    "end, died, state", [("end ok", False, "ok"), ("end undone", False, "undone"), ("", True, "running")]
)
async def test_what_another_run_did_since_is_not_the_end_of_this_one(end, died, state, later):
    """As when the operator's machine slept, or its line was dead, while a colleague went on."""
    mine = lines("begin migrate me", "step s1", *([end] if end else []))
    theirs = lines(later, "step s1", "archive other.tar.gz 00 1 1", "error theirs", "end ok", run="r2")
    follower, heard = link(FakeVnode([("no" if died else "yes", mine + theirs)]))
    ending = await follower.follow()
    assert (ending.view.run, ending.view.state, ending.died) == ("r1", state, died)
    assert (ending.view.errors, ending.view.archive) == ((), None)
    assert said(heard)[-1].startswith(f"warning another run has been at work here since: {later[6:]}")


async def test_an_undo_that_was_asked_for_is_a_step_of_its_own():
    back = lines("begin undo me", "undo_started asked for", "reloaded php-fpm", "end ok")
    follower, heard = link(FakeVnode([("yes", back)]))
    assert (await follower.follow()).view.state == "ok"
    assert said(heard) == ["step_started undo", "step_finished undo"]


async def test_the_end_of_a_way_back_ends_its_last_step_too():
    back = lines("begin unrestore me", "step restore_back", "reloaded nginx", "end ok")
    follower, heard = link(FakeVnode([("yes", back)]))
    assert (await follower.follow()).view.state == "ok"
    assert said(heard) == ["step_started restore_back", "step_finished restore_back"]


async def test_one_that_came_by_itself_belongs_to_the_step_that_failed():
    rows = ("begin migrate me", "step backup_creation", "step_failed backup_creation full")
    follower, heard = link(FakeVnode([("yes", lines(*rows, "undo_started full", "end undone"))]))
    await follower.follow()
    assert said(heard) == ["step_started backup_creation", "step_failed backup_creation full"]


async def test_a_lost_connection_loses_nothing_and_repeats_nothing():
    pieces = [("yes", WHOLE[:40]), LOST, ("yes", WHOLE[40:90]), LOST, LOST, (1, b""), ("yes", WHOLE[90:])]
    fake = FakeVnode(pieces, refuses=2)
    one, heard = link(fake)
    assert (await one.follow()).view.state == "ok"
    assert len([event for event in heard if event.type != "link"]) == 5


async def test_a_lost_connection_is_said_once_and_that_it_is_back():
    one, heard = link(FakeVnode([("yes", WHOLE[:40]), LOST, LOST, ("yes", WHOLE[40:])]))
    await one.follow()
    told = [(event.lost, event.message) for event in heard if event.type == "link"]
    assert told == [
        (True, "connection to vn1 lost, trying again; the run goes on there"),
        (False, "connected to vn1 again"),
    ]


async def test_a_connection_that_stays_lost_says_how_to_attach(monkeypatch):
    monkeypatch.setattr(runner_link, "PATIENCE", -1.0)
    one, _ = link(FakeVnode([("yes", WHOLE[:40]), LOST]))
    with pytest.raises(Interrupted) as error:
        await one.follow()
    assert "nsmig resume vn1 a.test" in error.value.hint


async def test_a_word_that_found_no_room_is_said_again_and_told_once():
    awaiting = lines("begin migrate me", "await 60")
    ended = lines("begin migrate me", "await 60", "end ok")[len(awaiting) :]
    fake = FakeVnode([("yes", awaiting), ("yes", b""), ("yes", b""), ("yes", ended)], full_disks=2)
    one, heard = link(fake)

    async def verdict(_shell):
        return ""

    assert (await one.follow(verdict)).view.state == "ok"
    assert [word for _, _, word in fake.verdicts] == ["commit"] * 3
    assert [e.message for e in heard if e.type == "warning"] == [runner_link.UNSAID]


async def test_a_locked_vhost_is_somebody_elses():
    one, _ = link(FakeVnode([("none", b""), ("locked", lines("begin migrate you", run="r0"))]))
    with pytest.raises(LockHeld):
        await one.follow()


async def test_a_runner_that_died_is_not_a_success():
    one, _ = link(FakeVnode([("yes", WHOLE[:40]), ("no", WHOLE[40:90])]))
    ending = await one.follow()
    assert ending.died and ending.view.state == "running"


async def test_a_runner_that_ended_before_we_looked_did_not_die():
    one, _ = link(FakeVnode([("no", WHOLE)]))
    ending = await one.follow()
    assert not ending.died and ending.view.state == "ok"


async def test_a_runner_that_never_came_up_is_given_up():
    one, _ = link(FakeVnode([("none", b"")] * UNBORN))
    assert (await one.follow()).died


AWAITS = lines("begin migrate me", "step verification", "await 120")


@pytest.mark.parametrize(
    "why, word", [("", "commit"), ("http://a.test/ answered\n500", "undo http://a.test/ answered 500")]
)
async def test_the_word_is_given_once(why, word):
    polls = [
        ("yes", AWAITS),
        ("yes", b""),
        ("yes", lines("step_done verification")),
        ("yes", lines("end ok")),
    ]
    fake = FakeVnode(polls)
    looked = []

    async def verdict(shell):
        looked.append(shell)
        return why

    one, _ = link(fake)
    await one.follow(verdict)
    assert fake.verdicts == [("a.test", "r1", word)] and len(looked) == 1


async def test_a_word_that_was_lost_on_the_way_is_given_again():
    fake = FakeVnode([("yes", AWAITS), ("yes", b""), ("yes", lines("end ok"))], loses_verdicts=1)

    async def verdict(shell):
        return ""

    one, _ = link(fake)
    assert (await one.follow(verdict)).view.state == "ok"
    assert [v[2] for v in fake.verdicts] == ["commit", "commit"]


async def test_a_line_lost_while_the_result_is_judged_is_no_verdict():
    fake = FakeVnode([("yes", AWAITS), ("yes", b""), ("yes", b""), ("yes", lines("end ok"))])
    looked = []

    async def verdict(shell):
        looked.append(shell)
        if len(looked) < 3:
            raise LOST
        return ""

    one, _ = link(fake)
    assert (await one.follow(verdict)).view.state == "ok"
    assert len(looked) == 3 and [v[2] for v in fake.verdicts] == ["commit"]


async def test_what_an_older_run_awaited_is_not_judged():
    older = lines("begin migrate you", "await 120", run="r0")
    polls = [("yes", older), ("yes", lines("begin resume me")), ("yes", lines("end undone"))]
    fake = FakeVnode(polls)
    looked = []

    async def verdict(shell):
        looked.append(shell)
        return ""

    one, heard = link(fake)
    ending = await one.follow(verdict)
    assert (looked, fake.verdicts, heard) == ([], [], []) and ending.view.state == "undone"


async def test_nobody_judges_a_dead_runner():
    fake = FakeVnode([("no", AWAITS)])
    one, _ = link(fake)
    assert (await one.follow(lambda shell: pytest.fail("judged"))).died
    assert fake.verdicts == []


@pytest.mark.parametrize(
    "row, shown",
    [
        (("s1", "gzip", "5", "10"), [(5, 10)]),
        (("s1", "gzip", "50", "10"), [(10, 10)]),
        (("s0", "x", "5", "10"), []),
        (("s1", "gzip", "", ""), [(0, 0)]),
        (("s1", "gzip", "odd", "10"), [(0, 10)]),
        (("s1",), []),
    ],
)
async def test_progress_is_for_the_running_step_and_never_beyond_its_total(row, shown):
    one, heard = link(
        FakeVnode([("yes", lines("begin migrate me", "step s1"), row), ("yes", lines("end ok"))])
    )
    await one.follow()
    assert [(e.done, e.total) for e in heard if e.type == "step_progressed"] == shown


async def test_nothing_is_said_of_a_step_that_is_over():
    steps = lines("begin migrate me", "step s1", "step_done s1")
    one, heard = link(
        FakeVnode(
            [("yes", steps, ("s1", "check", "0", "10")), ("yes", lines("end ok"), ("s1", "x", "1", "1"))]
        )
    )
    await one.follow()
    assert "step_finished" in [e.type for e in heard]
    assert "step_progressed" not in [e.type for e in heard]


FILES = {"runner.sh": b"echo run\n", "plan": b"A=1\n", "conf/1.final": b"x"}


def test_the_files_travel_whole_and_closed():
    with tarfile.open(fileobj=io.BytesIO(pack(FILES))) as tar:
        assert {m.name: tar.extractfile(m).read() for m in tar} == FILES
        assert {m.mode for m in tar} == {0o600}


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 9_000, 10_240])
def test_the_files_travel_as_tarfile_would_pack_them(size):
    files = {f"conf/{size}.final": b"x" * size, "plan": b"A=1\n"}
    wanted = io.BytesIO()
    with tarfile.open(fileobj=wanted, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o600
            tar.addfile(entry, io.BytesIO(content))
    assert pack(files) == wanted.getvalue()


async def test_a_lost_launch_answer_is_asked_again_with_the_same_run():
    fake = FakeVnode(launches=[LOST, (0, b"started again 0\n")])
    one, _ = link(fake)
    one.seen = 99
    await one.start(FILES)
    assert one.seen == 0, "the journal is read from its start: the run may have written meanwhile"
    assert fake.sent[0] == fake.sent[1]
    assert fake.sent[0][1] == ("a.test", "r1", hashlib.sha256(b"echo run\n").hexdigest(), "9")


def names_in(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getnames()


async def test_the_runner_is_sent_only_where_it_is_wanted():
    fake = FakeVnode(launches=[(0, b"wanted\n"), LOST, (0, b"started 4711 5\n")])
    one, _ = link(fake)
    await one.start(FILES)
    assert one.seen == 5
    assert ["runner.sh" in names_in(data) for _, _, data in fake.sent] == [False, True, True]
    assert len({args for _, args, _ in fake.sent}) == 1


async def test_a_link_that_goes_while_the_runner_starts_is_waited_for():
    fake = FakeVnode(launches=[LOST, LOST, LOST, (0, b"started again 0\n")])
    one, _ = link(fake)
    await one.start(FILES)
    assert len({(args, data) for _, args, data in fake.sent}) == 1


@pytest.mark.parametrize("answers", [[LOST, LOST], [LOST, (64, b"")]])
async def test_a_run_that_may_have_begun_is_not_called_a_failed_connection(monkeypatch, answers):
    monkeypatch.setattr(runner_link, "PATIENCE", 0.0)
    one, _ = link(FakeVnode(launches=answers))
    with pytest.raises(Interrupted) as error:
        await one.start(FILES)
    assert "may have begun" in error.value.message and "nsmig resume vn1 a.test" in error.value.hint


async def test_nothing_was_sent_over_a_link_that_never_came():
    one, _ = link(FakeVnode(refuses=2))
    with pytest.raises(ConnectError):
        await one.start(FILES)


async def test_a_launch_tells_how_many_lines_there_were():
    one, _ = link(FakeVnode(launches=[(0, b"started 4711 123\n")]))
    await one.start(FILES)
    assert one.seen == 123


@pytest.mark.parametrize(
    "answers",
    [[(64, b"")], [(0, b"Welcome!\n")], [(1, b"started 1 2")], [(0, b"wanted\n")] * 2],
)
async def test_a_runner_that_was_not_started_is_an_error(answers):
    one, _ = link(FakeVnode(launches=answers))
    with pytest.raises(ConnectError):
        await one.start(FILES)
