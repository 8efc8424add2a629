"""Runs the sh scripts as the current user in trees of their own, under dash and under BusyBox."""

import shutil
import subprocess
import time
import zlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pytest

SCRIPTS = files("nsmig_tui.remote") / "scripts"

NEXT_SECOND = """
next_second() { # the same as below
  now=$(date +%s)
  while [ "$(date +%s)" = "$now" ]; do sleep 0.02; done
  sleep 0.01
}
"""


def next_second():
    """Return when the second of what has just been written is over; BusyBox tells whole seconds only."""
    time.sleep(1.01 - time.time() % 1)


@dataclass
class Sh:
    """A shell and the tools that it finds. ``root`` stands for the vnode's ``/``."""

    name: str
    command: list[str]
    path: str
    root: Path

    @property
    def var(self) -> Path:
        return self.root / "var/lib/nsmig"

    def run(self, text, *args, data=b"", cwd=None, **env):
        """Run a script text from a file, as `sh FILE ARGS`; answers the finished process."""
        # One may run while the next is written.
        script = self.root / f"script{zlib.crc32(text.encode())}.sh"
        script.write_text(text)
        return subprocess.run(
            [*self.command, str(script), *map(str, args)],
            input=data,
            capture_output=True,
            cwd=cwd or self.root,
            env=self.environment(**env),
            timeout=60,
            check=False,
        )

    def environment(self, **env):
        return {
            "PATH": self.path,
            "NSMIG_ROOT": str(self.root),
            "NSMIG_UNPRIVILEGED": "1",
            "HOME": str(self.root),
        } | env

    def put_tool(self, name, text):
        """A command of our own before the system's; answers where the system's is."""
        real = shutil.which(name, path=self.path)
        folder = self.root / "shims"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
        if not self.path.startswith(f"{folder}:"):
            self.path = f"{folder}:{self.path}"
        return real

    def put_before(self, name, text):
        """Let the command of that name do this first."""
        self.put_tool(name, f'{text}\nexec {shutil.which(name, path=self.path)} "$@"')

    def parts(self, *names, then=""):
        """The text of some script files, and some more lines."""
        return "".join((SCRIPTS / f"{name}.sh").read_text() for name in names) + then


@pytest.fixture(scope="session")
def busybox_tools(tmp_path_factory):
    """A folder of BusyBox's applets under their names, or None."""
    program = shutil.which("busybox")
    if not program:
        return None
    folder = tmp_path_factory.mktemp("busybox")
    for applet in subprocess.run(
        [program, "--list"], capture_output=True, text=True, check=True
    ).stdout.split():
        (folder / applet).symlink_to(program)
    return folder


SYSTEM = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
FLAVOURS = ("dash", "busybox sh", "busybox")


@pytest.fixture(params=FLAVOURS)
def sh(request, tmp_path, busybox_tools):
    """dash with the system's tools, BusyBox's sh with them, and BusyBox's sh with its own tools first."""
    return make_sh(request.param, tmp_path, busybox_tools)


@pytest.fixture
def each_sh(tmp_path, busybox_tools):
    """All three at once, over one tree, to compare what they say."""
    return [make_sh(name, tmp_path, busybox_tools) for name in FLAVOURS]


def make_sh(name, tmp_path, busybox_tools):
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True, exist_ok=True)
    (root / "etc/machine-id").write_text("0123456789abcdef\n")
    if name == "dash":
        if not shutil.which("dash"):
            pytest.skip("dash is not installed here")
        return Sh(name, [shutil.which("dash")], SYSTEM, root)
    if busybox_tools is None:
        pytest.skip("busybox is not installed here")
    path = SYSTEM if name == "busybox sh" else f"{busybox_tools}:{SYSTEM}"
    return Sh(name, [str(busybox_tools / "sh")], path, root)
