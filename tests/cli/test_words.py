"""What people read: golden lines, the two streams, and the questions."""

import pytest

from nsmig_tui.domain.events import Result
from nsmig_tui.domain.fleet import Layout, Status, Vhost

from .fakes import result

GOOD = ("web1", "good.example")


def test_list_off_a_terminal_is_plain_columns(bench):
    assert bench.run("list", "web1").out == (
        "vnode  vhost         status      layout  way back  migrated\n"
        "web1   good.example  validated   ns1     no        -\n"
        "web1   new.example   discovered  ns1     no        -\n"
    )


def test_migration_talks_on_stderr_and_answers_on_stdout(bench):
    ended = bench.run("migrate", *GOOD, "--yes")
    assert ended.out == (
        "ok      web1  good.example  migrated  1.5 s  "
        "/srv/good.example/.archive/pre-migration-20260131-120000.tar.gz\n"
        "1 ok, 0 failed, 0 skipped\n"
    )
    assert ended.err == (
        "web1 good.example: backup_creation …\n"
        "web1 good.example: backup_creation done in 0.5 s\n"
        "web1 good.example: warning: odd name\n"
        "web1 good.example: [bold]talk[/nope]\n"
    )


def test_warnings_that_no_event_told_are_told_with_the_result(bench):
    warned = Result(
        *GOOD, "r1", ok=True, status="migrated", warnings=("odd name", "no archive \x1b[2Jwas made")
    )
    bench.engine.answers[("migrate", *GOOD)] = warned
    ended = bench.run("migrate", *GOOD, "--yes", "--quiet")
    assert ended.err == (
        "web1 good.example: warning: odd name\nweb1 good.example: warning: no archive was made\n"
    )


def test_quiet_leaves_results_and_warnings(bench):
    ended = bench.run("migrate", *GOOD, "--yes", "--quiet")
    assert ended.err == "web1 good.example: warning: odd name\n"
    assert ended.out.count("\n") == 2


def test_failure_says_error_and_hint(bench):
    bench.engine.answers[("migrate", *GOOD)] = result(*GOOD, 5, hint="look at the log")
    assert bench.run("migrate", *GOOD, "--yes").out == (
        "failed  web1  good.example  failed\n"
        "        it broke\n"
        "        look at the log\n"
        "0 ok, 1 failed, 0 skipped\n"
    )


def test_validation_prints_what_is_not_passed(bench):
    assert bench.run("validate", *GOOD).out == (
        "warning  web1 good.example  security: a name [red]\n"
        "ok      web1  good.example  validated\n"
        "1 ok, 0 failed, 0 skipped\n"
    )


def test_plan_for_people(bench):
    lines = bench.run("migrate", *GOOD, "--dry-run").out.splitlines()
    assert lines[0] == "plan: migrate good.example on web1"
    assert "3. structural_migration" in lines
    assert "   - rename  web → web/app/public  [0755]" in lines
    assert "       +root /b;" in lines
    assert "size: 2.0 KiB" in lines and "expected: about 3.0 s" in lines
    assert lines[-2:] == ["Nothing was changed.", "1 ok, 0 failed, 0 skipped"]


def test_show_and_points_and_history(bench):
    shown = bench.run("show", *GOOD).out
    assert "php                 8.2" in shown and "2026-01-31T12:00:00Z" in shown
    points = bench.run("rollback", *GOOD, "--list").out.splitlines()
    assert points[0].split() == ["filename", "created_at", "age", "size", "entries", "condition"]
    assert points[1].split()[0] == "a.tar.gz" and points[1].endswith("verified")
    assert "validate  web1   good.example  ok" in bench.run("history").out


@pytest.mark.parametrize(
    "words", [("migrate", *GOOD), ("rollback", *GOOD), ("resume", *GOOD), ("node", "remove", "web1")]
)
def test_without_a_terminal_danger_needs_yes(bench, words):
    ended = bench.run(*words)
    assert ended.code == 4 and "Add --yes" in ended.err
    assert bench.engine.calls == []


@pytest.mark.parametrize(("typed", "code"), [("yes\n", 0), ("y\n", 4), ("\n", 4), ("", 4), ("no\n", 4)])
def test_on_a_terminal_the_facts_are_told_and_yes_must_be_typed(bench, typed, code):
    ended = bench.run("migrate", *GOOD, answers=typed)
    assert ended.code == code
    assert "Migrate good.example on web1" in ended.err
    assert "nsmig rollback web1 good.example" in ended.err and "Type yes" in ended.err
    assert bool(bench.engine.calls) == (code == 0)


@pytest.mark.parametrize(("typed", "code"), [("good.example\n", 0), ("yes\n", 4)])
def test_no_backup_wants_the_domain_typed(bench, typed, code):
    ended = bench.run("migrate", *GOOD, "--no-backup", "--force", answers=typed)
    assert ended.code == code and "WITHOUT A BACKUP" in ended.err


def test_show_writes_lists_and_tables_as_people_do(bench):
    store = bench.store()
    details = {"names": ["a.example", "b.example"], "settings": {"V_PHP": "8.2", "TLS": False}, "pools": []}
    store.save_vhost(Vhost("web1", "odd.example", Status.VALIDATED, Layout.NS1, details=details))
    store.close()
    lines = bench.run("show", "web1", "odd.example").out.splitlines()
    told = dict(line.split(maxsplit=1) for line in lines[: lines.index("")])
    assert told["names"] == "a.example, b.example" and told["pools"] == "-"
    assert told["settings"] == "V_PHP=8.2, TLS=no"


def test_restore_tells_what_it_does(bench):
    ended = bench.run("rollback", *GOOD, "--archive", "a.tar.gz", "--exact", answers="yes\n")
    assert ended.code == 0
    assert "Restore good.example on web1 from a.tar.gz" in ended.err and "NOT carried over" in ended.err
    assert "Mail stays" in ended.err and "Databases are not part" in ended.err
    assert "nsmig resume web1 good.example --undo" in ended.err


def test_dry_run_asks_nothing(bench):
    assert bench.run("migrate", *GOOD, "--dry-run").code == 0


def test_hosts_and_passwords_are_asked_about_only_on_a_terminal(bench):
    bench.run("list")
    assert (bench.asked["ask_host_key"], bench.asked["ask_password"]) == (None, None)
    bench.run("list", answers="")
    assert callable(bench.asked["ask_host_key"]) and callable(bench.asked["ask_password"])


@pytest.mark.parametrize(("typed", "trusted"), [("yes\n", True), ("\n", False)])
async def test_host_key_question(bench, typed, trusted):
    import io
    import sys

    from nsmig_tui.cli.consent import host_key_asker
    from nsmig_tui.cli.output import Output

    from .fakes import Terminal

    bench.patch.setattr(sys, "stdin", Terminal(typed))
    bench.patch.setattr(sys, "stderr", Terminal())
    asked = []
    ask = host_key_asker(Output(data=io.StringIO()), lambda: asked.append("paused"))
    assert await ask("web1\x1b[2J", "ssh-ed25519", "SHA256:abc") is trusted
    said = sys.stderr.getvalue()
    assert "SHA256:abc" in said and "\x1b" not in said and asked == ["paused"]


def test_global_options_before_and_after(bench):
    other = str(bench.directory / "other")
    for words in (
        ("--data-dir", other, "list"),
        ("list", "--data-dir", other),
        ("node", "list", "--data-dir", other),
    ):
        bench.run(*words)
        assert str(bench.asked["settings"].data_dir) == other


def test_wrong_config_is_told(bench):
    (bench.directory / "config").mkdir()
    (bench.directory / "config" / "config.toml").write_text("job = 1\n")
    (bench.directory / "config" / "config.toml").chmod(0o600)
    ended = bench.run("list")
    assert ended.code == 2 and "'jobs'" in ended.err


def test_help_of_resume_tells_what_it_does_without_arguments(bench):
    said = " ".join(bench.run("resume", "--help").out.split())
    assert "without either, of every run and batch that has not ended" in said


def test_the_help_of_the_demo_offers_nothing_that_it_does_not_heed(bench):
    said = bench.run("demo", "--help").out
    assert "--data-dir" not in said and "--ssh-config" not in said
    assert "a database and an SSH configuration of its own" in " ".join(said.split())
    assert all(option in said for option in ("--run", "--config-dir", "--read-only", "--json", "--quiet"))
    assert "--data-dir" in bench.run("list", "--help").out
