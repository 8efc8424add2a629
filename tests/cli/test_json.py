"""The JSON that scripts rely on."""

import asyncio
import json
import re
from dataclasses import replace

import pytest

from nsmig_tui.domain.errors import ConnectError, Refused
from nsmig_tui.domain.events import RunStarted, StepFinished, StepStarted
from nsmig_tui.domain.fleet import STEPS, Status
from nsmig_tui.domain.retention import Choice, Kept

from .fakes import ARCHIVE, error, result

GOOD = ("web1", "good.example")
RESULT_FIELDS = {
    "type",
    "vnode",
    "vhost",
    "ok",
    "status",
    "steps_completed",
    "backup_archive",
    "warnings",
    "errors",
    "duration_s",
}


def test_list_rows(bench):
    rows = bench.run("list", "--json").document
    assert [(row["vnode"], row["vhost"]) for row in rows] == [
        GOOD,
        ("web1", "new.example"),
        ("web2", "done.example"),
        ("web2", "other.example"),
    ]
    needed = (
        "vnode",
        "vhost",
        "status",
        "layout",
        "rollback_available",
        "migration_attempts",
        "migrated_at",
    )
    assert {name: rows[2][name] for name in needed} == {
        "vnode": "web2",
        "vhost": "done.example",
        "status": "migrated",
        "layout": "ns3",
        "rollback_available": False,
        "migration_attempts": 0,
        "migrated_at": "2026-01-31T12:00:00Z",
    }
    assert [
        row["vhost"] for row in bench.run("--json", "list", "web2", "--status", "validated").document
    ] == ["other.example"]


def test_node_list_rows(bench):
    rows = bench.run("node", "list", "--json").document
    assert [(row["name"], row["vsite"], row["status"], row["last_contact"]) for row in rows] == [
        ("web1", "syd", "ok", "2026-01-31T12:00:00Z"),
        ("web2", "default", "unreachable", None),
    ]


def test_show_has_details_findings_and_runs(bench):
    document = bench.run("show", *GOOD, "--json").document
    assert document["vhost"] == "good.example" and document["details"] == {"php": "8.2"}
    assert document["findings"] == []
    assert [(run["verb"], run["started"], run["outcome"]) for run in document["runs"]] == [
        ("validate", "2026-01-31T12:00:00Z", "ok")
    ]


def test_show_tells_how_the_status_came_about(bench):
    """Discovering again loses none of it, and both faces of the answer have it."""
    store = bench.store()
    host = store.vhost(*GOOD)
    store.save_vhost(replace(host, status=Status.FAILED, last_error="the disk is full"))
    store.close()
    changes = bench.run("show", *GOOD, "--json").document["status_changes"]
    assert [(one["old"], one["new"], one["reason"]) for one in changes] == [
        (None, "validated", ""),
        ("validated", "failed", "the disk is full"),
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", one["at"]) for one in changes)
    shown = bench.run("show", *GOOD).out
    assert re.search(r"Z +validated -> failed +the disk is full", shown), shown


def test_history_rows(bench):
    for words in (("history",), ("history", *GOOD)):
        rows = bench.run(*words, "--json").document
        assert [(row["run"], row["operator"], row["finished"]) for row in rows] == [
            ("r0", "op", "2026-01-31T12:00:01Z")
        ]
    assert bench.run("history", "gone", "gone.example", "--json").document == []


def test_rollback_list_rows(bench):
    assert bench.run("rollback", *GOOD, "--list", "--json").document == [
        {
            "filename": "a.tar.gz",
            "path": "/srv/x/.archive/a.tar.gz",
            "created_at": "2026-01-31T12:00:00Z",
            "size": 2048,
            "ok": True,
            "entries": 12,
        }
    ]


@pytest.mark.parametrize(
    "words",
    [
        ("discover", "web1"),
        ("validate", *GOOD),
        ("migrate", *GOOD, "--yes"),
        ("rollback", *GOOD, "--yes"),
        ("resume", *GOOD, "--yes"),
    ],
    ids=lambda words: words[0],
)
def test_work_ends_with_one_result_and_the_summary(bench, words):
    lines = bench.run(*words, "--json").lines
    results = [line for line in lines if line["type"] == "result"]
    assert len(results) == 1 and set(results[0]) >= RESULT_FIELDS
    assert (results[0]["vnode"], results[0]["vhost"], results[0]["ok"]) == (*GOOD, True)
    assert lines[-1] == {"type": "summary", "ok": 1, "failed": 0, "skipped": 0}
    assert lines[-2] == results[0]


def test_a_migration_line_by_line(bench):
    lines = bench.run("migrate", *GOOD, "--yes", "--json").lines
    assert [line["type"] for line in lines] == [
        "run_started",
        "step_started",
        "step_progressed",
        "step_finished",
        "warning",
        "log",
        "result",
        "summary",
    ]
    assert {name: lines[-2][name] for name in RESULT_FIELDS} == {
        "type": "result",
        "vnode": "web1",
        "vhost": "good.example",
        "ok": True,
        "status": "migrated",
        "steps_completed": list(STEPS),
        "backup_archive": ARCHIVE,
        "warnings": ["odd name"],
        "errors": [],
        "duration_s": 1.5,
    }


def test_dry_run_lines_are_plans_with_the_seven_steps(bench):
    lines = bench.run("migrate", "--all-validated", "--dry-run", "--json").lines
    plans = [line for line in lines if line["type"] == "plan"]
    assert [line["vhost"] for line in plans] == ["good.example", "other.example"]
    assert [step["name"] for step in plans[0]["steps"]] == list(STEPS)
    assert plans[0]["steps"][2]["changes"] == [
        {"what": "rename", "from": "web", "to": "web/app/public", "mode": "0755"}
    ]
    assert lines[-1] == {"type": "summary", "ok": 2, "failed": 0, "skipped": 0}
    assert {call[0] for call in bench.engine.calls} == {"plan_migrate"}


def test_a_plan_that_is_refused_is_a_result(bench):
    bench.engine.answers[("plan_migrate", *GOOD)] = error(Refused)
    ended = bench.run("migrate", *GOOD, "--dry-run", "--json")
    assert ended.code == 4
    assert [(line["type"], line.get("ok")) for line in ended.lines] == [("result", False), ("summary", 0)]


def test_a_failure_carries_error_hint_and_code(bench):
    bench.engine.answers[("migrate", *GOOD)] = error(ConnectError)
    ended = bench.run("migrate", *GOOD, "--yes", "--json")
    line = ended.lines[-2]
    assert (line["ok"], line["status"], line["errors"], line["hint"], line["exit_code"]) == (
        False,
        "validated",
        ["it broke"],
        "mend it",
        3,
    )


def test_no_consent_is_a_result_too(bench):
    ended = bench.run("migrate", *GOOD, "--json")
    assert ended.code == 4
    assert [line["type"] for line in ended.lines] == ["result", "summary"]
    assert ended.lines[0]["exit_code"] == 4 and "--yes" in ended.lines[0]["hint"]


def test_an_error_outside_of_work_is_an_error_line(bench):
    for words in (("list", "nobody"), ("bogus",)):
        ended = bench.run(*words, "--json")
        assert [(line["type"], line["exit_code"]) for line in ended.lines] == [("error", 2)]
    ended = bench.run("node", "remove", "web1", "--json")
    assert [(line["type"], line["exit_code"]) for line in ended.lines] == [("error", 4)]


def test_node_commands_print_json(bench):
    assert bench.run("node", "add", "web9", "--json").document["name"] == "web9"
    assert bench.run("node", "remove", "web9", "--yes", "--json").document == {"removed": "web9", "vhosts": 0}
    lines = bench.run("node", "check", "--json").lines
    assert [(line["type"], line.get("vnode"), line["ok"]) for line in lines[:2]] == [
        ("check", "web1", True),
        ("check", "web2", True),
    ]
    assert lines[-1] == {"type": "summary", "ok": 2, "failed": 0, "skipped": 0}


def test_control_codes_leave_only_as_escapes(bench):
    for words in (("migrate", *GOOD, "--yes"), ("validate", *GOOD)):
        ended = bench.run(*words, "--json")
        assert "\x1b" not in ended.out + ended.err
        assert any(
            "\x1b" in json.dumps(line, ensure_ascii=False).encode().decode("unicode_escape")
            for line in ended.lines
        )


def test_results_of_a_mixed_batch(bench):
    bench.engine.answers[("migrate", *GOOD)] = result(*GOOD, 5)
    lines = bench.run("migrate", "--all-validated", "--yes", "--json").lines
    assert [(line["vhost"], line["ok"]) for line in lines if line["type"] == "result"] == [
        ("good.example", False),
        ("other.example", True),
    ]


def test_a_broken_off_discovery_tells_of_every_vnode(bench):
    bench.engine.answers[("discover", "web1")] = asyncio.CancelledError()
    ended = bench.run("discover", "web1", "web2", "--json")
    (line,) = (line for line in ended.lines if line["type"] == "result")
    assert (line["vnode"], line["ok"], line["exit_code"], ended.code) == ("web1", False, 130, 130)
    assert line["errors"] and ended.lines[-1] == {"type": "summary", "ok": 0, "failed": 1, "skipped": 1}


def test_an_interrupted_run_tells_how_far_it_was_seen(bench):
    async def migrate(vnode, domain, options, emit):
        emit(RunStarted(vnode, domain, "r7", "migrate"))
        emit(StepFinished(vnode, domain, "r7", "pre_flight_checks", 0.5))
        emit(StepStarted(vnode, domain, "r7", "backup_creation"))
        raise asyncio.CancelledError

    bench.engine.migrate = migrate
    ended = bench.run("migrate", *GOOD, "--yes", "--json")
    (line,) = (line for line in ended.lines if line["type"] == "result")
    assert (line["run"], line["steps_completed"], ended.code) == ("r7", ["pre_flight_checks"], 130)


def test_a_plan_to_prune_has_results_with_the_status(bench):
    async def plan_prune(*_words):
        return [Choice(Kept("archive", "a.tar.gz", 1.0, 1, 9), True, "old")]

    bench.engine.plan_prune = plan_prune
    planned, result, summary = bench.run("archives", "prune", *GOOD, "--dry-run", "--json").lines
    assert (planned["type"], planned["name"], planned["prune"]) == ("prune_plan", "a.tar.gz", True)
    assert (result["type"], result["ok"], result["status"]) == ("result", True, "validated")
    assert summary == {"type": "summary", "ok": 1, "failed": 0, "skipped": 0}
