"""The walk of `nsmig demo --run`: the real product, on servers that are real enough, start to end."""

from __future__ import annotations

import asyncio

from nsmig_tui.demo.run import Tour, run_demo
from nsmig_tui.demo.seed import SECRET
from nsmig_tui.domain.fleet import STEPS


async def test_everything_is_discovered_migrated_and_one_is_rolled_back():
    lines: list[str] = []
    code = await run_demo(lines.append, vnodes=2, vhosts_per_vnode=4)
    told = "\n".join(lines)
    assert code == 0, told
    assert "NOT AS EXPECTED" not in told and SECRET not in told
    for step in STEPS:
        assert told.count(f": {step} (") == 8
    assert "every page of every site answers as before" in told
    assert "is validated again" in told and "not imported" in told and "critical" in told
    assert told.endswith("The servers and their files are gone again.")


async def test_what_is_not_as_expected_is_told_and_answers_one(monkeypatch):
    async def walk(self):
        place = self.world.directory / "operator"
        place.mkdir(exist_ok=True)
        (place / "notes").write_text(f"DPASS={SECRET}")
        await self.discover()
        await self.validate()
        site = next(site for site in self.world.sites if site.migrates)
        page = self.world.root(site.vnode) / "srv" / site.domain / "web/style.css"
        await asyncio.to_thread(page.unlink)
        self.before = {site.domain: await self.pages(site) for site in self.world.sites}
        self.check_secret()

    monkeypatch.setattr(Tour, "walk", walk)
    lines: list[str] = []
    assert await run_demo(lines.append, vnodes=1, vhosts_per_vnode=1) == 1
    told = [line for line in lines if line.startswith("NOT AS EXPECTED")]
    assert any("style.css answers 404" in line for line in told)
    assert any("notes holds a secret" in line for line in told)
    assert len(told) == 2 and "2 thing(s) wrong" in lines[-1]
