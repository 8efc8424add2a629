"""Becoming root on a vnode: what is possible there, and the command line that does it.

sudo with a password is the dangerous case. On a server that asks for none, the password would become the
command's input; after a wrong one, the following lines are tried as passwords. So the server is probed
first, the password waits for a private prompt, and data waits for a private word from the root shell.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.domain.text import clean

from . import wire
from .session import prompt_marker

SHELL = "/bin/sh"


class Way(StrEnum):
    """How scripts get to run as root."""

    PLAIN = "plain"
    SUDO = "sudo"
    DOAS = "doas"
    SUDO_PASSWORD = "sudo with password"


@dataclass(frozen=True)
class Privilege:
    """The way for one connection, the login's user id, and whether not being root is fine there (demo)."""

    way: Way
    uid: int
    unprivileged: bool = False

    def command(self, nonce: str, *, prove: bool = False) -> str:
        """The remote command line. It holds nothing that any login shell would treat specially.

        ``prove``: sudo shall ask for the password, also when one that was given a while ago still counts.
        """
        if self.way is Way.SUDO:
            return f"sudo -n {SHELL}"
        if self.way is Way.DOAS:
            return f"doas -n {SHELL}"
        if self.way is Way.SUDO_PASSWORD:
            start = f"{wire.say_ready(nonce)}; exec {SHELL}"
            forget = " -k" if prove else ""
            return f"sudo{forget} -S -p {prompt_marker(nonce)} {SHELL} -c '{start}'"
        return SHELL


def choose(answer: bytes, vnode: str) -> Privilege:
    """The way to root, from the answer of privilege.sh. Raises ConnectError when there is none."""
    said = {}
    for line in answer.decode("utf-8", "replace").splitlines():
        key, _, value = line.partition("=")
        said[key] = value
    if not said.get("uid", "").isdigit():
        raise ConnectError(
            "The server did not say who we are there.",
            hint=f"Its `id -u` printed {clean(said.get('uid', ''), 80)!r}.",
            vnode=vnode,
        )
    uid = int(said["uid"])
    if uid == 0:
        return Privilege(Way.PLAIN, uid)
    if said.get("unprivileged") == "1":
        return Privilege(Way.PLAIN, uid, unprivileged=True)
    if said.get("sudo") == "root":
        return Privilege(Way.SUDO, uid)
    if said.get("doas") == "root":
        return Privilege(Way.DOAS, uid)
    if said.get("sudo") == "refused":
        outcome = refusal(said.get("sudo_says", ""), vnode)
        if outcome is None:
            return Privilege(Way.SUDO_PASSWORD, uid)
        raise outcome
    raise no_sudo(vnode, said.get("doas_says", ""))


def refusal(said: str, vnode: str) -> ConnectError | None:
    """Which of sudo's refusals a password cannot mend; None when a password may do."""
    text = said.lower()
    if "must have a tty" in text or "no tty present" in text:
        return ConnectError(
            "sudo on the server needs a terminal (requiretty).",
            hint="Add `Defaults:USER !requiretty` to its sudoers, or log in as root.",
            vnode=vnode,
        )
    if "not in the sudoers" in text or "may not run sudo" in text or "is not allowed to" in text:
        return no_sudo(vnode, said)
    return None


def no_sudo(vnode: str, said: str) -> ConnectError:
    """The outcome when there is no way to root."""
    detail = f" It said: {clean(said, 200)}" if said.strip() else ""
    return ConnectError(
        f"The login is not root and may not become root: no sudo or doas for it.{detail}",
        hint="Log in as root, or allow the account to run /bin/sh with sudo.",
        vnode=vnode,
    )


def wrong_password(vnode: str) -> ConnectError:
    """The outcome when sudo did not take the password."""
    return ConnectError(
        "sudo did not accept the password.",
        hint="Nothing was sent. Try again; too many wrong passwords may lock the account.",
        vnode=vnode,
    )


def nobody_to_ask(vnode: str) -> ConnectError:
    """The outcome when sudo wants a password and there is no terminal to ask at."""
    return ConnectError(
        "sudo on the server wants a password, and there is nobody to ask.",
        hint="Connect from the terminal application, log in as root, or allow sudo without password.",
        vnode=vnode,
    )


def not_root(vnode: str, said: str) -> ConnectError:
    """The outcome when a way that looked open did not lead to a root shell."""
    return refusal(said, vnode) or ConnectError(
        f"No root shell came up on the server. It said: {clean(said[-400:], 200) or 'nothing'}",
        hint="Try the same sudo or doas command by hand over ssh.",
        vnode=vnode,
    )
