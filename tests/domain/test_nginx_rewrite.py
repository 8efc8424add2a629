"""Stages of nginx's configuration: what is edited, and that nothing else is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_config_cases import A_SITE, B_SITE, COMMON, LITERAL, PHP, UPATH, nginx, site

from nsmig_tui.domain.nginx_load import load_nginx
from nsmig_tui.domain.nginx_rewrite import Transition, nginx_changes
from nsmig_tui.domain.nginx_syntax import parse
from nsmig_tui.domain.path_map import PathMap, final_map
from nsmig_tui.domain.rewrite import Edit, apply_edits, diff

BRIDGE = final_map(UPATH).without("var/run")

SITES = "/etc/nginx/sites-enabled"
STAGED = "/srv/.nsmig/a.test/new/app/public"
HELD = "/srv/.nsmig/a.test/held"
SWITCHED = f"{UPATH}/web/.nsmig-switched"
TRANSITION = Transition(f"{UPATH}/web", STAGED, SWITCHED, f"{UPATH}/web/app/public", HELD)


def texts(outcome):
    for change in outcome.changes:
        parse(change.new.decode("utf-8", "surrogateescape"), change.path)
    return {change.path: change.new for change in outcome.changes}


def test_literal_file_is_edited_in_place_and_only_there():
    model = nginx({"all": LITERAL})
    new = texts(nginx_changes(model, site(model), final_map(UPATH)))
    expected = (
        LITERAL.replace(b'root "/srv/a.test/web/public"', b'root "/srv/a.test/web/app/public/public"')
        .replace(b"error_log /srv/a.test/var/log", b"error_log /srv/a.test/web/log")
        .replace(b"alias /srv/a.test/web/files", b"alias /srv/a.test/web/app/public/files")
        .replace(b"ROOT /srv/a.test/web$", b"ROOT /srv/a.test/web/app/public$")
        .replace(b"unix:/srv/a.test/var/run", b"unix:/srv/a.test/web/run")
    )
    assert new == {f"{SITES}/all": expected}


def test_bridge_keeps_the_old_socket():
    model = nginx({"all": LITERAL})
    new = texts(nginx_changes(model, site(model), BRIDGE, copies=False))[f"{SITES}/all"]
    assert b"unix:/srv/a.test/var/run/fpm.sock" in new
    assert b"/srv/a.test/web/app/public/files/" in new


def test_shared_includes_get_copies_that_all_vhosts_share():
    model = nginx({"a": A_SITE, "b": B_SITE})
    outcome = nginx_changes(model, site(model), final_map(UPATH))
    new = texts(outcome)
    assert new == {
        f"{SITES}/a": A_SITE.replace(b"common.conf", b"common.ns3.conf"),
        "/etc/nginx/common.ns3.conf": COMMON.replace(
            b"root /srv/$host/web", b"root /srv/$host/web/app/public"
        )
        .replace(b"access_log /srv/$host/var/log", b"access_log /srv/$host/web/log")
        .replace(b"php.conf", b"php.ns3.conf"),
        "/etc/nginx/php.ns3.conf": PHP.replace(b"var/run", b"web/run"),
    }
    assert [c.path for c in outcome.changes if c.created] == sorted(set(new) - {f"{SITES}/a"})
    assert dict(outcome.copies)["/etc/nginx/common.conf"] == "/etc/nginx/common.ns3.conf"


def test_a_second_vhost_uses_the_copies_that_are_there():
    model = nginx({"a": A_SITE, "b": B_SITE})
    first = nginx_changes(model, site(model), final_map(UPATH))
    existing = {c.path: c.new for c in first.changes if c.created}
    again = nginx_changes(model, site(model), final_map(UPATH), existing=existing)
    assert set(texts(again)) == {f"{SITES}/a"}
    assert again.copies == first.copies


def test_a_name_that_is_taken_is_not_used():
    model = nginx({"a": A_SITE})
    existing = {"/etc/nginx/php.ns3.conf": b"something else\n"}
    new = texts(nginx_changes(model, site(model), final_map(UPATH), existing=existing))
    assert "/etc/nginx/php.ns3-2.conf" in new
    assert b"include php.ns3-2.conf;" in new["/etc/nginx/common.ns3.conf"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (b"/etc/nginx/*.conf", "/etc/nginx/common.conf.ns3"),
        (b"/etc/nginx/co*", "/etc/nginx/ns3/common.conf"),
    ],
)
def test_no_include_reads_a_copy_by_chance(pattern, expected):
    main = b"http { include /etc/nginx/sites-enabled/*; } mail { include %s; }" % pattern
    only_root = b"root /srv/$host/web;"
    model = nginx({"a": A_SITE}, common=only_root, nginx=main)
    assert expected in texts(nginx_changes(model, site(model), final_map(UPATH)))


def test_stages_that_pass_put_the_text_in_place_of_the_include():
    model = nginx({"a": A_SITE, "b": B_SITE})
    new = texts(nginx_changes(model, site(model), BRIDGE, copies=False))
    assert set(new) == {f"{SITES}/a"}
    inlined = COMMON.replace(b"root /srv/$host/web", b"root /srv/$host/web/app/public").replace(
        b"access_log /srv/$host/var/log", b"access_log /srv/$host/web/log"
    )
    assert new[f"{SITES}/a"] == A_SITE.replace(b"include common.conf;", inlined)


def test_a_private_include_is_edited_in_place():
    text = b"server { server_name a.test; include /etc/nginx/own.conf; }"
    model = nginx({"a": text}, own=b"root /srv/a.test/web; # end")
    new = texts(nginx_changes(model, site(model), final_map(UPATH)))
    assert new == {"/etc/nginx/own.conf": b"root /srv/a.test/web/app/public; # end"}


def test_a_glob_include_is_written_out():
    text = b"server { server_name a.test; include parts/*.conf; }"
    model = nginx({"a": text}, **{"parts/1": b"gzip on;", "parts/2": b"root /srv/$host/web;"})
    outcome = nginx_changes(model, site(model), final_map(UPATH))
    new = texts(outcome)
    assert new["/etc/nginx/parts/2.conf.ns3"] == b"root /srv/$host/web/app/public;"
    assert b"include /etc/nginx/parts/1.conf;\ninclude /etc/nginx/parts/2.conf.ns3;" in new[f"{SITES}/a"]
    assert [problem.severity for problem in outcome.problems] == ["warning"]


def test_links_are_edited_under_their_real_path():
    model = nginx({"a": LITERAL})
    linked = type(model)(**{**vars(model), "resolve": {f"{SITES}/a": "/etc/nginx/sites-available/a"}})
    outcome = nginx_changes(linked, site(linked), final_map(UPATH))
    assert [change.path for change in outcome.changes] == ["/etc/nginx/sites-available/a"]


def test_redirects_and_neighbours_stay():
    text = b"server { server_name www.a.test; return 301 http://a.test; }"
    model = nginx({"a": text, "b": B_SITE})
    assert nginx_changes(model, site(model), final_map(UPATH)).changes == ()


def test_upstreams_and_maps_outside_follow():
    text = b"server { server_name a.test; root $top; location / { fastcgi_pass php; } }"
    outside = (
        b"map $host $top { a.test /srv/a.test/web; b.test /srv/b.test/web; }"
        b"upstream php { server unix:/srv/a.test/var/run/x.sock; }"
    )
    model = nginx({"a": text, "0": outside})
    new = texts(nginx_changes(model, site(model), final_map(UPATH)))
    assert new == {
        f"{SITES}/0": outside.replace(b"/srv/a.test/web", b"/srv/a.test/web/app/public").replace(
            b"/var/run/", b"/web/run/"
        )
    }


def test_a_socket_that_no_pool_makes_stays():
    text = b"server { server_name a.test; proxy_pass http://unix:/srv/a.test/var/run/app.sock:/; }"
    model = nginx({"a": text})
    outcome = nginx_changes(model, site(model), final_map(UPATH), sockets=["/srv/a.test/var/run/fpm.sock"])
    assert outcome.changes == ()
    assert "no pool of this vhost listens there" in outcome.problems[0].message
    assert nginx_changes(model, site(model), final_map(UPATH)).changes


def test_what_cannot_be_changed_is_said():
    text = b"""server { server_name a.test;
  more_set_headers "X: /srv/a.test/web/x";
  content_by_lua_block { f("/srv/a.test/var/log/x") }
  include /srv/a.test/web/own.conf;
}"""
    model = nginx({"a": text})
    own = "/srv/a.test/web/own.conf"
    files = {path: body.encode() for path, body in model.texts.items()} | {own: b"root /srv/a.test/web;"}
    model = load_nginx(files)
    outcome = nginx_changes(model, site(model), final_map(UPATH))
    assert [(p.severity, p.where) for p in outcome.problems] == [
        ("warning", f"{SITES}/a:2"),
        ("error", f"{SITES}/a:3"),
        ("error", f"{SITES}/a:4"),
    ]
    assert texts(outcome) == {f"{SITES}/a": text.replace(b"web/own", b"web/app/public/own")}


def test_transition_sends_the_root_through_a_variable():
    paths = BRIDGE.with_target("var/log", "/srv/.nsmig/a.test/log")
    model = nginx({"all": LITERAL})
    new = texts(nginx_changes(model, site(model), paths, copies=False, transition=TRANSITION))[f"{SITES}/all"]
    head = (
        b"server {\n    set $nsmig_disk /srv/a.test/web;\n"
        b"    if (-d %b) { set $nsmig_disk %b; }\n"
        % (STAGED.encode(), STAGED.encode())
        + b"    if (-d /srv/a.test/web/.nsmig-switched) { set $nsmig_disk /srv/a.test/web/app/public; }\n"
        + b"    set $nsmig_root $nsmig_disk;\n    if (-d %b) { set $nsmig_root %b; }\n"
        % (HELD.encode(), HELD.encode())
    )
    newline = b"\r\n"
    assert head.replace(b"\n", newline) in new
    assert b'root "$nsmig_root/public";' in new
    assert b"alias $nsmig_root/files/;" in new
    assert b"DOCUMENT_ROOT $nsmig_root$fastcgi_script_name" in new
    assert b"error_log /srv/.nsmig/a.test/log/error.log warn" in new
    assert new.endswith(LITERAL[LITERAL.index(b"server { server_name b.test") :])


def test_what_other_programs_are_told_in_transition_is_the_place_on_disk():
    model = nginx({"a": A_SITE, "b": B_SITE})
    new = texts(nginx_changes(model, site(model), BRIDGE, copies=False, transition=TRANSITION))
    text = new[f"{SITES}/a"].decode()
    locations = re.findall(r"location [^{]*\{([^}]*)\}", text)
    php = [inner for inner in locations if "fastcgi_pass" in inner]
    assert php and all(inner.startswith(" set $nsmig_root $nsmig_disk;") for inner in php)
    assert not any("$nsmig_disk" in inner for inner in locations if inner not in php)


def test_a_place_that_hands_on_by_an_include_is_told_the_place_on_disk_too():
    text = b"""server { server_name a.test; root /srv/a.test/web;
        location / { try_files $uri @app; }
        location @app { include /etc/nginx/inner.conf; }
        location /x { if ($arg_a) { proxy_pass http://127.0.0.1:8; } }
        location /plain { expires 1d; } }"""
    model = nginx({"a": text}, inner=b"fastcgi_pass unix:/run/other.sock;")
    new = texts(nginx_changes(model, site(model), BRIDGE, copies=False, transition=TRANSITION))
    assert new[f"{SITES}/a"].count(b"{ set $nsmig_root $nsmig_disk;") == 2
    assert b"@app { set $nsmig_root $nsmig_disk; include" in new[f"{SITES}/a"]
    assert b"/x { set $nsmig_root $nsmig_disk; if" in new[f"{SITES}/a"]


def test_a_server_that_hands_all_on_still_knows_the_variables():
    text = b"server { server_name a.test; root /srv/a.test/web; }\n"
    other = b"server { listen 81; server_name a.test; location / { proxy_pass http://127.0.0.1:8; } }"
    model = nginx({"a": text + other})
    new = texts(nginx_changes(model, site(model), BRIDGE, copies=False, transition=TRANSITION))
    assert new[f"{SITES}/a"].count(b"set $nsmig_disk /srv/a.test/web;") == 2


@pytest.mark.parametrize("where", ["http", "server", "location", ""])
def test_nothing_is_remembered_of_where_the_root_was(where):
    cache = {where: "open_file_cache max=1000 inactive=60s;"}
    text = f"""server {{ server_name a.test; root /srv/a.test/web; {cache.get("server", "")}
        location /x {{ {cache.get("location", "")} expires 1d; }} }}"""
    model = nginx({"0": cache.get("http", "").encode(), "a": text.encode()})
    new = texts(nginx_changes(model, site(model), BRIDGE, copies=False, transition=TRANSITION))
    expected = {"http": 1, "server": 1, "location": 2, "": 0}[where]
    assert new[f"{SITES}/a"].count(b"open_file_cache off;") == expected
    assert b"max=1000" not in new[f"{SITES}/a"]


@pytest.mark.parametrize(("word", "followed"), [("on", False), ("if_not_owner", False), ("off", True)])
def test_no_link_is_followed_where_links_are_forbidden(word, followed):
    text = f"""server {{ server_name a.test; root /srv/a.test/web;
        location /x {{ disable_symlinks {word}; }} }}"""
    model = nginx({"a": text.encode()})
    new = texts(nginx_changes(model, site(model), BRIDGE, copies=False, transition=TRANSITION))
    assert (HELD.encode() in new[f"{SITES}/a"]) is followed
    first = new[f"{SITES}/a"].partition(b"set $")[2].partition(b" ")[0]
    assert (first == b"nsmig_root") is not followed, "what is asked for first is set first"


def test_transition_refuses_what_takes_no_variable():
    text = b"server { server_name a.test; root /srv/a.test/web; ssl_certificate /srv/a.test/web/c.pem; }"
    model = nginx({"a": text})
    outcome = nginx_changes(model, site(model), BRIDGE, copies=False, transition=TRANSITION)
    assert [problem.severity for problem in outcome.problems] == ["critical"]


def test_shared_root_in_transition_keeps_the_template_as_default():
    model = nginx({"a": A_SITE, "b": B_SITE})
    new = texts(nginx_changes(model, site(model), BRIDGE, copies=False, transition=TRANSITION))
    assert b"set $nsmig_disk /srv/$host/web;" in new[f"{SITES}/a"]
    assert b"root $nsmig_root;" in new[f"{SITES}/a"]
    assert set(new) == {f"{SITES}/a"}


def test_diff_for_people():
    model = nginx({"a": A_SITE})
    change = next(c for c in nginx_changes(model, site(model), final_map(UPATH)).changes if not c.created)
    assert diff(change).splitlines()[:2] == [f"--- {SITES}/a", f"+++ {SITES}/a"]
    assert re.search(r"^\+server.*common\.ns3\.conf", diff(change), re.MULTILINE)


@given(st.text())
def test_no_edits_is_identity(text):
    assert apply_edits(text, []) == text


@given(st.text(min_size=4), st.data())
def test_edits_touch_only_their_spans(text, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), min_size=4, max_size=4)))
    edits = [Edit(cuts[0], cuts[1], "<1>"), Edit(cuts[2], cuts[3], "<2>")]
    expected = text[: cuts[0]] + "<1>" + text[cuts[1] : cuts[2]] + "<2>" + text[cuts[3] :]
    if edits[0] != edits[1] and cuts[1] <= cuts[2] and cuts[0] < cuts[2]:
        assert apply_edits(text, edits) == expected
    assert apply_edits(text, edits[:1] * 2) == text[: cuts[0]] + "<1>" + text[cuts[1] :]


def test_overlapping_edits_are_refused():
    with pytest.raises(ValueError, match="overlapping"):
        apply_edits("abcdef", [Edit(0, 3, "x"), Edit(2, 4, "y")])


NEIGHBOURS = st.sampled_from(
    ["/srv/a.test.other", "/srv/b.a.test", "/srv/a.testing", "/srv/xa.test", "/data/srv/a.test"]
)


@given(NEIGHBOURS, st.sampled_from(["web", "var/log", "var/run", "var/tmp"]))
def test_neighbours_with_a_like_name_are_never_touched(top, rest):
    text = f"server {{ server_name a.test; root {top}/{rest}; set $x {UPATH}/{rest}ish; }}".encode()
    model = nginx({"a": text})
    assert nginx_changes(model, site(model), final_map(UPATH)).changes == ()


def test_identity_map_changes_nothing():
    model = nginx({"a": A_SITE, "all": LITERAL})
    assert nginx_changes(model, site(model), PathMap(UPATH, ())).changes == ()
