"""What a site is asked over HTTP, at which doors, and when nobody has seen a page of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vhost_facts import HEALTHY, fpm_config, nginx_config, seen, serving

from nsmig_tui.domain.http_answers import baseline_of
from nsmig_tui.domain.http_questions import (
    HIDDEN,
    MAX_PAGES,
    MAX_QUESTIONS,
    MISSING,
    NO_SCRIPT,
    NOBODY,
    blind_spots,
    further_requests,
    live_strays,
    neighbour_requests,
    requests_for,
    stray_requests,
    unseen,
)
from nsmig_tui.domain.ports import HttpAnswer, HttpRequest

NAMES = st.lists(
    st.text(st.characters(codec="utf-8"), max_size=12)
    | st.sampled_from(
        ["install.php", "x.PHP", "cron.php5", "up.phtml", "info.php.txt", "a.css", ".env", "-x.js"]
    )
    | st.from_regex(r"[a-z]{1,4}\.(php|phar|html|txt|php\.txt|PHP\.html)", fullmatch=True),
    max_size=20,
)
SERVED = serving(HEALTHY)
WHOLE = {"/", "/index.html", *HIDDEN}
ROOT = "root /srv/a.test/web;"


@given(NAMES)
def test_no_script_of_the_site_is_asked_by_name(entries):
    paths = [r.path for r in requests_for(SERVED, entries) if r.path != NO_SCRIPT]
    assert paths[0] == "/"
    assert not [p for p in paths if ".ph" in p.lower()]
    assert all(
        p.isascii() and p.isprintable() and " " not in p and "%" not in p and "?" not in p for p in paths
    )
    own = set(paths) - {"/"} - set(HIDDEN)
    assert len(own) <= MAX_PAGES and {p[1:] for p in own} <= set(entries)


def served(text, b_site=b"server { server_name b.test; }"):
    """A site without PHP that nginx serves like this."""
    return serving(seen(nginx=nginx_config(text.encode(), b_site), fpm=(fpm_config(None),)))


def asked(text, entries=("index.html", "z.css"), **more):
    """(host, address, port) -> paths."""
    found = {}
    for r in requests_for(served(text, **more), entries):
        found.setdefault((r.host, r.address, r.port), set()).add(r.path)
        assert r.tls is (r.port == 443)
    return found


def test_all_is_asked_of_a_block_and_a_page_at_each_of_its_doors():
    found = asked(
        "server { listen 80; listen 127.0.0.2:8080; listen [::]:80; listen 443 ssl; listen unix:/run/x;"
        f" server_name a.test www.a.test *.a.test; {ROOT} }}",
        ["index.html"],
    )
    assert found == {
        ("a.test", "127.0.0.1", 80): WHOLE,
        ("a.test", "127.0.0.1", 443): WHOLE,
        ("a.test", "127.0.0.2", 8080): {"/index.html"},
        ("a.test", "::1", 80): {"/index.html"},
        ("www.a.test", "127.0.0.1", 80): {"/", "/index.html"},
        ("www.a.test", "127.0.0.1", 443): {"/", "/index.html"},
    }
    assert {"/log/", "/run/", "/.archive/"} <= set(HIDDEN)


def test_the_pages_are_asked_for_where_they_are_and_not_where_a_redirect_is():
    found = asked(
        "server { listen 80; server_name a.test www.a.test; return 301 https://www.a.test$request_uri; }"
        "server { listen 443 ssl; server_name a.test; return 301 https://www.a.test$request_uri; }"
        f"server {{ listen 443 ssl; server_name www.a.test; {ROOT} }}"
    )
    assert found[("www.a.test", "127.0.0.1", 443)] == WHOLE | {"/z.css"}
    for door in (("a.test", "127.0.0.1", 80), ("www.a.test", "127.0.0.1", 80), ("a.test", "127.0.0.1", 443)):
        assert found.pop(door) == {"/"}
    assert len(found) == 1


def test_an_ipv6_only_listen_is_asked_over_ipv6():
    found = asked(f"server {{ listen [::]:80 ipv6only=on; server_name a.test; {ROOT} }}")
    assert found == {("a.test", "::1", 80): WHOLE | {"/z.css"}}


def test_where_a_condition_may_send_a_name_away_every_name_is_asked_for_all():
    found = asked(
        "server { listen 80; server_name a.test www.a.test;"
        f" if ($host = a.test) {{ return 301 http://www.a.test/; }} {ROOT} }}"
    )
    assert found[("a.test", "127.0.0.1", 80)] == found[("www.a.test", "127.0.0.1", 80)] == WHOLE | {"/z.css"}


@pytest.mark.parametrize(
    "other, address",
    [
        ("server { listen 80; server_name b.test; }", "127.0.0.1"),
        ("server { listen 127.0.0.1:80; server_name status; }", "127.0.0.2"),
        ("server { listen 127.0.0.1:80; listen 127.0.0.2:80; server_name status; }", "127.0.0.3"),
        ("server { listen localhost:80; server_name status; }", "127.0.0.2"),
    ],
)
def test_no_question_goes_to_an_address_that_another_block_has_for_itself(other, address):
    found = asked(f"server {{ listen 80; server_name a.test; {ROOT} }}", b_site=other.encode())
    assert set(found) == {("a.test", address, 80)}


def test_a_name_that_another_block_answers_for_is_not_asked():
    found = asked(
        f"server {{ listen 80; server_name a.test *.a.test; {ROOT} }}",
        b_site=b"server { listen 80; server_name www.a.test; return 301 http://elsewhere/; }",
    )
    assert [host for host, _, _ in found if host == "a.test"] == ["a.test"]


@pytest.mark.parametrize(
    "other, ours",
    [
        ("server { listen 80; server_name *.test; }", True),
        ("server { listen 80; server_name ~^www; }", True),
        ("server { listen 80 default_server; server_name other; }", True),
        ("server { listen 80; server_name .www.a.test; }", False),
    ],
)
def test_a_name_that_only_a_pattern_of_ours_fits_is_asked_where_nginx_chooses_it(other, ours):
    site = f"server {{ listen 80; server_name a.test; {ROOT} }}"
    found = asked(site + f"server {{ listen 80; server_name *.a.test; {ROOT} }}", b_site=other.encode())
    assert (("www.a.test", "127.0.0.1", 80) in found) is ours


def test_questions_are_bounded_and_no_door_is_left_out():
    names = " ".join(f"n{number}.a.test" for number in range(40))
    listens = "".join(f"listen 127.0.0.1:{8000 + n};" for n in range(12))
    text = f"server {{ listen 80; listen 443 ssl; {listens} server_name a.test {names}; {ROOT} }}"
    found = requests_for(served(text), [f"p{n}.html" for n in range(30)])
    assert len(found) == MAX_QUESTIONS
    assert len({r.port for r in found}) == 14 and len(set(found)) == len(found)


def test_whether_php_is_reached_is_asked_where_there_is_php():
    assert [r.path for r in requests_for(SERVED, ())].count(NO_SCRIPT) == 1
    assert NO_SCRIPT not in [r.path for r in requests_for(served("server { server_name a.test; }"), ())]


def test_neighbours_are_asked_for_their_front_page_only():
    assert neighbour_requests(SERVED) == [HttpRequest("b.test")]


@pytest.mark.parametrize(
    "b_site, request_",
    [
        (
            b"server { listen 80; server_name b.test; return 301 https://b.test/; }"
            b"server { listen 443 ssl; server_name b.test; root /srv/b.test/web; }",
            HttpRequest("b.test", port=443, tls=True),
        ),
        (b"server { listen [::]:80; server_name b.test; }", HttpRequest("b.test", address="::1")),
        (b"server { listen unix:/run/b; server_name b.test; }", HttpRequest("b.test")),
    ],
)
def test_a_neighbour_is_asked_where_it_is_served(b_site, request_):
    assert neighbour_requests(served("server { server_name a.test; }", b_site)) == [request_]


def test_a_neighbour_that_takes_every_name_below_it_is_asked_by_its_own():
    there = served("server { server_name a.test; }", b"server { listen 8080; server_name .b.test; }")
    assert there.neighbours == ("b.test",)
    assert neighbour_requests(there) == [HttpRequest("b.test", port=8080)]


def baseline(path, status, location="", **more):
    headers = {"location": location} if location else {}
    return baseline_of(HttpRequest("a.test", path, **more), [HttpAnswer(status, headers, b"x")])


@pytest.mark.parametrize(
    "statuses, said",
    [
        ({"/": 200, "/a.css": 200, MISSING: 404}, ""),
        ({"/": 301, MISSING: 301}, "nobody saw a page of this site: all that was asked for answered 301"),
        ({"/": 401, "/a.css": 401, MISSING: 401}, "answered 401"),
        ({"/": 404, "/a.css": 404, MISSING: 404}, "answered 404"),
        ({"/": 502, "/a.css": 502, MISSING: 404}, "answered 502"),
        ({"/": 404, MISSING: 404, "/log/": 200}, "answered 404"),
        ({"/": 403, "/a.css": 404, MISSING: 404}, ""),
        ({"/": 302, MISSING: 404}, ""),
        ({"/": 401, "/a.css": 200, MISSING: 401}, ""),
        ({"/": 0, MISSING: 0}, "could not be asked over HTTP"),
        ({"/": 0, "/a.css": 301, MISSING: 301}, "answered 301"),
    ],
)
def test_it_is_said_when_nobody_saw_a_page(statuses, said):
    found = unseen([baseline(path, status) for path, status in statuses.items()])
    assert said in found and bool(said) == bool(found)


def test_a_page_at_another_door_counts():
    doors = [baseline("/", 301), baseline(MISSING, 301), baseline("/", 200, port=443, tls=True)]
    assert unseen(doors) == "" and unseen([]) == ""


def test_the_sites_own_redirects_are_followed_where_they_stay_here():
    site = served(f"server {{ listen 80; listen 443 ssl; server_name a.test www.a.test; {ROOT} }}")
    to = [
        ("/", "/en/"),
        ("/a", "https://www.a.test/start?x=1"),
        ("/b", "https://sso.example/"),
        ("/c", "/login.php"),
        ("/log/", "/en/log/"),
        ("/d", "http://a.test:99999/"),
        ("/en/x", "/"),
    ]
    before = [baseline(path, 302, location) for path, location in to]
    assert further_requests(site, before) == [
        HttpRequest("a.test", "/en/"),
        HttpRequest("www.a.test", "/start", "127.0.0.1", 443, True),
    ]
    assert further_requests(site, [baseline("/", 200)]) == []


@pytest.mark.parametrize(
    "text, said",
    [
        (f"server {{ listen 80; server_name a.test; {ROOT} }}", ""),
        ("server { listen 80; server_name a.test; return 301 http://b.test/; }", "only redirect"),
        (f"server {{ listen unix:/run/x; server_name a.test; {ROOT} }}", "none of its listens"),
        (f"server {{ listen 80 proxy_protocol; server_name a.test; {ROOT} }}", "none of its listens"),
        (f"server {{ listen 80; server_name a.test; auth_basic hello; {ROOT} }}", "asks for a password"),
        (f"server {{ listen 80; server_name a.test; auth_basic off; {ROOT} }}", ""),
    ],
)
def test_what_is_known_to_be_blind_beforehand(text, said):
    found = " ".join(blind_spots(served(text)))
    assert said in found and bool(said) == bool(found)


FIRST = "server { listen 80; listen 443 ssl; server_name a.test; root /srv/$host/web; }"


def test_who_has_no_block_is_asked_where_the_first_one_answers():
    """Beside a name that nobody has, so that what all names get tells nothing."""
    asked_for = stray_requests(served(FIRST, b_site=b""))
    assert [(r.host, r.port, r.tls, r.path) for r in asked_for] == [
        (NOBODY, 80, False, "/"),
        ("b.test", 80, False, "/"),
        (NOBODY, 443, True, "/"),
        ("b.test", 443, True, "/"),
    ]
    assert stray_requests(served(FIRST)) == []
    more = serving(seen(nginx=nginx_config(FIRST.encode(), b""), siblings=("a.test", "b.test", "c.test")))
    hosts = [r.host for r in stray_requests(more)]
    assert [hosts.count(name) for name in (NOBODY, "b.test", "c.test")] == [2, 2, 2]


@pytest.mark.parametrize(
    "nobodys, its, live",
    [
        (404, 200, True),
        (403, 204, True),
        (200, 200, False),
        (404, 403, False),
        (301, 301, False),
        (0, 0, False),
    ],
)
def test_only_a_page_of_its_own_makes_it_live(nobodys, its, live):
    requests = [HttpRequest(NOBODY), HttpRequest("b.test")]
    before = [
        baseline_of(request, [HttpAnswer(status, {}, b"x")])
        for request, status in zip(requests, (nobodys, its), strict=True)
    ]
    assert live_strays(before) == (["b.test"] if live else [])
