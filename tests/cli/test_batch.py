"""Batches by the command line: plan, start, watch, steer, go on, report. The batch runs in this process."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from nsmig_tui.domain.batch_plan import Measured
from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.domain.fleet import RunRecord

from .fakes import Bench, InlineBatches, error, result

GOOD = ("web1", "good.example")
ALL = ("migrate", "--all-validated", "--yes")
OTHER = ("web2", "other.example")


def names(bench: Bench) -> list[str]:
    return [row["batch"] for row in bench.run("attach", "--list", "--json").document]


def test_the_dry_run_begins_with_the_plan_of_the_whole(bench):
    lines = bench.run("migrate", "--all-validated", "--dry-run", "--json").lines
    whole = lines[0]
    assert whole["type"] == "batch_plan" and whole["vhosts"] == 2 and whole["size"] == 4096
    assert sorted(whole["order"]) == ["web1/good.example", "web2/other.example"]
    assert whole["vnodes"][0]["file_systems"] == [{"device": "1", "needed": 4096, "free": 1 << 40}]
    assert names(bench) == []


def test_what_is_left_out_is_said_before_and_after(bench):
    bench.engine.answers[("measure", "web2")] = Measured(problem="web2 cannot be reached", hint="look")
    text = bench.run("migrate", "--all-validated", "--dry-run").out
    assert "web2 other.example: web2 cannot be reached. look" in text
    ended = bench.run(*ALL, "--json")
    assert ended.code == 7
    assert ended.lines[-1] == {"type": "summary", "ok": 1, "failed": 0, "skipped": 1}
    skipped = next(line for line in ended.lines if line.get("skipped") is True)
    assert skipped["errors"] == ["web2 cannot be reached"] and skipped["exit_code"] == 3
    assert skipped["status"] == "validated"


def test_nothing_that_can_be_begun_starts_no_batch(bench):
    for vnode in ("web1", "web2"):
        bench.engine.answers[("measure", vnode)] = Measured(problem="gone")
    assert bench.run(*ALL).code == 3
    assert names(bench) == []


@pytest.mark.parametrize("words", [ALL, (*ALL, "--dry-run")], ids=["run", "dry run"])
def test_each_vhost_that_cannot_be_begun_has_its_own_reason(bench, words):
    bench.engine.answers[("measure", "web1")] = Measured(problem="web1 says no.")
    bench.engine.answers[("measure", "web2")] = Measured(problem="web2 cannot be reached", hint="look")
    ended = bench.run(*words, "--json")
    told = {line["vnode"]: line for line in ended.lines if line["type"] == "result"}
    assert [(told[name]["errors"], told[name]["exit_code"]) for name in ("web1", "web2")] == [
        (["web1 says no."], 3),
        (["web2 cannot be reached"], 3),
    ]
    assert all(line["skipped"] and line["status"] == "validated" for line in told.values())
    assert (ended.code, ended.lines[-1]) == (3, {"type": "summary", "ok": 0, "failed": 0, "skipped": 2})
    assert ".." not in ended.err


def test_no_terminal_and_no_yes_starts_no_batch(bench):
    assert bench.run("migrate", "--all-validated").code == 4
    assert names(bench) == []


def test_the_question_shows_plan_and_way_back(bench):
    ended = bench.run("migrate", "--all-validated", answers="no\n")
    assert ended.code == 4
    assert "2 vhosts on 2 vnodes" in ended.err and "nsmig rollback" in ended.err
    assert names(bench) == []


@pytest.mark.parametrize("as_json", [True, False])
def test_detach_gives_the_name_and_returns(bench, as_json):
    ended = bench.run(*ALL, "--detach", *(["--json"] if as_json else []))
    assert ended.code == 0
    name = ended.lines[0]["batch"] if as_json else ended.out.strip()
    assert names(bench) == [name]


def test_detach_of_one_vhost(bench):
    name = bench.run("migrate", *GOOD, "--detach", "--yes").out.strip()
    (row,) = bench.run("attach", "--list", "--json").document
    assert (row["batch"], row["left"], row["outcome"]) == (name, 1, "interrupted")


def test_resume_goes_on_with_what_is_left_and_reports_it_once(bench):
    bench.run(*ALL, "--detach")
    ended = bench.run("resume", "--yes", "--json")
    assert ended.code == 0
    told = [line["vhost"] for line in ended.lines if line["type"] == "result"]
    assert sorted(told) == ["good.example", "other.example"]
    assert ended.lines[-1] == {"type": "summary", "ok": 2, "failed": 0, "skipped": 0}
    assert sum(line["type"] == "summary" for line in ended.lines) == 1


def test_a_damaged_batch_is_named_and_stands_in_nobodys_way(bench):
    """What a full disk or a power cut made of its file blocked the list, the report and every resume."""
    first = bench.run(*ALL, "--detach").out.strip()
    broken = bench.directory / "data" / "batches" / "29990101-000000-ffffff"
    broken.mkdir()
    (broken / "batch.json").write_text('{"batch": "2999')
    listed = bench.run("attach", "--list", "--json")
    assert listed.code == 0 and [row["batch"] for row in listed.document] == [first]
    assert f"{broken}/batch.json cannot be read" in listed.err and f"mv '{broken}'" in listed.err
    assert bench.run("resume", "--yes", "--json").lines[-1]["ok"] == 2
    assert bench.run("attach").code == bench.run("report").code == 0
    assert bench.run("attach", broken.name).code == 2


def test_a_set_aside_vnode_is_taken_up_by_resume(bench):
    bench.engine.answers[("migrate", *OTHER)] = error(ConnectError, "no route")
    ended = bench.run(*ALL)
    assert ended.code == 7
    assert "web2 is set aside" in ended.err and "nsmig resume" in ended.out
    del bench.engine.answers[("migrate", *OTHER)]
    again = bench.run("resume", "--yes", "--json")
    assert again.code == 0
    assert [line["vhost"] for line in again.lines if line["type"] == "result"] == [
        "good.example",
        "other.example",
    ]


@pytest.mark.parametrize(
    "words, failing",
    [
        (("resume", "--yes"), error(ConnectError, "no route")),
        (("resume", "BATCH", "--yes"), error(ConnectError, "no route")),
        (("resume", "BATCH", "--retry", "--yes"), error(ConnectError, "no route")),
        (("resume", "BATCH", "--retry", "--yes"), result(*OTHER, 5)),
    ],
)
def test_what_was_rolled_back_since_is_not_migrated_again(bench, words, failing):
    """It was left, somebody migrated it by hand, and then decided against it."""
    bench.engine.answers[("migrate", *OTHER)] = failing
    assert bench.run(*ALL).code == 7
    del bench.engine.answers[("migrate", *OTHER)]
    (name,) = names(bench)
    store = bench.store()
    for number, verb in enumerate(("migrate", "undo"), 1):
        store.save_run(RunRecord(f"r{number}", verb, *OTHER, "op", time.time() + number, outcome="ok"))
    store.close()
    ended = bench.run(*(name if word == "BATCH" else word for word in words))
    assert "ok      web2  other.example" not in ended.out, ended
    store = bench.store()
    assert store.vhost(*OTHER).status == "validated"
    store.close()


def test_failed_ones_are_tried_again_only_when_asked_for(bench):
    bench.engine.answers[("migrate", *GOOD)] = result(*GOOD, 5)
    assert bench.run(*ALL).code == 7
    del bench.engine.answers[("migrate", *GOOD)]
    (name,) = names(bench)
    assert "Nothing is unfinished" in bench.run("resume", "--yes").err
    assert bench.run("resume", name, "--yes").code == 7
    assert bench.run("resume", name, "--retry", "--yes").code == 0


def test_resume_asks_for_passwords_before_it_hands_over(bench):
    """Of vnodes with something left, where somebody is there; one that is gone hinders nothing."""
    bench.engine.answers[("migrate", *OTHER)] = error(ConnectError, "sudo wants a password")
    bench.run(*ALL)
    bench.engine.answers[("check", "web2")] = error(ConnectError, "no route")
    bench.engine.calls.clear()
    bench.run("resume", "--yes", answers="")
    assert [call for call in bench.engine.calls if call[0] == "check"] == [("check", "web2")]
    bench.engine.calls.clear()
    bench.run("resume", "--yes")
    assert not any(call[0] == "check" for call in bench.engine.calls)


def test_the_end_fits_on_a_screen_with_reason_state_and_next_step(bench):
    bench.engine.answers[("migrate", *GOOD)] = result(*GOOD, 5, hint="mend it")
    out = bench.run(*ALL).out
    assert "web1 good.example: it broke (all undone)" in out and "mend it" in out
    assert len(out.splitlines()) <= 24


def test_attach_tells_it_again_with_the_same_code(bench):
    bench.engine.answers[("migrate", *GOOD)] = result(*GOOD, 5)
    assert bench.run(*ALL).code == 7
    ended = bench.run("attach", "--json")
    assert ended.code == 7
    assert ended.lines[0]["type"] == "batch_started" and ended.lines[-1]["type"] == "summary"


@pytest.mark.parametrize("order", ["--pause", "--continue", "--cancel", "--retry"])
def test_nobody_hears_an_order_to_an_ended_batch(bench, order):
    bench.run(*ALL)
    ended = bench.run("attach", order)
    assert ended.code == 4 and "nsmig resume" in ended.err


@pytest.mark.parametrize(
    "words",
    [
        ("attach",),
        ("attach", "nobody"),
        ("report",),
        ("resume", "nobody"),
        ("resume", "--retry"),
        ("migrate", *GOOD, "--canary", "2"),
        ("migrate", "--all-validated", "--clean", "5", "--yes"),
        ("migrate", "--all-validated", "--jobs", "0", "--yes"),
    ],
    ids=" ".join,
)
def test_wrong_words(bench, words):
    assert bench.run(*words).code == 2


def test_reports(bench, tmp_path):
    bench.engine.answers[("migrate", *GOOD)] = result(*GOOD, 5, warnings=("a <b> | `c`",))
    bench.run(*ALL)
    document = json.loads(bench.run("report", "--format", "json").out)
    assert document["counts"] == {"ok": 1, "failed": 1, "skipped": 0, "unfinished": 0}
    assert {row["state"] for row in document["vhosts"]} == {"migrated", "all undone"}
    page = tmp_path / "r.html"
    assert bench.run("report", "--output", str(page)).code == 0
    assert "a &lt;b&gt; | `c`" in page.read_text() and page.stat().st_mode & 0o777 == 0o600
    assert "a \\<b\\> \\| \\`c\\`" in bench.run("report", "--format", "md").out
    assert bench.run("report", "--output", str(tmp_path / "r.doc")).code == 2


@pytest.mark.parametrize("ending, way_on", [("left", "nsmig attach "), ("dead", "nsmig resume ")])
def test_scripts_are_told_how_to_go_on_with_a_batch_that_they_no_longer_watch(
    bench, monkeypatch, ending, way_on
):
    """The watching is interrupted, or the batch's process is gone."""

    async def attach(self, batch, **_part):
        if ending == "left":
            raise asyncio.CancelledError
        for nothing in ():
            yield nothing

    name = bench.run(*ALL, "--detach").out.strip()
    monkeypatch.setattr(InlineBatches, "attach", attach)
    ended = bench.run("attach", "--json")
    told, last = ended.lines[-2:]
    assert (ended.code, last["type"]) == (130, "summary")
    assert (told["type"], told["exit_code"]) == ("error", 130) and f"{way_on}{name}" in told["hint"]
    people = bench.run("attach")
    assert people.code == 130 and people.err.count("nsmig: ") == 1 and f"{way_on}{name}" in people.err


def test_only_one_vhost_cannot_be_watched_and_is_not_taken_for_the_batch(bench):
    bench.run(*ALL)
    ended = bench.run("attach", "--only", *GOOD)
    assert (ended.code, ended.out) == (2, "") and "--only goes with --cancel or --retry" in ended.err
