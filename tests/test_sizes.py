"""Nothing grows until nobody can join it: hard limits for files and functions."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "nsmig_tui"
FILE_LINES = {".py": 400, ".sh": 250, ".tcss": 200}
FUNCTION_LINES = 80


@pytest.mark.parametrize("suffix", FILE_LINES)
def test_files_stay_small(suffix):
    sizes = {
        str(path.relative_to(PACKAGE)): len(path.read_text().splitlines())
        for path in PACKAGE.rglob(f"*{suffix}")
    }
    assert sizes, f"no {suffix} files"
    assert {name: lines for name, lines in sizes.items() if lines > FILE_LINES[suffix]} == {}


def functions():
    """Every function with its place and length."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield f"{path.relative_to(PACKAGE)}:{node.name}", node.end_lineno - node.lineno + 1


def test_functions_stay_short():
    found = dict(functions())
    assert len(found) > 100
    assert {name: lines for name, lines in found.items() if lines > FUNCTION_LINES} == {}


def test_every_module_and_public_class_says_what_it_is():
    silent = []
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        named = [(path.name, tree)]
        named += [(node.name, node) for node in tree.body if isinstance(node, ast.ClassDef)]
        silent += [
            f"{path.relative_to(PACKAGE)}:{name}" for name, node in named if not ast.get_docstring(node)
        ]
    assert silent == []
