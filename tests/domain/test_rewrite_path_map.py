"""Old paths are found at component boundaries, mapped, and mapped back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsmig_tui.domain.path_map import below, final_map, substitute

UPATH = "/srv/a.test"
MAP = final_map(UPATH)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/srv/a.test/web", "/srv/a.test/web/app/public"),
        ("/srv/a.test/web/", "/srv/a.test/web/app/public/"),
        ("/srv/a.test/web/x/web", "/srv/a.test/web/app/public/x/web"),
        ("/srv/a.test/web/app/public", "/srv/a.test/web/app/public/app/public"),
        ("/srv/a.test/var/log/a.log", "/srv/a.test/web/log/a.log"),
        ("/srv/a.test/var/run/fpm.sock", "/srv/a.test/web/run/fpm.sock"),
        ("/srv//a.test//var//log/x", "/srv//a.test//web/log/x"),
        ("unix:/srv/a.test/var/run/f.sock:/x", "unix:/srv/a.test/web/run/f.sock:/x"),
        ("N;/srv/a.test/var/tmp", "N;/srv/a.test/web/tmp"),
        (".:/srv/a.test/web:/usr", ".:/srv/a.test/web/app/public:/usr"),
        ("x=/srv/a.test/web y", "x=/srv/a.test/web/app/public y"),
        ("/srv/a.test/web$uri", "/srv/a.test/web/app/public$uri"),
        ("/srv/$host/web", "/srv/$host/web/app/public"),
        ("/srv/${host}/var/log", "/srv/${host}/web/log"),
        ("'/srv/a.test/web'", "'/srv/a.test/web/app/public'"),
    ],
)
def test_mapped(text, expected):
    assert MAP.apply(text, {"host": "a.test"}) == expected


@pytest.mark.parametrize(
    "text",
    [
        "/srv/a.test/website",
        "/srv/a.test/web.old",
        "/srv/a.test/web-old",
        "/srv/a.test/web_x",
        "/srv/a.test/web$suffix",
        "/srv/a.test.other/web",
        "/srv/xa.test/web",
        "/backup/srv/a.test/web",
        "/srv/a.test/var",
        "/srv/a.test/var/logs",
        "/srv/a.test/msg",
        "/srv/aXtest/web",
        "/srv/$other/web",
        "/srv/a.test/wéb",
        "/srv/a.test/webé",
    ],
)
def test_left_alone(text):
    assert MAP.apply(text, {"host": "a.test"}) == text


def test_a_link_to_the_vhost_counts_as_the_vhost():
    paths = final_map(UPATH, ("/srv/www.a.test",))
    assert paths.apply("/srv/$host/web", {"host": "www.a.test"}) == "/srv/$host/web/app/public"
    assert MAP.apply("/srv/$host/web", {"host": "www.a.test"}) == "/srv/$host/web"


def test_classes_may_stay_or_go_elsewhere():
    assert final_map(UPATH).without("var/run").apply("/srv/a.test/var/run/s") == "/srv/a.test/var/run/s"
    assert MAP.with_target("var/log", "/tmp/l").apply("x /srv/a.test/var/log/y") == "x /tmp/l/y"
    assert MAP.with_target("web", "$r").apply("/srv/a.test/web/y") == "$r/y"
    assert MAP.path("/srv/a.test/var/tmp/s") == "/srv/a.test/web/tmp/s"
    assert MAP.path("/srv/a.test/website") == "/srv/a.test/website"


def test_found_says_where_and_how():
    (hit,) = MAP.find('"/srv/$host/var/log"', {"host": "a.test"})
    assert (hit.begin, hit.start, hit.end, hit.base, hit.old, hit.templated) == (
        *(1, 12, 19, "/srv/$host/", "var/log"),
        True,
    )


def test_substitute_and_below():
    assert substitute("$a${b}$c", {"a": "1", "b": "2"}) == "12$c"
    assert below("/a/b", "/a") and below("/a", "/a") and not below("/ab", "/a")


PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            [f"{UPATH}/web", f"{UPATH}/var/log", f"{UPATH}/var/run", f"{UPATH}/var/tmp", "/srv/$host/web"]
        ),
        st.sampled_from(
            [" ", "/", ":", ";", "x", "\n", '"', "\u00e9", "/srv/", "a.test", "/web", "/x.php", "$uri"]
        ),
    ),
    max_size=12,
).map("".join)
VALUES = {"host": "a.test"}


@given(PIECES)
def test_there_and_back_is_where_we_were(text):
    new_places = [
        f"{base}/web/{rest}" for base in (UPATH, "/srv/$host") for rest in ("app", "log", "run", "tmp")
    ]
    if any(place in text for place in new_places) or MAP.inverse().find(text, VALUES):
        return
    assert MAP.inverse().apply(MAP.apply(text, VALUES), VALUES) == text


@given(PIECES)
def test_only_found_spans_change(text):
    hits = MAP.find(text, VALUES)
    mapped = MAP.apply(text, VALUES)
    position = 0
    for before, after in zip([0, *(h.end for h in hits)], [*(h.start for h in hits), len(text)], strict=True):
        piece = text[before:after]
        assert piece in mapped[position:]
        position = mapped.index(piece, position) + len(piece)


@given(st.text())
def test_any_text_without_the_vhost_is_left_alone(text):
    assert "a.test" in text or MAP.apply(text) == text
