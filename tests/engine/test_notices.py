"""Notices at the end of a batch: each way, and that none of them can hurt or tell a secret."""

import asyncio
import contextlib
import json
import socket
import sys
import threading
import types
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from nsmig_tui.batchproc import notices
from nsmig_tui.batchproc.notices import send_notices, title
from nsmig_tui.domain.batch import BatchItem, BatchSpec
from nsmig_tui.domain.batch_events import BatchEnded, BatchStarted
from nsmig_tui.domain.batch_view import BatchView
from nsmig_tui.domain.events import Result

TOKEN = "s3cr3t-t0k3n"


@pytest.fixture
def view():
    view = BatchView(BatchSpec("b1", "me", 1.0, (BatchItem("v1", "a.test"), BatchItem("v1", "b.test"))))
    view.take(BatchStarted("", batch="b1", operator="me", vhosts=2), 1.0)
    view.take(Result("v1", "a.test", ok=True, status="migrated"), 2.0)
    view.take(Result("v1", "b.test", errors=("it broke",), exit_code=5), 3.0)
    view.take(BatchEnded("", batch="b1", outcome="partial", exit_code=7), 4.0)
    return view


class Hook(BaseHTTPRequestHandler):
    """Keeps what is posted; answers with the server's ``status``."""

    def do_POST(self):
        self.server.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_args):
        """Say nothing."""


@pytest.fixture
def hook():
    server = HTTPServer(("127.0.0.1", 0), Hook)
    server.taken, server.status = [], 204
    server.address = f"http://127.0.0.1:{server.server_port}/hook/{TOKEN}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


async def test_nothing_is_sent_unasked(view):
    assert await send_notices({}, view) == []
    assert await send_notices({"command": "", "webhook": ""}, view) == []


async def test_a_command_gets_the_report_and_the_title(view, tmp_path):
    script = tmp_path / "tell me"
    script.write_text(
        f'#!/bin/sh\ncat >"{tmp_path}/in"\n'
        f'printf "%s|" "$@" "$NSMIG_BATCH" "$NSMIG_OUTCOME" >"{tmp_path}/words"\n'
    )
    script.chmod(0o700)
    assert await send_notices({"command": f"'{script}' --to '$HOME'"}, view) == []
    assert json.loads((tmp_path / "in").read_text())["counts"]["failed"] == 1
    assert (tmp_path / "words").read_text() == f"--to|$HOME|{title(view)}|b1|partial|"


@pytest.mark.parametrize(
    "command, problem",
    [
        ("/bin/false", "command: it ended with 1"),
        (f"/no/such/{TOKEN}", "command: FileNotFoundError"),
        ("'", "command: ValueError"),
    ],
)
async def test_a_command_that_fails_is_said_and_no_more(view, command, problem):
    assert await send_notices({"command": command}, view) == [problem]


async def test_a_command_that_hangs_is_ended(view, monkeypatch):
    monkeypatch.setattr(notices, "LIMIT_S", 0.2)
    begun = []
    real = asyncio.create_subprocess_exec

    async def keep(*words, **more):
        begun.append(await real(*words, **more))
        return begun[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", keep)
    assert await send_notices({"command": "sh -c 'exec sleep 600'"}, view) == [
        "command: no answer within 0 s"
    ]
    assert await asyncio.wait_for(begun[0].wait(), 30) == -9


async def test_a_webhook_gets_text_and_counts(view, hook):
    assert await send_notices({"webhook": hook.address}, view) == []
    (body,) = hook.taken
    assert body["text"].startswith(title(view)) and body["outcome"] == "partial"
    assert (body["batch"], body["counts"]["ok"]) == ("b1", 1)


@pytest.mark.parametrize("status", [404, 500])
async def test_a_webhook_that_refuses_is_said_without_its_address(view, hook, status):
    hook.status = status
    (problem,) = await send_notices({"webhook": hook.address}, view)
    assert problem == "webhook: HTTPError" and TOKEN not in problem


def test_a_webhook_whose_answer_never_ends_holds_nothing(view, monkeypatch):
    """The process ends though a byte comes each moment, which no time limit of a read notices."""
    monkeypatch.setattr(notices, "LIMIT_S", 1.0)
    ended = threading.Event()
    dripped = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def drip():
        caller, _ = listening.accept()
        with caller, contextlib.suppress(OSError):
            caller.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            for _ in range(600):
                if ended.wait(0.1):
                    return
                caller.sendall(b"x")
            dripped.set()

    server = threading.Thread(target=drip)
    server.start()
    address = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    problems = asyncio.run(send_notices({"webhook": address}, view))
    still = not dripped.is_set()
    ended.set()
    server.join()
    listening.close()
    assert problems == ["webhook: no answer within 1 s"] and still


@pytest.mark.parametrize("address", [f"file:///etc/{TOKEN}", "ftp://127.0.0.1/x", "no address"])
async def test_only_http_is_posted_to(view, address):
    (problem,) = await send_notices({"webhook": address}, view)
    assert problem.startswith("webhook: ") and TOKEN not in problem


async def test_apprise_is_handed_title_and_lines(view, monkeypatch):
    sent = []

    class Apprise:
        def add(self, address):
            return address.startswith("good:")

        async def async_notify(self, body, title):
            sent.append((title, body))
            return True

    monkeypatch.setitem(sys.modules, "apprise", types.SimpleNamespace(Apprise=Apprise))
    assert await send_notices({"apprise": "good://x"}, view) == []
    assert sent[0][0] == title(view) and sent[0][1].startswith(title(view))
    assert await send_notices({"apprise": "bad://x"}, view) == ["apprise: Apprise does not know this address"]


async def test_without_apprise_it_says_how_to_get_it(view, monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    (problem,) = await send_notices({"apprise": "good://x"}, view)
    assert "pip install" in problem


async def test_one_way_that_fails_does_not_stop_the_others(view, hook):
    problems = await send_notices({"command": "/bin/false", "webhook": hook.address}, view)
    assert problems == ["command: it ended with 1"] and len(hook.taken) == 1
