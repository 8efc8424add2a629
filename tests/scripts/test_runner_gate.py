"""Whether a verb may begin is judged by what is on disk, whatever the operator's program believed."""

import pytest
from scripts.test_runner_base import BASE, SETUP, journal

STATES = {
    "nothing": 'rm -r "$CUR"',
    "half-way": ': >"$CUR/plan"; : >"$CUR/flag.touched"',
    "committed": ': >"$CUR/plan"; : >"$CUR/flag.committed"',
    "half undone": ': >"$CUR/plan"; : >"$CUR/flag.committed"; : >"$CUR/flag.back"',
    "going back": ': >"$CUR/plan"; : >"$CUR/flag.back"',
    "restored": 'rm -r "$CUR"; mkdir "$J/restored"; : >"$J/restored/begun"; : >"$J/restored/done"',
    "half restored": 'rm -r "$CUR"; mkdir "$J/restored"; : >"$J/restored/begun"',
}
MAY = {
    "migrate": {"nothing", "restored"},
    "resume": {"half-way"},
    "undo": {"half-way", "committed", "half undone", "going back"},
    "restore": {"nothing", "committed", "restored"},
    "unrestore": {"restored", "half restored"},
    "tidy": {"nothing", "committed", "restored"},
}


def begin(sh, state, verb, more=""):
    """The verb on a vhost whose staging holds the site."""
    then = f"""
    {STATES[state]}
    S=$R/v/.nsmig/a.test VPATH=$R/v PHASE=preflight VERB={verb}
    mkdir -p "$S/new/app/public" "$S/log" "$S/restore/tree"
    echo site >"$S/new/app/public/page"
    echo lines >"$S/log/access.log"
    {more or 'verb_may_begin ""'}
    """
    return sh.run(sh.parts(*BASE, "run_gate", then=SETUP + then))


@pytest.mark.parametrize("verb", MAY)
def test_a_verb_begins_only_on_what_it_is_for(sh, verb):
    for state in STATES:
        done = begin(sh, state, verb)
        assert done.returncode == (0 if state in MAY[verb] else 4), (state, done)
        for path in ("j/cur", "j/restored"):
            if (sh.root / path).exists():
                sh.run(f'rm -r "{sh.root / path}"')


@pytest.mark.parametrize("state", ["half-way", "half undone", "going back", "committed"])
@pytest.mark.parametrize(
    "more", ["drop_copy", "PHASE=prepare; fail 'no room'"], ids=["tidy", "restore fails"]
)
def test_with_a_migration_on_record_only_the_copy_of_a_restore_is_deleted(sh, state, more):
    begin(sh, state, "tidy", more)
    staged = sh.root / "v/.nsmig/a.test"
    assert (staged / "new/app/public/page").read_text() == "site\n"
    assert (staged / "log/access.log").read_text() == "lines\n"
    assert not (staged / "restore").exists()


def test_nothing_is_deleted_in_which_a_file_system_is_mounted(sh):
    begin(sh, "nothing", "tidy", "mount_below() { MOUNT=$1/restore/tree; }\ndrop_copy")
    assert (sh.root / "v/.nsmig/a.test/restore/tree").is_dir()
    assert "is a mount point" in journal(sh)[0][4]


@pytest.mark.parametrize(("seen", "code"), [("r9", 0), ("r8", 4), ("", 0)])
def test_what_was_asked_for_on_a_look_of_before_another_run_does_not_begin(sh, seen, code):
    more = f"""
    SEEN_RUN={seen}
    for line in 'r8\\tbegin\\trestore a' 'r9\\tbegin\\trestore b' 'p1\\tpruned\\tx'; do
      printf "1\\t1.0\\t$line\\n"
    done >"$J/journal"
    newest=$(newest_run)
    verb_may_begin "$newest"
    """
    done = begin(sh, "restored", "unrestore", more)
    assert done.returncode == code, done
    if code:
        assert "another run has been at work here" in journal(sh)[-3][4]
