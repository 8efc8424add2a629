"""Which differences between a site's answers count: of broken sites all, of sites that are alive none."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsmig_tui.domain.http_answers import baseline_from, baseline_of, difference, enough, remark
from nsmig_tui.domain.path_map import final_map
from nsmig_tui.domain.ports import HttpAnswer, HttpRequest

HTML = {"content-type": "text/html", "date": "Fri, 27 Nov 2026 19:00:00 GMT", "set-cookie": "x"}
REQUEST = HttpRequest("a.test", "/")
BACK = final_map("/srv/a.test").inverse()


def answer(body=b"hello", status=200, **headers):
    """What an application makes."""
    return HttpAnswer(status, HTML | {k.replace("_", "-"): v for k, v in headers.items()}, body)


def file(body=b"hello", written="Mon, 02 Nov 2026 10:00:00 GMT", **headers):
    """A file as nginx sends it."""
    own = {"content-type": "text/css", "date": HTML["date"], "content-length": str(len(body))}
    own |= {"last-modified": written, "accept-ranges": "bytes"}
    return HttpAnswer(200, own | {k.replace("_", "-"): v for k, v in headers.items()}, body)


def plain(body=b"<h1>403 Forbidden</h1>", status=403, **headers):
    """What nginx itself says."""
    own = {"content-type": "text/html", "content-length": str(len(body))}
    return HttpAnswer(status, own | {k.replace("_", "-"): v for k, v in headers.items()}, body)


def redirect(place, status=302):
    return answer(b"", status, location=place)


def page(inside, title="The Shop"):
    """A page of some size with the site's name in it."""
    head = f"<!doctype html><html><head><title>{title}</title><link href='https://a.test/style.css'></head>"
    body = (
        "<body><nav>articles about contact basket</nav><main>%s</main><footer>imprint privacy</footer></body>"
    )
    return answer((head + body % inside + "</html>\n").encode())


WORDS = "several sentences about nothing much, so that the page has a length worth speaking of. " * 20
SHOP = page(WORDS)
NGINX = """<!DOCTYPE html><html><head><title>Welcome to nginx!</title></head><body><h1>Welcome to nginx!</h1>
<p>If you see this page, the nginx web server is successfully installed.</p></body></html>"""
FATAL = (
    "<br />\n<b>Fatal error</b>:  Uncaught Error: Failed opening required 'lib.php' in /srv/a.test/x.php:3"
)

BROKEN = {
    "another status": ([SHOP], answer(b"", 404), "answered 200 before and 404 now"),
    "no answer": ([SHOP], HttpAnswer(0, error="refused"), "answered 200 before and refused now"),
    "nothing at all": ([SHOP], HttpAnswer(0), "answered 200 before and nothing now"),
    "a page where none was": ([answer(b"", 404)], SHOP, "answered 404 before and 200 now"),
    "another type": ([SHOP], replace(SHOP, headers={"content-type": "text/plain"}), "another content-type"),
    "php as a download": (
        [SHOP],
        answer(b"<?php echo 1;", content_type="application/octet-stream"),
        "another content-type",
    ),
    "php's source": ([SHOP], answer(b"<?php require 'lib.php'; echo page('a.test');"), "PHP's source"),
    "short tags": ([SHOP], page("<?= $title ?>" + WORDS), "PHP's source text"),
    "an error with 200": ([SHOP], page(FATAL), "a fatal error"),
    "an error in text": ([answer(b"booted")], answer(b"PHP Parse error: syntax error"), "a fatal error"),
    "a warning": ([SHOP], page("<b>Warning</b>: include(/srv/a.test/web/x.php)" + WORDS), "a warning of PHP"),
    "one warning more": (
        [page("<b>Warning</b>: old" + WORDS)],
        page("<b>Warning</b>: old <b>Warning</b>: include" + WORDS),
        "a warning of PHP",
    ),
    "no input file": ([answer(b"booted")], answer(b"No input file specified."), "php-fpm cannot find"),
    "no database": ([SHOP], page("Error establishing a database connection"), "a missing database"),
    "blank": ([SHOP], answer(b"\n"), "is blank"),
    "a list of files": ([SHOP], page(WORDS, "Index of /"), "a list of files"),
    "nginx's first page": ([SHOP], answer(NGINX.encode()), "a server's first page"),
    "a 404 with status 200": ([SHOP], page("Nothing found", "404 Not Found"), "error page"),
    "a not-found page with 200": ([SHOP], page("Nothing found", "Page not found"), "another title"),
    "another site, with a title": ([SHOP], page(WORDS, "Flowers"), "another title"),
    "another site, without": (
        [answer(b"home of a.test\n")],
        answer(b"home of b.test\n"),
        "does not name a.test",
    ),
    "other words": (
        [answer(b"members of our club meet here on Sundays")],
        answer(b"flowers for every festive season"),
        "most of its words are gone",
    ),
    "cut off": ([SHOP], replace(SHOP, body=SHOP.body[:-20]), "ends early"),
    "nearly nothing left": ([answer(WORDS.encode())], answer(WORDS[:90].encode()), "much shorter"),
    "a dump": ([answer(b"booted")], answer(b"booted " * 9000), "much longer"),
    "of a living page, the layout gone": (
        [page(f"visit {n} {word} {WORDS}") for n, word in ((1, "one"), (2, "two"))],
        page(FATAL),
        "a fatal error",
    ),
    "a clock with another title": (
        [page("10:00:00"), page("10:00:01")],
        page("10:00:02", "Flowers"),
        "another title",
    ),
    "a file": ([file(), file()], file(b"hellO"), "another body"),
    "another file's content": (
        [file(), file()],
        file(b"other", "Sun, 01 Nov 2026 10:00:00 GMT"),
        "another body",
    ),
    "a file gone bad since": (
        [file(b"<html>a.test</html>")] * 2,
        file(b"", "Fri, 27 Nov 2026 19:05:00 GMT"),
        "blank",
    ),
    "what nginx says": ([plain(), plain()], plain(b"<h1>come in</h1>"), "another body"),
    "another redirect": ([redirect("/a")], redirect("/b"), "another location now: /b"),
    "no redirect": ([redirect("/a")], answer(b"", 302), "another location"),
    "another host": ([redirect("https://a.test/")], redirect("https://b.test/"), "another location"),
    "another scheme": ([redirect("https://a.test/")], redirect("http://a.test/"), "another location"),
    "another way back": (
        [redirect("https://sso/auth?back=a.test&state=" + state) for state in ("a1", "b2")],
        redirect("https://sso/auth?back=b.test&state=c3"),
        "another location",
    ),
    "no way back": ([redirect("/auth?state=1"), redirect("/auth?state=2")], redirect("/auth"), "location"),
    "no password": ([answer(b"", 401, www_authenticate="Basic")], answer(b"", 401), "www-authenticate"),
    "another realm": (
        [answer(b"", 401, www_authenticate='Basic realm="a"')],
        answer(b"", 401, www_authenticate='Basic realm="b"'),
        "www-authenticate",
    ),
}  # fmt: skip


@pytest.mark.parametrize("samples, now, word", BROKEN.values(), ids=BROKEN)
def test_a_broken_site_is_seen(samples, now, word):
    found = difference(baseline_of(REQUEST, samples), [now] * 3, [BACK])
    assert word in found and (found.startswith("http://a.test/ ") or not word)


ALIVE = {
    "the same": ([SHOP, SHOP], [SHOP]),
    "other cookies, nonces in headers": ([answer()], [answer(set_cookie="y", content_security_policy="z")]),
    "a clock, all samples in one second": ([page("19:00:00")] * 2, [page("19:00:03")]),
    "nothing but a clock": ([answer(b"19:00:00")] * 2, [answer(b"19:00:03")]),
    "a counter in the title": ([page("x", "(3) Mail")] * 2, [page("x", "(4) Mail")]),
    "a title at random": ([page("x", "tea"), page("x", "coffee")], [page("x", "cocoa")]),
    "a title that turns now": ([page("x", "tea")] * 2, [page("x", "coffee"), page("x", "cocoa")]),
    "a nonce": ([page("<script nonce=Zx9q>1</script>")] * 2, [page("<script nonce=bb7Q>1</script>")]),
    "a quotation at random": ([page("To be or not"), page("All the world")], [page("Some rise by sin")]),
    "news since": ([page(WORDS)] * 2, [page("Breaking: the river rises. " + WORDS)]),
    "a page that shows its path": (
        [answer(b"in /srv/a.test/web/x.php on line 2")] * 2,
        [answer(b"in /srv/a.test/web/app/public/x.php on line 2")],
    ),
    "a warning that shows its path": (
        [page("<b>Warning</b>: Undefined in <b>/srv/a.test/web/x.php</b> on 2")] * 2,
        [page("<b>Warning</b>: Undefined in <b>/srv/a.test/web/app/public/x.php</b> on 2")],
    ),
    "a warning no more": ([page("<b>Warning</b>: old" + WORDS)] * 2, [page(WORDS)]),
    "an answer that nginx dates": ([plain(b"id 1af")] * 2, [plain(b"id 2bc")]),
    "an answer of nginx's at random": ([plain(b"tea"), plain(b"coffee")], [plain(b"cocoa")]),
    "a file written since": ([file()] * 2, [file(b"hello, you", "Fri, 27 Nov 2026 19:00:00 GMT")]),
    "a state in a redirect": (
        [redirect("https://sso/auth?c=1&state=a1b2"), redirect("https://sso/auth?c=1&state=c3d4")],
        [redirect("https://sso/auth?c=1&state=e5f6")],
    ),
    "a state by the minute": (
        [redirect("/auth?state=68662a10fc5b1c70")] * 2,
        [redirect("/auth?state=19c07b55d2aa0e31")],
    ),
    "a state that turns now": ([redirect("/auth?s=tea")] * 2, [redirect("/auth?s=x"), redirect("/auth?s=y")]),
    "a session in a path": ([redirect("/s/1a/in"), redirect("/s/2b/in")], [redirect("/s/3c/in")]),
    "a nonce in a digest": (
        [answer(b"", 401, www_authenticate='Digest realm="a", nonce="1a2b"')],
        [answer(b"", 401, www_authenticate='Digest realm="a", nonce="3c4d"')],
    ),
    "a fault that was there": ([page(FATAL)] * 2, [page(FATAL)]),
    "an error that was there": ([answer(b"x", 502)] * 2, [answer(b"other", 502)]),
    "no answer before": ([HttpAnswer(0, error="refused")] * 2, [SHOP]),
    "a picture": ([answer(b"\0\1\2" * 99, content_type="image/png")] * 2,
                  [answer(b"\0\3\4" * 90, content_type="image/png")]),
}  # fmt: skip


@pytest.mark.parametrize("samples, looks", ALIVE.values(), ids=ALIVE)
def test_a_site_that_is_alive_is_not_broken(samples, looks):
    assert difference(baseline_of(REQUEST, samples), looks, [BACK]) == ""


def test_a_text_that_changed_once_is_worth_a_word():
    was = baseline_of(REQUEST, [SHOP, SHOP])
    news = page("Breaking: the river rises. " + WORDS)
    assert "http://a.test/ has another text" in remark(was, [news])
    assert remark(was, [SHOP]) == ""
    assert remark(was, [news, SHOP]) == "", "it changes by itself"
    assert remark(baseline_of(REQUEST, [page("19:00:00")] * 2), [page("19:00:03")]) == ""


def test_where_a_question_went_is_told():
    request = HttpRequest("a.test", "/x", "::1", 8080, tls=True)
    found = difference(baseline_of(request, [SHOP]), [HttpAnswer(0)])
    assert found.startswith("https://a.test:8080/x (at ::1) answered 200")


@pytest.mark.parametrize(
    "samples, said",
    [
        ([answer()], False),
        ([answer()] * 2, True),
        ([answer(b"1"), answer(b"2")], True),
        ([answer(), HttpAnswer(0)], False),
        ([HttpAnswer(502), HttpAnswer(502)], False),
    ],
)
def test_enough_samples(samples, said):
    assert enough(samples) is said


@given(st.binary(max_size=200), st.integers(0, 599), st.booleans())
def test_a_baseline_survives_its_record(body, status, tls):
    was = baseline_of(replace(REQUEST, tls=tls), [answer(body, status)])
    assert baseline_from(json.loads(json.dumps(was.as_json()))) == was
    assert difference(was, [answer(body, status)]) == ""


def test_the_record_of_an_older_version_is_compared_as_it_was():
    row = baseline_of(REQUEST, [plain(b"hello", 200)]).as_json()
    old = {key: row[key] for key in ("request", "status", "headers", "body_sha256", "title", "stable")}
    was = baseline_from(old)
    assert difference(was, [plain(b"hello", 200)]) == ""
    assert "another body" in difference(was, [plain(b"other", 200)])
    assert difference(replace(was, stable=False), [plain(b"other", 200)]) == ""


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_two_bodies_can_be_compared(before, after):
    was = baseline_of(REQUEST, [answer(before)])
    assert isinstance(difference(was, [answer(after)], [BACK]), str)


def test_long_bodies_take_no_time():
    for body in (b"x" * 1_000_000, b"-" * 1_000_000, b"<title>" * 100_000, b"a1 " * 300_000):
        assert difference(baseline_of(REQUEST, [answer(body)]), [answer(body + b"y")]) == ""
