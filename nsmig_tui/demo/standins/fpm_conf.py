"""Reads PHP-FPM configuration: sections, includes, ``$pool``; last wins, but for php values first wins."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass, field


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


GLOBAL_KEYS = _words(
    """pid error_log log_level process_control_timeout emergency_restart_threshold
    emergency_restart_interval daemonize include process.max syslog.ident"""
)
POOL_KEYS = _words(
    """user group listen listen.owner listen.group listen.mode listen.backlog pm pm.max_children
    pm.start_servers pm.min_spare_servers pm.max_spare_servers pm.max_requests pm.process_idle_timeout
    pm.status_path ping.path ping.response chdir chroot access.log access.format slowlog catch_workers_output
    request_slowlog_timeout request_terminate_timeout clear_env security.limit_extensions include prefix
    rlimit_files"""
)
_ARRAY = re.compile(r"(php_value|php_flag|php_admin_value|php_admin_flag|env)\[([\w.]+)\]$")


class ConfError(Exception):
    """The configuration is wrong; the text is what php-fpm says."""


@dataclass
class Pool:
    """One pool: its name and its settings as they came out."""

    name: str
    values: dict[str, str] = field(default_factory=dict)

    @property
    def listen(self) -> str:
        """The socket path that would really be bound: the system's limit cuts it silently."""
        return os.fsdecode(os.fsencode(self.values["listen"])[:107])


@dataclass
class FpmConf:
    """Global settings and pools in the order of the files."""

    path: str
    values: dict[str, str] = field(default_factory=dict)
    pools: dict[str, Pool] = field(default_factory=dict)


def load(path: str) -> FpmConf:
    """Read ``path`` and all it includes. Raises ConfError."""
    conf = FpmConf(path)
    _read(path, conf, None)
    if not conf.pools:
        raise ConfError("No pool defined. at least one pool section must be specified in config file")
    for pool in conf.pools.values():
        _check(pool)
    return conf


def _read(path: str, conf: FpmConf, pool: Pool | None) -> None:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise ConfError(f"failed to open configuration file '{path}': {reason} ({error.errno})") from error
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if not line or line[0] in ";#":
            continue
        section = re.match(r"\[([^\]]+)\]", line)
        if section:
            name = section[1]
            pool = None if name == "global" else conf.pools.setdefault(name, Pool(name))
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise ConfError(f"[{path}:{number}] syntax error, unexpected end of file, expecting '='")
        _take(key.strip(), _value(value), conf, pool, f"[{path}:{number}]")


def _take(key: str, value: str, conf: FpmConf, pool: Pool | None, place: str) -> None:
    if key == "include":
        found = sorted(glob.glob(value))
        if not found and not glob.has_magic(value):
            raise ConfError(f"{place} unable to include {value}")
        for path in found:
            _read(path, conf, pool)
        return
    if pool is None:
        if key not in GLOBAL_KEYS:
            raise ConfError(f"{place} unknown entry '{key}'")
        conf.values[key] = value
        return
    value = value.replace("$pool", pool.name)
    if _ARRAY.match(key):
        pool.values.setdefault(key, value)
    elif key in POOL_KEYS:
        pool.values[key] = value
    else:
        raise ConfError(f"{place} unknown entry '{key}'")


def _value(text: str) -> str:
    text = text.strip()
    if text[:1] in "\"'" and text[:1]:
        return text[1:].partition(text[0])[0]
    return text.partition(";")[0].strip()


def _check(pool: Pool) -> None:
    for key in ("listen", "pm", "pm.max_children"):
        if not pool.values.get(key):
            raise ConfError(f"[pool {pool.name}] please specify '{key}'")
    folder = pool.values.get("chdir")
    if folder and not os.path.isdir(folder):
        raise ConfError(f"[pool {pool.name}] the chdir path '{folder}' does not exist or is not a directory")
