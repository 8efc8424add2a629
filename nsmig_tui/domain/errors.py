"""The error family, classed by what the operator must do next, and the exit codes.

A run that failed after it had begun raises nothing: its Result says whether all was undone.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Process exit codes; part of the public interface."""

    DONE = 0
    USAGE = 2
    CONNECT = 3
    REFUSED = 4
    UNDONE = 5
    UNDO_FAILED = 6
    PARTIAL = 7
    LOCKED = 75
    INTERRUPTED = 130


class NsmigError(Exception):
    """Base of all errors meant for people: what happened, where, and what to do about it."""

    exit_code = ExitCode.REFUSED

    def __init__(self, message: str, *, hint: str = "", vnode: str = "", vhost: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.vnode = vnode
        self.vhost = vhost

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(NsmigError):
    """The words of the command do not make sense together."""

    exit_code = ExitCode.USAGE


class ConnectError(NsmigError):
    """The vnode could not be reached, or would not let us in. Trying again may help."""

    exit_code = ExitCode.CONNECT


class Refused(NsmigError):
    """A guard said no before anything was touched."""

    exit_code = ExitCode.REFUSED


class VnodeTrouble(Refused):
    """A guard said no for something that is no fault of the vhost's, but its vnode's."""


class LockHeld(NsmigError):
    """Another run holds the lock of this vhost or vnode."""

    exit_code = ExitCode.LOCKED


class Interrupted(NsmigError):
    """The operator's side stopped; what runs on the vnode goes on."""

    exit_code = ExitCode.INTERRUPTED
