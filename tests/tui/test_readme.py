"""The README's table of keys is the one that the actions make."""

import re
from pathlib import Path

from nsmig_tui.tui.app import actions

README = Path(__file__).resolve().parents[2] / "README.md"
MARKS = re.compile(r"<!-- keys: made by nsmig_tui/tui/actions\.py -->\n(.*?)<!-- end of keys -->", re.DOTALL)


def test_the_readme_has_the_keys_as_they_are():
    found = MARKS.search(README.read_text())
    assert found, "the marks around the table are gone"
    assert found[1] == actions.markdown_table(), "put what actions.markdown_table() makes between the marks"
