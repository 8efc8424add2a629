"""A small made-up fleet with an engine that emits real events; the test holds the gates of its runs."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

from batch_world import BatchesHere

from nsmig_tui.domain import events as ev
from nsmig_tui.domain.batch_plan import FileSystem, Measured
from nsmig_tui.domain.errors import ConnectError, Refused
from nsmig_tui.domain.fleet import STEPS, Layout, Refusal, RunRecord, Status, Vhost, Vnode
from nsmig_tui.domain.layout import JournalView
from nsmig_tui.domain.options import RollbackPoint, Standing
from nsmig_tui.tui.fleet_model import brief_of

NOW = 1_790_000_000.0
GB = 1 << 30


class Clock:
    """Seconds since the epoch, as the test says."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


class FakeStore:
    """A FleetStore in memory."""

    def __init__(self):
        self.changed = False
        self._vnodes, self._vhosts, self._runs, self._logs, self._kept = {}, {}, {}, {}, {}

    def was_changed(self):
        changed, self.changed = self.changed, False
        return changed

    def is_free(self):
        return True

    def vnodes(self):
        return sorted(self._vnodes.values(), key=lambda vnode: vnode.name)

    def vnode(self, name):
        return self._vnodes.get(name)

    def save_vnode(self, vnode):
        self._vnodes[vnode.name] = vnode

    def remove_vnode(self, name):
        del self._vnodes[name]
        self._vhosts = {key: vhost for key, vhost in self._vhosts.items() if key[0] != name}

    def vhosts(self, vnode=None, status=None):
        found = [one for one in self._vhosts.values() if vnode in (None, one.vnode)]
        return [one for one in found if status in (None, one.status)]

    def vhost(self, vnode, domain):
        return self._vhosts.get((vnode, domain))

    def brief(self, after=("", ""), limit=5000):
        found = [brief_of(self._vhosts[key]) for key in sorted(self._vhosts) if key > after]
        return found[:limit]

    def refusals(self, limit=200):
        found = [one for _key, one in sorted(self._vhosts.items()) if one.status is Status.DISCOVERED]
        bad = [one for one in found if one.last_error and one.findings and not one.vanished]
        return [Refusal(one.vnode, one.domain, one.last_error) for one in bad][:limit]

    def save_vhost(self, vhost):
        self._vhosts[vhost.vnode, vhost.domain] = vhost

    def save_vhosts(self, vhosts):
        for vhost in vhosts:
            self.save_vhost(vhost)

    def save_run(self, record):
        self._runs[record.run] = record

    def run(self, run):
        return self._runs.get(run)

    def runs(self, vnode=None, vhost=None, limit=200):
        found = [
            one for one in self._runs.values() if vnode in (None, one.vnode) and vhost in (None, one.vhost)
        ]
        return sorted(found, key=lambda one: -one.started)[:limit]

    def unfinished(self):
        return [one for one in self._runs.values() if one.outcome in ("running", "interrupted")]

    def log(self, run, at, line):
        self._logs.setdefault(run, []).append((at, line))

    def log_lines(self, run):
        return self._logs.get(run, [])

    def put(self, key, value):
        self._kept[key] = value

    def get(self, key):
        return self._kept.get(key)

    def close(self):
        pass


class FakeEngine:
    """Runs stop at every step until the test opens the gate, unless ``free`` is set."""

    def __init__(self, store, clock=lambda: NOW):
        self.store, self.clock = store, clock
        self.free, self.gates, self.calls, self.refuses, self.fails = True, {}, [], {}, {}
        self.point_list, self.stands = points(), {}

    def hold(self):
        self.free = False

    def release(self, domain):
        self.gates.setdefault(domain, asyncio.Event()).set()

    async def _gate(self, domain):
        if self.free:
            await asyncio.sleep(0)
        else:
            await self.gates.setdefault(domain, asyncio.Event()).wait()

    async def check(self, vnode):
        self.calls.append(("check", vnode))
        self._maybe_refuse(vnode)
        return {"ok": True, "os": "Debian 12", "manager": "systemd", "user": "root"}

    async def discover(self, vnode, emit):
        self.calls.append(("discover", vnode))
        emit(ev.RunStarted(vnode, verb="discover"))
        await self._gate(vnode)
        self._maybe_refuse(vnode)
        known = self.store.vnode(vnode)
        self.store.save_vnode(replace(known, last_contact=self.clock(), unreachable=""))
        fresh = Vhost(vnode, f"new.{vnode}.example", Status.DISCOVERED, Layout.NS1, details={"size": 1 << 20})
        self.store.save_vhost(fresh)
        emit(ev.Found(vnode, fresh.domain, status="discovered", layout="ns1"))
        result = ev.Result(vnode, fresh.domain, ok=True, status="discovered")
        emit(result)
        return [result]

    async def validate(self, vnode, domain, emit):
        self.calls.append(("validate", domain))
        emit(ev.RunStarted(vnode, domain, verb="validate"))
        await self._gate(domain)
        host = replace(self.store.vhost(vnode, domain), status=Status.VALIDATED, validated_at=self.clock())
        self.store.save_vhost(host)
        return self._end(emit, ev.Result(vnode, domain, ok=True, status="validated"))

    async def plan_migrate(self, vnode, domain, options):
        self.calls.append(("plan", domain))
        self._maybe_refuse(domain)
        return migrate_plan(vnode, domain)

    async def migrate(self, vnode, domain, options, emit):
        self.calls.append(("migrate", domain, options))
        return await self._walk("migrate", vnode, domain, emit, Status.MIGRATED)

    async def measure(self, vnode, domains):
        self.calls.append(("measure", vnode, tuple(domains)))
        if vnode in self.refuses:
            return Measured(problem=self.refuses[vnode].message, hint=self.refuses[vnode].hint)
        sizes = {name: ("/dev/sda1", self.store.vhost(vnode, name).details["size"]) for name in domains}
        return Measured(sizes, {"/dev/sda1": FileSystem("/dev/sda1", 400 * GB, 26_000_000)})

    async def take_up(self, vnode, domain, options, emit):
        self.calls.append(("take_up", domain))
        if self.store.vhost(vnode, domain).status is Status.MIGRATED:
            return ev.Result(vnode, domain, ok=True, status="migrated", skipped=True)
        return await self._walk("migrate", vnode, domain, emit, Status.MIGRATED)

    async def points(self, vnode, domain):
        self.calls.append(("points", domain))
        self._maybe_refuse(domain)
        return self.point_list

    async def plan_rollback(self, vnode, domain, options):
        self.calls.append(("plan_rollback", domain, options.archive))
        return rollback_plan(vnode, domain, options.archive)

    async def rollback(self, vnode, domain, options, emit):
        self.calls.append(("rollback", domain, options))
        return await self._walk("undo", vnode, domain, emit, Status.VALIDATED)

    async def resume(self, vnode, domain, emit, *, undo=False):
        self.calls.append(("resume", domain, undo))
        return await self._walk("resume", vnode, domain, emit, Status.VALIDATED if undo else Status.MIGRATED)

    async def standing(self, vnode, domain, *, undo=False):
        self.calls.append(("standing", domain, undo))
        self._maybe_refuse(domain)
        if domain in self.stands:
            return self.stands[domain]
        left = any(one.vhost == domain for one in self.store.unfinished())
        if not left and self.store.vhost(vnode, domain).status is not Status.FAILED:
            return Standing("", JournalView())
        steps, began = STEPS[:2], self.clock() - 300
        journal = JournalView("running", "r9", "migrate", "marc@ops1", steps, STEPS[2], started=began)
        return Standing("undo" if undo else "finish", journal)

    async def _walk(self, verb, vnode, domain, emit, status):
        run = f"{verb}-{domain}-{len(self.calls)}"
        emit(ev.RunStarted(vnode, domain, run, verb=verb))
        size = self.store.vhost(vnode, domain).details.get("size", 0)
        for step in STEPS:
            emit(ev.StepStarted(vnode, domain, run, step=step))
            if step == "backup_creation":
                emit(ev.StepProgressed(vnode, domain, run, step=step, done=size * 58 // 100, total=size))
                emit(ev.LogLine(vnode, domain, run, f"writing the archive of {domain}"))
                await self._gate(domain)
            if step == self.fails.get(domain):
                return self._fail(verb, vnode, domain, emit, run, step)
            emit(ev.StepFinished(vnode, domain, run, step=step, seconds=1.0))
        host = self.store.vhost(vnode, domain)
        self.store.save_vhost(replace(host, status=status, rollback_available=status is Status.MIGRATED))
        self._record(run, verb, vnode, domain, "ok")
        done = ev.Result(vnode, domain, run, ok=True, status=status.value, steps_completed=STEPS)
        return self._end(emit, done)

    def _fail(self, verb, vnode, domain, emit, run, step):
        emit(
            ev.StepFailed(
                vnode, domain, run, step=step, message="nginx -t failed: [emerg] bad [/x]", hint="Mend it."
            )
        )
        host = self.store.vhost(vnode, domain)
        self.store.save_vhost(
            replace(host, status=Status.FAILED, last_error="nginx -t failed", last_hint="Mend it.")
        )
        self._record(run, verb, vnode, domain, "undone")
        errors = ("nginx -t failed: [emerg] bad [/x]",)
        return self._end(
            emit, ev.Result(vnode, domain, run, ok=False, status="failed", errors=errors, exit_code=5)
        )

    def _record(self, run, verb, vnode, domain, outcome):
        self.store.save_run(
            RunRecord(run, verb, vnode, domain, "marc", self.clock(), self.clock() + 7, outcome)
        )
        self.store.log(run, self.clock(), f"{verb} of {domain}: {outcome}")

    def _end(self, emit, result):
        emit(result)
        return result

    def _maybe_refuse(self, name):
        if name in self.refuses:
            raise self.refuses[name]


def points():
    """Three archives: verified, damaged, unknown."""
    path = "/srv/shop.example.org/.archive/"
    ages = ((3600.0, True, 18_204), (86400.0 * 9, False, 18_190), (86400.0 * 40, None, None))
    stamps = ("20260921-131320", "20260912-141320", "20260812-141320")
    return [
        RollbackPoint(
            f"pre-migration-{stamp}.tar.gz",
            f"{path}pre-migration-{stamp}.tar.gz",
            NOW - age,
            2 * GB,
            ok,
            count,
        )
        for stamp, (age, ok, count) in zip(stamps, ages, strict=True)
    ]


DIFF = """--- /etc/nginx/sites-available/shop.example.org
+++ /etc/nginx/sites-available/shop.example.org
@@ -3,6 +3,6 @@
     server_name shop.example.org www.shop.example.org;
-    root /srv/shop.example.org/web;
-    access_log /srv/shop.example.org/var/log/access.log;
+    root /srv/shop.example.org/web/app/public;
+    access_log /srv/shop.example.org/web/log/access.log;
     index index.php;"""

BEFORE = (
    ".ssh/",
    "bin/",
    "etc/",
    "msg/",
    "var/",
    "  log/",
    "  run/",
    "  tmp/",
    "web/        1.9 GiB, 18,204 entries",
)
AFTER = (
    ".archive/",
    "  legacy-20260921-141320/",
    "msg/",
    "web/",
    "  app/",
    "    public/  1.9 GiB, 18,204 entries",
    "  log/",
    "  run/",
)


def migrate_plan(vnode, domain):
    """What a dry run says."""
    changes = {
        "pre_flight_checks": [],
        "backup_creation": [
            {"what": "write", "to": f"/srv/{domain}/.archive/pre-migration-20260921-141320.tar.gz"}
        ],
        "structural_migration": [
            {"what": "move", "from": "web", "to": "web/app/public"},
            {"what": "move", "from": "var/log/*", "to": "web/log"},
            {"what": "move", "from": ".ssh bin etc var", "to": ".archive/legacy-20260921-141320"},
        ],
        "permissions_update": [{"what": "mode", "to": "web", "from": "0750", "mode": "0755 shop:www-data"}],
        "configuration_update": [
            {"what": "edit", "to": f"/etc/nginx/sites-available/{domain}", "diff": DIFF}
        ],
        "service_reload": [{"what": "reload nginx, php8.2-fpm"}],
        "verification": [],
    }
    return ev.Planned(
        vnode,
        domain,
        verb="migrate",
        steps=tuple({"name": name, "changes": changes[name]} for name in STEPS),
        sizes={"allocated": 2 * GB, "free": 41 * GB, "entries": 18_204},
        expected_s=96.0,
        tree_before=BEFORE,
        tree_after=AFTER,
        warnings=("2 application files name /srv/shop.example.org/web: links stay for them.",),
    )


def rollback_plan(vnode, domain, archive):
    """What would change against today."""
    changes = [
        {"what": "new since, carried over", "to": "web/uploads/2026/09/poster.jpg"},
        {"what": "changed since, kept under replaced-…", "to": "web/config.php"},
        {"what": "gone since, comes back", "to": "web/old.html"},
    ]
    steps = ({"name": "compare with today", "changes": changes if archive else []},)
    steps += ({"name": "switch", "changes": [{"what": "move", "from": "web/app/public", "to": "web"}]},)
    return ev.Planned(vnode, domain, verb="restore" if archive else "undo", steps=steps, expected_s=12.0)


FINDINGS = (
    {
        "severity": "error",
        "category": "configuration_files",
        "message": "The pool listens where the site does not ask.",
        "expected": "/srv/blog.example.org/var/run/fpm.sock",
        "actual": "/run/php/blog.sock",
        "hint": "Make fastcgi_pass and listen name one socket, then validate again.",
    },
    {
        "severity": "warning",
        "category": "security",
        "message": "setuid file in web/: tools/backup",
        "expected": "",
        "actual": "",
        "hint": "Look whether it is needed; it is kept as it is.",
    },
    {"severity": "passed", "category": "security", "message": "No structural path is a link."},
    {"severity": "passed", "category": "service_health", "message": "nginx and php-fpm run."},
    {"severity": "passed", "category": "user_and_permissions", "message": "Account blog (uid 1008) exists."},
)


def fleet():
    """A store with three vsites, five vnodes and some vhosts in every status."""
    store = FakeStore()
    facts = {
        "os": "Debian 12",
        "kernel": "6.1.0",
        "manager": "systemd",
        "tools": ["flock", "nginx", "perl", "pigz", "setfacl"],
        "exchange": "perl",
        "tar": "gnu",
        "disk_kb": 400 << 20,
        "avail_kb": 48 << 20,
        "inodes_free": 26_104_331,
    }
    for name, site, production, lost in (
        ("vn1.example.net", "sydney", True, ""),
        ("vn2.example.net", "sydney", True, ""),
        ("vn7.example.net", "testlab", False, ""),
        ("vn8.example.net", "testlab", False, "connection timed out"),
        ("edge1.example.net", "vienna", True, ""),
    ):
        contact = None if lost else NOW - 130.0
        store.save_vnode(
            Vnode(
                name,
                site,
                production=production,
                facts=facts if not lost else {},
                last_contact=contact,
                unreachable=lost,
            )
        )
    rows = (
        ("vn1.example.net", "shop.example.org", Status.VALIDATED, 2.1),
        ("vn1.example.net", "blog.example.org", Status.DISCOVERED, 0.31),
        ("vn1.example.net", "forum.example.org", Status.FAILED, 0.9),
        ("vn1.example.net", "www.example.org", Status.MIGRATED, 0.04),
        ("vn1.example.net", "wiki.example.org", Status.VALIDATED, 0.4),
        ("vn2.example.net", "mail.example.com", Status.NATIVE, 0.1),
        ("vn2.example.net", "cloud.example.com", Status.VALIDATED, 31.0),
        ("vn7.example.net", "test.example.net", Status.DISCOVERED, 0.02),
        ("edge1.example.net", "wien.example.at", Status.MIGRATED, 1.2),
    )
    for vnode, domain, status, gigabytes in rows:
        store.save_vhost(_vhost(vnode, domain, status, gigabytes))
    _history(store)
    return store


def _vhost(vnode, domain, status, gigabytes):
    old = status in (Status.DISCOVERED, Status.VALIDATED, Status.FAILED)
    details = {
        "size": int(gigabytes * GB),
        "php": "/etc/php/8.2/fpm/php-fpm.conf",
        "names": [domain, f"www.{domain}"],
        "entries": 18_204,
        "document_root": f"/srv/{domain}/web{'' if old else '/app/public'}",
        "site_files": [f"/etc/nginx/sites-enabled/{domain}"],
        "pool_files": [f"/etc/php/8.2/fpm/pool.d/{domain}.conf"],
    }
    failed, migrated = status is Status.FAILED, status is Status.MIGRATED
    errors = {
        Status.FAILED: ("nginx -t failed: unknown directive", "Mend the site file."),
        Status.DISCOVERED: (FINDINGS[0]["message"], FINDINGS[0]["hint"]),
    }
    return Vhost(
        vnode,
        domain,
        status,
        Layout.NS1 if old else Layout.NS3,
        uuser=domain.split(".")[0],
        uid=1008,
        gid=33,
        rollback_available=migrated,
        migration_attempts=int(failed or migrated),
        migrated_at=NOW - 3600 if migrated else None,
        validated_at=NOW - 7200 if status is not Status.NATIVE else None,
        backup_archive=f"/srv/{domain}/.archive/pre-migration-20260921-131320.tar.gz" if migrated else None,
        last_error=errors.get(status, ("", ""))[0],
        last_hint=errors.get(status, ("", ""))[1],
        steps_completed=STEPS if migrated else (),
        details=details,
        findings=FINDINGS,
    )


def _history(store):
    kept = (
        ("r1", "migrate", "vn1.example.net", "www.example.org", 3700, 44, "ok"),
        ("r2", "migrate", "vn1.example.net", "forum.example.org", 5400, 12, "undone"),
        ("r3", "migrate", "edge1.example.net", "wien.example.at", 90000, 81, "ok"),
        ("r4", "undo", "vn1.example.net", "www.example.org", 180000, 5, "ok"),
    )
    for run, verb, vnode, vhost, age, took, outcome in kept:
        began = NOW - age
        store.save_run(RunRecord(run, verb, vnode, vhost, "marc@ops1", began, began + took, outcome))
        store.log(run, began, f"{verb} begins")
        store.log(
            run,
            began + took,
            "warning: two files changed while read" if outcome == "ok" else "nginx -t failed",
        )


def parts(store=None, data_dir=None):
    """What the application takes: a store, an engine, and batches where there is a place for them."""
    store, clock = store or fleet(), Clock()
    made = SimpleNamespace(store=store, clock=clock, engine=FakeEngine(store, clock))
    if data_dir is not None:
        made.batches = BatchesHere(data_dir, made)
    return made


UNREACHABLE = ConnectError("vn8 did not answer.", hint="Is it up?")
REFUSED = Refused("Not enough space on /srv.", hint="Free 3 GB.")
