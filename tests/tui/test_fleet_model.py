"""The fleet as flat lines: filter language, sort, counts, changes."""

from dataclasses import replace

import pytest
import tui_world
from hypothesis import given
from hypothesis import strategies as st

from nsmig_tui.domain.fleet import Status
from nsmig_tui.tui.filtering import keep, parse
from nsmig_tui.tui.fleet_model import FleetModel
from nsmig_tui.tui.selection import choose


@pytest.fixture
def model():
    """The made-up fleet, all open."""
    store, made = tui_world.fleet(), FleetModel()
    made.load(store.vnodes(), store.brief())
    made.expanded = {site.key for site in made.sites} | set(made.nodes)
    return made


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("shop", {"shop.example.org"}),
        ("example.org vn1", {"blog", "forum", "shop", "wiki", "www"}),
        ("~shpxm", {"shop.example.org"}),
        ("status:failed", {"forum.example.org"}),
        ("node:edge", {"wien.example.at"}),
        ("site:testlab", {"test.example.net"}),
        ("layout:ns3 !status:native", {"www.example.org", "wien.example.at"}),
        ("!example.org site:sydney", {"mail.example.com", "cloud.example.com"}),
        ("php:8.2 SHOP", {"shop.example.org"}),
        ("status:", {"shop", "blog", "forum", "www", "wiki", "mail", "cloud", "test", "wien"}),
        ("nothing-like-it", set()),
    ],
)
def test_the_filter_language(model, query, found):
    model.query = query
    domains = {host.domain for host in model.shown_hosts()}
    assert {domain if domain in found else domain.split(".")[0] for domain in domains} == found


def test_a_filter_opens_branches_and_hides_empty_ones(model):
    model.expanded = set()
    model.query = "shop"
    assert [line.kind for line in model.flatten()] == ["vsite", "vnode", "vhost"]
    assert model.matching == 1
    model.query = ""
    assert [line.kind for line in model.flatten()] == ["vsite"] * 3


def test_a_vnode_without_vhosts_is_found_by_name(model):
    model.query = "vn8"
    assert [line.key for line in model.flatten()] == ["site:testlab", "vn8.example.net"]


def test_sorts(model):
    model.sort = "size"
    hosts = [line.domain for line in model.flatten() if line.kind == "vhost"]
    assert hosts[0] == "shop.example.org"
    model.sort = "status"
    hosts = [line.domain for line in model.flatten() if line.kind == "vhost"]
    assert hosts[0] == "forum.example.org"


def test_counts_follow_a_change(model):
    host = tui_world.fleet().vhost("vn1.example.net", "shop.example.org")
    model.update_vhost(replace(host, status=Status.MIGRATED))
    assert model.nodes["vn1.example.net"].counts["migrated"] == 2
    assert model.totals()["validated"] == 2
    model.update_vhost(replace(host, domain="aaa.example.org"))
    assert model.nodes["vn1.example.net"].hosts[0].domain == "aaa.example.org"
    model.update_vhost(replace(host, vnode="unknown"))
    assert sum(model.totals().values()) == 10


def test_marks_win_over_the_cursor(model):
    line = model.hosts["vn1.example.net/shop.example.org"]
    marked = choose(model, {"vn2.example.net/cloud.example.com", "gone/x"}, line)
    assert [host.domain for host in marked.hosts] == ["cloud.example.com"]
    assert marked.production == ["vn2.example.net"]
    assert choose(model, set(), line).host is line
    assert len(choose(model, set(), model.sites[0]).hosts) == 7


@given(st.text(max_size=40))
def test_whatever_is_typed_means_something(query):
    store, model = tui_world.fleet(), FleetModel()
    model.load(store.vnodes(), store.brief())
    hosts = list(model.hosts.values())
    assert set(keep(hosts, query)) <= set(hosts)
    assert all(callable(test) for test in parse(query))
