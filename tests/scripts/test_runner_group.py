"""Runs of one vnode that share tests and reloads: one bad vhost stops only itself."""

import subprocess
import time

import pytest

PARTS = (
    "prelude",
    "capabilities",
    "run_base",
    "run_notes",
    "run_look",
    "run_lock",
    "run_pins",
    "run_services",
    "run_fpm",
    "run_config",
    "run_whose",
    "run_group",
)
GIVES_UP_S = 5.0
"""Seconds after which a group goes without those on their way."""

MEMBER = """
DOMAIN=$1 RUN=$1 OPERATOR=me CRASH_AT=0 FAIL_AT= PHASE=forward GATHER=1 FOLLOW=0 NGINX_AT=orig FPM_CONF=
VAR=$R/var/lib/nsmig J=$R/var/lib/nsmig/$1 CUR=$R/var/lib/nsmig/$1/cur RD=$R/rd-$1
mkdir -p "$RD"
open_lock
sync() { :; } # the machine's disks are not what is tested
nginx_test() {
  echo test >>"$R/tests"
  if grep -qs bad "$R"/etc/nginx/*.conf; then NGINX_SAYS="a bad word"; return 1; fi
}
nginx_reload() { echo reload >>"$R/reloads"; cat "$R"/etc/nginx/*.conf >"$R/live"; }
fail() { printf 'failed: %s\\n' "$*"; exit 5; }
case $DOMAIN in
  *first*) STAGE=bridge FOLLOW=1; come_to 1 ;;
  *last*) STAGE=bridge ;;
  near*|elsewhere*|heard*) STAGE=bridge; come_to 1 ;;
  twice*) STAGE=bridge FIRST=fpm; come_to 2 ;;
  *) STAGE=final; come_to 3 ;;
esac
: >"$R/ready-$1"
while [ ! -e "$R/go" ]; do sleep 0.01; done
case $DOMAIN in late*) sleep 1.5 ;; *last*) sleep 1.5; come_to 1 ;; esac
case $DOMAIN in heard*) echo ok >"$J/got.fpm"; : >"$J/wants.fpm"; sleep 1; exit ;; esac
case $DOMAIN in elsewhere*) : >"$J/wants.fpm"; sleep 4; exit ;; esac
nginx_to "$STAGE"
case $DOMAIN in twice-slowly*) sleep 1.5; nginx_to final ;; twice*) nginx_to final ;; esac
echo "$1 is live"
"""


def settle(sh, domain, final):
    """The record of a run whose file is to change from "old" to ``final``."""
    run = sh.root / "var/lib/nsmig" / domain
    (run / "cur/conf").mkdir(parents=True)
    (run / "journal").touch()
    site = sh.root / "etc/nginx" / f"{domain}.conf"
    site.parent.mkdir(parents=True, exist_ok=True)
    site.write_text(f"old {domain}\n")
    (run / "cur/conf/1.orig").write_text(f"old {domain}\n")
    for stage in ("bridge", "final"):
        (run / f"cur/conf/1.{stage}").write_text(final)
    (run / "cur/conf/list").write_text(f"1\tnginx\tsum\t{site}\n")
    return site


def together(sh, domains):
    """Begin all runs at one moment; answers what each said."""
    script = sh.root / "member.sh"
    script.write_text(sh.parts(*PARTS, then=MEMBER))
    runs = {
        domain: subprocess.Popen(
            [*sh.command, script, domain],
            env=sh.environment(),
            cwd=sh.root,
            stdout=subprocess.PIPE,
            text=True,
        )
        for domain in domains
    }
    try:
        while len(list(sh.root.glob("ready-*"))) < len(runs):
            assert all(run.poll() is None for run in runs.values())
        (sh.root / "go").touch()
        return {domain: run.communicate(timeout=60)[0].strip() for domain, run in runs.items()}
    finally:
        for run in runs.values():
            run.kill()
            run.wait()


def count(sh, name):
    return len((sh.root / name).read_text().splitlines())


def test_all_share_one_test_and_one_reload(sh):
    domains = [f"s{number}.test" for number in range(5)]
    sites = [settle(sh, domain, f"new {domain}\n") for domain in domains]
    assert together(sh, domains) == {domain: f"{domain} is live" for domain in domains}
    assert [site.read_text() for site in sites] == [f"new {domain}\n" for domain in domains]
    assert count(sh, "tests") == count(sh, "reloads") < len(domains)
    assert (sh.root / "live").read_text() == "".join(f"new {domain}\n" for domain in domains)


def test_those_on_their_way_are_waited_for(sh):
    """Their tests and reload are then the group's, one of each."""
    domains = ["a.test", "b.test", "late.test"]
    for domain in domains:
        settle(sh, domain, f"new {domain}\n")
    assert together(sh, domains) == {domain: f"{domain} is live" for domain in domains}
    assert count(sh, "tests") == count(sh, "reloads") == 1
    marks = {(sh.var / domain / "coming").read_text().split()[0] for domain in domains}
    assert marks == {"4"}, "all have gone on to the next change"


def test_those_that_are_not_begun_yet_are_waited_for(sh):
    domains = ["first.test", "last.test"]
    for domain in domains:
        settle(sh, domain, f"new {domain}\n")
    assert together(sh, domains) == {domain: f"{domain} is live" for domain in domains}
    assert count(sh, "tests") == count(sh, "reloads") == 1


def test_who_asks_php_fpm_first_is_not_waited_for_by_nginx_and_the_other_way_round(sh):
    for domain in ("elsewhere.test", "near.test"):
        settle(sh, domain, f"new {domain}\n")
    assert together(sh, ["elsewhere.test", "near.test"])["near.test"] == "near.test is live"
    assert (sh.root / "live").stat().st_mtime - (sh.root / "go").stat().st_mtime < 3.0


def test_two_changes_of_nginx_that_follow_each_other_are_two_of_all_together(sh):
    """Also where one has its first answer to hear when another begins to gather for the second."""
    domains = [*(f"twice{number}.test" for number in range(4)), "twice-slowly.test"]
    for domain in domains:
        settle(sh, domain, f"new {domain}\n")
    begun = time.monotonic()
    assert together(sh, domains) == {domain: f"{domain} is live" for domain in domains}
    assert count(sh, "tests") == count(sh, "reloads") == 2
    assert time.monotonic() - begun < GIVES_UP_S
    assert not [*sh.var.glob("*/wants.*"), *sh.var.glob("*/got.*")]


def test_who_has_yet_to_hear_that_php_fpm_is_changed_is_waited_for_by_nginx(sh):
    """Its wish of php-fpm is still there, but answered: it comes next."""
    for domain in ("heard.test", "near.test"):
        settle(sh, domain, f"new {domain}\n")
    assert together(sh, ["heard.test", "near.test"])["near.test"] == "near.test is live"
    assert (sh.root / "live").stat().st_mtime - (sh.root / "go").stat().st_mtime > 0.9


def test_who_died_on_its_way_is_not_waited_for(sh):
    settle(sh, "b.test", "new b\n")
    (sh.var / "dead.test").mkdir()
    (sh.var / "dead.test/coming").write_text("3 999999999 0\n")
    begun = time.monotonic()
    assert together(sh, ["b.test"]) == {"b.test": "b.test is live"}
    assert time.monotonic() - begun < GIVES_UP_S


@pytest.mark.parametrize("poisoned", [0, 2])
def test_a_bad_one_is_put_back_and_the_others_go_live(sh, poisoned):
    domains = [f"s{number}.test" for number in range(4)]
    for number, domain in enumerate(domains):
        settle(sh, domain, "bad\n" if number == poisoned else f"new {domain}\n")
    said = together(sh, domains)
    culprit = domains[poisoned]
    assert said.pop(culprit) == "failed: nginx -t: a bad word"
    assert said == {domain: f"{domain} is live" for domain in domains if domain != culprit}
    live = [f"old {domain}\n" if domain == culprit else f"new {domain}\n" for domain in domains]
    assert (sh.root / "live").read_text() == "".join(live)
    assert (sh.root / f"etc/nginx/{culprit}.conf").read_text() == f"old {culprit}\n"


def test_a_file_that_someone_edited_stops_only_its_own_run(sh):
    edited, other = settle(sh, "a.test", "new a\n"), settle(sh, "b.test", "new b\n")
    edited.write_text("by hand\n")
    said = together(sh, ["a.test", "b.test"])
    assert said["a.test"].startswith(f"failed: {edited} was changed by someone else")
    assert said["b.test"] == "b.test is live"
    assert (edited.read_text(), other.read_text()) == ("by hand\n", "new b\n")


def test_who_died_while_waiting_is_not_waited_for(sh):
    """Its wish stays behind; whoever leads next drops it and leaves the files alone."""
    dead = settle(sh, "dead.test", "new dead\n")
    settle(sh, "b.test", "new b\n")
    wish = sh.root / "var/lib/nsmig/dead.test/wants.nginx"
    wish.write_text("final\norig\n\n\n999999999\n")
    assert together(sh, ["b.test"]) == {"b.test": "b.test is live"}
    assert dead.read_text() == "old dead.test\n"
    assert not wish.exists()


def test_what_a_killed_run_left_is_not_the_wish_of_the_next(sh):
    text = sh.parts(*PARTS, then='J=$R/j\nwant_nothing_yet\nls "$J"\n')
    (sh.root / "j").mkdir()
    for name in ("wants.nginx", "got.fpm", "coming", "journal"):
        (sh.root / "j" / name).touch()
    assert sh.run(text).stdout == b"journal\n"
