"""Stages of configuration that do not hold: what was live is back on disk, the way back leaves them out."""

import signal

import pytest

PARTS = (
    *("prelude", "capabilities", "run_base", "run_notes", "run_look", "run_lock", "run_pins"),
    *(
        "run_services",
        "run_fpm",
        "run_config",
        "run_whose",
        "run_group",
        "run_keeper",
        "run_hold",
        "run_way",
        "run_undo",
    ),
)

SETUP = """
DOMAIN=a.test RUN=r OPERATOR=me CRASH_AT=0 FAIL_AT= GATHER=0 FPM_CONF=/fpm.conf STEP=configuration_update
HOLD=app NEW_SOCKETS= OLD_SOCKETS= VERB=${T_VERB:-migrate} PHASE=${T_PHASE:-forward} FPM_AT=${T_FPM_AT:-}
J=$VAR/a.test CUR=$VAR/a.test/cur RD=$R/rd S=$R/staging UPATH=$R/srv/a.test LOG_INO= TMP_INO= WEB_INO=
XCHG=${T_XCHG:-mv}
BRIDGE=bridge BOTH=both
if [ "$XCHG" = none ]; then BRIDGE=transition BOTH=both_t; fi
mkdir -p "$RD"
open_lock
sync() { :; } # the machine's disks are not what is tested
nginx_test() { NGINX_SAYS="no luck"; ! grep -qs "$BAD" "$R/site"; }
fpm_test() { FPM_SAYS="no luck"; ! grep -qs "$BAD" "$R/pool"; }
nginx_reload() { echo "nginx $(cat "$R/site")" >>"$R/taken"; }
fpm_reload() { echo "fpm $(cat "$R/pool")" >>"$R/taken"; }
fpm_alive() { :; }
note_pools() { :; }
tree_functions="make_staging hold_places finish_carry legacy_back relay_back content_to_hold mark_switched
keep_at_hand hold_takes_content relay_home unmake in_web drop_app deep_path_stays tree_back
adopt old_paths_back let_leave var_since_home keep_beside clear_staging
keep_transition_logs in_dir remove_created times_back keep_undone content_is"
for f in $tree_functions; do eval "$f() { :; }"; done
if [ -n "${DIES_AT:-}" ]; then pt() { case $1 in "$DIES_AT"*) kill -9 $$ ;; esac; }; fi
"""

SWITCH = {
    "mv": "flag touched; echo 1 >$CUR/made.run; fpm_to both '' ''; nginx_to bridge; "
    "nginx_to final; fpm_to final '' ''; fail 'all held'",
    "none": "flag touched; fpm_apart ''; nginx_to transition; echo 1 >$CUR/made.run; fpm_to both_t '' ''; "
    "nginx_to final; fpm_to final '' ''; fail 'all held'",
}
STAGES = {
    "mv": ("fpm both", "nginx bridge", "nginx final", "fpm final"),
    "none": ("fpm apart", "nginx transition", "fpm both_t", "nginx final", "fpm final"),
}
CASES = [(exchange, stage) for exchange, stages in STAGES.items() for stage in stages]


@pytest.fixture
def record(sh):
    """A run's record with all stages of a site and a pool; the files on disk are the originals."""
    conf = sh.var / "a.test/cur/conf"
    conf.mkdir(parents=True)
    (conf.parents[1] / "journal").touch()
    lines = []
    for number, (kind, name) in enumerate((("nginx", "site"), ("fpm", "pool")), 1):
        for stage in ("orig", "bridge", "transition", "apart", "both", "both_t", "final"):
            if (kind == "fpm") == (stage in ("apart", "both", "both_t")) or stage in ("orig", "final"):
                (conf / f"{number}.{stage}").write_text(f"<{stage}>\n")
        (sh.root / name).write_text("<orig>\n")
        lines.append(f"{number}\t{kind}\tsum\t{sh.root / name}\n")
    (conf / "list").write_text("".join(lines))
    return conf.parent


def on_disk(sh):
    return [(sh.root / name).read_text().strip() for name in ("site", "pool")]


def taken(sh):
    """What nginx and php-fpm were given by reloads, in order."""
    path = sh.root / "taken"
    return path.read_text().split("\n")[:-1] if path.exists() else []


def run(sh, then, **env):
    return sh.run(sh.parts(*PARTS, then=SETUP + then + "\n"), **({"BAD": "nothing"} | env))


def bad(stage):
    """The environment in which the test of one kind's stage fails, for ever."""
    return {"BAD": f"<{stage.split()[1]}>"}


@pytest.mark.parametrize(("exchange", "stage"), CASES)
def test_a_stage_that_never_held_does_not_stop_the_undo(sh, record, exchange, stage):
    kind = stage.split()[0]
    other = {"nginx": "fpm_test() { :; }", "fpm": "nginx_test() { :; }"}[kind]
    done = run(sh, other + "\n" + SWITCH[exchange], T_XCHG=exchange, T_FPM_AT="orig", **bad(stage))
    journal = (sh.var / "a.test/journal").read_text()
    assert done.returncode == 5, (journal, done.stderr)
    assert "no luck" in journal and "all held" not in journal
    assert on_disk(sh) == ["<orig>", "<orig>"]
    assert f"{kind} <{stage.split()[1]}>" not in taken(sh)


@pytest.mark.parametrize(("exchange", "stage"), CASES)
def test_a_run_killed_with_such_a_stage_on_disk_is_undone_by_the_next(sh, record, exchange, stage):
    kind, name = stage.split()
    first = run(sh, SWITCH[exchange], T_XCHG=exchange, T_FPM_AT="orig", DIES_AT=f"config-{kind}-{name}")
    assert first.returncode == -signal.SIGKILL
    assert f"<{name}>" in on_disk(sh)
    other = {"nginx": "fpm_test() { :; }", "fpm": "nginx_test() { :; }"}[kind]
    then = other + "\nundo_everything 'asked for'"
    second = run(sh, then, T_XCHG=exchange, T_PHASE="undo", T_VERB="undo", **bad(stage))
    journal = (sh.var / "a.test/journal").read_text()
    assert second.returncode == 0, (journal, second.stderr)
    assert on_disk(sh) == ["<orig>", "<orig>"]
    assert f"{kind} <{name}>" not in taken(sh)


def test_what_a_killed_run_was_about_to_put_in_place_goes(sh, record):
    """A copy of the configuration beside it is of no use to anybody, and nobody would look for it."""
    dies = 'mv() { case "$*" in *.nsmig-a.test.*) kill -9 $$ ;; esac; command mv "$@"; }\n'
    first = run(sh, dies + SWITCH["mv"], T_FPM_AT="orig")
    assert first.returncode == -signal.SIGKILL and on_disk(sh) == ["<orig>", "<orig>"]
    assert list(sh.root.parent.glob(".nsmig-a.test.*"))
    second = run(sh, "undo_everything 'asked for'", T_PHASE="undo", T_VERB="undo")
    assert second.returncode == 0, second.stderr
    assert not list(sh.root.parent.glob(".nsmig-*")) and on_disk(sh) == ["<orig>", "<orig>"]


@pytest.mark.parametrize("stage", ["both", "final"])
def test_what_was_live_is_put_back_by_another_process_too(sh, record, stage):
    """The texts on disk always start, also when a resumed run meets a stage that does not hold."""
    live = {"both": "orig", "final": "both"}[stage]
    if live == "both":
        assert run(sh, "fpm_to both '' ''", T_FPM_AT="orig").returncode == 0
    killed = run(sh, f"fpm_to {stage} '' ''", DIES_AT="config-fpm")
    assert killed.returncode == -signal.SIGKILL and on_disk(sh)[1] == f"<{stage}>"
    again = run(sh, f"fpm_to {stage} '' ''", T_PHASE="undo", **bad(f"fpm {stage}"))
    assert again.returncode == 6, again.stderr
    assert on_disk(sh)[1] == f"<{live}>"


def test_an_undo_goes_through_the_stages_that_were_live(sh, record):
    """A finished migration: first both sockets, then nginx, then php-fpm: no request finds nobody."""
    run(sh, SWITCH["mv"].replace("fail 'all held'", ""), T_FPM_AT="orig")
    (sh.root / "taken").unlink()
    done = run(sh, "undo_everything 'asked for'", T_PHASE="undo", T_VERB="undo")
    assert done.returncode == 0, done.stderr
    assert taken(sh) == ["fpm <both>", "nginx <bridge>", "fpm <orig>", "nginx <orig>"]


def test_a_note_that_a_power_cut_left_unfinished_does_not_count(sh, record):
    run(sh, "fpm_to both '' ''", T_FPM_AT="orig")
    with (record / "live.fpm").open("a") as notes:
        notes.write("fin")
    assert run(sh, 'stage_at fpm; echo "$AT"').stdout == b"both\n"


def test_when_nothing_holds_a_person_is_called(sh, record):
    """And what is on disk is what was live."""
    run(sh, SWITCH["mv"].replace("fail 'all held'", ""), T_FPM_AT="orig")
    done = run(sh, "undo_everything 'asked for'", T_PHASE="undo", T_VERB="undo", BAD=".")
    assert done.returncode == 6, done.stderr
    assert on_disk(sh) == ["<final>", "<final>"]
    assert "attention" in (sh.var / "a.test/journal").read_text()


@pytest.mark.parametrize(
    ("phase", "exchange", "needs", "goes"),
    [
        ("forward", "none", "1", False),
        ("forward", "none", "", True),
        ("forward", "mv", "1", True),
        ("undo", "none", "1", True),
    ],
)
def test_what_needs_an_exchange_goes_nowhere_without_one(sh, phase, exchange, needs, goes):
    """The file system may have none though the vnode has the tool; the way back is never barred."""
    lines = (
        'VPATH=$R/srv CUR=$R/cur S=$R/srv/.nsmig/a.test\nmkdir -p "$CUR" "$S"\n'
        'make_staging() { :; }; probe_exchange() { :; }; fail() { echo "$*"; exit 9; }\nstaging\necho gone'
    )
    script = sh.parts("run_main").replace('\nmain "$@"\n', "\nR=$NSMIG_ROOT\n" + lines)
    done = sh.run(script, PHASE=phase, XCHG=exchange, NEEDS_XCHG=needs, OWNER="0:0")
    expected = b"gone" if goes else b"in one step"
    assert expected in done.stdout, (done.stdout, done.stderr)
