"""The parser gives exact offsets, takes what nginx takes, and the dump is cut where files begin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsmig_tui.domain.nginx_syntax import (
    NginxSyntaxError,
    decode,
    encode,
    include_pattern,
    matches_include,
    parse,
    walk,
)


def words(text):
    return [(d.name, *d.values) for d in walk(parse(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("# only a comment", []),
        ("a b;c;", [("a", "b"), ("c",)]),
        ("a{b;}", [("a",), ("b",)]),
        ("a b#c d;", [("a", "b#c", "d")]),
        ('a \'x;{}#\' "y \\" z";', [("a", "x;{}#", 'y " z')]),
        ("a ${v}x$y;", [("a", "${v}x$y")]),
        ("a b\\ c;", [("a", "b\\ c")]),
        ("a \\t\\\\;", [("a", "\t\\")]),
        ('if ($x = "a") { return 1; }', [("if", "($x", "=", "a", ")"), ("return", "1")]),
        ("map $a $b { default x; ~*^/y 'z'; }", [("map", "$a", "$b"), ("default", "x"), ("~*^/y", "z")]),
        ("location ~ ^/a}$ { }", [("location", "~", "^/a}$")]),
        ("a\r\n b ;\r\n", [("a", "b")]),
        ("x_by_lua_block { s = '}' -- }\n t = [[ } ]] { } } a;", [("x_by_lua_block",), ("a",)]),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a", 1),
        ("a;\nb {", 2),
        ("a;\n\n}", 3),
        ("{", 1),
        (";", 1),
        ('\na "x', 2),
        ('a "b"c;', 1),
        ("a } ;", 1),
        ("x_by_lua_block {\n{ }", 1),
    ],
)
def test_what_nginx_refuses_is_refused_with_its_place(text, line):
    with pytest.raises(NginxSyntaxError) as caught:
        parse(text, "/etc/x")
    assert (caught.value.path, caught.value.line) == ("/etc/x", line)
    assert str(caught.value).startswith(f"/etc/x:{line}: ")


def test_offsets_lines_and_bodies():
    text = "a;\nserver  {\n listen '80' ;}#x"
    _, server = parse(text)
    assert text[server.start : server.end] == "server  {\n listen '80' ;}"
    assert text[slice(*server.body)] == "\n listen '80' ;"
    (listen,) = server.block
    assert (listen.line, server.line) == (3, 2)
    assert text[listen.args[0].start : listen.args[0].end] == "'80'"


@given(st.binary())
def test_any_bytes_survive(raw):
    assert encode(decode(raw)) == raw


WORD = st.text(
    st.characters(blacklist_characters=" \t\r\n;{}#\"'\\$", blacklist_categories=("Cs",)), min_size=1
)
LINE = st.builds(lambda name, args: " ".join([name, *args]) + ";", WORD, st.lists(WORD, max_size=3))
TEXT = st.recursive(
    st.lists(LINE, max_size=3).map("\n".join),
    lambda inner: st.builds(lambda head, body, tail: f"{head} {{{body}}} {tail}# c\n", WORD, inner, inner),
    max_leaves=6,
)


@given(TEXT)
def test_every_span_is_the_text_that_it_stands_for(text):
    for directive in walk(parse(text)):
        assert text[directive.start :].startswith(directive.name)
        assert text[directive.end - 1] in ";}"
        for arg in directive.args:
            assert text[arg.start : arg.end] == arg.value


@given(st.text(st.sampled_from("ab $;{}\"'\\#\n("), max_size=30))
def test_odd_text_is_read_or_refused_but_never_worse(text):
    try:
        tree = parse(text)
    except NginxSyntaxError as error:
        assert error.line <= text.count("\n") + 1
    else:
        assert all(d.start < d.end <= len(text) for d in walk(tree))


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/etc/nginx/sites/*", "/etc/nginx/sites/a", True),
        ("/etc/nginx/sites/*", "/etc/nginx/sites/.a", False),
        ("/etc/nginx/sites/*", "/etc/nginx/sites/a/b", False),
        ("/etc/nginx/*/x.conf", "/etc/nginx/d/x.conf", True),
        ("/e/[ab]?.conf", "/e/ax.conf", True),
        ("/e/[!ab].conf", "/e/a.conf", False),
        ("/e/[!]a].conf", "/e/].conf", False),
        ("/e/[!]a].conf", "/e/b.conf", True),
        ("/e/[z-a].conf", "/e/b.conf", False),
        ("/e/[^]*", "/e/[^]x", True),
        ("/e/\\[*", "/e/[x", True),
        ("/e/[\\d]*", "/e/1", False),
        ("/e/a.conf", "/e/a.conf", True),
        ("/e/a.conf", "/e/aXconf", False),
    ],
)
def test_include_patterns(pattern, path, expected):
    assert matches_include(pattern, path) is expected


def test_relative_includes_start_beside_the_main_file():
    assert include_pattern("sites/*", "/opt/n/nginx.conf") == "/opt/n/sites/*"
    assert include_pattern("/x/*", "/opt/n/nginx.conf") == "/x/*"
