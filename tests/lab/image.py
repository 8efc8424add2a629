"""Builds and caches the root directory that every lab node is an overlay of.

The image is Debian 12 as debootstrap makes it, with what a vhost server runs and no Python. It is built
once for each recipe, outside the repository, under a lock, and renamed into place when it is whole.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import procs

SUITE = "bookworm"
PHP = "8.2"
PACKAGES = [
    *("systemd", "systemd-sysv", "dbus", "libpam-systemd", "openssh-server", "sudo", "cron"),
    *("nginx-light", "php-fpm", "acl", "attr", "libcap2-bin", "busybox"),
]

# Runs inside the fresh tree by chroot. Timers and units that only cost boot time, or wake up in the middle
# of a test, are masked; everything a migration meets stays as Debian ships it. A login starts no session of
# systemd, whose manager for each user costs every test; who is about sessions turns that on again.
FINISH = """
set -eu
rm -f /etc/ssh/ssh_host_* /etc/machine-id
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \\
    systemd-timesyncd.service getty@tty1.service console-getty.service systemd-networkd.service \\
    systemd-resolved.service systemd-udev-trigger.service systemd-update-utmp.service \\
    systemd-firstboot.service ldconfig.service systemd-hwdb-update.service e2scrub_reap.service \\
    networking.service systemd-pstore.service phpsessionclean.timer remote-fs.target
do ln -sf /dev/null "/etc/systemd/system/$unit"; done
systemctl set-default multi-user.target
DEBIAN_FRONTEND=noninteractive pam-auth-update --package --remove systemd
systemctl enable nginx.service ssh.service cron.service php@PHP@-fpm.service
rm -rf /usr/share/doc/* /usr/share/man/* /usr/share/locale/* /var/lib/apt/lists/* /var/cache/apt/*.bin
! command -v python3
""".replace("@PHP@", PHP)


class LabUnavailable(RuntimeError):
    """The lab cannot be had on this machine; the message says why."""


def cache_dir() -> Path:
    """Where images are kept: ``NSMIG_LAB_CACHE``, else a directory below /var/cache."""
    return Path(os.environ.get("NSMIG_LAB_CACHE") or "/var/cache/nsmig-lab")


def recipe_hash() -> str:
    """Name of the image that this recipe builds; another recipe gets another directory."""
    text = "\n".join([SUITE, *sorted(PACKAGES), FINISH])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _deb822_stanzas(text: str) -> Iterator[dict[str, str]]:
    """Paragraphs of a deb822 file as dicts with lower-case keys; continuation lines are joined by blanks."""
    for paragraph in text.replace("\r\n", "\n").split("\n\n"):
        fields: dict[str, str] = {}
        key = ""
        for line in paragraph.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in " \t":
                fields[key] = f"{fields.get(key, '')} {line.strip()}".strip()
            elif ":" in line:
                key, _, value = line.partition(":")
                key = key.strip().lower()
                fields[key] = value.strip()
        if fields:
            yield fields


def _one_line_sources(text: str) -> Iterator[tuple[str, str, str]]:
    """(uri, suite, keyring or empty) of the ``deb`` lines of a classic sources.list."""
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if not words or words[0] != "deb":
            continue
        options = ""
        if len(words) > 1 and words[1].startswith("["):
            end = next(i for i, word in enumerate(words) if word.endswith("]"))
            options = " ".join(words[1 : end + 1]).strip("[] ")
            words = [words[0], *words[end + 1 :]]
        keyring = next((o.split("=", 1)[1] for o in options.split() if o.startswith("signed-by=")), "")
        if len(words) >= 3:
            yield words[1], words[2], keyring


def find_mirror(etc_apt: Path = Path("/etc/apt")) -> tuple[str, str]:
    """(uri, keyring path or empty) of the archive that this machine's own apt takes the suite from.

    Raises LabUnavailable when apt here knows no such archive.
    """
    for path in sorted(etc_apt.glob("sources.list.d/*.sources")):
        for fields in _deb822_stanzas(path.read_text(errors="replace")):
            wanted = "deb" in fields.get("types", "").split() and SUITE in fields.get("suites", "").split()
            if wanted and fields.get("enabled", "yes").lower() != "no":
                keyring = fields.get("signed-by", "")
                return fields["uris"].split()[0], keyring if keyring.startswith("/") else ""
    for path in [etc_apt / "sources.list", *sorted(etc_apt.glob("sources.list.d/*.list"))]:
        if path.is_file():
            for uri, suite, keyring in _one_line_sources(path.read_text(errors="replace")):
                if suite == SUITE:
                    return uri, keyring
    raise LabUnavailable(f"apt on this machine has no source for Debian {SUITE}")


def _apt_proxy_env() -> dict[str, str]:
    """Environment in which debootstrap's downloader goes the way that apt goes, proxy included."""
    env = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    shell = 'eval "$(apt-config shell p Acquire::http::Proxy)"; printf %s "${p-}"'
    proxy = subprocess.run(["sh", "-c", shell], capture_output=True, text=True).stdout.strip()
    if proxy and proxy != "DIRECT":
        env["http_proxy"] = proxy
    return env


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Exclusive lock on ``path``, waited for: a second test run uses the image that the first one builds."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _build(target: Path) -> None:
    """Debootstrap into ``target`` and finish it; raises LabUnavailable with the end of the log."""
    uri, keyring = find_mirror()
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    if keyring:
        command.append(f"--keyring={keyring}")
    with Path(f"{target}.log").open("w") as log:
        done = subprocess.run(
            [*command, SUITE, str(target), uri],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_apt_proxy_env(),
        )
        if done.returncode == 0:
            done = subprocess.run(
                ["chroot", str(target), "/bin/sh", "-c", FINISH],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
            )
    if done.returncode != 0:
        tail = "\n".join(Path(f"{target}.log").read_text(errors="replace").splitlines()[-15:])
        raise LabUnavailable(f"building the lab image failed ({done.returncode}):\n{tail}")


def ensure_image() -> Path:
    """Root directory of the image, built now if it is not there (about a minute, needs the apt mirror)."""
    cache = cache_dir()
    cache.mkdir(parents=True, exist_ok=True)
    final = cache / f"image-{recipe_hash()}"
    if final.is_dir():
        return final
    with _locked(cache / "build.lock"):
        if final.is_dir():
            return final
        for stale in cache.glob("building-*"):
            procs.unmount_below(stale)  # debootstrap mounts /proc in there, and may have been killed
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
        building = cache / f"building-{recipe_hash()}"
        _build(building)
        os.rename(building, final)
    return final
