"""Writes what a vnode of the demo has on disk: the system's files, the configuration, the vhosts."""

from __future__ import annotations

import os
import secrets
import shlex
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from .content import write_site

SOCKET_LIMIT = 107
"""Bytes in the path of a socket; longer ones are cut off by the system without a word."""

_WORDS = (
    *("bakery", "harbour", "meadow", "lantern", "quarry", "willow", "tinker", "saddle", "violet", "anchor"),
    *("beacon", "cobbler", "dairy", "ferry", "garden", "hollow", "ironworks", "juniper", "kettle", "larch"),
)
_ORDINARY = ("shared", "own", "media", "absolute")
_SPECIAL = ("linked", "native", "misnamed")


@dataclass(frozen=True)
class SeededSite:
    """One directory below VPATH. ``kind`` says what is special about it; ``pages`` what to ask it for.

    shared: served by the includes that all share; own: by its own files; media: a few MB; absolute: its
    PHP names the old path; linked: ``web`` is a link to elsewhere; native: new layout from birth;
    misnamed: no valid domain.
    """

    vnode: str
    domain: str
    kind: str
    user: str
    pages: tuple[str, ...]

    @property
    def migrates(self) -> bool:
        """Whether a migration is expected to be possible."""
        return self.kind in _ORDINARY


def plan_sites(vnodes: list[str], each: int) -> list[SeededSite]:
    """Which vhosts there are: ``each`` ordinary ones a vnode, and one of each special kind in all."""
    sites, serial = [], 0
    for at, vnode in enumerate(vnodes):
        specials = [kind for place, kind in enumerate(_SPECIAL) if place % len(vnodes) == at]
        for kind in [_ORDINARY[place % len(_ORDINARY)] for place in range(each)] + specials:
            word = _WORDS[serial % len(_WORDS)] + (
                str(serial // len(_WORDS) + 1) if serial >= len(_WORDS) else ""
            )
            domain = "Old Backup_2019" if kind == "misnamed" else f"{word}.example"
            pages = ("/", "/style.css", "/.well-known/security.txt", "/hello.php")
            if kind in ("own", "media"):
                pages = (*pages, "/media/readme.txt")
            if kind == "absolute":
                pages = (*pages, "/index.php")
            if kind == "misnamed":
                pages = ()
            sites.append(SeededSite(vnode, domain, kind, f"u{1001 + serial}", pages))
            serial += 1
    return sites


def check_lengths(root: Path, sites: list[SeededSite]) -> bool:
    """Whether every socket that a migration makes below ``root`` has a path that fits."""
    paths = [root / site.vnode / "srv" / site.domain / "web/run/fpm.sock" for site in sites]
    return all(len(os.fsencode(path)) <= SOCKET_LIMIT for path in paths)


def seed_vnode(root: Path, name: str, sites: list[SeededSite]) -> None:
    """Write the whole of one vnode below ``root``, which is there and empty."""
    for folder in (
        *("bin", "etc/nginx/sites-available", "etc/nginx/sites-enabled", "etc/php/8.2/fpm/pool.d"),
        *("etc/cron.d", "etc/logrotate.d", "etc/systemd/system", "root/.vhosts", "run/systemd/system"),
        *("run/php", "srv", "var/lib", "var/log/nginx", "var/spool/cron/crontabs", "mnt/data", "tmp"),
    ):
        (root / folder).mkdir(parents=True)
    (root / "root").chmod(0o700)
    _system_files(root, name, sites)
    _programs(root)
    _configuration(root, sites)
    for site in sites:
        write_site(root, site.domain, site.kind)


def _system_files(root: Path, name: str, sites: list[SeededSite]) -> None:
    etc, uid, gid = root / "etc", os.geteuid(), os.getegid()
    (etc / "machine-id").write_text(secrets.token_hex(16) + "\n")
    (etc / "hostname").write_text(f"{name}.demo\n")
    (etc / "os-release").write_text(
        'PRETTY_NAME="Debian GNU/Linux 12 (bookworm), demo"\nNAME="Debian GNU/Linux"\n'
        'VERSION_ID="12"\nID=debian\n'
    )
    people = [("root", "root", "/root"), ("www-data", "www-data", "/var/www")]
    people += [(site.user, site.domain, f"{root}/srv/{site.domain}") for site in sites if site.pages]
    lines = [f"{who}:x:{uid}:{gid}:{what}:{home}:/bin/sh\n" for who, what, home in people]
    (etc / "passwd").write_text("".join(lines))
    (etc / "group").write_text("".join(f"{who}:x:{gid}:\n" for who, _what, _home in people))


def _programs(root: Path) -> None:
    """The commands of this vnode: daemons run by our own Python, the service manager in sh."""
    here = Path(__file__).parent / "standins"
    # The daemons write their titles over their arguments, so there must be room for one.
    room = f"title={'-' * (64 + 2 * len(str(root)))}"
    for command, script in (("nginx", "nginx.py"), ("php-fpm8.2", "fpm.py")):
        words = [sys.executable, "-I", "-S", "-B", "-X", room, str(here / script), str(root)]
        _script(root / "bin" / command, f'exec {shlex.join(words)} "$@"')
    # Nobody becomes the real root here, and nothing asks the machine's own sudo.
    for command in ("sudo", "doas"):
        _script(root / "bin" / command, f"echo '{command}: not in the demo' >&2; exit 1")
    words = ["/bin/sh", str(here / "systemctl.sh"), str(root)]
    _script(root / "bin/systemctl", f'exec {shlex.join(words)} "$@"')


def _script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def _configuration(root: Path, sites: list[SeededSite]) -> None:
    nginx, fpm = root / "etc/nginx", root / "etc/php/8.2/fpm"
    for name in ("nginx.conf", "common.conf", "php.conf", "fastcgi.conf"):
        (nginx / name).write_text(_filled(name, root))
    (fpm / "php-fpm.conf").write_text(_filled("php-fpm.conf", root))
    (fpm / "common.conf").write_text(_filled("pool-common.conf", root))
    for site in sites:
        if site.kind == "misnamed":
            continue
        form = {"own": "own", "media": "own", "native": "native"}.get(site.kind, "shared")
        available = nginx / "sites-available" / site.domain
        available.write_text(_filled(f"site-{form}.conf", root, site))
        (nginx / "sites-enabled" / site.domain).symlink_to(available)
        (fpm / "pool.d" / f"{site.domain}.conf").write_text(_filled(f"pool-{form}.conf", root, site))
        settings = root / "root/.vhosts" / site.domain
        settings.write_text(_filled("vhost-settings", root, site))
        settings.chmod(0o600)


def _filled(name: str, root: Path, site: SeededSite | None = None) -> str:
    text = resources.files(__package__).joinpath("files", name).read_text(encoding="utf-8")
    values = {"R": str(root), "UID": str(os.geteuid()), "GID": str(os.getegid()), "SECRET": SECRET}
    if site is not None:
        values |= {"D": site.domain, "USER": site.user}
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


SECRET = "made-up-Secret-7hR4"
"""Stands in the vhosts' settings; the product must never store, log or show it."""
