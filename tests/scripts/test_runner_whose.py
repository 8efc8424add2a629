"""Vhosts that stand in one file: whose run changed it last is known, and nobody is told to revert it."""

import pytest

PARTS = ("prelude", "run_base", "run_notes", "run_look", "run_config", "run_whose")
SETUP = """
DOMAIN=a.test RUN=r CRASH_AT=0 FAIL_AT= J=$VAR/a.test CUR=$VAR/a.test/cur WHY=
fail() { printf '%s\\n' "$*"; exit 4; }
flagged() { :; }
"""


@pytest.fixture
def site(sh):
    """A file that three vhosts stand in, migrated one after the other."""
    path = sh.root / "site"
    before = "old"
    for number, domain in enumerate(("b.test", "c.test", "a.test"), 1):
        conf = sh.var / domain / "cur/conf"
        conf.mkdir(parents=True)
        (conf / "list").write_text(f"1\tnginx\tsum\t{sh.root}/other\n{number}\tnginx\tsum\t{path}\n")
    for domain, number in (("a.test", 3), ("b.test", 1), ("c.test", 2)):
        conf = sh.var / domain / "cur/conf"
        (conf / f"{number}.orig").write_text(before)
        (conf / f"{number}.bridge").write_text(f"{before} {domain}'s bridge")
        before = f"{before} {domain}"
        (conf / f"{number}.final").write_text(before)
    path.write_text(before)
    return path


def said(sh, then):
    done = sh.run(sh.parts(*PARTS, then=SETUP + then))
    assert done.stderr == b""
    return done.stdout.decode().strip()


def test_the_last_of_those_that_came_later_is_to_be_undone_first(sh, site):
    assert said(sh, "nobody_edited") == (
        f"{site} has been changed by the migration of c.test since: undo c.test first"
    )
    site.write_text("old a.test b.test c.test's bridge")
    assert said(sh, "nobody_edited").endswith("undo c.test first")
    for gone in ("c.test", "b.test"):
        (sh.var / gone / "cur").rename(sh.var / gone / "undone")
        site.write_text("old a.test b.test" if gone == "c.test" else "old a.test")
        assert said(sh, "nobody_edited").endswith("undo b.test first" if gone == "c.test" else "")
    assert said(sh, "nobody_edited") == ""


def test_an_edit_is_put_back_to_what_the_last_of_them_made(sh, site):
    site.write_text("edited")
    words = said(sh, "nobody_edited")
    assert f"put {sh.var}/c.test/cur/conf/2.final back" in words and words.endswith("undo c.test first")
    for other in ("b.test", "c.test"):
        (sh.var / other / "cur").rename(sh.var / other / "undone")
    words = said(sh, "nobody_edited")
    assert f"put {sh.var}/a.test/cur/conf/3.final back" in words and words.endswith("then ask again")


def test_a_run_that_meets_what_another_wrote_names_it(sh, site):
    assert "changed by the migration of c.test" in said(sh, 'write_stage nginx bridge; echo "$WHY"')
    site.write_text("edited")
    assert "changed by someone else" in said(sh, 'write_stage nginx bridge; echo "$WHY"')
