"""Settings: the only reader of the configuration file and the environment, frozen once read.

Order of rule: a flag wins over the environment, the environment over ``config.toml``, that over the
defaults. A word that the file should not hold is an error that names the file and the nearest known key.
"""

from __future__ import annotations

import errno
import os
import pwd
import socket
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .domain.errors import Refused, UsageError
from .domain.options import IONICE

CONFIG_NAME = "config.toml"
DATABASE_NAME = "nsmig.db"


@dataclass(frozen=True)
class Settings:
    """Everything that is decided before the program starts.

    ``ssh_config`` None means the user's own files. ``jobs``: vnodes worked on at once; ``per_vnode``:
    vhosts at once on each. ``max_failures`` None means no limit. ``confirm_wait``: seconds a vnode waits
    for the operator's verdict before it undoes by itself. ``nice`` and ``ionice``: see MigrateOptions.
    ``keep_days``/``keep_count``: what pruning leaves of archives. ``keys``: action id -> keys,
    comma-separated. ``services``: vnode -> ``{"manager", "nginx", "php-fpm"}``, commands that replace the
    detected service manager there. ``notify``: who is told when a batch ends, by "command", "webhook"
    (an address) or "apprise" (an address); may hold tokens.
    ``demo``: the servers are a demo's and stop with this program. ``origins``: where each value that is no
    default came from: "file", "environment" or "option".
    """

    data_dir: Path
    config_dir: Path
    ssh_config: Path | None = None
    read_only: bool = False
    json: bool = False
    quiet: bool = False
    jobs: int = 4
    per_vnode: int = 2
    max_failures: int | None = None
    confirm_wait: int = 120
    nice: int = 10
    ionice: str = "best-effort"
    owners: str = "foreign"
    compat: str = "auto"
    theme: str = ""
    ascii: bool = False
    mouse: bool = True
    keep_days: int = 90
    keep_count: int = 3
    keys: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    notify: Mapping[str, str] = field(default_factory=dict, repr=False)
    operator: str = ""
    color: bool = True
    dumb_terminal: bool = False
    demo: bool = False
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def database(self) -> Path:
        """The operator's database file."""
        return self.data_dir / DATABASE_NAME


@dataclass(frozen=True)
class _Rule:
    """What one key of the file may be: its type, and a set of words or a least and a highest number."""

    kind: type
    words: tuple[str, ...] = ()
    least: int = 0
    most: int | None = None


_RULES = {
    "ssh_config": _Rule(str),
    "read_only": _Rule(bool),
    "json": _Rule(bool),
    "quiet": _Rule(bool),
    "jobs": _Rule(int, least=1),
    "per_vnode": _Rule(int, least=1),
    "max_failures": _Rule(int, least=1),
    "confirm_wait": _Rule(int, least=10),
    "nice": _Rule(int, most=19),
    "ionice": _Rule(str, words=tuple(IONICE)),
    "owners": _Rule(str, words=("foreign", "keep", "all")),
    "compat": _Rule(str, words=("auto", "never", "always")),
    "theme": _Rule(str),
    "ascii": _Rule(bool),
    "mouse": _Rule(bool),
}
_RETENTION = {"keep_days": _Rule(int, least=1), "keep_count": _Rule(int, least=1)}
_SERVICE = {
    "manager": _Rule(str, words=("systemd", "openrc", "sysvinit", "command")),
    "nginx": _Rule(str),
    "php-fpm": _Rule(str),
}
_NOTIFY = {"command": _Rule(str), "webhook": _Rule(str), "apprise": _Rule(str)}
_DIRECTORIES = (("data_dir", "NSMIG_DATA_DIR"), ("config_dir", "NSMIG_CONFIG_DIR"))
_TABLES = ("keys", "retention", "vnode", "notify")
_OTHER_FILE = "Mend it, or choose another directory with --config-dir."
_KIND_NAMES = {str: "a string", bool: "true or false", int: "a whole number", dict: "a table"}


def load(flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read flags (None values do not count), environment and file into one Settings.

    Raises UsageError for a file that is wrong, Refused for one that others could have written.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    env = os.environ if environ is None else environ
    data_dir, config_dir = (_directory(given, env, name, variable) for name, variable in _DIRECTORIES)
    values = _from_file(config_dir / CONFIG_NAME)
    origins = {name: "file" for name, value in values.items() if value or not isinstance(value, Mapping)}
    for name, variable in (*_DIRECTORIES, ("ssh_config", "NSMIG_SSH_CONFIG")):
        if env.get(variable):
            origins[name] = "environment"
    if env.get("NSMIG_SSH_CONFIG"):
        values["ssh_config"] = env["NSMIG_SSH_CONFIG"]
    known = {item.name for item in fields(Settings)}
    values.update({name: value for name, value in given.items() if name in known})
    origins.update({name: "option" for name in given if name in known})
    values["origins"] = MappingProxyType(origins)
    if values.get("ssh_config") is not None:
        values["ssh_config"] = Path(values["ssh_config"]).expanduser().absolute()
    values.setdefault("operator", _operator(env))
    values["color"] = not env.get("NO_COLOR")
    values["dumb_terminal"] = env.get("TERM", "") in ("", "dumb")
    return Settings(**{**values, "data_dir": data_dir, "config_dir": config_dir})


def need_ssh_config(settings: Settings) -> None:
    """Raise UsageError when the file that was named in the place of OpenSSH's own cannot be read."""
    path = settings.ssh_config
    if path is None:
        return
    try:
        # Not opened: a pipe would wait for its writer.
        kind = path.stat().st_mode
        problem = errno.EISDIR if stat.S_ISDIR(kind) else 0 if os.access(path, os.R_OK) else errno.EACCES
    except OSError as error:
        problem = error.errno or errno.EIO
    if problem:
        where = {"environment": "NSMIG_SSH_CONFIG", "file": f"ssh_config in {CONFIG_NAME}"}
        word = where.get(settings.origins.get("ssh_config", ""), "--ssh-config")
        raise UsageError(
            f"The SSH configuration {path} cannot be read: {os.strerror(problem)}.",
            hint=f"Correct {word}, or leave it out to use OpenSSH's own files.",
        )


def make_private(directory: Path) -> None:
    """Make sure that ``directory`` is there, is ours, and nobody else can write in it.

    What we create is 0700; a directory of ours that is empty or holds our database becomes 0700 too.
    Other directories keep their mode (the files in them are 0600), so that a slip like
    ``--data-dir /tmp`` cannot change them. Raises Refused with what to do.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.stat()
        mode = stat.S_IMODE(found.st_mode)
        if found.st_uid != os.geteuid():
            raise Refused(
                f"The data directory {directory} belongs to uid {found.st_uid}, not to you.",
                hint="Choose a directory of your own with --data-dir.",
            )
        ours = (directory / DATABASE_NAME).exists() or not any(directory.iterdir())
        if mode & 0o077 and ours:
            directory.chmod(0o700)
        elif mode & 0o022:
            raise Refused(
                f"Others can write in the data directory {directory} (mode {mode:04o}).",
                hint="Run `chmod 700` on it, or choose another with --data-dir.",
            )
    except OSError as error:
        raise Refused(
            f"The data directory {directory} cannot be used: {error.strerror}.",
            hint="Choose another with --data-dir.",
        ) from error


def _directory(given: Mapping[str, Any], env: Mapping[str, str], name: str, variable: str) -> Path:
    chosen = given.get(name) or env.get(variable)
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    find = platformdirs.user_data_dir if name == "data_dir" else platformdirs.user_config_dir
    return Path(find("nsmig", appauthor=False))


def _operator(env: Mapping[str, str]) -> str:
    """Who works here, for the records: account (and who became it by sudo) at this machine."""
    try:
        account = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        account = f"uid {os.geteuid()}"
    caller = env.get("SUDO_USER", "")
    if caller and caller != account:
        account = f"{account} (sudo by {caller})"
    return f"{account}@{socket.gethostname()}"


def _from_file(path: Path) -> dict[str, Any]:
    """The file's values under the names of Settings; none when there is no file."""
    try:
        found = path.stat()
        # A pipe or a device would never end.
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{path} is not a regular file.", hint=_OTHER_FILE)
        raw = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", hint=_OTHER_FILE) from error
    # Service commands in it run as root on the vnodes: nobody else may have a hand in this file.
    if found.st_uid not in (os.geteuid(), 0) or found.st_mode & 0o022:
        raise Refused(
            f"Others can write {path}, and it can name commands that run as root.",
            hint="Own it and run `chmod 600` on it.",
        )
    try:
        table = tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}.", hint=_OTHER_FILE) from error
    return _checked(table, path)


def _checked(table: dict[str, Any], path: Path) -> dict[str, Any]:
    """The parsed file, every key and value judged."""
    _known(table, (*_RULES, *_TABLES), path, "")
    values = {name: _judged(table[name], rule, path, name) for name, rule in _RULES.items() if name in table}
    keys = _table(table, "keys", path)
    values["keys"] = MappingProxyType(
        {name: _judged(value, _Rule(str), path, f"keys.{name}") for name, value in keys.items()}
    )
    retention = _table(table, "retention", path)
    _known(retention, tuple(_RETENTION), path, "retention.")
    for name, value in retention.items():
        values[name] = _judged(value, _RETENTION[name], path, f"retention.{name}")
    notify = _table(table, "notify", path)
    _known(notify, tuple(_NOTIFY), path, "notify.")
    values["notify"] = MappingProxyType(
        {name: _judged(value, _NOTIFY[name], path, f"notify.{name}") for name, value in notify.items()}
    )
    services = {}
    for vnode in _table(table, "vnode", path):
        inner = _table(table["vnode"], vnode, path, "vnode.")
        _known(inner, ("service",), path, f"vnode.{vnode}.")
        services[vnode] = _service(_table(inner, "service", path, f"vnode.{vnode}."), path, vnode)
    values["services"] = MappingProxyType(services)
    return values


def _service(table: dict[str, Any], path: Path, vnode: str) -> Mapping[str, str]:
    prefix = f"vnode.{vnode}.service."
    _known(table, tuple(_SERVICE), path, prefix)
    return MappingProxyType(
        {name: _judged(value, _SERVICE[name], path, prefix + name) for name, value in table.items()}
    )


def _table(table: Mapping[str, Any], name: str, path: Path, prefix: str = "") -> dict[str, Any]:
    return _judged(table.get(name, {}), _Rule(dict), path, prefix + name)


def _known(table: Mapping[str, Any], known: tuple[str, ...], path: Path, prefix: str) -> None:
    """Raise UsageError for the first key that is not known, naming the nearest that is."""
    for name in table:
        if name not in known:
            near = get_close_matches(name, known, 1)
            raise UsageError(
                f"{path}: unknown key {prefix + name!r}.",
                hint=f"Did you mean {prefix + near[0]!r}?" if near else f"Known: {', '.join(sorted(known))}.",
            )


def _judged(value: Any, rule: _Rule, path: Path, name: str) -> Any:
    # bool is an int to Python, but `jobs = true` is a slip.
    if not isinstance(value, rule.kind) or (rule.kind is int and isinstance(value, bool)):
        raise UsageError(f"{path}: {name} must be {_KIND_NAMES[rule.kind]}.")
    if rule.words and value not in rule.words:
        raise UsageError(f"{path}: {name} must be one of {', '.join(rule.words)}.")
    if rule.kind is int and value < rule.least:
        raise UsageError(f"{path}: {name} must be at least {rule.least}.")
    if rule.kind is int and rule.most is not None and value > rule.most:
        raise UsageError(f"{path}: {name} must be at most {rule.most}.")
    return value
