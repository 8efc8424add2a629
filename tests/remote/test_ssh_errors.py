"""What the operating system says reaches people as words, without its numbers."""

import errno
import socket

import pytest

from nsmig_tui.remote.ssh_errors import explain


@pytest.mark.parametrize(
    "error, words",
    [
        (socket.gaierror(-2, "Name or service not known"), "not known: Name or service not known."),
        (
            ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
            "connections: Connection refused.",
        ),
        (FileNotFoundError(errno.ENOENT, "No such file", "/x/config"), "reached: No such file: /x/config."),
        (OSError("plain words"), "reached: plain words."),
    ],
    ids=["name", "refused", "file", "plain"],
)
def test_no_numbers(error, words):
    said = explain(error, "vn1", "host")
    assert said.message.endswith(words) and "Errno" not in said.message
    assert said.hint and said.vnode == "vn1"
