"""An SSH way to a node that tests can cut, freeze and mend."""

from __future__ import annotations

import os
import sys
from pathlib import Path


class Link:
    """Control of every connection made under one alias of the lab's ssh_config (``vn1-faulty``)."""

    def __init__(self, alias: str, directory: Path) -> None:
        """``directory`` is shared with the proxies."""
        self.alias = alias
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "connections").touch()
        self.mend()

    def proxy_command(self, namespace: str) -> str:
        """The ProxyCommand that obeys this link."""
        return f"{sys.executable} {Path(__file__).with_name('link_proxy.py')} {namespace} {self._directory}"

    def mend(self) -> None:
        """Carry everything; also thaws what was frozen. New connections are counted from here."""
        self._set("open")
        self._seen = len((self._directory / "connections").read_text().splitlines())

    def cut(self) -> None:
        """End all connections now and refuse new ones until mended."""
        self._set("cut")

    def freeze(self) -> None:
        """Carry nothing and close nothing."""
        self._set("frozen")

    def cut_after(self, count: int, *, down: bool = True) -> None:
        """End each connection after ``count`` bytes from the node (``down``) or to it."""
        self._set(f"cut-{'down' if down else 'up'} {count}")

    @property
    def connections(self) -> int:
        """How many connections were tried since the last ``mend``."""
        return len((self._directory / "connections").read_text().splitlines()) - self._seen

    def _set(self, mode: str) -> None:
        scratch = self._directory / "mode.new"
        scratch.write_text(mode)
        os.rename(scratch, self._directory / "mode")
