"""Settings: who wins, what is refused, and what a wrong file is told."""

import os
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from nsmig_tui.domain.errors import Refused, UsageError
from nsmig_tui.settings import _RETENTION, _RULES, _TABLES, load, make_private, need_ssh_config


def write(directory: Path, text: str) -> Path:
    path = directory / "config.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def read(directory: Path, text: str = "", flags=None, **environ: str):
    write(directory, text)
    return load({"config_dir": str(directory), **(flags or {})}, {"TERM": "xterm", **environ})


def test_flag_wins_over_environment_over_file(tmp_path):
    text = 'ssh_config = "/file"\njobs = 7\nquiet = true\n'
    assert read(tmp_path, text).ssh_config == Path("/file")
    assert read(tmp_path, text, NSMIG_SSH_CONFIG="/env").ssh_config == Path("/env")
    settings = read(tmp_path, text, {"ssh_config": "/flag", "data_dir": "/d"}, NSMIG_SSH_CONFIG="/env")
    assert settings.ssh_config == Path("/flag")
    assert (settings.jobs, settings.quiet, settings.data_dir) == (7, True, Path("/d"))


@pytest.mark.parametrize(
    "flags, environ, where",
    [
        ({"ssh_config": "MISSING"}, {}, "--ssh-config"),
        ({}, {"NSMIG_SSH_CONFIG": "MISSING"}, "NSMIG_SSH_CONFIG"),
        ({}, {}, "config.toml"),
    ],
)
def test_a_named_ssh_configuration_must_be_there(tmp_path, flags, environ, where):
    settings = read(tmp_path, 'ssh_config = "MISSING"', flags, **environ)
    with pytest.raises(UsageError, match="MISSING cannot be read: No such file") as caught:
        need_ssh_config(settings)
    assert where in caught.value.hint


def test_an_ssh_configuration_that_is_no_file_or_closed_to_us(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="Is a directory"):
        need_ssh_config(read(tmp_path, flags={"ssh_config": str(tmp_path)}))
    closed = tmp_path / "closed"
    closed.touch(0o000)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UsageError, match="Permission denied"):
        need_ssh_config(read(tmp_path, flags={"ssh_config": str(closed)}))


@pytest.mark.parametrize("flags", [{}, {"ssh_config": "/dev/null"}], ids=["none", "empty"])
def test_nobody_needs_an_ssh_configuration(tmp_path, monkeypatch, flags):
    monkeypatch.setenv("HOME", str(tmp_path))
    need_ssh_config(read(tmp_path, flags=flags))


def test_each_value_knows_where_it_came_from(tmp_path):
    text = 'jobs = 7\nquiet = false\ntheme = "dark"\n[retention]\nkeep_days = 9\n'
    origins = read(tmp_path, text, {"theme": "light"}, NSMIG_SSH_CONFIG="/env", NSMIG_DATA_DIR="/d").origins
    assert origins == {
        "jobs": "file", "quiet": "file", "keep_days": "file", "theme": "option", "config_dir": "option",
        "ssh_config": "environment", "data_dir": "environment",
    }  # fmt: skip


def test_directories_come_from_the_environment():
    settings = load({}, {"NSMIG_DATA_DIR": "/x/data", "NSMIG_CONFIG_DIR": "/x/conf"})
    assert (settings.data_dir, settings.config_dir) == (Path("/x/data"), Path("/x/conf"))
    assert settings.database == Path("/x/data/nsmig.db")


def test_no_file_means_defaults(tmp_path):
    settings = load({"config_dir": tmp_path}, {"TERM": "dumb", "NO_COLOR": "1"})
    assert settings.ssh_config is None and settings.owners == "foreign" and settings.services == {}
    assert settings.dumb_terminal and not settings.color
    assert "@" in settings.operator


def test_tables(tmp_path):
    settings = read(
        tmp_path,
        '[keys]\nmigrate = "ctrl+e"\n[retention]\nkeep_days = 5\n'
        '[vnode."web1.example".service]\nmanager = "command"\n'
        'nginx = "sv reload nginx"\nphp-fpm = "sv reload php"\n',
    )
    assert settings.keys == {"migrate": "ctrl+e"}
    assert settings.keep_days == 5
    assert settings.services["web1.example"]["php-fpm"] == "sv reload php"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("job = 2", ["'job'", "'jobs'"]),
        ("[retention]\nkeepdays = 2", ["'retention.keepdays'", "'retention.keep_days'"]),
        ("[vnode.a]\nservices = 1", ["'vnode.a.services'", "'vnode.a.service'"]),
        ('[vnode.a.service]\nngnix = "x"', ["'vnode.a.service.ngnix'", "nginx"]),
        ("zzz = 1", ["'zzz'", "Known:"]),
        ("jobs = true", ["jobs", "whole number"]),
        ("jobs = 0", ["jobs", "at least 1"]),
        ("nice = 20", ["nice", "at most 19"]),
        ('ionice = "realtime"', ["ionice", "none, best-effort, idle"]),
        ('owners = "mine"', ["owners", "foreign, keep, all"]),
        ("keys = 3", ["keys", "a table"]),
        ("jobs = ", ["not valid TOML"]),
    ],
)
def test_wrong_file_names_file_key_and_nearest(tmp_path, text, words):
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    for word in [str(tmp_path / "config.toml"), *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize("kind", ["pipe", "device", "directory"])
def test_a_file_that_is_none_is_not_waited_for(tmp_path, kind):
    path = tmp_path / "config.toml"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(UsageError, match=r"not a regular file.*--config-dir"):
        load({"config_dir": tmp_path}, {})


def test_file_that_others_can_write_is_refused(tmp_path):
    write(tmp_path, "jobs = 2").chmod(0o622)
    with pytest.raises(Refused, match="Others can write"):
        load({"config_dir": tmp_path}, {})


def test_data_directory_is_made_private_whatever_the_umask(tmp_path):
    old = os.umask(0)
    try:
        make_private(tmp_path / "a" / "data")
    finally:
        os.umask(old)
    assert (tmp_path / "a" / "data").stat().st_mode & 0o777 == 0o700


def test_our_directory_is_tightened_and_a_strange_one_left_alone(tmp_path):
    ours, strange, shared = tmp_path / "ours", tmp_path / "strange", tmp_path / "shared"
    for directory, mode in ((ours, 0o755), (strange, 0o755), (shared, 0o777)):
        directory.mkdir()
        directory.chmod(mode)
    (strange / "thesis.txt").touch()
    (shared / "thesis.txt").touch()
    make_private(ours)
    make_private(strange)
    with pytest.raises(Refused, match="Others can write"):
        make_private(shared)
    assert [d.stat().st_mode & 0o777 for d in (ours, strange, shared)] == [0o700, 0o755, 0o777]


def test_data_directory_of_somebody_else_is_refused(tmp_path, monkeypatch):
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    with pytest.raises(Refused, match="not to you"):
        make_private(tmp_path)


def test_data_directory_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "f").touch()
    with pytest.raises(Refused, match="cannot be used"):
        make_private(tmp_path / "f")


def test_the_readmes_example_is_a_whole_configuration_and_its_numbers_the_defaults(tmp_path):
    readme = (Path(__file__).resolve().parents[1] / "README.md").read_text()
    text = readme.split("```toml\n")[1].split("```")[0]
    settings, usual = read(tmp_path, text), read(tmp_path)
    told = set(tomllib.loads(text)) | set(tomllib.loads(text)["retention"])
    names = set(_RULES) | set(_RETENTION) | set(_TABLES)
    assert told == names
    free = {"theme", "ssh_config", "max_failures", "keys", "services", "notify", "origins", "config_dir"}
    assert {
        item.name
        for item in fields(settings)
        if item.name not in free and getattr(settings, item.name) != getattr(usual, item.name)
    } == set()
