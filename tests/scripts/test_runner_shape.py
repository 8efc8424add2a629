"""Before an undo begins, a finished migration is known by the shape of its tree, not by inode numbers."""

import pytest
from scripts.test_runner_base import BASE, SETUP, journal

MIGRATED = """
PHASE=preflight S=$R/s VPATH=$R/srv UIDN=$(id -u) GIDN=$(id -g) WUIDN=33 OWNER=$UIDN:$GIDN HOLD=app
OLD_SOCKETS= web=$UPATH/web
mkdir -p "$UPATH/.archive/legacy-1/var/log" "$web/app/public" "$web/log" "$web/run" "$CUR/conf"
echo page >"$UPATH/web/app/public/page"
: >"$CUR/plan"; : >"$CUR/flag.committed"; : >"$CUR/flag.touched"
echo legacy-1 >"$CUR/legacy"
ino "$UPATH/web" >"$CUR/skeleton.ino"
ino "$UPATH/web/run" >"$CUR/made.run"
printf '1\\tnginx\\tx\\t%s/site\\n' "$R" >"$CUR/conf/list"
echo old >"$CUR/conf/1.orig"; echo new >"$CUR/conf/1.final"; echo new >"$R/site"
UPATH_INO=$(ino "$UPATH") WEB_INO=$(ino "$UPATH/web/app/public") VAR_INO=$(ino "$UPATH/.archive/legacy-1/var")
LOG_INO=$(ino "$UPATH/web/log") TMP_INO=
other() { cp -a "$1" "$1.copy" && mv "$1" "$R/gone.$(ino "$1")" && mv "$1.copy" "$1"; }
old_tree() { mv "$UPATH/web" "$R/web.gone"; mkdir -p "$UPATH/web/css" "$UPATH/var/log" "$UPATH/var/run"; }
"""
SAYS = """
for x in "$UPATH=$UPATH_INO" "$UPATH/web=$(cat "$CUR/skeleton.ino")" "$UPATH/web/app/public=$WEB_INO" \
  "$UPATH/web/run=$(cat "$CUR/made.run")"; do
  [ "$(ino "${x%=*}")" = "${x##*=}" ] || echo "unknown ${x%=*}"
done
[ "$(ino "$UPATH/var")" = "$VAR_INO" ] && echo "var here"
[ "$(ino "$UPATH/.archive/legacy-1/var")" = "$VAR_INO" ] && echo "var away"
. "$CUR/plan"
echo "content $([ "$(ino "$UPATH/web/app/public")" = "$WEB_INO" ] && echo known)"
"""


def run(sh, then):
    """On a migrated vhost."""
    return sh.run(
        sh.parts(
            *BASE, "run_tree", "run_tail", "run_gate", "run_way", "run_shape", then=SETUP + MIGRATED + then
        )
    )


ADOPTED = {
    "as it was": "",
    "the whole vhost": 'other "$UPATH"',
    "web": 'other "$UPATH/web"',
    "web, with the content's old number": 'other "$UPATH/web"; WEB_INO=$(ino "$UPATH/web")',
    "the content": 'other "$UPATH/web/app/public"',
    "the old var": 'other "$UPATH/.archive/legacy-1/var"',
}


@pytest.mark.parametrize("what", ADOPTED)
def test_what_stands_at_the_places_of_the_new_layout_is_what_goes_back(sh, what):
    done = run(sh, f"{ADOPTED[what]}\nas_it_stands\n{SAYS}")
    assert (done.returncode, done.stdout) == (0, b"var away\ncontent known\n"), (done, journal(sh))
    warned = [line[4] for line in journal(sh) if line[3] == "warning"]
    assert bool(warned) == (what not in ("as it was", "the old var"))


@pytest.mark.parametrize(
    ("change", "here"),
    [
        ('mkdir -p "$UPATH/var/cache"; other "$UPATH/.archive/legacy-1/var"', b"var here"),
        ('mkdir -p "$UPATH/var/log"; other "$UPATH/.archive/legacy-1/var"', b"var away"),
        ('mv "$UPATH/.archive/legacy-1/var" "$R/lost"; mkdir -p "$UPATH/var/run"', b"var here"),
    ],
    ids=["it stayed, with more in it", "another one was made", "it is gone, and was made anew"],
)
def test_which_var_is_the_old_one(sh, change, here):
    done = run(sh, f"{change}\nas_it_stands\n{SAYS}")
    assert here in done.stdout and done.returncode == 0, (done, journal(sh))


REFUSED = {
    "a link": (
        'other "$UPATH/web"; mv "$UPATH/web/app/public" "$R/p"; ln -s "$R/p" "$UPATH/web/app/public"',
        "install -d",
    ),
    "another shape": ('other "$UPATH/web"; rm -r "$UPATH/web/run"', "install -d"),
    "nothing": ('mv "$UPATH/web" "$R/away"', "rollback --archive"),
    "both layouts": ('other "$UPATH/web"; mkdir -p "$UPATH/var/log" "$UPATH/var/run"', "var.aside"),
    "the old tree": ("old_tree", "conf/N.orig"),
    "the old tree with its configuration": ('old_tree; echo old >"$R/site"', "nothing to undo"),
    "no var": ('mv "$UPATH/.archive/legacy-1/var" "$R/lost"', "install -d"),
    "var with our links only": (
        'mv "$UPATH/.archive/legacy-1/var" "$R/lost"; mkdir "$UPATH/var"; ln -s ../web/log "$UPATH/var/log"',
        "install -d",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_has_another_shape_is_never_adopted(sh, what):
    """And it is said what to do, before anything is touched."""
    change, said = REFUSED[what]
    done = run(sh, f"{change}\nas_it_stands")
    assert done.returncode == 4, done
    (why,) = [line[4] for line in journal(sh) if line[3] == "error"]
    assert said in why, why


def test_an_undo_that_has_begun_knows_its_folders_by_number(sh):
    done = run(
        sh,
        'other "$UPATH/web"; : >"$CUR/flag.back"; was=$(cat "$CUR/skeleton.ino")\n'
        'as_it_stands; [ "$was" = "$(cat "$CUR/skeleton.ino")" ]',
    )
    assert done.returncode == 0, done


@pytest.mark.parametrize(
    ("change", "before"),
    [
        ("", False),
        ("old_tree", False),
        ('old_tree; echo old >"$R/site"', True),
        ('old_tree; echo edited >"$R/site"', True),
        ('old_tree; rm "$R/site"', False),
        ('echo old >"$R/site"', False),
        ('old_tree; echo old >"$R/site"; : >"$CUR/flag.back"', False),
        ('old_tree; echo old >"$R/site"; rm "$CUR/flag.committed"', False),
        ('rm -r "$UPATH/web/run"; mkdir -p "$UPATH/var/log"; echo old >"$R/site"', False),
    ],
)
def test_whose_tree_and_configuration_are_of_before(sh, change, before):
    done = run(sh, f"{change}\nis_of_before && echo yes; :")
    assert done.stdout == (b"yes\n" if before else b""), done


def test_a_record_that_is_put_aside_is_kept(sh):
    done = run(sh, "put_record_aside")
    assert done.returncode == 0, done
    assert (sh.root / "j/undone/r1.before/plan").exists() and not (sh.root / "j/cur").exists()
    assert "undone" in [line[3] for line in journal(sh)]


def test_what_is_gone_is_made_anew_for_a_restore(sh):
    done = run(sh, 'rm -r "$UPATH/web"; places_anew; as_it_stands\n' + SAYS)
    assert done.returncode == 0 and b"content known" in done.stdout, (done, journal(sh))
    web = sh.root / "srv/a.test/web"
    assert [oct((web / x).stat().st_mode)[-3:] for x in (".", "app/public", "log", "run")] == [
        "755",
        "755",
        "750",
        "750",
    ]
