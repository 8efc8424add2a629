"""A lab: a few nodes, the keys to reach them, and a reaper that takes everything away whatever happens."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import owned
from lab.image import ensure_image
from lab.link import Link
from lab.node import Node, require_root_tools

SUDO_PASSWORD = "Pass-word with 'quotes'"
_numbers = itertools.count(1)

# Two accounts beside root: one that may sudo at once, one that has to give SUDO_PASSWORD.
ACCOUNTS = """
set -eu
for user in ops opspw; do
    useradd --create-home --shell /bin/bash "$user"
    install -d -m 700 -o "$user" -g "$user" "/home/$user/.ssh"
    install -m 600 -o "$user" -g "$user" /root/.ssh/authorized_keys "/home/$user/.ssh/authorized_keys"
done
printf 'opspw:%s\\n' "$1" | chpasswd
printf 'ops ALL=(ALL) NOPASSWD: ALL\\nopspw ALL=(ALL) ALL\\n' >/etc/sudoers.d/nsmig-lab
chmod 440 /etc/sudoers.d/nsmig-lab
"""


class Lab:
    """Nodes that live as long as a ``with`` block, or until the process that made them is gone.

    SSH reaches node ``vn1`` under the names ``vn1`` (root), ``vn1-ops`` (sudo without password),
    ``vn1-opspw`` (sudo with SUDO_PASSWORD) and ``vn1-faulty`` (root, over ``links["vn1"]``) by ssh_config.
    """

    def __init__(self, names: Sequence[str], base: Path | None = None, disk_mb: int | None = None) -> None:
        """``base``: where layers go, ``NSMIG_LAB_DIR`` or /var/lib/nsmig-lab; never inside the repository.

        With ``disk_mb`` each node has a disk of its own of that size, which can fill up or lose power.
        """
        require_root_tools()
        self.id = f"{os.getpid()}-{next(_numbers)}"
        self.names = list(names)
        top = base or Path(os.environ.get("NSMIG_LAB_DIR") or "/var/lib/nsmig-lab")
        top.mkdir(parents=True, exist_ok=True)
        self._top = top
        self._disk_mb = disk_mb
        self.links: dict[str, Link] = {}
        self.nodes: dict[str, Node] = {}
        self._reaper: subprocess.Popen[bytes] | None = None
        self._pipe: int | None = None

    def __enter__(self) -> Lab:
        """Build what is missing, boot all nodes at once."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        """Take everything away."""
        self.stop()

    def __getitem__(self, name: str) -> Node:
        """The node of that name."""
        return self.nodes[name]

    def start(self) -> None:
        """Boot all nodes side by side and keep their first state for resets."""
        owned.sweep()
        image = ensure_image()
        ledger = owned.Ledger(self.id)
        self._watch(ledger.directory)
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self.id}-", dir=self._top))
        ledger.add("tree", self.directory)
        self._make_keys()
        for name in self.names:
            self.nodes[name] = Node(name, self.id, self.directory / name, image, ledger, self._disk_mb)
        with ThreadPoolExecutor(max_workers=len(self.names)) as pool:
            list(pool.map(self._bring_up, self.nodes.values()))

    def _watch(self, directory: Path) -> None:
        """Start the reaper, whose input ends when this process does."""
        read_end, self._pipe = os.pipe()
        self._reaper = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("reaper.py")), str(directory)],
            stdin=read_end,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        os.close(read_end)

    def _make_keys(self) -> None:
        """One key for the operator, one host key for each node, and the configuration that uses them."""
        self.ssh_dir = self.directory / "ssh"
        self.ssh_dir.mkdir(mode=0o700)
        for name in ["user", *(f"host-{name}" for name in self.names)]:
            target = str(self.ssh_dir / name)
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", target], check=True
            )
        self.links = {name: Link(f"{name}-faulty", self.ssh_dir / f"link-{name}") for name in self.names}
        known = ""
        for name in self.names:
            key = (self.ssh_dir / f"host-{name}.pub").read_text().rsplit(" ", 1)[0]
            known += f"{name},{name}-ops,{name}-opspw,{name}-faulty {key}\n"
        (self.ssh_dir / "known_hosts").write_text(known)
        self.ssh_config = self.ssh_dir / "config"
        self.ssh_config.write_text("".join(map(self.ssh_config_text, self.names)))

    def ssh_config_text(self, name: str) -> str:
        """The Host blocks of one node."""
        proxy = f"ip netns exec nsmig-{self.id}-{name} socat STDIO TCP:127.0.0.1:22,nodelay"
        common = (
            f"    IdentityFile {self.ssh_dir}/user\n    IdentitiesOnly yes\n"
            f"    UserKnownHostsFile {self.ssh_dir}/known_hosts\n"
        )
        direct = f"    ProxyCommand {proxy}\n"
        faulty = f"    ProxyCommand {self.links[name].proxy_command(f'nsmig-{self.id}-{name}')}\n"
        aliases = {
            name: ("root", direct),
            f"{name}-ops": ("ops", direct),
            f"{name}-opspw": ("opspw", direct),
            f"{name}-faulty": ("root", faulty),
        }
        return "".join(
            f"Host {alias}\n    User {user}\n{common}{way}\n" for alias, (user, way) in aliases.items()
        )

    def _bring_up(self, node: Node) -> None:
        """Keys in before the boot, accounts after it."""
        node.prepare()
        ssh_dir = node.root / "etc/ssh"
        for suffix, mode in (("", 0o600), (".pub", 0o644)):
            target = ssh_dir / f"ssh_host_ed25519_key{suffix}"
            target.write_bytes((self.ssh_dir / f"host-{node.name}{suffix}").read_bytes())
            target.chmod(mode)
        (node.root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
        (node.root / "root/.ssh/authorized_keys").write_bytes((self.ssh_dir / "user.pub").read_bytes())
        node.start()
        node.sh(ACCOUNTS, SUDO_PASSWORD)
        node.keep()

    def ssh(
        self, alias: str, command: str, *, check: bool = True, input: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command with OpenSSH, as an operator would."""
        argv = ["ssh", "-F", str(self.ssh_config), "-o", "BatchMode=yes", alias, command]
        return subprocess.run(argv, input=input, capture_output=True, check=check)

    def stop(self) -> None:
        """Take everything away and wait until it is gone; may be called again."""
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
        if self._reaper is not None:
            for node in self.nodes.values():
                node.kill()
            self._reaper.wait(timeout=60)
            self._reaper = None
        self.nodes.clear()
