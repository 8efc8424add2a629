"""Names and settings come from servers: what is accepted is decided by grammar, never by a shell."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsmig_tui.domain.names import KEPT, is_domain, parse_settings

GOOD = [
    "a.b",
    "example.org",
    "xn--bcher-kva.example",
    "1.2.example",
    "a-b.c-d.e",
    "a" * 63 + ".org",
    ".".join(["a" * 49] * 5) + ".abc",
]
BAD = [
    "",
    "localhost",
    "Example.org",
    "bücher.example",
    ".example.org",
    "example.org.",
    "a..b",
    "-a.org",
    "a-.org",
    "a_b.org",
    "a" * 64 + ".org",
    ".".join(["a" * 49] * 5) + ".abcd",
    "a.org\n",
    "a.org\x00",
    "a.org/..",
    "../etc",
    "..",
    "a.org;reboot",
    "$(id).org",
    "`id`.org",
    "a b.org",
    "a.org'",
    "*.org",
    "a.o\u200brg",
]


@pytest.mark.parametrize("name", GOOD)
def test_host_names_are_domains(name):
    assert is_domain(name)


@pytest.mark.parametrize("name", BAD)
def test_anything_else_is_not(name):
    assert not is_domain(name)


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("ab.-/;$\n"), max_size=80))
def test_a_domain_needs_no_quoting_anywhere(name):
    harmless = set(string.ascii_lowercase + string.digits + ".-")
    if is_domain(name):
        assert set(name) <= harmless
        assert not name.startswith(("-", ".")) and ".." not in name


@pytest.mark.parametrize(
    "text, kept",
    [
        ("VHOST=a.test\nU_UID=1003\n", {"VHOST": "a.test", "U_UID": "1003"}),
        ("export UPATH='/srv/a.test'", {"UPATH": "/srv/a.test"}),
        ('  WPATH="/srv/a.test/web"  ', {"WPATH": "/srv/a.test/web"}),
        ("VHOST=a.test\r\nUUSER=u1\r\n", {"VHOST": "a.test", "UUSER": "u1"}),
        ("UUSER=one\nUUSER=two", {"UUSER": "two"}),
        ("V_PHP=", {"V_PHP": ""}),
        ('V_PHP=""', {"V_PHP": ""}),
        ("# UUSER=u1", {}),
        ("DPASS=x\nA_PASS=y\nUPASS='z'\nDUSER=d\nVHOST=a.test", {"VHOST": "a.test"}),
        ("UPATH=$HOME", {}),
        ("UPATH=/srv/`id`", {}),
        ("UPATH=/srv/a; rm -rf /", {}),
        ("UPATH=a&b", {}),
        ("UPATH='a'b'", {}),
        ("UPATH='a", {}),
        ("UPATH=\"a'", {}),
        ("UPATH=a\\nb", {}),
        ("UPATH = /srv", {}),
        ("if true; then UPATH=/x; fi", {}),
        ("declare UPATH=/x", {}),
        ("UUSER=u1003 # the account", {"UUSER": "u1003"}),
        ("UUSER='u1003' # the account", {"UUSER": "u1003"}),
        ("UUSER=u1 reboot", {}),
        ("AHOST='two words'", {"AHOST": "two words"}),
        ("UUSER=a\x0cVHOST=b.test", {}),
        ("UUSER=a\u2028VHOST=b.test", {"UUSER": "a\u2028VHOST=b.test"}),
    ],
)
def test_settings_are_plain_words_or_nothing(text, kept):
    assert parse_settings(text) == kept


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("UPATH=PASS'\"$`\n ;"), max_size=200))
def test_no_text_yields_a_secret_or_something_to_expand(text):
    found = parse_settings(text)
    assert found.keys() <= KEPT
    assert not any(name.endswith("PASS") for name in found)
    assert not any(set(value) & set("$`\\\"'\n\r\0;|&<>") for value in found.values())
