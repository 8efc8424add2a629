"""What asyncssh and the operating system say, turned into one error with a hint for people."""

from __future__ import annotations

import socket

import asyncssh

from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.domain.text import clean

_KEY_ERRORS = (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, asyncssh.KeyExportError)


def explain(error: BaseException, vnode: str, target: str) -> ConnectError:
    """The ConnectError for whatever went wrong while talking to ``target``."""
    if isinstance(error, ConnectError):
        error.vnode = error.vnode or vnode
        return error
    what, hint = _words(error, target)
    return ConnectError(what, hint=hint, vnode=vnode)


def _words(error: BaseException, target: str) -> tuple[str, str]:
    """Message and hint for one exception."""
    detail = clean(_plain(error) or type(error).__name__, 300)
    if isinstance(error, asyncssh.PermissionDenied):
        return f"The login was refused: {detail}.", f"Check user and keys with `ssh {target}`, and the agent."
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return f"The host key is not trusted: {detail}.", f"Check it with `ssh {target}`."
    if isinstance(error, _KEY_ERRORS):
        return f"A private key cannot be used: {detail}.", "Check IdentityFile and its passphrase."
    if isinstance(error, asyncssh.ConfigParseError):
        return f"The SSH configuration cannot be understood: {detail}.", "See --ssh-config."
    if isinstance(error, asyncssh.KeyExchangeFailed):
        return f"No way to encrypt that both sides know: {detail}.", "The server's sshd may be too old."
    if isinstance(error, (asyncssh.ConnectionLost, ConnectionResetError, BrokenPipeError)):
        return f"The connection was lost: {detail}.", "Check that the server is up, then try again."
    if isinstance(error, asyncssh.ChannelOpenError):
        return f"The server refuses another session: {detail}.", "Its MaxSessions may be used up; try again."
    if isinstance(error, asyncssh.Error):
        return f"SSH failed: {detail}.", f"Try `ssh {target}`."
    return _system_words(error, target, detail)


def _plain(error: BaseException) -> str:
    """What an error says, without the number that the operating system puts before it."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error)


def _system_words(error: BaseException, target: str, detail: str) -> tuple[str, str]:
    """The same for what the operating system says."""
    if isinstance(error, socket.gaierror):
        return f"The name of the server is not known: {detail}.", "Check HostName in the SSH configuration."
    if isinstance(error, TimeoutError):
        return "The server did not answer in time.", "Check network and firewall, then try again."
    if isinstance(error, ConnectionRefusedError):
        return f"The server refuses connections: {detail}.", "Check that sshd runs, and on which port."
    if isinstance(error, OSError):
        return f"The server cannot be reached: {detail}.", f"Try `ssh {target}`."
    return f"The connection failed: {detail}.", f"Try `ssh {target}`."
