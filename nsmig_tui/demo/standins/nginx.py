"""The stand-in for nginx: master and worker, -t, -T, -V, -s. Run as ``nginx.py PREFIX [OPTION…]``."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import process
from nginx_conf import Conf, ConfError, load, log_paths
from nginx_site import REASONS, Answer, Request, Site, expand, nearest_logs

MASTER = "nginx: master process"
VERSION = "nginx version: nginx/1.22.1 (stand-in of nsmig demo)"
SIGNALS = {"reload": signal.SIGHUP, "reopen": signal.SIGUSR1, "quit": signal.SIGQUIT, "stop": signal.SIGTERM}


class Master:
    """Holds the listening sockets and the logs, and keeps one worker running on a good configuration."""

    def __init__(self, prefix: str, path: str) -> None:
        self.prefix, self.path = prefix, path
        self.conf = load(path)
        self.logs = open_logs(self.conf)
        self.sockets = {}
        self.worker = 0
        self.old: set[int] = set()

    def bind(self) -> None:
        """Listen for each port that a server block names, on a socket file in place of the port."""
        folder = os.path.join(self.prefix, "run", "nginx")
        os.makedirs(folder, exist_ok=True)
        servers = [item.block or [] for item in self.conf.http() if item.name == "server"]
        words = [item.args[0] for block in servers for item in block if item.name == "listen"]
        ports = {word.rsplit(":", 1)[-1].rstrip("]") for word in words if "ssl" not in word} or {"80"}
        for port in ports & {"80", "8080"}:
            if port not in self.sockets:
                path = os.path.join(folder, f"port-{port}.sock")
                if os.path.lexists(path):
                    os.unlink(path)
                sock = socket.socket(socket.AF_UNIX)
                sock.bind(path)
                sock.listen(128)
                sock.setblocking(False)
                self.sockets[port] = sock

    def run(self) -> None:
        """Serve signals until told to end."""
        watched = {*SIGNALS.values(), signal.SIGCHLD}
        signal.pthread_sigmask(signal.SIG_BLOCK, watched)
        self.fork()
        while True:
            got = signal.sigwait(watched)
            if got == signal.SIGHUP:
                self.reload()
            elif got == signal.SIGUSR1:
                self.logs = open_logs(self.conf)
                self.replace()
            elif got == signal.SIGCHLD:
                self.reap()
            else:
                return self.end()

    def fork(self) -> None:
        """Start a worker on the present configuration."""
        self.worker = os.fork()
        if not self.worker:
            process.set_title("nginx: worker process")
            try:
                Worker(self).run()
            finally:
                os._exit(0)

    def replace(self) -> None:
        """A new worker takes over; the old one finishes what it serves."""
        before = self.worker
        self.fork()
        self.old.add(before)
        os.kill(before, signal.SIGQUIT)

    def reload(self) -> None:
        """Take the configuration on disk if it is good; keep what runs if it is not."""
        try:
            conf = load(self.path)
            logs = open_logs(conf)
        except ConfError as error:
            return self.complain(f"[emerg] {os.getpid()}#0: {error}")
        for file in self.logs.values():
            os.close(file)
        self.conf, self.logs = conf, logs
        self.bind()
        self.replace()

    def reap(self) -> None:
        """Bury workers; one that died without being asked is replaced."""
        while True:
            try:
                pid, _status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self.old.discard(pid)
            if pid == self.worker:
                self.complain(f"[alert] {os.getpid()}#0: worker process {pid} exited")
                self.fork()

    def end(self) -> None:
        """End the workers and leave no socket or pid file."""
        for pid in {self.worker, *self.old}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        for sock in self.sockets.values():
            os.unlink(sock.getsockname())
        os.unlink(pid_path(self.prefix, self.conf))

    def complain(self, line: str) -> None:
        """Write to the main error log."""
        process.log(
            self.conf.value("error_log", f"{self.prefix}/var/log/nginx/error.log"),
            f"{process.stamp()} {line}",
        )


class Worker:
    """Accepts connections until SIGQUIT, then lets the threads that serve finish."""

    def __init__(self, master: Master) -> None:
        self.master = master
        self.site = Site(master.conf, lambda words: master.complain(f"[error] {os.getpid()}#0: {words}"))
        self.sockets = list(master.sockets.values())
        self.going = True

    def run(self) -> None:
        """The accept loop."""
        wake, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker)
        signal.signal(signal.SIGQUIT, self._quit)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, set(signal.valid_signals()))
        threads: list[threading.Thread] = []
        while self.going:
            for ready in select.select([*self.sockets, wake], [], [])[0]:
                if ready == wake:
                    continue
                try:
                    client, _address = ready.accept()
                except OSError:  # the other worker was quicker
                    continue
                thread = threading.Thread(target=self.serve, args=(client,))
                thread.start()
                threads = [one for one in threads if one.is_alive()] + [thread]
        for thread in threads:
            thread.join()

    def _quit(self, _number: int, _frame: object) -> None:
        self.going = False

    def serve(self, client: socket.socket) -> None:
        """One connection, one request."""
        with client:
            try:
                client.settimeout(20)
                request = read_request(client)
                if request is None:
                    return
                answer = self.site.answer(request)
                self.record(request, answer)
                send(client, request, answer)
            except OSError:
                return  # the client went away
            except Exception as error:  # a stand-in that meets a form it does not know must say so
                self.site.problem(f"stand-in: {type(error).__name__}: {error}")
                send(client, Request("GET", "/", {}), Answer(500))

    def record(self, request: Request, answer: Answer) -> None:
        """Write the access log: through the master's descriptor, or by path when it holds a variable."""
        agent = request.headers.get("user-agent", "-")
        when = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
        line = f'127.0.0.1 - - [{when}] "{request.method} {request.target} HTTP/1.1" {answer.status} '
        line += f'{len(answer.body)} "-" "{agent}"\n'
        for path in nearest_logs(answer.chain):
            data = line.encode("utf-8", "surrogateescape")
            if path in self.master.logs:
                os.write(self.master.logs[path], data)
                continue
            path = expand(path, request.variables)
            try:
                with open(path, "ab") as log:
                    log.write(data)
            except OSError as error:
                words = f"({error.errno}: {os.strerror(error.errno or 0)})"
                self.site.problem(f'open() "{path}" failed {words} while logging request')


def open_logs(conf: Conf) -> dict[str, int]:
    """Open every literal log, making what is missing, as nginx does even for -t. Raises ConfError."""
    logs: dict[str, int] = {}
    for path in log_paths(conf.top):
        if path not in logs:
            try:
                logs[path] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError as error:
                for file in logs.values():
                    os.close(file)
                words = f"({error.errno}: {os.strerror(error.errno or 0)})"
                raise ConfError(f'open() "{path}" failed {words}') from error
    return logs


def read_request(client: socket.socket) -> Request | None:
    """The request's head and body, or None when nothing whole came."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = client.recv(65_536)
        if not chunk or len(data) > 65_536:
            return None
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in lines]
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    while len(body) < int(headers.get("content-length", "0")):
        chunk = client.recv(65_536)
        if not chunk:
            return None
        body += chunk
    words = first.split(" ")
    return Request(words[0], words[1], headers, body) if len(words) == 3 else None


def send(client: socket.socket, request: Request, answer: Answer) -> None:
    """Write the answer; HEAD gets no body. The connection is not kept."""
    headers = {"Server": "nginx", **answer.headers}
    headers |= {"Content-Length": str(len(answer.body)), "Connection": "close"}
    head = f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Answer')}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
    client.sendall(head.encode("latin-1", "replace") + (b"" if request.method == "HEAD" else answer.body))


def pid_path(prefix: str, conf: Conf) -> str:
    """Where the master's pid is kept."""
    return conf.value("pid", os.path.join(prefix, "run", "nginx.pid"))


def test(path: str, *, dump: bool) -> int:
    """-t and -T: read everything, open the logs, say what was found."""
    try:
        conf = load(path)
        say(f"nginx: the configuration file {path} syntax is ok")
        for file in open_logs(conf).values():
            os.close(file)
    except ConfError as error:
        say(f"nginx: [emerg] {error}")
        say(f"nginx: configuration file {path} test failed")
        return 1
    say(f"nginx: configuration file {path} test is successful")
    if dump:
        for name, text in conf.files.items():
            sys.stdout.buffer.write(
                f"# configuration file {name}:\n{text}\n".encode("utf-8", "surrogateescape")
            )
    return 0


def send_signal(prefix: str, path: str, word: str) -> int:
    """-s: tell the running master. As in nginx, the configuration is only parsed here."""
    try:
        conf = load(path)
    except ConfError as error:
        say(f"nginx: [emerg] {error}")
        return 1
    pid = process.read_pid(pid_path(prefix, conf), MASTER)
    if not pid:
        say(f'nginx: [error] invalid PID number "" in "{pid_path(prefix, conf)}"')
        return 1
    os.kill(pid, SIGNALS[word])
    return 0


def start(prefix: str, path: str) -> int:
    """Become the daemon."""
    write_end = process.detach()
    try:
        master = Master(prefix, path)
        master.bind()
        process.set_title(f"{MASTER} {prefix}/bin/nginx -c {path}")
        process.write_pid(pid_path(prefix, master.conf))
    except (ConfError, OSError) as error:
        say(f"nginx: [emerg] {error}")
        process.ready(write_end, 1)
        return 1
    process.ready(write_end)
    master.run()
    return 0


def say(line: str) -> None:
    """Talk to the operator, as nginx does, on standard error."""
    print(line, file=sys.stderr, flush=True)


def main(prefix: str, words: list[str]) -> int:
    """Understand the options that an administrator uses."""
    path = os.path.join(prefix, "etc", "nginx", "nginx.conf")
    if "-c" in words:
        path = words[words.index("-c") + 1]
    if "-V" in words or "-v" in words:
        say(VERSION)
        if "-V" in words:
            parts = (
                f"--prefix={prefix}/usr/share/nginx",
                f"--conf-path={path}",
                f"--pid-path={prefix}/run/nginx.pid",
            )
            say(f"configure arguments: {' '.join(parts)}")
        return 0
    if "-t" in words or "-T" in words:
        return test(path, dump="-T" in words)
    if "-s" in words:
        return send_signal(prefix, path, words[words.index("-s") + 1])
    return start(prefix, path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
