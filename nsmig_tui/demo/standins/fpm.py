"""The stand-in for php-fpm: a master with one child a pool. Run as ``fpm.py PREFIX [OPTION…]``.

It copies what is dangerous about the real one: ``-t`` does not bind, a reload that cannot bind a socket
ends the master with status 78 and PHP is down, sockets no longer wanted are unlinked by their path.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from typing import NoReturn

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import fastcgi
import php
import process
from fpm_conf import ConfError, Pool, load

MASTER = "php-fpm: master process ("
EXIT_CONFIG = 78
INHERITED = "FPM_SOCKETS"
"""The variable by which a master leaves its sockets to the program that replaces it: path=number,…"""
RELOAD, ENDS = signal.SIGUSR2, {signal.SIGTERM, signal.SIGQUIT, signal.SIGINT}


class Master:
    """Holds the sockets of all pools by their path, and one child a pool that answers on them."""

    def __init__(self, prefix: str, path: str) -> None:
        self.prefix, self.path = prefix, path
        self.conf = load(path)
        self.sockets = _inherited()
        self.children: dict[int, str] = {}

    @property
    def pid_file(self) -> str:
        """Where the master's pid is kept."""
        return self.conf.values.get("pid", os.path.join(self.prefix, "run", "php", "php8.2-fpm.pid"))

    def bind(self) -> None:
        """Have every wanted socket; then drop the others, as the real one does, by path. Raises ConfError."""
        wanted = {pool.listen for pool in self.conf.pools.values()}
        for path in sorted(wanted - self.sockets.keys()):
            self.sockets[path] = _listen(path)
        for path in self.sockets.keys() - wanted:
            self.sockets.pop(path).close()
            _unlink(path)

    def fork(self, pool: Pool) -> None:
        """Start the child of one pool."""
        pid = os.fork()
        if pid:
            self.children[pid] = pool.name
            return
        try:
            process.set_title(f"php-fpm: pool {pool.name}")
            for number in (RELOAD, *ENDS, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, set(signal.valid_signals()))
            serve(self.sockets[pool.listen], pool)
        finally:
            os._exit(0)

    def run(self) -> int:
        """Serve signals until told to end; answers the exit status."""
        watched = {RELOAD, *ENDS, signal.SIGCHLD}
        signal.pthread_sigmask(signal.SIG_BLOCK, watched)
        for pool in self.conf.pools.values():
            self.fork(pool)
        while True:
            got = signal.sigwait(watched)
            if got == signal.SIGCHLD:
                self.reap()
            elif got == RELOAD:
                self.reload()
            else:
                self.kill()
                for path in self.sockets:
                    _unlink(path)
                _unlink(self.pid_file)
                self.note("NOTICE: exiting, bye-bye!")
                return 0

    def reload(self) -> NoReturn:
        """Replace this program by a new one in the same process, which takes the sockets over."""
        self.note("NOTICE: Reloading in progress ...")
        self.kill()
        for sock in self.sockets.values():
            sock.set_inheritable(True)
        os.environ[INHERITED] = ",".join(f"{path}={sock.fileno()}" for path, sock in self.sockets.items())
        os.execv(sys.executable, sys.orig_argv)

    def kill(self) -> None:
        """End all children and wait for them."""
        for pid in self.children:
            os.kill(pid, signal.SIGTERM)
        for pid in self.children:
            os.waitpid(pid, 0)
        self.children.clear()

    def reap(self) -> None:
        """Replace children that died without being asked."""
        for pid, name in list(self.children.items()):
            if os.waitpid(pid, os.WNOHANG)[0]:
                del self.children[pid]
                self.note(f"WARNING: [pool {name}] child {pid} exited")
                self.fork(self.conf.pools[name])

    def note(self, words: str) -> None:
        """Write to FPM's own log."""
        note(self.conf.values.get("error_log", default_log(self.prefix)), words)


def serve(listener: socket.socket, pool: Pool) -> None:
    """The child's life: one request after the other."""
    values = {}
    for key, value in pool.values.items():
        kind, bracket, name = key.partition("[")
        if bracket and kind.startswith("php_"):
            values[name.rstrip("]")] = value
    while True:
        client, _address = listener.accept()
        with client:
            try:
                params, _body = fastcgi.receive(client)
                head, text, errors = _execute(params, values)
                out = (head + text).encode("utf-8", "surrogateescape")
                fastcgi.answer(client, out, errors.encode("utf-8", "surrogateescape"))
            except OSError:
                continue  # the client went away, or only looked whether we answer


def _execute(params: dict[str, str], values: dict[str, str]) -> tuple[str, str, str]:
    """Header lines, body, and what goes to the error log of the web server."""
    script = params.get("SCRIPT_FILENAME", "")
    kind = "Content-Type: text/html; charset=UTF-8\r\n\r\n"
    if not os.path.isfile(script):
        return f"Status: 404 Not Found\r\n{kind}", "File not found.\n", "Primary script unknown"
    try:
        return f"X-Powered-By: PHP/8.2.28\r\n{kind}", php.run(script, params, values), ""
    except php.Fatal as error:
        log = values.get("error_log", "")
        if log:
            process.log(log, f"[{time.strftime('%d-%b-%Y %H:%M:%S')} UTC] PHP Fatal error:  {error}")
        return f"Status: 500 Internal Server Error\r\n{kind}", "", f"PHP message: PHP Fatal error:  {error}"


def default_log(prefix: str) -> str:
    """The log of a master that was told of no other."""
    return f"{prefix}/var/log/php8.2-fpm.log"


def note(log: str, words: str) -> None:
    """One line of a master's log."""
    process.log(log, f"[{time.strftime('%d-%b-%Y %H:%M:%S')}] {words}")


def _inherited() -> dict[str, socket.socket]:
    pairs = [pair.rpartition("=") for pair in os.environ.pop(INHERITED, "").split(",") if pair]
    sockets = {path: socket.socket(fileno=int(number)) for path, _, number in pairs}
    for sock in sockets.values():
        sock.set_inheritable(False)
    return sockets


def _listen(path: str) -> socket.socket:
    probe = socket.socket(socket.AF_UNIX)
    with probe:
        try:
            probe.connect(path)
        except OSError:
            _unlink(path)
        else:
            raise ConfError(f"Another FPM instance seems to already listen on {path}")
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(path)
    except OSError as error:
        sock.close()
        reason = f"{os.strerror(error.errno or 0)} ({error.errno})"
        raise ConfError(f"unable to bind listening socket for address '{path}': {reason}") from error
    os.chmod(path, 0o660)
    sock.listen(128)
    return sock


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return  # not there, or never was ours to take away


def test(path: str, *, dump: bool) -> int:
    """-t and -tt: syntax and required settings; sockets are not tried."""
    try:
        conf = load(path)
    except ConfError as error:
        say(f"ERROR: {error}")
        say("ERROR: FPM initialization failed")
        return EXIT_CONFIG
    if dump:
        say("NOTICE: [global]")
        for key, value in conf.values.items():
            say(f"NOTICE: \t{key} = {value}")
        for pool in conf.pools.values():
            say(f"NOTICE: [{pool.name}]")
            for key, value in pool.values.items():
                say(f"NOTICE: \t{key} = {value}")
    say(f"NOTICE: configuration file {path} test is successful\n")
    return 0


def start(prefix: str, path: str) -> int:
    """Become the daemon, or go on as it after a reload."""
    if INHERITED in os.environ:
        return go_on(prefix, path)
    write_end = process.detach()
    try:
        master = Master(prefix, path)
        master.bind()
        process.set_title(f"{MASTER}{path})")
        process.write_pid(master.pid_file)
    except (ConfError, OSError) as error:
        say(f"ERROR: {error}")
        say("ERROR: FPM initialization failed")
        process.ready(write_end, EXIT_CONFIG)
        return EXIT_CONFIG
    process.ready(write_end)
    return master.run()


def go_on(prefix: str, path: str) -> int:
    """Take the place of a master that reloads; what it cannot serve by ends it, and PHP is down."""
    try:
        master = Master(prefix, path)
        process.set_title(f"{MASTER}{path})")
        master.bind()
        process.write_pid(master.pid_file)
    except (ConfError, OSError) as error:
        note(default_log(prefix), f"ERROR: {error}")
        note(default_log(prefix), "ERROR: FPM initialization failed")
        return EXIT_CONFIG
    master.note("NOTICE: ready to handle connections")
    return master.run()


def say(words: str) -> None:
    """Talk to the operator, as php-fpm does, on standard error."""
    print(f"[{time.strftime('%d-%b-%Y %H:%M:%S')}] {words}", file=sys.stderr, flush=True)


def main(prefix: str, words: list[str]) -> int:
    """Understand the options that an administrator uses."""
    path = os.path.join(prefix, "etc", "php", "8.2", "fpm", "php-fpm.conf")
    for at, word in enumerate(words):
        if word in ("-y", "--fpm-config"):
            path = words[at + 1]
        elif word.startswith("--fpm-config="):
            path = word.partition("=")[2]
    if "-v" in words or "--version" in words:
        print("PHP 8.2.28 (fpm-fcgi) (stand-in of nsmig demo)")
        return 0
    if {"-t", "-tt", "--test"} & {*words}:
        return test(path, dump="-tt" in words)
    return start(prefix, path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
