"""The bench that every command test works on."""

import pytest

from .fakes import Bench


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setenv("NSMIG_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NSMIG_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.delenv("NSMIG_SSH_CONFIG", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    made = Bench(tmp_path, monkeypatch)
    made.seed()
    return made
