"""The program on a pseudo-terminal of its own, for what a pilot cannot see: signals, bytes, times."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from pathlib import Path

ROWS, COLUMNS = 40, 120


class Terminal:
    """The program on a pseudo-terminal of its own."""

    def __init__(self, command, environment):
        self.begun = time.perf_counter()
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self.master, self.seen = master, b""

    def read(self, quiet=0.3, most=30.0):
        """Everything until ``quiet`` seconds of silence; answers (seconds to the first byte, bytes)."""
        start, first, got = time.perf_counter(), None, b""
        while time.perf_counter() - start < most:
            ready, _w, _x = select.select([self.master], [], [], quiet)
            if not ready:
                break
            try:
                got += os.read(self.master, 1 << 16)
            except OSError:
                break
            first = first if first is not None else time.perf_counter() - start
        return first, got

    def until(self, word, most=30.0):
        """Seconds since the start until ``word`` is drawn."""
        while word not in self.seen and time.perf_counter() - self.begun < most:
            if select.select([self.master], [], [], 0.5)[0]:
                self.seen += os.read(self.master, 1 << 16)
        return time.perf_counter() - self.begun

    def key(self, keys, quiet=0.15):
        """Milliseconds from the key to the first byte, and all bytes."""
        os.write(self.master, keys)
        first, got = self.read(quiet)
        return (first or float("nan")) * 1000, len(got)

    def status(self, name):
        """A line of /proc/PID/status in MiB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
        return 0.0

    def cpu(self):
        """Seconds of CPU so far, of all threads, to the microsecond: /proc's own sum counts in hundredths."""
        parts = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(part.read_text().split()[0]) for part in parts) / 1e9

    def end(self):
        """Quit."""
        os.write(self.master, b"q")
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
        os.close(self.master)
