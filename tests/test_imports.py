"""Who imports whom, judged twice: by the contracts, and by what a fresh interpreter really loads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("textual", "asyncssh", "peewee", "rich", "cryptography", "nsmig_tui.store", "nsmig_tui.remote")


def test_import_contracts_hold(tmp_path):
    command = [str(Path(sys.executable).with_name("lint-imports")), "--cache-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def loaded_after(statement: str, tmp_path: Path) -> set[str]:
    """The modules that a clean interpreter holds after ``statement``."""
    code = "import sys\ntry:\n    " + statement + "\nexcept SystemExit:\n    pass\n"
    code += "print(chr(10).join(sys.modules), file=sys.stderr)"
    environment = {
        **os.environ,
        "NSMIG_DATA_DIR": str(tmp_path / "d"),
        "NSMIG_CONFIG_DIR": str(tmp_path / "c"),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, env=environment
    )
    return set(done.stderr.split())


def heavy(modules: set[str]) -> set[str]:
    """Those of HEAVY that are loaded, themselves or in part."""
    return {name for name in HEAVY if any(each == name or each.startswith(name + ".") for each in modules)}


@pytest.mark.parametrize(
    "words",
    [["--help"], ["--version"], ["migrate", "--help"], [], ["--bogus"]],
    ids=lambda words: " ".join(words),
)
def test_help_and_errors_load_nothing_heavy(tmp_path, words):
    statement = f"from nsmig_tui.__main__ import main; sys.argv[1:] = {words!r}; main()"
    assert heavy(loaded_after(statement, tmp_path)) == set()


def test_looking_at_the_database_loads_no_ssh(tmp_path):
    statement = "from nsmig_tui.__main__ import main; sys.argv[1:] = ['list', '--json']; main()"
    assert heavy(loaded_after(statement, tmp_path)) == {"peewee", "nsmig_tui.store"}


@pytest.mark.parametrize("part", ["engine.engine", "domain.ports", "cli.main", "settings", "wiring"])
def test_the_core_loads_no_library_of_an_adapter(tmp_path, part):
    assert heavy(loaded_after(f"import nsmig_tui.{part}", tmp_path)) == set()


def test_the_headless_command_never_loads_textual(tmp_path):
    statement = "from nsmig_tui import settings, wiring; a = wiring.build(settings.load()); a.engine"
    modules = loaded_after(statement, tmp_path)
    assert "asyncssh" in modules and not any(name.split(".")[0] == "textual" for name in modules)
