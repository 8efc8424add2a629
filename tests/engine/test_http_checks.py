"""Baselines are taken several times; a difference counts only when it stays."""

import pytest

from nsmig_tui.domain.ports import HttpAnswer, HttpRequest
from nsmig_tui.engine import http_checks
from nsmig_tui.engine.http_checks import LONG_PAUSE, SAMPLES, differences, take_baseline

PATHS = ["/", "/a", "/b"]
REQUESTS = [HttpRequest("a.test", path) for path in PATHS]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    real = http_checks.asyncio.sleep

    async def at_once(_seconds):
        await real(0)

    monkeypatch.setattr(http_checks.asyncio, "sleep", at_once)


class Site:
    """Answers by a function of (path, how many times it was asked for before)."""

    def __init__(self, says):
        self.says, self.asked = says, []

    async def http_all(self, requests, *, timeout=10.0):
        await http_checks.asyncio.sleep(0)
        found = []
        for request in requests:
            before = self.asked.count(request.path)
            self.asked.append(request.path)
            found.append(self.says(request.path, before))
        return found


def steady(path, _before):
    return HttpAnswer(200, {"content-type": "text/html"}, path.encode())


async def test_what_changes_by_itself_is_known():
    site = Site(lambda path, n: HttpAnswer(200, {}, b"%d" % n if path == "/a" else b"same"))
    baseline = await take_baseline(site, REQUESTS)
    assert [b.stable for b in baseline] == [True, False, True]
    assert [site.asked.count(path) for path in PATHS] == [SAMPLES] * 3


async def test_two_samples_of_all_are_one_visit():
    visits = []

    class Counted(Site):
        async def http_all(self, requests, *, timeout=10.0):
            visits.append([r.path for r in requests])
            return await super().http_all(requests, timeout=timeout)

    site = Counted(lambda path, _n: HttpAnswer(200, {"x-powered-by": "PHP"}, b"same"))
    await take_baseline(site, REQUESTS)
    assert visits == [PATHS * 2]


@pytest.mark.parametrize("bad_until, status", [(1, 200), (2, 200), (3, 200), (99, 502)])
async def test_a_service_that_reloads_just_now_is_given_time(bad_until, status):
    site = Site(lambda path, n: HttpAnswer(502) if n < bad_until else steady(path, n))
    assert [b.status for b in await take_baseline(site, REQUESTS)] == [status] * 3


@pytest.mark.parametrize("bad_until, found, rounds", [(0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 1, 3), (99, 1, 3)])
async def test_a_difference_counts_when_it_stays(bad_until, found, rounds):
    baseline = await take_baseline(Site(steady), REQUESTS)

    def says(path, before):
        if path == "/a" and before < bad_until:
            return HttpAnswer(502)
        return steady(path, before)

    site = Site(says)
    why = (await differences(site, baseline)).wrong
    assert len(why) == found and all("/a answered 200 before and 502 now" in w for w in why)
    assert site.asked.count("/a") == rounds and site.asked.count("/") == 1


async def test_nothing_to_ask_is_no_difference():
    assert (await differences(Site(steady), [])).wrong == ()


async def test_the_last_look_comes_after_the_next_second(monkeypatch):
    """A file's text that shows the time changes between two looks; what is broken does not."""
    now = 0.0

    async def pass_by(seconds):
        nonlocal now
        now += seconds

    monkeypatch.setattr(http_checks.asyncio, "sleep", pass_by)
    words = ["tea", "coffee", "cocoa"]

    def clock(_path, _before):
        body = words[int(now + 0.5) % 3].encode()
        return HttpAnswer(200, {"content-length": str(len(body))}, body)

    site = Site(clock)
    baseline = await take_baseline(site, REQUESTS[:1])
    assert baseline[0].stable, "all samples are of one second"
    now = 1.0
    assert (await differences(site, baseline)).wrong == ()
    assert LONG_PAUSE > 1
    broken = Site(lambda _path, _n: HttpAnswer(200, {"content-length": "3"}, b"mud"))
    assert "another body" in (await differences(broken, baseline)).wrong[0]


async def test_a_page_with_other_news_is_told_and_not_wrong():
    body = b"<title>a</title>" + b"words of every day, " * 30
    baseline = await take_baseline(Site(lambda _p, _n: HttpAnswer(200, {}, body)), REQUESTS[:1])
    looked = await differences(Site(lambda _p, _n: HttpAnswer(200, {}, body + b"news")), baseline)
    assert looked.wrong == () and "has another text than before" in looked.remarks[0]
