"""The scripts as they are sent: what they answer, in the words of the parser that reads them."""

import gzip
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nsmig_tui.domain.layout import read_journal
from nsmig_tui.domain.old_paths import climbs
from nsmig_tui.domain.planning import plan_text
from nsmig_tui.domain.readings import read_capabilities, read_discovery, read_inspection
from nsmig_tui.domain.sections import as_name, split_sections, unb64
from nsmig_tui.engine.journal_watch import News, read_news
from nsmig_tui.engine.runner_link import pack
from nsmig_tui.remote.script_loader import PARTS, load_script

SHELLCHECK = shutil.which("shellcheck") or str(Path(sys.executable).parent / "shellcheck")


@pytest.mark.parametrize("name", PARTS)
def test_the_assembled_script_is_clean(name):
    if not Path(SHELLCHECK).exists():
        pytest.skip("shellcheck is not installed here")
    command = [SHELLCHECK, "-s", "sh", "--extended-analysis=false", "-"]
    where = Path(__file__).parent.parent.parent  # its .shellcheckrc says what is style here
    done = subprocess.run(command, input=load_script(name), capture_output=True, text=True, cwd=where)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", PARTS)
def test_the_shell_can_read_it(each_sh, name):
    for sh in each_sh:
        (sh.root / "s.sh").write_text(load_script(name))
        done = subprocess.run(
            [*sh.command, "-n", sh.root / "s.sh"], capture_output=True, env=sh.environment()
        )
        assert (done.returncode, done.stderr) == (0, b""), sh.name


def answer(sh, script, *args, data=b""):
    done = sh.run(load_script(script), *args, data=data)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_capabilities(sh):
    (sh.root / "etc/os-release").write_text('ID=debian\nPRETTY_NAME="Debian $(id) \x1b[31mRed"\n')
    (sh.root / "etc/group").write_text("www-data:x:33:\nu1:x:1003:\n")
    (sh.root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nwww-data:x:34:33::/:/bin/false\n")
    can = read_capabilities(split_sections(answer(sh, "probe", sh.root)), "")
    assert can.machine_id == "0123456789abcdef"
    assert (can.web_user, can.web_gid, can.web_uid) == ("www-data", 33, 34)
    assert can.unprivileged and can.root_id == f"{os.getuid()}:{os.getgid()}" and can.uid == os.getuid()
    assert can.os.startswith("Debian (id") and "\x1b" not in can.os
    assert can.tar == ("busybox" if sh.name == "busybox" else "gnu")
    assert can.disk_kb >= can.avail_kb > 0 and can.now > 1e9
    assert can.manager == "none" and can.gzip and {"sha256sum", "base64"} <= can.tools


def test_a_service_manager_is_seen(sh):
    (sh.root / "etc/init.d").mkdir()
    (sh.root / "etc/init.d/nginx").write_text("#!/bin/sh\n")
    (sh.root / "etc/init.d/nginx").chmod(0o755)
    assert read_capabilities(split_sections(answer(sh, "probe", sh.root)), "").manager == "sysvinit"


# The walk of a tree in which web/d is a subvolume: the root of one has a device of its own.
ELSEWHERE = """
elsewhere() { walk "$@" | awk '
  NR % 3 == 1 { m = $0; next }
  NR % 3 == 2 { if ($0 == "./web/d") sub(/[0-9]+$/, "0", m); print m }
  { print }'; }
"""

CLIMBING = {"out": "../msg/x", "gone": "../web/nowhere", "d/e/out": "../../../etc/x"}


@pytest.fixture
def upath(tmp_path):
    """A small vhost with links that climb, and odd names."""
    top = tmp_path / "root/srv/a.test"
    for folder in ("web/d/e", "var/log", "var/run", "var/tmp", "msg", ".archive", "etc", "..odd"):
        (top / folder).mkdir(parents=True)
    (top / "web/index.html").write_text("hello")
    (top / "web/new\nline\t'$(id)").write_text("")
    (top / "web/.user.ini").write_text(f"open_basedir = {top}/web:/tmp\n")
    (top / "web/su").write_text("x")
    (top / "web/su").chmod(0o4755)
    inside = {"in": "d/e", "round": "d/../su", "d/e/in": "../../su", "dots": "..a/b"}
    links = inside | CLIMBING | {"abs": f"{top}/etc/x", "far": "/etc/passwd"}
    for name, target in links.items():
        (top / "web" / name).symlink_to(target)
    os.mknod(top / "var/run/app.sock", stat.S_IFSOCK | 0o600)
    (tmp_path / "root/srv/b.test").mkdir()
    (tmp_path / "root/srv/alias.test").symlink_to("a.test")
    (tmp_path / "root/root/.vhosts").mkdir(parents=True)
    (tmp_path / "root/root/.vhosts/a.test").write_text(
        "VHOST=a.test\nexport DPASS=geheim\nA_TOKEN='geheim'\n"
    )
    (tmp_path / "root/etc/passwd").write_text(f"u1:x:{os.getuid()}:{os.getgid()}::{top}:/bin/sh\n")
    return top


def test_an_inspection(each_sh, upath):
    answers = [answer(sh, "inspect", "a.test", upath, os.getuid(), 33, "dry") for sh in each_sh]
    facts = [read_inspection(a) for a in answers]
    for raw, seen in zip(answers, facts, strict=True):
        assert b"geheim" not in raw and b"geheim" not in unb64("".join(raw.decode().split()))
        assert seen.settings == {"VHOST": "a.test"}
        told = {link.removeprefix(f"{upath}/web/"): target for link, target in seen.climbing}
        assert not {"in", "far", "abs", "d/e/in"} & told.keys()
        real = {name for name, target in told.items() if climbs(f"{upath}/web/{name}", target, str(upath))}
        assert {name: told[name] for name in real} == CLIMBING
        assert [target for _, target in seen.old_links] == [f"{upath}/etc/x"]
        assert set(seen.entries["top"]) == {"web", "var", "msg", ".archive", "etc", "..odd"}
        assert "new\nline\t'$(id)" in seen.entries["web"]
        assert seen.siblings == ("a.test", "b.test") and seen.entries["alias"] == ("alias.test",)
        assert seen.entries["socket"] == (f"{upath}/var/run/app.sock",)
        assert {name for name in seen.places} >= {"upath", "vpath", "web", "var/log", "msg", ".archive"}
        assert seen.places["web"].inode == str((upath / "web").stat().st_ino)
        assert [(r.kind, r.text.strip()) for r in seen.references] == [("application", f"{upath}/web:/tmp")]
        assert seen.tree["n_setuid"] == 1 and seen.odd["setuid"] == ("./web/su",)
        assert seen.tree["n_oddname"] == 1
        assert seen.account and seen.account[0] == "u1"
        assert seen.entries["soh"] == (), "a newline is a newline"
    assert facts[0].tree == facts[1].tree == facts[2].tree
    assert facts[0].places == facts[1].places
    assert sorted(p.name for p in upath.rglob("*nsmig*")) == []


def test_names_that_our_lists_cannot_tell_apart_are_told(each_sh, upath):
    (upath / "web/d/a\x01b").write_text("")
    for sh in each_sh:
        seen = read_inspection(answer(sh, "inspect", "a.test", upath, os.getuid(), 33, "dry"))
        assert seen.entries["soh"] == ("web/d/a\x01b",)


def test_a_folder_on_another_device_is_told_though_nothing_is_mounted(each_sh, upath):
    faked = ELSEWHERE + load_script("inspect").replace('walk "$scratch/', 'elsewhere "$scratch/')
    for sh in each_sh:
        done = sh.run(faked, "a.test", upath, os.getuid(), 33, "dry")
        assert done.returncode == 0, done.stderr
        seen = read_inspection(done.stdout)
        assert (seen.apart, seen.mounts) == ((f"{upath}/web/d",), ())
        assert read_inspection(answer(sh, "inspect", "a.test", upath, os.getuid(), 33, "dry")).apart == ()


def test_files_with_names_outside_of_web_are_told(each_sh, upath):
    for name, other in (("half", "web/d/half"), ("bin", "etc/bin"), ("out", "../b.test/out")):
        (upath / "web" / name).write_text(name)
        os.link(upath / "web" / name, upath / other)
    os.link(upath / "web/out", upath / "web/d/out")
    os.link(upath / "web/far", upath / "var/far", follow_symlinks=False)
    os.link(upath / "web/su", upath / "web/d/su")
    for sh in each_sh:
        seen = read_inspection(answer(sh, "inspect", "a.test", upath, os.getuid(), 33, "dry"))
        assert seen.tree["n_hardlink"] == len(seen.odd["hardlink"]) == 3
        assert {p.rsplit("/", 1)[1] for p in seen.odd["hardlink"]} == {"bin", "out", "far"}


def test_what_goes_along_from_var_run_is_told(each_sh, upath):
    (upath / "var/run/sub/deep").mkdir(parents=True)
    for name in ("a.pid", "new\nline", "sub/b.pid"):
        (upath / "var/run" / name).write_text("1")
    for sh in each_sh:
        seen = read_inspection(answer(sh, "inspect", "a.test", upath, os.getuid(), 33, "dry"))
        assert seen.entries["run"] == ("a.pid", "new\nline", "sub")


def test_many_names_are_all_told(each_sh, upath):
    many = {f"{n:03}\n{'x' * 40}" for n in range(310)}
    for name in many:
        (upath / "web" / name).touch()
    for sh in each_sh:
        entries = read_inspection(answer(sh, "inspect", "a.test", upath, os.getuid(), 33, "dry")).entries
        assert many < set(entries["web"]) and list(entries["web"]) == sorted(entries["web"])
        assert set(entries["var"]) == {"log", "run", "tmp"}


def test_a_discovery(sh, upath):
    (sh.root / "srv/Bad Name").mkdir()
    journal = sh.var / "a.test/journal"
    journal.parent.mkdir(parents=True)
    journal.write_text("1\t2\tr\tbegin\tmigrate me\n")
    for name in ("x", "x.again", "y.again"):
        (upath / f".archive/pre-migration-{name}.tar.gz").touch()
    pools = sh.root / "etc/php/8.2/fpm"
    (pools / "pool.d").mkdir(parents=True)
    (pools / "php-fpm.conf").write_text(f"include={pools}/pool.d/*.conf\n")
    (pools / "pool.d/a b.conf").write_text("[a]\n")
    raw = answer(sh, "discover", sh.root / "srv")
    found = read_discovery(raw)
    (fpm,) = found.fpm
    assert fpm.main == str(pools / "php-fpm.conf")
    assert [f.path for f in fpm.files] == [fpm.main, str(pools / "pool.d/a b.conf")]
    by_name = {v.name: v for v in found.vhosts}
    assert set(by_name) == {"a.test", "b.test", "alias.test", "Bad Name"}
    assert by_name["alias.test"].kind == "link" and by_name["alias.test"].target == "a.test"
    assert {"web", "var/log", "msg", ".archive"} <= set(by_name["a.test"].flags)
    assert by_name["a.test"].uid == os.getuid()
    assert found.archives["a.test"] == 1 and read_journal(found.journals["a.test"]).verb == "migrate"
    assert found.settings == {"a.test": {"VHOST": "a.test"}}


def test_discover_tells_what_else_is_in_web_where_all_of_the_new_layout_is(sh):
    (sh.root / "etc/passwd").touch()
    added = {"a.test": "index.html", "b.test": ".env", "c.test": "", "d.test": "log/index.html"}
    for name, more in added.items():
        web = sh.root / "srv" / name / "web"
        for place in ("app/public", "log", "run", "tmp", ".well-known"):
            (web / place).mkdir(parents=True)
        (web / "index.php").symlink_to("app/public/index.php")
        if more:
            (web / more).touch()
    (sh.root / "srv/e.test/web/app/public").mkdir(parents=True)
    (sh.root / "srv/e.test/web/index.html").touch()
    found = read_discovery(answer(sh, "discover", sh.root / "srv")).vhosts
    assert {v.name for v in found if "web/*" in v.flags} == {"a.test", "b.test"}


RECORD = """{{"schema": 1, "status": "{}", "run": "r", "domain": "a.test", "vnode_machine_id": "x",
 "written_at": 1763870000, "archive": "pre-migration-x.tar.gz", "archive_sha256": "", "archive_bytes": 0,
 "plan": {{}}}}
"""


@pytest.mark.parametrize("status", ["completed", "running", "undone"])
def test_a_discovery_tells_of_completed_migrations(sh, upath, status):
    (upath / ".archive/migration-20251123-000000.json").write_text(RECORD.format(status))
    found = read_discovery(answer(sh, "discover", sh.root / "srv")).recorded
    assert set(found) == ({"a.test"} if status == "completed" else set())
    for record in found.values():
        assert (record.written_at, record.archive) == (1763870000.0, "pre-migration-x.tar.gz")


def test_a_record_in_somebody_elses_folder_is_not_believed(sh, upath):
    (upath / ".archive").rename(upath / "mine")
    (upath / ".archive").symlink_to("mine")
    (upath / "mine/migration-20251123-000000.json").write_text(RECORD.format("completed"))
    assert read_discovery(answer(sh, "discover", sh.root / "srv")).recorded == {}


@pytest.mark.parametrize("gone", [False, True])
def test_a_discovery_tells_which_run_is_at_work_and_changes_nothing(sh, upath, gone):
    folder = at_work(sh, "a.test", start="1" if gone else None)
    (sh.var / "a.test/owner").write_text("r1\tme@here\t1\n")
    before = sorted(sh.var.rglob("*"))
    found = read_discovery(answer(sh, "discover", sh.root / "srv"))
    assert found.runners == ({} if gone else {"a.test": "r1"}), folder
    assert sorted(sh.var.rglob("*")) == before


@pytest.mark.parametrize("script", ["discover", "probe"])
@pytest.mark.parametrize("place, said", [("srv", "ok"), ("no", "missing"), ("etc/machine-id", "other")])
def test_a_parent_that_cannot_be_looked_into_is_told(sh, upath, script, place, said):
    raw = answer(sh, script, sh.root / place)
    section = "capabilities" if script == "discover" else ""
    assert read_capabilities(split_sections(raw), section).vpath == said


def test_an_inspection_that_ends_early_is_none(each_sh, upath):
    for sh in each_sh:
        shims = sh.root / "shims"
        shims.mkdir(exist_ok=True)
        (shims / "dd").write_text("#!/bin/sh\nexit 1\n")
        (shims / "dd").chmod(0o755)
        args = ("a.test", upath, os.getuid(), 33, "dry")
        done = sh.run(load_script("inspect"), *args, PATH=f"{shims}:{sh.path}")
        assert done.returncode == 64, done.stdout[:200]


def test_what_a_process_sees_mounted_is_told_as_the_kernel_spells_it(sh):
    (sh.root / "p").mkdir()
    (sh.root / "p/mountinfo").write_text(
        "21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
        "22 21 0:5 / /proc rw,nosuid - proc proc rw\n23 21 0:6 / /run/user/0 rw - tmpfs tmpfs rw\n"
        "24 21 254:0 /srv /srv ro,relatime - ext4 /dev/vda rw\n"
        "25 24 254:0 /x /srv/a\\040b rw,relatime - ext4 /dev/vda ro\n"
    )
    then = '\nmounts_of "$R/p"; mounts_of "$R/none"\n'
    done = sh.run(sh.parts("prelude", "capabilities", then=then))
    assert (done.stdout, done.stderr) == (b"rw:/ ro:/srv rw:/srv/a\\040b", b"")


def test_where_a_vhost_really_is_is_told_where_its_parent_is_a_link(each_sh, upath):
    link = upath.parent.parent / "sites"
    link.symlink_to(upath.parent)
    for sh in each_sh:
        for top, real in ((link / upath.name, str(upath.resolve())), (upath.resolve(), "")):
            seen = read_inspection(answer(sh, "inspect", "a.test", top, os.getuid(), 33, "dry"))
            assert seen.real == real, sh.name


@pytest.mark.parametrize(
    ("above", "vhost", "apart"), [("----", "---P", True), ("---P", "----", True), ("---P", "---P", False)]
)
def test_a_quota_project_of_the_vhosts_own_is_seen(each_sh, upath, above, vhost, apart):
    for sh in each_sh:
        shims = sh.root / "shims"
        shims.mkdir(exist_ok=True)
        lines = f"{above} {upath.parent}/.\n{vhost} {upath}\n--i{vhost[3]} {upath}/web\n"
        (shims / "lsattr").write_text(f"#!/bin/sh\ncat <<'E'\n{lines}E\n")
        (shims / "lsattr").chmod(0o755)
        args = ("a.test", upath, os.getuid(), 33, "dry")
        done = sh.run(load_script("inspect"), *args, PATH=f"{shims}:{sh.path}")
        seen = read_inspection(done.stdout)
        assert (seen.other_project, seen.immutable) == (apart, (f"{upath}/web",)), (sh.name, done.stderr)


def test_what_chattr_and_hard_links_do_to_configuration_is_told(each_sh, upath):
    for sh in each_sh:
        shims, site = sh.root / "shims", sh.root / "etc/nginx/sites-available/a b.test"
        shims.mkdir(exist_ok=True)
        main = sh.root / "etc/nginx/nginx.conf"
        (sh.root / "etc/nginx/on").mkdir(parents=True, exist_ok=True)
        site.parent.mkdir(exist_ok=True)
        main.write_text(f"http {{ include {sh.root}/etc/nginx/on/*; }}\n")
        for name in (site, site.with_name("twin"), site.parent.parent / "on/a"):
            name.unlink(missing_ok=True)
        site.write_text("server { }\n")
        os.link(site, site.with_name("twin"))
        (site.parent.parent / "on/a").symlink_to(site)
        (shims / "nginx").write_text(f"#!/bin/sh\necho arguments: --conf-path={main} >&2\n")
        (shims / "lsattr").write_text(
            "#!/bin/sh\nfor f; do case $f in\n"
            f"'{site.parent}') echo \"-----a--- $f\" ;; '{main}') echo \"----i---- $f\" ;;\n"
            '/*) echo "--------- $f" ;; esac; done\n'
        )
        for tool in ("nginx", "lsattr"):
            (shims / tool).chmod(0o755)
        args = ("a.test", upath, os.getuid(), 33, "dry")
        done = sh.run(load_script("inspect"), *args, PATH=f"{shims}:{sh.path}")
        nginx = read_inspection(done.stdout).nginx
        assert nginx is not None and len(nginx.files) == 2, (sh.name, done.stderr)
        assert set(nginx.fixed) == {str(main), str(site.parent)}, sh.name
        assert nginx.linked == (str(site),), sh.name


RUNNER = b'printf "%s 1 old-boot\\n" "$$" >"$1/pid"; cp "$1/plan" "$1/half"; mv "$1/half" "$1/ran"\n'


def launch(sh, files, *, run="r1", data=None, note=""):
    runner = files["runner.sh"]
    sum_, size = hashlib.sha256(runner).hexdigest(), len(runner)
    text = load_script("launch") + note
    return sh.run(text, "a.test", run, sum_, size, data=pack(files) if data is None else data)


def wait_for(path):
    """Until a detached process has written it; a bound only against hanging."""
    for _ in range(2000):
        if path.exists():
            return path
        time.sleep(0.01)
    raise AssertionError(f"{path} never came")


def test_a_launch_starts_the_runner_once(sh):
    files = {"runner.sh": RUNNER, "plan": b"A=1\n", "conf/1.final": b"x"}
    (sh.var / "a.test").mkdir(parents=True)
    (sh.var / "a.test/journal").write_text("before\n")
    done = launch(sh, files)
    words = done.stdout.split()
    assert done.returncode == 0 and words[0] == b"started" and words[1].isdigit() and words[2] == b"1"
    there = sh.var / "a.test/runs/r1"
    assert wait_for(there / "ran").read_bytes() == b"A=1\n"
    assert (there / "conf/1.final").read_bytes() == b"x"
    assert sh.var.stat().st_mode & 0o77 == 0 and (there / "plan").stat().st_mode & 0o77 == 0
    (there / "ran").unlink()
    again = launch(sh, files)
    assert (again.returncode, again.stdout) == (0, b"started again 0\n")
    assert not (there / "ran").exists()


def test_a_runner_that_runs_is_told_as_started_whatever_cannot_be_noted_of_it(sh):
    (sh.var / ".started").mkdir(parents=True)
    done = launch(sh, {"runner.sh": RUNNER, "plan": b"A=1\n"})
    wait_for(sh.var / "a.test/runs/r1/ran")
    assert (done.returncode, done.stdout.split()[:1]) == (0, [b"started"]), done


@pytest.mark.parametrize("together", [True, False])
def test_a_launch_that_comes_twice_starts_one_runner(sh, together):
    """Also before the runner, on a server under load, has written who it is."""
    runner = b'sleep 1; echo $$ >>"$1/ran"; echo $$ >"$1/pid"\n'
    files = {"runner.sh": runner, "plan": b"A=1\n"}
    if together:
        with ThreadPoolExecutor(4) as pool:
            done = list(pool.map(lambda n: launch(sh, files, note=f"# {n}\n"), range(4)))
    else:
        done = [launch(sh, files) for _ in range(3)]
    answers = sorted(one.stdout.split()[1].isdigit() for one in done)
    assert answers == [False] * (len(done) - 1) + [True], [one.stdout for one in done]
    there = sh.var / "a.test/runs"
    wait_for(there / "r1/pid")
    time.sleep(1.2)
    assert len((there / "r1/ran").read_text().split()) == 1
    assert [path.name for path in there.iterdir()] == ["r1"]


def test_what_a_killed_launch_left_is_no_hindrance(sh):
    left = sh.var / "a.test/runs/.r1.99999999"
    left.mkdir(parents=True)
    (left / "plan").write_text("half")
    assert launch(sh, {"runner.sh": RUNNER, "plan": b"A=1\n"}).stdout.startswith(b"started ")
    assert wait_for(sh.var / "a.test/runs/r1/ran").read_bytes() == b"A=1\n"
    assert not left.exists()


@pytest.mark.parametrize("how", ["altered", "shortened", "cut tar", "no tar", "nothing"])
def test_a_runner_that_did_not_arrive_whole_is_not_started(sh, how):
    files = {"runner.sh": RUNNER, "plan": b"A=1\n" * 2000}
    changed = {"altered": RUNNER.replace(b"1", b"2", 1), "shortened": RUNNER[:-9]}.get(how, RUNNER)
    data = pack(files | {"runner.sh": changed})
    data = {"cut tar": data[:600], "no tar": b"hello" * 200, "nothing": b""}.get(how, data)
    done = launch(sh, files, data=data)
    assert (done.returncode, done.stdout) == (64, b"")
    assert not (sh.var / "a.test/runs/r1/pid").exists() and not (sh.var / "a.test/runs/r1/log").exists()
    assert launch(sh, files).stdout.startswith(b"started ")
    wait_for(sh.var / "a.test/runs/r1/ran")


def test_a_runner_is_sent_once_and_found_by_its_hash(sh):
    files = {"runner.sh": RUNNER, "plan": b"A=1\n"}
    bare = pack({"plan": b"A=2\n"})
    there = sh.var / "a.test/runs"
    done = launch(sh, files, run="r1", data=bare)
    assert (done.returncode, done.stdout) == (0, b"wanted\n")
    assert not (there / "r1/pid").exists() and not (there / "r1/runner.sh").exists()
    assert launch(sh, files, run="r1").stdout.startswith(b"started ")
    assert wait_for(there / "r1/ran").read_bytes() == b"A=1\n"
    assert launch(sh, files, run="r2", data=bare).stdout.startswith(b"started ")
    assert wait_for(there / "r2/ran").read_bytes() == b"A=2\n"
    assert (there / "r2/runner.sh").read_bytes() == RUNNER
    assert (sh.var / ".runners").stat().st_mode & 0o77 == 0


@pytest.mark.parametrize("damage", ["altered", "shortened", "empty", "link", "folder"])
def test_a_kept_runner_that_is_not_whole_is_asked_for_again(sh, damage):
    files = {"runner.sh": RUNNER, "plan": b"A=1\n"}
    bare = pack({"plan": b"A=2\n"})
    launch(sh, files, run="r1")
    kept = sh.var / ".runners" / hashlib.sha256(RUNNER).hexdigest()
    assert kept.read_bytes() == RUNNER
    kept.unlink()
    if damage == "folder":
        kept.mkdir()
    elif damage == "link":
        kept.symlink_to("/nonexistent")
    else:
        texts = {"altered": RUNNER.replace(b"1", b"2", 1), "shortened": RUNNER[:-9], "empty": b""}
        kept.write_bytes(texts[damage])
    done = launch(sh, files, run="r2", data=bare)
    assert (done.returncode, done.stdout) == (0, b"wanted\n")
    assert not (sh.var / "a.test/runs/r2/pid").exists() and not (sh.var / "a.test/runs/r2/log").exists()
    assert launch(sh, files, run="r2").stdout.startswith(b"started ")
    wait_for(sh.var / "a.test/runs/r2/ran")


def test_only_the_newest_runner_is_kept(sh):
    for number in (b"1", b"2"):
        launch(sh, {"runner.sh": RUNNER + b"# " + number, "plan": b""}, run=f"r{number.decode()}")
    newest = hashlib.sha256(RUNNER + b"# 2").hexdigest()
    assert [path.name for path in (sh.var / ".runners").iterdir()] == [newest]


def test_a_cut_journal_line_does_not_swallow_the_next_run(sh):
    journal = sh.var / "a.test/journal"
    journal.parent.mkdir(parents=True)
    journal.write_bytes(b"1\t5\tr0\tbegin\tmigrate you\n2\t6\tr0\tst\0\0\0")
    names = (
        "MACHINE_ID UIDN GIDN WUIDN UPATH_INO WEB_INO VAR_INO LOG_INO MSG_INO TMP_INO TAR GZ FPM_CONF FAIL_AT"
    )
    values = dict.fromkeys(names.split(), "") | {
        "DOMAIN": "a.test",
        "UPATH": f"{sh.root}/srv/a.test",
        "RUN": "r1",
    }
    values |= {"VERB": "resume", "OPERATOR": "me", "CRASH_AT": "0", "XCHG": "none"}
    values |= {"NICE": "0", "HOLD": "app", "TS": "t", "OLD_SOCKETS": "", "NEW_SOCKETS": ""}
    files = {"runner.sh": load_script("runner").encode(), "plan": plan_text(values)}
    assert launch(sh, files).stdout.startswith(b"started ")
    for _ in range(600):
        view = read_journal(b"".join(line + b"\n" for line in poll(sh, wait=1)[0].lines))
        if view.run == "r1" and view.state != "running":
            break
    assert (view.run, view.verb, view.state, view.unfinished) == ("r1", "resume", "refused", False)
    assert "half-done" in view.errors[0]


@pytest.fixture(params=["perl", "a perl that fails"])
def asked(request, sh):
    """A shell on a vnode where one perl looks for all runs, and one where it cannot."""
    if request.param != "perl":
        sh.put_tool("perl", "exit 3")
    elif not shutil.which("perl", path=sh.path):
        pytest.skip("perl is not installed here")
    return sh


def poll(sh, *runs, wait=0):
    """News of runs, each given as domain, run, known lines and word."""
    runs = runs or (("a.test", "r1", 0, ""),)
    return read_news(answer(sh, "poll", wait, *(word for run in runs for word in run)), len(runs))


def at_work(sh, domain, *, boot=None, start=None):
    """A run that this very process stands for."""
    there = sh.var / domain / "runs/r1"
    there.mkdir(parents=True, exist_ok=True)
    boot = boot or Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    start = start or Path("/proc/self/stat").read_text().rpartition(") ")[2].split()[19]
    (there / "pid").write_text(f"{os.getpid()} {start} {boot}\n")
    return there


def test_a_poll(asked):
    assert poll(asked) == [News()]
    there = at_work(asked, "a.test")
    (asked.var / "a.test/journal").write_bytes(b"one\ntwo\t\xff\n")
    assert poll(asked) == [News("yes", (b"one", b"two\t\xff"))]
    assert poll(asked, ("a.test", "r1", 1, ""))[0].lines == (b"two\t\xff",)
    assert poll(asked, ("a.test", "r1", 2, ""))[0].lines == ()
    at_work(asked, "a.test", boot="other-boot")
    assert poll(asked)[0].alive == "no"
    at_work(asked, "a.test", start="1")
    assert poll(asked)[0].alive == "no"
    assert poll(asked, ("a.test", "r1", 2, ""), wait=6000)[0].alive == "no", "a dead runner is not waited for"
    (there / "progress").write_text("backup_creation check 1000\n")
    assert poll(asked)[0].progress == ("backup_creation", "check", "1000", "1000")
    (there / "locked").touch()
    assert poll(asked)[0].alive == "locked"


def test_a_poll_of_many_tells_each_its_own(asked):
    for name in ("a.test", "b.test", "c.test"):
        at_work(asked, name)
    (asked.var / "a.test/journal").write_text("one\ntwo\n")
    (asked.var / "c.test/journal").write_text("three\n")
    runs = (
        ("a.test", "r1", 1, ""),
        ("b.test", "r1", 0, ""),
        ("c.test", "r1", 0, ""),
        ("d.test", "r1", 0, ""),
    )
    assert poll(asked, *runs, wait=1) == [
        News("yes", (b"two",)),
        News("yes"),
        News("yes", (b"three",)),
        News("none"),
    ]


def test_a_poll_hears_of_what_is_written_while_it_waits(asked):
    there = at_work(asked, "a.test")
    journal = asked.var / "a.test/journal"
    journal.write_text("one\n")
    with ThreadPoolExecutor() as pool:
        found = pool.submit(poll, asked, ("a.test", "r1", 1, ""), wait=300)
        time.sleep(1.5)
        with journal.open("a") as file:
            file.write("two\n")
        (there / "urgent").touch()
        assert found.result(timeout=20) == [News("yes", (b"two",))]
    assert not list(asked.var.glob(".poll*")), "a poll leaves nothing behind"


def test_a_poll_ends_when_another_run_is_started(asked):
    at_work(asked, "a.test")
    with ThreadPoolExecutor() as pool:
        found = pool.submit(poll, asked, wait=6000)
        time.sleep(1.0)
        assert not found.done()
        assert launch(asked, {"runner.sh": RUNNER, "plan": b""}, run="r2").stdout.startswith(b"started ")
        assert found.result(timeout=20) == [News("yes")]


def test_what_was_urgent_once_is_not_urgent_for_ever(sh):
    there = at_work(sh, "a.test")
    (sh.var / "a.test/journal").write_text("one\ntwo\nthree\n")
    (there / "urgent").write_text("2\n")
    os.utime(there / "urgent", (1, 1))

    sh.put_tool("perl", "exit 3")
    sh.put_tool("sleep", f"echo >>{sh.root}/waited")
    assert poll(sh, ("a.test", "r1", 1, ""), wait=300)[0].lines
    assert not (sh.root / "waited").exists(), "it is urgent"
    assert poll(sh, ("a.test", "r1", 2, ""), wait=300)[0].lines
    assert (sh.root / "waited").exists(), "news that can wait are gathered"


def test_one_perl_gathers_news_but_for_what_is_urgent(sh):
    there = at_work(sh, "a.test")
    (sh.var / "a.test/journal").write_text("one\ntwo\nthree\n")
    (there / "urgent").write_text("2\n")
    gathering = 'perl -e "$QUICK_POLL" "$VAR" 200 4 600 a.test r1 "$1" ""\n'  # for 20 s of a minute
    text = sh.parts("prelude", "poll_quick", then=gathering)
    assert sh.run(text, 1).stdout.count(b"\nj\t") == 2, "it is urgent"
    with ThreadPoolExecutor() as pool:
        found = pool.submit(sh.run, text, 2)
        time.sleep(1.0)
        assert not found.done(), "news that can wait are gathered"
        (there / "urgent").write_text("4\n")
        assert found.result(timeout=10).stdout.count(b"\nj\t") == 1, "until one cannot"


def test_a_poll_clears_away_what_a_killed_one_left(sh):
    sh.put_tool("perl", "exit 3")
    at_work(sh, "a.test")
    killed, living = sh.var / ".poll.999999999", sh.var / f".poll.{os.getpid()}"
    killed.touch()
    living.touch()
    poll(sh, wait=1)
    assert list(sh.var.glob(".poll*")) == [living]


def test_a_look_without_waiting_writes_nothing(asked):
    there = at_work(asked, "a.test")
    before = sorted(asked.var.rglob("*")), asked.var.stat().st_mtime_ns, there.stat().st_mtime_ns
    poll(asked)
    assert (sorted(asked.var.rglob("*")), asked.var.stat().st_mtime_ns, there.stat().st_mtime_ns) == before


@pytest.mark.parametrize("word", ["commit", "undo a b $(id) 'x'"])
def test_a_poll_brings_the_word(asked, word):
    assert poll(asked, ("a.test", "r1", 0, word)) == [News()], "a run that is not there hears nothing"
    there = at_work(asked, "a.test")
    poll(asked, ("a.test", "r1", 0, word))
    assert (there / "verdict").read_text() == f"{word}\n"


def test_a_poll_says_that_a_word_could_not_be_written(asked):
    there = asked.var / "a.test/runs/r1"
    (there / "verdict.new").mkdir(parents=True)
    found = poll(asked, ("a.test", "r1", 0, "commit"))[0]
    assert found.unsaid and not (there / "verdict").exists()
    (there / "verdict.new").rmdir()
    assert not poll(asked, ("a.test", "r1", 0, "commit"))[0].unsaid
    assert (there / "verdict").read_text() == "commit\n"


def test_points(sh, upath):
    kept, records = upath / ".archive", []
    for name, state in (("1", "whole"), ("2", "longer"), ("3", "altered"), ("4", "unknown"), ("5", "broken")):
        path = kept / f"pre-migration-{name}.tar.gz"
        data = gzip.compress(name.encode() * 50)
        path.write_bytes(b"no gzip" if state == "broken" else data)
        if state in ("whole", "longer", "altered"):
            records.append(f"{path.name}\t{hashlib.sha256(data).hexdigest()}\t{len(data)}\t7\n")
        if state == "longer":
            path.write_bytes(data + b"x")
        if state == "altered":
            path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    (kept / "pre-migration-6.tar.gz").symlink_to("/etc/passwd")
    for name in "14":
        second = kept / f"pre-migration-{name}.again.tar.gz"
        second.write_bytes(gzip.compress(b"again"))
        if name == "1":
            data = second.read_bytes()
            records.append(f"{second.name}\t{hashlib.sha256(data).hexdigest()}\t{len(data)}\t1\n")
    (kept / "other.tar.gz").touch()
    (sh.var / "a.test").mkdir(parents=True)
    (sh.var / "a.test/archives").write_text("".join(records))

    def verdicts(check):
        rows = list(split_sections(answer(sh, "points", "a.test", upath, check)).of("", "point"))
        assert {len(row) for row in rows} == {7}
        return {as_name(row[0]).split("-")[2][0]: row[6] for row in rows}, {row[5] for row in rows}

    quick, entries = verdicts("quick")
    assert quick == {"1": "unknown", "2": "damaged", "3": "unknown", "4": "unknown", "5": "unknown"}
    assert entries == {"7", ""}
    whole, _ = verdicts("hash")
    assert whole == {"1": "verified", "2": "damaged", "3": "damaged", "4": "unknown", "5": "damaged"}


@pytest.mark.parametrize("layout", ["old", "new"])
def test_what_a_restore_would_change(sh, upath, tmp_path, layout):
    parts = ("prelude", "walk", "run_backup", "run_manifest")
    text = sh.parts(*parts, then='RD=$1 NICE=0\nmake_manifest "$2"\n')
    (sh.var / "a.test/manifests").mkdir(parents=True)
    odd = ["back\\slash\\n", "tab\t", "new\nline2", "plain"]
    for name in [*odd, "changes", "goes"]:
        (upath / "web" / name).write_text("x")
    (upath / "var/log/access.log").write_text("x")
    (upath / "msg/sent").write_text("x")
    assert sh.run(text, tmp_path, sh.var / "a.test/manifests/p", cwd=upath).returncode == 0
    (upath / "web/changes").write_text("longer")
    (upath / "web/goes").unlink()
    (upath / "web/comes \t!").write_text("12345")
    (upath / "msg/mail").write_text("stays live")
    if layout == "new":
        (upath / "web").rename(upath / "was")
        (upath / "web/app").mkdir(parents=True)
        (upath / "was").rename(upath / "web/app/public")
        (upath / "var/log").rename(upath / "web/log")
        (sh.var / "a.test/cur").mkdir()
        (sh.var / "a.test/cur/flag.committed").touch()
    out = answer(sh, "compare", "a.test", upath, "p.tar.gz").decode("utf-8", "surrogateescape")
    rows = [line.split("\t") for line in out.splitlines()]
    paths = {(row[1], row[2]) for row in rows if row[0] == "path"}
    assert paths == {("changed", "./web/changes"), ("gone", "./web/goes"), ("new", "./web/comes \\t!")}
    counts = {row[1]: row[2:] for row in rows if row[0] == "count"}
    assert counts == {"changed": ["1", "6"], "gone": ["1", "1"], "new": ["1", "5"]}
    assert "unknown" not in out
    (upath / "msg/sent").unlink()
    out = answer(sh, "compare", "a.test", upath, "p.tar.gz", "1").decode("utf-8", "surrogateescape")
    mail = {tuple(row.split("\t")[1:]) for row in out.splitlines() if "\t./msg" in row}
    assert mail == {("new", "./msg/mail"), ("gone", "./msg/sent")}


def test_mail_that_the_archive_lacks_stays(sh, upath, tmp_path):
    parts = ("prelude", "walk", "run_backup", "run_manifest")
    text = sh.parts(*parts, then='RD=$1 NICE=0\nmake_manifest "$2"\n')
    (sh.var / "a.test/manifests").mkdir(parents=True)
    (upath / "msg").rename(tmp_path / "msg")
    assert sh.run(text, tmp_path, sh.var / "a.test/manifests/p", cwd=upath).returncode == 0
    (tmp_path / "msg").rename(upath / "msg")
    (upath / "msg/mail").write_text("stays live")
    assert b"msg" not in answer(sh, "compare", "a.test", upath, "p.tar.gz", "1")


def test_a_restore_without_a_manifest_is_unknown(sh, upath):
    assert b"unknown\n" in answer(sh, "compare", "a.test", upath, "none.tar.gz")


def test_sizes_leave_archives_out(sh, upath):
    (upath / ".archive/big").write_bytes(os.urandom(300_000))
    rows = split_sections(answer(sh, "sizes", upath.parent, "a.test", "missing.test"))
    found = {r[0]: int(r[2]) for r in rows.of("", "vhost")}
    assert found.keys() == {"a.test"} and 0 < found["a.test"] < 300_000
    assert len(list(rows.of("", "system"))) == 1
