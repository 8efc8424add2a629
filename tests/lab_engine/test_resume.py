"""`resume` when there is nothing to do, when only the database lags, and after a broken-off restore."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lab.fleet import Lab
from lab.node import Node
from lab.product import Product
from lab.scene import Operator, set_scene
from lab.seed import seed_vhost, wrong_answers
from lab_engine.test_operator_killed import killed_at

from nsmig_tui.domain.fleet import RunRecord

pytestmark = pytest.mark.lab
DOMAIN = "shop.test"


def runs_of(node: Node) -> Callable[[Any], Awaitable[list[RunRecord]]]:
    """Work for ``Product.run``: the vhost's kept runs."""

    async def work(app: Any) -> list[RunRecord]:
        return app.store.runs(node.name, DOMAIN)

    return work


def test_nothing_left_half_done_is_said(node: Node, product: Product) -> None:
    """After a clean migration, and after a clean undo, resume refuses and changes nothing."""
    seed_vhost(node, DOMAIN)
    product.ready(node, DOMAIN)
    assert product.migrate(node, DOMAIN).ok
    after_migration = product.resume(node, DOMAIN)
    assert (after_migration.exit_code, after_migration.status) == (4, "migrated")
    assert product.rollback(node, DOMAIN).ok
    after_undo = product.resume(node, DOMAIN)
    assert (after_undo.exit_code, after_undo.status) == (4, "validated")


def test_the_journals_word_counts_when_the_database_lags(node: Node, product: Product) -> None:
    """The operator's machine died between the vnode's commit and its own note (reliability.md H06)."""
    seed_vhost(node, DOMAIN)
    product.ready(node, DOMAIN)
    went = product.migrate(node, DOMAIN)

    async def forget(app) -> None:
        vhost = app.store.vhost(node.name, DOMAIN)
        app.store.save_vhost(replace(vhost, status="validated", migrated_at=None))
        app.store.save_run(replace(app.store.run(went.run), outcome="running", finished=None))

    product.run(forget)
    settled = product.resume(node, DOMAIN)
    assert (settled.ok, settled.status, settled.backup_archive) == (True, "migrated", went.backup_archive)


def test_a_rollback_by_somebody_else_is_seen(node: Node, product: Product) -> None:
    """Discovery takes the vnode's word: neither the status nor the time of the migration stays."""
    seed_vhost(node, DOMAIN)
    product.ready(node, DOMAIN)
    assert product.migrate(node, DOMAIN).ok
    at = product.vhost(node, DOMAIN).migrated_at

    async def forget(app) -> None:
        app.store.save_vhost(replace(app.store.vhost(node.name, DOMAIN), status="migrated", migrated_at=at))

    assert product.rollback(node, DOMAIN).ok
    product.run(forget)
    product.discover(node)
    seen = product.vhost(node, DOMAIN)
    assert (str(seen.status), seen.migrated_at) == ("validated", None)


def test_discovery_keeps_why_a_vhost_is_not_validated(node: Node, product: Product) -> None:
    """What validation found is not forgotten by the next look."""
    seed_vhost(node, DOMAIN)
    product.discover(node)
    node.sh(f"chmod o+w /srv/{DOMAIN}")
    assert not product.validate(node, DOMAIN).ok
    product.discover(node)
    assert "everybody may write" in product.vhost(node, DOMAIN).last_error


def test_discovery_after_a_rollback_does_not_overrule_a_validation(node: Node, product: Product) -> None:
    """What was rolled back and then found unfit stays so; and a new database has validated nothing yet."""
    seed_vhost(node, DOMAIN)
    product.ready(node, DOMAIN)
    assert product.migrate(node, DOMAIN).ok and product.rollback(node, DOMAIN).status == "validated"
    other = Product(product.lab, product.place / "other")
    other.add(node)
    other.discover(node)
    assert str(other.vhost(node, DOMAIN).status) == "discovered"
    node.sh(f"chmod o+w /srv/{DOMAIN}")
    assert not product.validate(node, DOMAIN).ok
    product.discover(node)
    seen = product.vhost(node, DOMAIN)
    assert str(seen.status) == "discovered" and "everybody may write" in seen.last_error


def test_discovery_while_a_migration_runs(lab: Lab, node: Node, product: Product, tmp_path: Path) -> None:
    """Its operator is gone, it awaits its verdict: nobody is told that it stopped, nor offered to undo it."""
    seed_vhost(node, DOMAIN)
    product.ready(node, DOMAIN)
    killed_at(product, node, "backup_creation")
    other = Product(lab, tmp_path / "other")
    other.add(node)
    for who, status in ((product, "validated"), (other, "failed")):
        (result,) = who.discover(node)
        seen = who.vhost(node, DOMAIN)
        said = " ".join([*result.warnings, seen.last_error, seen.last_hint])
        assert (str(seen.status), "is running" in said, "--undo" in said) == (status, True, False), said
    assert product.resume(node, DOMAIN).status == "migrated"
    other.discover(node)
    seen = other.vhost(node, DOMAIN)
    assert (str(seen.status), seen.last_error) == ("migrated", "")


def test_a_record_that_was_lost(node: Node, product: Product) -> None:
    """The vhost stays migrated, nothing is touched without the record, and all works when it comes back."""
    vhost = seed_vhost(node, DOMAIN)
    product.ready(node, DOMAIN)
    went = product.migrate(node, DOMAIN)
    node.sh("mv /var/lib/nsmig /root/kept")
    product.discover(node)
    lost = product.vhost(node, DOMAIN)
    assert (str(lost.status), lost.rollback_available) == ("migrated", False)
    for archive in (None, went.backup_archive):
        result = product.rollback(node, DOMAIN, archive=archive)
        assert (result.exit_code, result.status) == (4, "migrated"), result
        assert f"/var/lib/nsmig/{DOMAIN}" in result.errors[0]
    assert wrong_answers(node, vhost) == []
    node.sh("rm -rf /var/lib/nsmig && mv /root/kept /var/lib/nsmig")
    product.discover(node)
    assert product.vhost(node, DOMAIN).rollback_available
    result = product.rollback(node, DOMAIN, archive=went.backup_archive)
    assert result.ok, result
    assert wrong_answers(node, vhost) == []


def test_undo_while_the_migration_runs(node: Node, product: Product) -> None:
    """Ctrl-C at work, then `resume --undo`: it ends in the old layout, and says so."""
    seed_vhost(node, DOMAIN)
    product.ready(node, DOMAIN)
    killed_at(product, node, "backup_creation")
    result = product.resume(node, DOMAIN, undo=True)
    assert (result.ok, result.status) == (True, "validated")
    assert (node.srv / DOMAIN / "web/page.html").is_file()
    assert [r.outcome for r in product.run(runs_of(node)) if r.verb == "migrate"] == ["ok"]


def test_a_restore_that_fails_before_its_switch_leaves_the_vhost_migrated(
    node: Node, product: Product
) -> None:
    """Checked, unpacked and compared before the migration is undone: nothing was touched, and it says so."""
    vhost = seed_vhost(node, DOMAIN)
    product.ready(node, DOMAIN)
    archive = product.migrate(node, DOMAIN).backup_archive
    failed = product.rollback(node, DOMAIN, archive=archive, fail_at="restore-unpacked")
    assert (failed.exit_code, failed.status) == (4, "migrated"), failed
    assert (node.srv / DOMAIN / "web/app/public/page.html").is_file()
    assert wrong_answers(node, vhost) == []
    assert not (node.srv / ".nsmig").exists()
    killed = product.rollback(node, DOMAIN, archive=archive, crash_at=2)
    assert killed.status == "failed"
    settled = product.resume(node, DOMAIN)
    assert (settled.ok, settled.status) == (True, "migrated"), settled
    assert not (node.srv / ".nsmig").exists()


@pytest.mark.parametrize("point", ["restore-carried", "restore-switched-web"])
def test_a_failed_restore_is_taken_back(node: Node, product: Product, point: str) -> None:
    """The restore that fails in its middle leaves the site as it was before the switch."""
    vhost = seed_vhost(node, DOMAIN)
    product.ready(node, DOMAIN)
    archive = product.migrate(node, DOMAIN).backup_archive
    (node.srv / DOMAIN / "web/app/public/page.html").write_text(f"edited page of {DOMAIN}\n")
    failed = product.rollback(node, DOMAIN, archive=archive, fail_at=point)
    assert (failed.exit_code, failed.steps_completed) == (5, ()), failed
    assert "the migration had been undone" in failed.hint
    assert (node.srv / DOMAIN / "web/page.html").read_text() == f"edited page of {DOMAIN}\n"
    assert wrong_answers(node, vhost) == []
    product.ready(node, DOMAIN)
    assert product.migrate(node, DOMAIN).ok


def test_a_killed_restore_is_taken_back_by_resume(
    node: Node, product: Product, capsys: pytest.CaptureFixture[str]
) -> None:
    """kill -9 at every point of a restore: the site answers, resume takes it back or finds it finished."""
    vhost = seed_vhost(node, DOMAIN)
    product.ready(node, DOMAIN)
    archive = product.migrate(node, DOMAIN).backup_archive
    assert product.rollback(node, DOMAIN).ok
    hit = 0
    for point in range(1, 60):
        ended = product.rollback(node, DOMAIN, archive=archive, crash_at=point)
        if ended.ok:
            break
        hit += 1
        assert wrong_answers(node, vhost) == [], point
        node.sh("systemctl reset-failed nginx php8.2-fpm; systemctl restart nginx php8.2-fpm")
        assert wrong_answers(node, vhost) == [], point
        settled = product.resume(node, DOMAIN)
        assert settled.ok, (point, settled)
        assert (node.srv / DOMAIN / "web/page.html").is_file(), point
        assert not (node.srv / ".nsmig").exists(), point
    with capsys.disabled():
        print(f"\nrestore: killed at {hit} points")
    assert hit > 10


def test_what_an_undo_puts_back_is_saved_by_the_run_that_goes_on(node: Node, product: Product) -> None:
    """The one before it was killed while it checked, when no configuration file was saved yet."""
    scene = set_scene(node, DOMAIN)
    product.ready(node, DOMAIN)
    product.migrate(node, DOMAIN, crash_at=1)
    node.sh(f"rm /var/lib/nsmig/{DOMAIN}/cur/conf/*.orig")
    assert product.resume(node, DOMAIN).ok
    assert product.rollback(node, DOMAIN).ok
    scene.is_as_before()


def test_a_migration_that_resume_finishes_keeps_the_archive_that_it_has(node: Node, product: Product) -> None:
    """The killed run made it, and the one that finishes says so."""
    seed_vhost(node, DOMAIN)
    product.ready(node, DOMAIN)
    product.migrate(node, DOMAIN, crash_at=25)
    (archive,) = (path.name for path in (node.srv / DOMAIN / ".archive").glob("pre-migration-*.tar.gz"))
    ended = product.resume(node, DOMAIN)
    assert (ended.ok, ended.status, ended.backup_archive) == (True, "migrated", archive), ended
    assert product.vhost(node, DOMAIN).backup_archive == archive
    kept = next(run for run in product.run(runs_of(node)) if run.run == ended.run)
    assert (kept.backup_archive, len(kept.archive_sha256)) == (archive, 64)
    assert product.rollback(node, DOMAIN).ok
    assert product.vhost(node, DOMAIN).rollback_available


def test_links_in_a_var_made_for_them_do_not_stop_a_resume(node: Node, product: Product) -> None:
    """The old var is in .archive by then, and what stands in its place is not put away beside it."""
    scene = set_scene(node, DOMAIN, shape="literal")

    async def work(app: Any) -> None:
        operator = Operator(app, scene)
        await operator.ready()
        went = await operator.migrate(compat="always")
        assert (await operator.rollback()).ok
        killed = await operator.migrate(compat="always", crash_at=operator.points(went.run) - 2)
        assert operator.died_at(killed.run) == "compat-var"
        resumed = await operator.resume()
        assert resumed.ok and resumed.status == "migrated", resumed
        scene.is_migrated()
        assert (scene.upath / "var/log").readlink() == Path("../web/log")
        assert (await operator.rollback()).ok
        scene.is_as_before()

    product.run(work)


def test_what_comes_to_old_places_does_not_make_a_migrated_vhost_failed(node: Node, product: Product) -> None:
    """A program makes its log folder again: still migrated for everybody; the undo keeps what is in it."""
    vhost = seed_vhost(node, DOMAIN)
    product.ready(node, DOMAIN)
    assert product.migrate(node, DOMAIN).ok
    node.sh(
        f"mkdir -p /srv/{DOMAIN}/var/log /srv/{DOMAIN}/var/run && echo kept >/srv/{DOMAIN}/var/log/cron.log"
    )
    other = Product(product.lab, product.place / "other")
    other.add(node)
    for who in (product, other):
        who.discover(node)
        assert str(who.vhost(node, DOMAIN).status) == "migrated"
    assert product.validate(node, DOMAIN).skipped and product.migrate(node, DOMAIN).skipped
    assert str(product.vhost(node, DOMAIN).status) == "migrated"
    assert product.rollback(node, DOMAIN).ok
    assert wrong_answers(node, vhost) == []
    found = node.sh(f"find /srv/{DOMAIN} -name cron.log -exec cat {{}} +").stdout
    assert found == "kept\n"


def test_both_layouts_at_once_are_not_validated(node: Node, product: Product) -> None:
    """What somebody moved by hand, `validate` names, with what to do; put back, the vhost can be migrated."""
    seed_vhost(node, DOMAIN)
    web = f"/srv/{DOMAIN}/web"
    entries = "-mindepth 1 -maxdepth 1"
    node.sh(f"cd {web} && mkdir -p app/public && find . {entries} ! -name app -exec mv -t app/public {{}} +")
    node.sh(f"cd {web} && mkdir log run && chown --reference=. app app/public log run")
    product.discover(node)
    judged = product.validate(node, DOMAIN)
    assert (judged.ok, judged.status) == (False, "discovered") and "both layouts" in judged.errors[0], judged
    assert "Rename" in judged.hint
    node.sh(f"cd {web} && find app/public {entries} -exec mv -t . {{}} + && rmdir app/public app log run")
    product.ready(node, DOMAIN)
    assert product.migrate(node, DOMAIN).ok
