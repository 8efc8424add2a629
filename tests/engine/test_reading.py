"""What an inspection of one vhost leaves for the next, and when it must not; and when archives were made."""

import base64

import pytest

from nsmig_tui.domain.fleet import Vhost, Vnode
from nsmig_tui.engine import reading

VNODE, VHOST = Vnode("vn1"), Vhost("vn1", "shop.test", uid=1001)
HANGS_ON = ("/etc/nginx/nginx.conf", "1 1 1 1 /etc/nginx/nginx.conf", "boot\n10 20")


def whole(*hangs_on, hostname="vn1"):
    """An answer that was read in full."""
    row = "\t".join(base64.b64encode(text.encode()).decode() for text in hangs_on)
    said = f"@capabilities\nhostname={hostname}\n@surroundings\n"
    return (said + (f"hangs\t{row}\n" if hangs_on else "")).encode()


class Shell:
    """Answers in turn, and keeps what it was told."""

    def __init__(self, *answers):
        self.answers, self.told = list(answers), []

    async def run(self, script, args=(), *, timeout=60.0):
        self.told.append(tuple(args[5:]))
        return 0, self.answers.pop(0)


async def look(shell, readings, *, test=False):
    seen, _ = await reading.inspect(shell, VNODE, VHOST, str, readings, test=test)
    return seen


async def test_the_vnode_is_asked_whether_anything_has_changed():
    shell, readings = Shell(whole(*HANGS_ON), b"@unchanged\n", whole(*HANGS_ON, hostname="other")), {}
    seen = [await look(shell, readings) for _ in range(3)]
    assert shell.told == [(), HANGS_ON, HANGS_ON]
    assert [s.capabilities.hostname for s in seen] == ["vn1", "vn1", "other"]
    assert readings[VNODE.target].capabilities.hostname == "other"


@pytest.mark.parametrize(
    "answer", [whole(), whole("x" * reading.SENT_BACK + "x", *HANGS_ON[1:])], ids=["no name", "too long"]
)
async def test_what_cannot_be_asked_after_is_forgotten(answer):
    shell, readings = Shell(whole(*HANGS_ON), answer, whole(*HANGS_ON)), {}
    for _ in range(3):
        await look(shell, readings)
    assert shell.told == [(), HANGS_ON, ()]


async def test_a_test_of_the_configuration_reads_everything_and_leaves_nothing():
    shell, readings = Shell(whole(*HANGS_ON), whole(*HANGS_ON)), {}
    await look(shell, readings, test=True)
    await look(shell, readings, test=True)
    assert shell.told == [(), ()] and readings == {}


async def test_archives_are_as_old_as_their_names_say():
    """A restored backup of the server gives every file the time of that restore."""
    names = {
        "pre-migration-20260101-120000.tar.gz": 9000.0,
        "pre-migration-20260101-120000-2.tar.gz": 8000.0,
        "pre-migration-20260101-120000-10.tar.gz": 7000.0,
        "pre-migration-20250101-120000.tar.gz": 9999.0,
        "pre-migration-20269999-120000.tar.gz": 1.0,
        "pre-migration-by-hand.tar.gz": 2.0,
    }
    rows = [
        f"point\t{base64.b64encode(n.encode()).decode()}\t{at}\t5\t\t\t\tunknown" for n, at in names.items()
    ]

    class Vnode1:
        async def run(self, script, args=(), *, timeout=60.0):
            return 0, "\n".join(rows).encode() + b"\n"

    found = await reading.points(Vnode1(), VNODE, "shop.test", str, check=False)
    assert [p.filename.removeprefix("pre-migration-").removesuffix(".tar.gz") for p in found] == [
        "20260101-120000-10",
        "20260101-120000-2",
        "20260101-120000",
        "20250101-120000",
        "by-hand",
        "20269999-120000",
    ]
    assert [p.created_at for p in found] == [1767268800.0] * 3 + [1735732800.0, 2.0, 1.0]
