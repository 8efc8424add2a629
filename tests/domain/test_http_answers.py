"""What a site is asked over HTTP, and which differences count."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vhost_facts import HEALTHY, nginx_config, seen, serving

from nsmig_tui.domain.http_answers import (
    HIDDEN,
    MAX_PAGES,
    baseline_from,
    baseline_of,
    difference,
    enough,
    neighbour_requests,
    requests_for,
)
from nsmig_tui.domain.ports import HttpAnswer, HttpRequest

HTML = {"content-type": "text/html", "date": "now", "set-cookie": "x"}
REQUEST = HttpRequest("a.test", "/")


def answer(body=b"hello", status=200, **headers):
    return HttpAnswer(status, HTML | {k.replace("_", "-"): v for k, v in headers.items()}, body)


@pytest.mark.parametrize(
    "samples, now, word",
    [
        ([answer()], answer(), ""),
        ([answer()], answer(date="later", set_cookie="y"), ""),
        ([answer()], answer(status=404), "answered 200 before and 404 now"),
        ([answer()], HttpAnswer(0, error="refused"), "answered 200 before and refused now"),
        ([answer()], HttpAnswer(0), "answered 200 before and nothing now"),
        ([answer(status=404)], answer(), "answered 404 before and 200 now"),
        ([answer(status=502)], answer(status=502), ""),
        ([HttpAnswer(0, error="refused")], answer(), ""),
        ([answer()], answer(b"other"), "another body"),
        ([answer()], answer(content_type="text/plain"), "another content-type"),
        ([answer(location="/a")], answer(location="/b"), "another location now: /b"),
        ([answer(location="/a")], answer(), "another location"),
        ([answer(status=401, www_authenticate="Basic")], answer(status=401), "another www-authenticate"),
        ([answer(b"1"), answer(b"2")], answer(b"3"), ""),
        ([answer(b"<title>A</title>1"), answer(b"<title>A</title>2")], answer(b"<TITLE >A</TITLE>3"), ""),
        (
            [answer(b"<title>A</title>1"), answer(b"<title>A</title>2")],
            answer(b"<title>B</title>"),
            "another title",
        ),
        (
            [answer(b"<title>A</title>1"), answer(b"2<title>A</title>")],
            answer(b"Fatal error"),
            "another title",
        ),
    ],
)
def test_difference(samples, now, word):
    found = difference(baseline_of(REQUEST, samples), now)
    assert (word in found and found.startswith("http://a.test/ ")) if word else found == ""


@pytest.mark.parametrize(
    "samples, said",
    [
        ([answer(content_length="5")], False),
        ([answer(content_length="5")] * 2, True),
        ([answer()] * 2, False),
        ([answer(content_length="5", x_powered_by="PHP")] * 2, False),
        ([answer(content_length="5", transfer_encoding="chunked")] * 2, False),
        ([answer(b"1"), answer(b"2")], True),
        ([HttpAnswer(0), HttpAnswer(0)], False),
    ],
)
def test_enough_samples(samples, said):
    samples = [replace(a, headers={k: v for k, v in a.headers.items() if k != "set-cookie"}) for a in samples]
    assert enough(samples) is said


@given(st.binary(max_size=200), st.integers(0, 599), st.booleans())
def test_a_baseline_survives_its_record(body, status, tls):
    was = baseline_of(replace(REQUEST, tls=tls), [answer(body, status)])
    assert baseline_from(json.loads(json.dumps(was.as_json()))) == was
    assert difference(was, answer(body, status)) == ""


NAMES = st.lists(
    st.text(st.characters(codec="utf-8"), max_size=12)
    | st.sampled_from(
        ["install.php", "x.PHP", "cron.php5", "up.phtml", "info.php.txt", "a.css", ".env", "-x.js"]
    )
    | st.from_regex(r"[a-z]{1,4}\.(php|phar|html|txt|php\.txt|PHP\.html)", fullmatch=True),
    max_size=20,
)
SERVED = serving(HEALTHY)


@given(NAMES)
def test_no_script_is_asked_by_name(entries):
    paths = [r.path for r in requests_for(SERVED, entries)]
    assert paths[0] == "/"
    assert not [p for p in paths if ".ph" in p.lower()]
    assert all(
        p.isascii() and p.isprintable() and " " not in p and "%" not in p and "?" not in p for p in paths
    )
    own = set(paths) - {"/"} - set(HIDDEN)
    assert len(own) <= MAX_PAGES and {p[1:] for p in own} <= set(entries)


def test_hidden_places_are_asked_for_at_every_door():
    site = b"""server { listen 80; listen 127.0.0.2:8080; listen 443 ssl; listen unix:/run/x;
      server_name a.test www.a.test *.a.test; include common.conf; }"""
    asked = requests_for(serving(seen(nginx=nginx_config(site))), ["index.html"])
    doors = {(r.address, r.port, r.tls) for r in asked}
    assert doors == {("127.0.0.1", 80, False), ("127.0.0.2", 8080, False), ("127.0.0.1", 443, True)}
    for door in doors:
        paths = {r.path for r in asked if (r.address, r.port, r.tls) == door and r.host == "a.test"}
        assert paths == {"/", "/index.html", *HIDDEN}
    assert {r.host for r in asked} == {"a.test", "www.a.test"}
    assert {"/log/", "/run/", "/.archive/"} <= set(HIDDEN)


def test_neighbours_are_asked_for_their_front_page_only():
    assert neighbour_requests(serving(HEALTHY)) == [HttpRequest("b.test")]
