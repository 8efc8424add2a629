"""PHP that climbs above web: what it means, which links keep it valid, what is said."""

import pytest
from vhost_facts import DOMAIN, HEALTHY, PLACES, VNODE, place, seen, serving

from nsmig_tui.domain.options import MigrateOptions
from nsmig_tui.domain.php_paths import php_climbs, target_of
from nsmig_tui.domain.planning import make_plan
from nsmig_tui.domain.readings import Reference
from nsmig_tui.domain.validation import validate

UPATH = "/srv/a.test"
TOP = (*HEALTHY.entries["top"], "private", ".archive", "wp-config.php")


def php(text, file="contact.php"):
    return Reference("php", f"{UPATH}/web/{file}", "2", text)


def facts(*refs, top=TOP, web=("contact.php", "a"), **more):
    return seen(php_climbs=refs, entries=HEALTHY.entries | {"top": top, "web": web}, **more)


def plan_for(given, **options):
    return make_plan(VNODE, DOMAIN, given, serving(given), MigrateOptions(**options), "20270101-000000")


@pytest.mark.parametrize(
    "text, target",
    [
        ("__DIR__.'/../private/x.php", (False, "../private/x.php")),
        ("dirname(__FILE__) . '/../var/log", (False, "../var/log")),
        ("dirname(dirname(__FILE__))", (False, "../")),
        ("dirname(dirname(__FILE__)) . '/private", (False, "../private")),
        ("dirname( __DIR__ , 2 ) . \"/x", (False, "../../x")),
        ("dirname(__FILE__ . '/../x", (False, "file/..")),
        ("__FILE__ . '/../../x", (False, "file/../../x")),
        ("$_SERVER['DOCUMENT_ROOT'].'/../x", (True, "../x")),
        ("$_SERVER['DOCUMENT_ROOT']}/../x", (True, "../x")),
        ("$_SERVER[DOCUMENT_ROOT]/../x", (True, "../x")),
        ("__DIR__ . '/../private/$name", (False, "../private/")),
        ("__DIR__ . '/../pri{$x}", (False, "../")),
        ("'../private/x.php'", (False, "../private/x.php")),
        ("'../'", None),
        ("'/..'", (False, "..")),
        ("DS . '..", (False, "..")),
        ("something else", None),
    ],
)  # fmt: skip
def test_what_an_expression_leads_to(text, target):
    assert target_of(text) == target


BRIDGES = [
    (php("__DIR__.'/../private/x.php"), {"web/app/private": "../../private"}),
    (php("__DIR__.'/../../private/x.php", "a/b.php"), {"web/app/private": "../../private"}),
    (php("__DIR__.'/../private/x.php", "a/b.php"), {}),
    (php("$_SERVER['DOCUMENT_ROOT'].'/../private", "a/b/c.php"), {"web/app/private": "../../private"}),
    (php("'../private/x.php'"), {"web/app/private": "../../private"}),
    (php("dirname( ABSPATH ) . '/wp-config.php", "wp-load.php"),
     {"web/app/wp-config.php": "../../wp-config.php"}),
    (php("__DIR__.'/../var/log/app.log"), {"web/app/var": "../../var"}),
    (php("__DIR__.'/../../b.test/web/x.php"), {"web/b.test": "../../b.test"}),
    (php("__DIR__.'/../gone/x.php"), {}),
    (php("__DIR__.'/../.archive/x"), {}),
    (php("__DIR__.'/../../../etc/x"), {}),
]  # fmt: skip


@pytest.mark.parametrize("ref, links", BRIDGES)
def test_links_where_it_will_look(ref, links):
    plan = plan_for(facts(ref))
    assert dict(plan.climbing) == links and plan.blocked == ()


def test_old_places_that_it_means_stay_valid():
    plan = plan_for(facts(php("__DIR__.'/../var/tmp"), php("__DIR__.'/../etc/x.php")))
    assert plan.compat_var and plan.relocate_tmp and plan.keep_legacy == ("etc",) and not plan.compat_web


def test_what_cannot_be_told_counts_for_all_that_the_site_may_mean():
    plan = plan_for(facts(php("dirname(__DIR__)")))
    assert set(dict(plan.climbing)) == {
        f"web/app/{n}" for n in ("private", "wp-config.php", "var", "bin", "etc")
    }
    assert plan.compat_var and plan.keep_legacy == ("bin", "etc") and plan.relocate_tmp


def warned(given):
    return [f for f in validate(DOMAIN, UPATH, given, serving(given)) if f.message.startswith("PHP")]


def test_a_word_on_each_with_what_becomes_of_it():
    refs = [php(f"__DIR__.'/../{name}") for name in ("private/x", "gone/x", "../../x")]
    hints = [f.hint for f in warned(facts(*refs, php("dirname(__DIR__)")))]
    for hint, words in zip(
        hints, ("keep it valid: private", "Nothing stands there", "elsewhere", "every name"), strict=True
    ):
        assert words in hint
    assert (
        warned(facts(*refs))[0].message
        == f"PHP: {UPATH}/web/contact.php line 2 leads above the document root"
    )
    many = warned(facts(*(php(f"__DIR__.'/../private/{n}") for n in range(30))))
    assert len(many) == 21 and "10 more" in many[-1].message


def test_strings_and_defaults_that_lead_nowhere_are_silent():
    assert (
        warned(facts(php("'../css/site.css'"), php("dirname( ABSPATH ) . '/wp-settings.php", "wp-load.php")))
        == []
    )


def test_a_name_for_which_no_link_can_stand_is_an_error():
    given = facts(php("__DIR__.'/../public/x"), top=(*TOP, "public"))
    found = [f for f in validate(DOMAIN, UPATH, given, serving(given)) if f.blocks]
    assert len(found) == 1 and "line 2" in found[0].message and found[0].hint
    assert len(plan_for(given).blocked) == 1


def test_from_a_document_root_that_lies_deeper():
    given = facts(php("$_SERVER['DOCUMENT_ROOT'].'/../vendor/x"))
    assert list(php_climbs(given, UPATH, f"{UPATH}/web/public")) == []


APP = PLACES | {"web/app": place()}
OWN = {"web": ("app", "log", "tmp", "index.php")}


def absolute(path, file="shop.php"):
    return Reference("application", f"{UPATH}/web/{file}", "1", path)


def with_app(*paths, spots=APP, **more):
    refs = tuple(p if isinstance(p, Reference) else absolute(p) for p in paths)
    return seen(references=refs, places=spots, entries=HEALTHY.entries | OWN, **more)


@pytest.mark.parametrize("path, all_", [("/web/app/boot.php", "all"), ("/web", "all"), ("/var/log", "none")])
def test_entries_of_the_sites_own_app_are_found_by_links(path, all_):
    plan = plan_for(with_app(UPATH + path))
    assert plan.values["COMPAT_APP"] == all_ and plan.blocked == ()


def test_links_in_app_follow_the_policy():
    assert plan_for(with_app(f"{UPATH}/web/app/x"), compat="never").values["COMPAT_APP"] == "none"
    assert plan_for(with_app(), compat="always").values["COMPAT_APP"] == "all"
    assert plan_for(seen(), compat="always").values["COMPAT_APP"] == "none"


INNER = APP | {"web/app/public": place()}
CLASHES = [
    (with_app(f"{UPATH}/web/log/x.log"), "web/log"),
    (with_app(f"{UPATH}/web/tmp", f"{UPATH}/var/tmp"), "web/tmp"),
    (with_app(f"{UPATH}/web/app/public/x", spots=INNER), "web/app/public"),
    (with_app(f"{UPATH}/web/app/", spots=INNER), "web/app/public"),
    (with_app(f"{UPATH}/web/app", spots=PLACES | {"web/app": place("other")}), "web/app"),
]


@pytest.mark.parametrize("given, name", CLASHES)
def test_where_no_link_can_stand_it_is_said(given, name):
    found = [f for f in validate(DOMAIN, UPATH, given, serving(given)) if f.blocks]
    assert len(found) == 1 and f"{UPATH}/web/shop.php line 1 names {UPATH}/{name}," in found[0].message
    assert found[0].hint and len(plan_for(given).blocked) == 1
    assert plan_for(given, compat="never").blocked == ()


NO_CLASH = [
    with_app(f"{UPATH}/web/tmp/x"),
    with_app(f"{UPATH}/web/app/x", spots=INNER),
    with_app(absolute(f"{UPATH}/web/log/x", "error_log"), absolute(f"{UPATH}/web/log/x", "l/laravel.log")),
    seen(references=(absolute(f"{UPATH}/web/log/x"),)),
]


@pytest.mark.parametrize("given", NO_CLASH)
def test_where_links_can_stand_or_nobody_reads_the_line_nothing_blocks(given):
    assert [f for f in validate(DOMAIN, UPATH, given, serving(given)) if f.blocks] == []


def test_a_path_that_may_be_put_together_gets_a_word():
    given = with_app(f"{UPATH}/web/")
    found = [f.message for f in validate(DOMAIN, UPATH, given, serving(given)) if f.severity == "warning"]
    assert any(f"{UPATH}/web/log is not" in m for m in found)
