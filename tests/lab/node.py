"""One lab node: a booted Debian container in a network namespace of its own, with nothing but ``lo``.

The root is an overlay over the cached image; /srv is a plain directory bound into it, because exchange, ACLs,
extended attributes and sparse files then behave as on a server's disk. ``root`` is the merged tree as this
machine sees it: absolute links in it point to this machine's files, so follow none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lab import mirror, netns, owned, procs
from lab.disk import Disk
from lab.image import PHP, LabUnavailable

BOOT_LIMIT_S = 60.0
SERVICES = ("nginx.service", f"php{PHP}-fpm.service")
# Directories that a reset puts back entry by entry. /srv is put back as a whole, with full fidelity.
MIRRORED = ("etc", "root", "home", "opt", "usr/local", "var/spool/cron", "var/www", "var/lib/php")
# Fresh copies in the upper layer: a directory of the lower layer cannot be renamed or exchanged.
FRESH = ("etc/nginx", "etc/php", "etc/ssh", "var/lib/php", "var/spool/cron")
CLEAN_ENV = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]


class NodeError(RuntimeError):
    """A node did not come up, or a script on it failed."""


def wait_for(what: str, ready: Callable[[], bool], limit_s: float = BOOT_LIMIT_S) -> None:
    """Poll until ``ready`` is true; NodeError names what was waited for."""
    deadline = time.monotonic() + limit_s
    while not ready():
        if time.monotonic() > deadline:
            raise NodeError(f"waited {limit_s:.0f} s for {what}")
        time.sleep(0.02)


def own_cgroups() -> list[Path]:
    """The cgroup directories in which this machine's systemd-style hierarchies hold this process."""
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        tops = {"name=systemd": ["/sys/fs/cgroup/systemd"], "": ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]}
        for top in tops.get(controllers, []):
            here = Path(top + path)
            if (here / "cgroup.procs").exists():
                found.append(here)
                break
    return found


class Node:
    """A node with its overlay, namespace and container; made by ``Lab``."""

    def __init__(
        self,
        name: str,
        lab_id: str,
        directory: Path,
        image: Path,
        ledger: owned.Ledger,
        disk_mb: int | None = None,
    ) -> None:
        """``name`` is what SSH calls it; ``directory`` holds its layers, or its own disk with them."""
        self.name = name
        self.namespace = f"nsmig-{lab_id}-{name}"
        self.directory = directory
        self.image = image
        self.ledger = ledger
        self.root = directory / "root"
        self.disk = Disk(directory, disk_mb) if disk_mb else None
        self.layers = self.disk.mountpoint if self.disk else directory
        self.srv = self.layers / "srv"
        self.kept = directory / "kept"
        """Copies made by ``keep``, one directory for each name."""
        self.supervisor: int | None = None
        self.init: int | None = None

    # -- life ---------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Mount the root and make the namespace; the node can be written to, it does not run yet."""
        if self.disk:
            self.disk.create()
        for part in (self.layers / "upper", self.layers / "work", self.srv, self.root, self.kept):
            part.mkdir(parents=True)
        self._mount()
        for part in FRESH:
            fresh = self.root / f"{part}.fresh"
            subprocess.run(["cp", "-a", self.root / part, fresh], check=True)
            shutil.rmtree(self.root / part)
            os.rename(fresh, self.root / part)
        (self.root / "etc/hostname").write_text(f"{self.name}\n")
        (self.root / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n")
        (self.root / "etc/machine-id").write_text(os.urandom(16).hex() + "\n")
        self.ledger.add("netns", self.namespace)
        subprocess.run(["ip", "netns", "add", self.namespace], check=True)
        subprocess.run(["ip", "-n", self.namespace, "link", "set", "lo", "up"], check=True)

    def _mount(self) -> None:
        """Put the root together from its layers."""
        layers = f"lowerdir={self.image},upperdir={self.layers}/upper,workdir={self.layers}/work"
        subprocess.run(["mount", "-t", "overlay", "-o", layers, "overlay", self.root], check=True)
        subprocess.run(["mount", "--bind", self.srv, self.root / "srv"], check=True)

    def start(self) -> None:
        """Boot, and return when sshd, nginx, php-fpm and systemd itself are up."""
        if self.supervisor is not None:
            return
        cgroups = [top / self.namespace for top in own_cgroups()]
        for cgroup in cgroups:
            self.ledger.add("cgroup", cgroup)
            cgroup.mkdir(exist_ok=True)
        join = "".join(f"echo $$ >{cgroup}/cgroup.procs; " for cgroup in cgroups)
        with (self.directory / "console.log").open("ab") as console:
            process = subprocess.Popen(
                ["sh", "-c", join + 'exec "$@"', "sh", *self._nspawn_command()],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.ledger.add_process(process.pid)
        self._process = process
        self.supervisor = process.pid
        self._wait_up()

    def _nspawn_command(self) -> list[str]:
        """The container: no registration, our namespace, the files of the node left as they are."""
        return [
            "systemd-nspawn",
            "--quiet",
            "--register=no",
            "--keep-unit",
            "--boot",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            "--system-call-filter=pidfd_getfd",  # as on a server that is no container
            f"--machine={self.namespace}",
            f"--hostname={self.name}",
            f"--directory={self.root}",
            f"--network-namespace-path=/run/netns/{self.namespace}",
        ]

    def _wait_up(self) -> None:
        """Wait for the init, then for all services."""
        try:
            wait_for(f"{self.name}'s init", self._find_init)
            wait_for(f"{self.name}'s services", self._is_up)
        except NodeError as error:
            log = (self.directory / "console.log").read_text(errors="replace")
            raise NodeError(f"{error}\n{log[-2000:]}") from None

    def _find_init(self) -> bool:
        assert self.supervisor is not None
        if self._process.poll() is not None:
            raise NodeError(f"systemd-nspawn ended with {self._process.returncode}")
        self.init = procs.container_init(self.supervisor)
        if self.init is not None:
            self.ledger.add_process(self.init)
        return self.init is not None

    def _is_up(self) -> bool:
        state = self.sh(f"systemctl is-system-running; systemctl is-active {' '.join(SERVICES)}", check=False)
        words = state.stdout.split()
        if words[:1] not in (["running"], ["degraded"]) or words[1:] != ["active"] * len(SERVICES):
            return False
        with suppress(OSError), netns.connect(self.namespace, 22, timeout_s=2) as probe:
            return probe.recv(4) == b"SSH-"
        return False

    def kill(self) -> None:
        """Pull the plug: SIGKILL for the supervisor and the init, layers stay mounted."""
        for pid in (self.supervisor, self.init):
            started = procs.start_time(pid) if pid else None
            if pid and started is not None:
                owned.kill_container(pid, started) if pid == self.supervisor else procs.kill_and_wait(
                    pid, started
                )
        if self.supervisor is not None:
            self._process.wait()
        self.supervisor = self.init = None

    def reboot(self, hard: bool = True) -> None:
        """Boot again on the same disk: ``hard`` as after a power cut (page cache survives), else politely."""
        if not hard:
            self.sh("systemctl reboot", check=False)
            wait_for(f"{self.name} to go down", lambda: self._process.poll() is not None)
        self.kill()
        self.start()

    def power_cut(self) -> None:
        """Lose all that never reached the disk, then boot again. Only for a node with a disk of its own."""
        if self.disk is None:
            raise NodeError(f"{self.name} has no disk of its own: Lab(..., disk_mb=N)")
        self.kill()
        copy = self.disk.what_reached_it()
        procs.unmount_below(self.directory)
        self.disk.fall_back_to(copy)
        self._mount()
        self.start()

    def stop(self) -> None:
        """End the node and take its mounts and namespace away; may be called again."""
        self.kill()
        procs.unmount_below(self.directory)
        subprocess.run(["ip", "netns", "del", self.namespace], capture_output=True)

    # -- behind nsmig's back ------------------------------------------------------------------------------

    def sh(
        self, script: str, *args: str, check: bool = True, input: bytes | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a script as root inside, not over SSH; stdout and stderr as text, odd bytes as surrogates.

        Raises NodeError when it fails and ``check`` holds.
        """
        if self.init is None:
            raise NodeError(f"{self.name} is not running")
        inside = [*CLEAN_ENV, "HOME=/root", "LC_ALL=C", "sh", "-c", script, "sh", *args]
        done = subprocess.run(
            ["nsenter", "-t", str(self.init), "-m", "-u", "-i", "-n", "-p", "-C", "--", *inside],
            input=input if input is not None else b"",
            capture_output=True,
        )
        out = done.stdout.decode(errors="surrogateescape")
        err = done.stderr.decode(errors="surrogateescape")
        if check and done.returncode != 0:
            raise NodeError(
                f"{self.name}: exit {done.returncode}\n{script[:500]}\n{out[-1000:]}\n{err[-2000:]}"
            )
        return subprocess.CompletedProcess(script, done.returncode, out, err)

    def path(self, inside: str | bytes) -> Path:
        """Where this machine sees a path of the node."""
        return self.root / os.fsdecode(inside).lstrip("/")

    def http(self, host: str, path: str, port: int = 80, **more: object) -> netns.Answer:
        """One request to the node's own loopback with this Host header; see ``netns.request``."""
        return netns.request(self.namespace, host, path, port=port, **more)  # type: ignore[arg-type]

    # -- back to a known state ----------------------------------------------------------------------------

    def keep(self, name: str = "pristine") -> None:
        """Remember the node as it is now for ``reset(name)``. "pristine" is the node before any test."""
        kept = self.kept / name
        if kept.exists():
            shutil.rmtree(kept)
        kept.mkdir()
        for part in (*MIRRORED, "srv"):
            source = self.srv if part == "srv" else self.root / part
            target = kept / part
            target.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", "--sparse=always", source, target], check=True)

    def reset(self, name: str = "pristine") -> None:
        """Back to what ``keep`` saw: files, accounts, services; strangers and nsmig's traces are gone."""
        if self.init is None:
            self.start()
        quiet = "systemctl kill -s KILL {0} 2>/dev/null; systemctl stop {0}; true"
        self.sh("systemctl stop 'nsmig-*' 2>/dev/null; " + quiet.format(" ".join(SERVICES)))
        self.sh(
            "for u in /run/systemd/transient/*.service; do"
            " if [ -e $u ]; then systemctl stop ${u##*/}; fi; done"
        )
        self._kill_strangers()
        self.sh(
            "rm -rf /var/lib/nsmig /run/systemd/system/nsmig* /tmp/nsmig* /var/tmp/nsmig* /run/nsmig*;"
            "if [ -e /usr/bin/perl.off ]; then mv /usr/bin/perl.off /usr/bin/perl; fi;"
            "for d in /run/systemd/system/*.service.d; do if [ -d $d ]; then rm -rf $d; gone=1; fi; done;"
            'if [ -n "$gone" ]; then systemctl daemon-reload; fi'
        )
        for mount in procs.mounts_below(self.srv):
            subprocess.run(["umount", "--", mount], check=True)
        kept = self.kept / name
        self._restore_srv(kept / "srv")
        changed = [
            f"{part}/{path}" for part in MIRRORED for path in mirror.restore(kept / part, self.root / part)
        ]
        if any(path.startswith("etc/systemd") for path in changed):
            self.sh("systemctl daemon-reload")
        if any(path.startswith("etc/ssh") for path in changed):
            self.sh("systemctl reload ssh")
        self.sh(f"systemctl reset-failed; systemctl start {' '.join(SERVICES)}")

    def _restore_srv(self, kept: Path) -> None:
        """Empty /srv and fill it from the kept copy, ACLs, attributes, links and holes included."""
        inside = "find /srv -mindepth 1 -maxdepth 1 -exec chattr -R -i -f {} + 2>/dev/null; "
        inside += "find /srv -mindepth 1 -maxdepth 1 -exec rm -rf --one-file-system -- {} +"
        self.sh(inside)
        subprocess.run(
            ["cp", "-a", "--sparse=always", f"{kept}/.", f"{self.srv}/"],
            check=True,
        )

    def _kill_strangers(self) -> None:
        """Kill what is no system service: SSH sessions, detached runners, whatever a test left behind."""
        assert self.init is not None
        main = self.sh("systemctl show -P MainPID ssh.service").stdout.strip()
        for pid in procs.namespace_members(self.init):
            try:
                cgroup = Path(f"/proc/{pid}/cgroup").read_text()
                inner = Path(f"/proc/{pid}/status").read_text().split("NSpid:")[1].split("\n")[0].split()[-1]
            except OSError:
                continue
            serves = "/payload/system.slice/" in cgroup and "/ssh.service" not in cgroup
            if inner in ("1", main) or serves or "/payload/init.scope" in cgroup:
                continue
            started = procs.start_time(pid)
            if started is not None:
                procs.kill_and_wait(pid, started)


def require_root_tools() -> None:
    """Raise LabUnavailable with the reason where nodes cannot run."""
    if os.uname().sysname != "Linux":
        raise LabUnavailable("the lab needs Linux")
    if os.geteuid() != 0:
        raise LabUnavailable("the lab needs root")
    tools = "debootstrap systemd-nspawn socat ip nsenter ssh ssh-keygen mount umount getfacl"
    missing = [tool for tool in tools.split() if shutil.which(tool) is None]
    if missing:
        raise LabUnavailable(f"the lab needs {', '.join(missing)}")
