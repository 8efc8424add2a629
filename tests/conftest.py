"""What all tests share: a clean environment, and the lab where it can run.

A test marked ``lab`` needs root on Linux and a few tools. Where they are missing it is skipped with the
reason, unless ``NSMIG_REQUIRE_LAB=1`` says that this machine must be able to: then it fails.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import hypothesis
import pytest
from lab.fleet import Lab
from lab.image import LabUnavailable
from lab.node import Node, require_root_tools

_UNAVAILABLE = pytest.StashKey[str]()

hypothesis.settings.register_profile("nsmig", deadline=None)  # how long an example takes is not for a test
hypothesis.settings.load_profile("nsmig")


def _why_no_lab() -> str:
    """Reason why nodes cannot run here, empty when they can."""
    try:
        require_root_tools()
    except LabUnavailable as error:
        return str(error)
    return ""


def _lab_is_required() -> bool:
    return os.environ.get("NSMIG_REQUIRE_LAB") == "1"


def _give_up(reason: str) -> None:
    """Skip the test, or fail it where the lab is required."""
    if _lab_is_required():
        pytest.fail(f"the lab is required here: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of this person or machine reaches the tests, nor do they leave anything there."""
    for name in list(os.environ):
        if name == "NO_COLOR" or name.startswith(("TEXTUAL_", "NSMIG_", "XDG_")):
            if name.startswith(("NSMIG_LAB_", "NSMIG_REQUIRE_LAB")):
                continue
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")  # not in tmp_path, which belongs to the test
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / ".local/share"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / ".local/state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / ".run"))
    monkeypatch.setenv("NSMIG_DATA_DIR", str(home / "nsmig-data"))
    monkeypatch.setenv("NSMIG_CONFIG_DIR", str(home / "nsmig-config"))


@pytest.fixture(autouse=True, scope="session")
def signals_as_a_terminal_gives_them() -> None:
    """What ignores a signal hands that on to its children, as ``nohup`` and ``&`` in a script do.

    A handler that does nothing spares the tests themselves all the same, and is not handed on.
    """
    for number in (signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: None)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Two booted nodes, ``vn1`` and ``vn2``, for the whole session; ``node`` or ``nodes`` give them clean."""
    if reason := _why_no_lab():
        _give_up(reason)
    try:
        running = Lab(["vn1", "vn2"]).__enter__()
    except LabUnavailable as error:
        _give_up(str(error))
    yield running
    running.stop()


@pytest.fixture
def nodes(lab: Lab) -> list[Node]:
    """Both nodes, as new."""
    for each in lab.nodes.values():
        each.reset()
    return list(lab.nodes.values())


@pytest.fixture
def node(lab: Lab) -> Node:
    """The first node, as new."""
    lab["vn1"].reset()
    return lab["vn1"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Lab tests that use no lab fixture are held to the same rule."""
    if item.get_closest_marker("lab") and (reason := _why_no_lab()):
        _give_up(reason)
