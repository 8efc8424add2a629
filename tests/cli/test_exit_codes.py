"""Every way to end has the code that the contract names, and asks the engine for exactly what it should."""

from dataclasses import replace

import pytest

from nsmig_tui.domain.errors import (
    ConnectError,
    LockHeld,
    NsmigError,
    Refused,
    UsageError,
)
from nsmig_tui.domain.events import Result
from nsmig_tui.domain.fleet import Layout, Status, Vhost
from nsmig_tui.domain.options import MigrateOptions, RollbackOptions

from .fakes import error, result

GOOD = ("web1", "good.example")


@pytest.mark.parametrize(
    "words",
    [
        ("bogus",),
        ("node",),
        ("list", "--status", "odd"),
        ("list", "nobody"),
        ("show", "web1"),
        ("show", "web1", "nobody.example"),
        ("validate",),
        ("validate", "web1"),
        ("validate", *GOOD, "--all"),
        ("migrate",),
        ("migrate", "web1"),
        ("migrate", *GOOD, "--all-validated"),
        ("migrate", *GOOD, "--vnode", "web1", "--yes"),
        ("migrate", *GOOD, "--no-backup", "--yes"),
        ("migrate", *GOOD, "--force", "--yes"),
        ("migrate", "--all-validated", "--vnode", "nobody"),
        ("rollback", "web1"),
        ("rollback", *GOOD, "--exact", "--yes"),
        ("rollback", *GOOD, "--list", "--archive", "a"),
        ("resume", "web1"),
        ("history", "web1"),
        ("history", "--limit", "0"),
        ("discover", "nobody"),
        ("node", "add", "-x"),
        ("node", "add", "a b"),
        ("node", "add", "x", "--vpath", "srv"),
        ("node", "add", "x", "--vpath", "/"),
        ("node", "add", "x", "--vpath", "/srv/../etc"),
        ("node", "add", "x", "--ssh-host", "-oProxyCommand=x"),
        ("node", "remove", "nobody", "--yes"),
        ("node", "import"),
        ("node", "add", "x", "--ssh-host", "root@web1"),
        ("node", "add", "x", "--ssh-host", "web1:22"),
        ("--all-validate",),
        # a script's unset variable is never "all", "none" or "undo"
        ("rollback", *GOOD, "--archive", "", "--yes"),
        ("rollback", "web1", "", "--yes"),
        ("resume", "", "", "--undo", "--yes"),
        ("archives", "prune", "web1", "", "--yes"),
        ("archives", "prune", "--vnode", "", "--yes"),
        ("migrate", "--all-validated", "--vnode", "", "--yes"),
        ("discover", ""),
        ("--data-dir", "", "migrate", "--all-validated", "--yes"),
        ("list", "--config-dir", ""),
        ("node", "import", "--ssh-config", ""),
        ("node", "add", "x", "--ssh-host", ""),
        ("node", "import", "--ansible-inventory", "hosts", "--match", ""),
        ("attach", "", "--cancel"),
        ("history", "--limit", "9" * 30),
        ("show", "web1", "\udcff.example"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2_and_one_sentence(bench, words):
    ended = bench.run(*words)
    assert ended.code == 2
    assert ended.out == "" and ended.err.startswith("nsmig: ") and ended.err.count("\n") == 1
    assert bench.engine.calls == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (None, 0),
        (Result(*GOOD, ok=True, skipped=True, status="migrated"), 0),
        (result(*GOOD, 4), 4),
        (result(*GOOD, 5), 5),
        (result(*GOOD, 6), 6),
        (result(*GOOD, 75), 75),
        (result(*GOOD, 0), 4),
        (error(UsageError), 2),
        (error(ConnectError), 3),
        (error(Refused), 4),
        (error(LockHeld), 75),
    ],
)
@pytest.mark.parametrize("verb", ["migrate", "rollback", "resume"])
def test_one_vhost_ends_with_its_own_code(bench, verb, answer, code):
    if answer is not None:
        bench.engine.answers[(verb, *GOOD)] = answer
    assert bench.run(verb, *GOOD, "--yes").code == code


@pytest.mark.parametrize("flag", ["--jobs", "--per-vnode", "--max-failures"])
def test_limits_of_many_hold_for_one_vhost_too(bench, flag):
    assert bench.run("migrate", *GOOD, flag, "2", "--yes").code == 0
    assert bench.engine.calls == [("migrate", *GOOD, MigrateOptions())]


@pytest.mark.parametrize(
    "words", [("--dry-run",), ("--yes",), ("--detach", "--yes"), ("--detach", "--dry-run")]
)
def test_a_migrated_vhost_is_skipped_by_plan_and_run_alike(bench, words):
    done = ("web2", "done.example")
    bench.engine.answers[("migrate", *done)] = Result(*done, ok=True, skipped=True, status="migrated")
    bench.engine.answers[("plan_migrate", *done)] = error(Refused)
    ended = bench.run("migrate", *done, *words, "--json")
    (line,) = (line for line in ended.lines if line["type"] == "result")
    assert (ended.code, line["ok"], line["status"]) == (0, True, "migrated")
    assert ended.lines[-1] == {"type": "summary", "ok": 0, "failed": 0, "skipped": 1}


def test_a_plan_for_what_is_migrated_only_as_we_remember_is_refused(bench):
    done = ("web2", "done.example")
    bench.engine.answers[("nothing_to_migrate", *done)] = error(Refused)
    ended = bench.run("migrate", *done, "--dry-run", "--json")
    assert (ended.code, ended.lines[0]["ok"], ended.lines[0]["skipped"]) == (4, False, False)


@pytest.mark.parametrize(
    ("codes", "expected"), [((0, 0), 0), ((0, 5), 7), ((5, 5), 5), ((3, 3), 3), ((5, 6), 6), ((4, 75), 75)]
)
def test_several_vhosts(bench, codes, expected):
    targets = (GOOD, ("web2", "other.example"))
    for target, code in zip(targets, codes, strict=True):
        if code:
            bench.engine.answers[("migrate", *target)] = result(*target, code)
    ended = bench.run("migrate", "--all-validated", "--yes", "--json")
    assert ended.code == expected
    assert [call[1:3] for call in bench.engine.calls] == list(targets)
    assert ended.lines[-1] == {
        "type": "summary",
        "ok": codes.count(0),
        "failed": 2 - codes.count(0),
        "skipped": 0,
    }


def test_all_validated_on_one_vnode(bench):
    assert bench.run("migrate", "--all-validated", "--vnode", "web2", "--yes").code == 0
    assert [call[1:3] for call in bench.engine.calls] == [("web2", "other.example")]


def test_nothing_validated_is_done(bench):
    bench.run("node", "remove", "web1", "--yes")
    bench.run("node", "remove", "web2", "--yes")
    ended = bench.run("migrate", "--all-validated", "--json")
    assert (ended.code, ended.lines) == (0, [{"type": "summary", "ok": 0, "failed": 0, "skipped": 0}])


def test_discover_of_an_unreachable_vnode(bench):
    bench.engine.answers[("discover", "web2")] = error(ConnectError)
    assert bench.run("discover", "web2").code == 3
    assert bench.run("discover").code == 7
    bench.engine.answers[("discover", "web1")] = error(ConnectError)
    assert bench.run("discover").code == 3


def test_names_that_are_not_imported_do_not_spoil_discovery(bench):
    bench.engine.answers[("discover", "web1")] = [Result("web1", "bad name", skipped=True)]
    ended = bench.run("discover", "web1", "--json")
    assert ended.code == 0
    assert ended.lines[-1] == {"type": "summary", "ok": 0, "failed": 0, "skipped": 1}


def test_node_check(bench):
    assert bench.run("node", "check").code == 0
    bench.engine.answers[("check", "web2")] = error(ConnectError)
    assert bench.run("node", "check", "web2").code == 3
    assert bench.run("node", "check").code == 7


def test_validate_all_leaves_out_what_is_settled(bench):
    assert bench.run("validate", "--all").code == 0
    assert [call[1:] for call in bench.engine.calls] == [
        GOOD,
        ("web1", "new.example"),
        ("web2", "other.example"),
    ]


@pytest.mark.parametrize(
    "words",
    [
        ("node", "add", "web9"),
        ("node", "remove", "web1", "--yes"),
        ("node", "import", "--ssh-config", "/dev/null"),
        ("migrate", *GOOD, "--yes"),
        ("migrate", "--all-validated", "--yes"),
        ("rollback", *GOOD, "--yes"),
        ("resume", *GOOD, "--yes"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("first", [True, False])
def test_read_only_refuses_what_changes(bench, words, first):
    ended = bench.run(*(("--read-only", *words) if first else (*words, "--read-only")))
    assert ended.code == 4 and "read-only" in ended.err
    assert bench.engine.calls == []


@pytest.mark.parametrize(
    "words",
    [
        ("migrate", *GOOD, "--dry-run"),
        ("rollback", *GOOD, "--dry-run"),
        ("rollback", *GOOD, "--list"),
        ("list",),
        ("discover",),
        ("validate", "--all"),
    ],
    ids=" ".join,
)
def test_read_only_lets_look(bench, words):
    assert bench.run("--read-only", *words).code == 0


def test_options_reach_the_engine(bench):
    (bench.directory / "config").mkdir()
    config = bench.directory / "config" / "config.toml"
    config.write_text('owners = "keep"\ncompat = "never"\nconfirm_wait = 30\nnice = 0\nionice = "idle"\n')
    config.chmod(0o600)
    bench.run("migrate", *GOOD, "--no-backup", "--force", "--yes")
    bench.run("rollback", *GOOD, "--archive", "a.tar.gz", "--exact", "--with-mail", "--yes")
    bench.run("resume", *GOOD, "--undo", "--yes")
    assert bench.engine.calls == [
        (
            "migrate",
            *GOOD,
            MigrateOptions(False, "keep", "never", 30, nice=0, ionice="idle"),
        ),
        ("rollback", *GOOD, RollbackOptions("a.tar.gz", exact=True, with_mail=True)),
        ("resume", *GOOD, True),
    ]


def test_words_win_over_the_file_for_how_far_to_stand_back(bench):
    bench.run("migrate", *GOOD, "--nice", "19", "--ionice", "none", "--yes")
    bench.run("migrate", *GOOD, "--nice", "0", "--yes")
    options = [call[-1] for call in bench.engine.calls]
    assert [(o.nice, o.ionice) for o in options] == [(19, "none"), (0, "best-effort")]
    assert bench.run("migrate", *GOOD, "--nice", "20", "--yes").code == 2


def test_a_fault_of_ours_is_one_line_and_a_private_log_without_secrets(bench):
    bench.engine.answers[("migrate", *GOOD)] = RuntimeError("APP_PASSWORD=hunter2 went wrong")
    ended = bench.run("migrate", *GOOD, "--yes")
    log = bench.directory / "data" / "errors.log"
    assert ended.code == 1
    assert "Traceback" not in ended.err + ended.out and str(log) in ended.err
    assert "Traceback" in log.read_text() and log.stat().st_mode & 0o777 == 0o600
    assert "hunter2" not in log.read_text() + ended.err


def test_every_error_class_has_its_own_code():
    kinds = NsmigError.__subclasses__()
    assert len({kind.exit_code for kind in kinds}) == len(kinds) == 5


def test_resume_without_names_takes_what_is_unfinished(bench):
    assert bench.run("resume").code == 0
    store = bench.store()
    from nsmig_tui.domain.fleet import RunRecord

    store.save_run(RunRecord("r1", "migrate", *GOOD, "op", 1.0))
    store.save_run(RunRecord("r2", "restore", *GOOD, "op", 2.0, outcome="interrupted"))
    store.save_run(RunRecord("r3", "discover", "web2", "", "op", 3.0))
    store.close()
    assert bench.run("resume", "--yes").code == 0
    assert bench.engine.calls == [("resume", *GOOD, False)]


def test_a_vnode_with_an_unfinished_run_is_not_forgotten(bench):
    store = bench.store()
    from nsmig_tui.domain.fleet import RunRecord

    store.save_run(RunRecord("r1", "migrate", *GOOD, "op", 1.0))
    store.close()
    ended = bench.run("node", "remove", "web1", "--yes")
    assert ended.code == 4 and "nsmig resume web1 good.example" in ended.err


@pytest.mark.parametrize("said, tried", [("no route", 1), ("no complete answer within 120 s", 2)])
def test_a_vnode_that_cannot_be_reached_is_not_dialled_for_each_vhost(bench, said, tried):
    """But one vhost that gives no answer says nothing of the others on its vnode."""
    store = bench.store()
    store.save_vhost(Vhost("web2", "third.example", Status.DISCOVERED, Layout.NS1))
    store.close()
    lost = replace(result("web2", "other.example", 3), errors=(said,), hint="mend it")
    bench.engine.answers[("validate", "web2", "other.example")] = lost
    ended = bench.run("validate", "--all", "--json")
    asked = [call[1] for call in bench.engine.calls if call[0] == "validate"]
    assert (asked.count("web1"), asked.count("web2")) == (2, tried)
    told = {line["vhost"]: line for line in ended.lines if line["type"] == "result"}
    assert len(told) == 4
    if tried == 1:
        third = told["third.example"]
        assert (third["skipped"], third["exit_code"], third["hint"]) == (True, 3, "mend it")
        assert third["errors"] == ["skipped: web2 is not reachable"]
