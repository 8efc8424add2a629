"""What an inspection tells of uses of old paths: every place that is named, whatever there is to show."""

import os

import pytest

from nsmig_tui.domain.readings import read_inspection
from nsmig_tui.remote.script_loader import load_script


def look(sh, upath):
    done = sh.run(load_script("inspect"), upath.name, upath, os.getuid(), 33, "dry")
    assert done.returncode == 0 and done.stderr == b"", done.stderr
    return read_inspection(done.stdout)


@pytest.fixture
def upath(tmp_path):
    top = tmp_path / "root/srv/a.test"
    for folder in ("web", "var/log", "var/tmp"):
        (top / folder).mkdir(parents=True)
    return top


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def named(seen, upath):
    return {ref.text.removeprefix(f"{upath}/") for ref in seen.references}


def test_a_place_that_is_named_last_is_told(each_sh, upath):
    lines = [f"define('DIR_{n}', '{upath}/web/{n}/');" for n in range(8)]
    lines += [f"define('DIR_LOGS', '{upath}/var/log/'); define('S', '{upath}/var/tmp');"]
    put(upath / "web/config.php", "\n".join(lines))
    for sh in each_sh:
        seen = look(sh, upath)
        assert {"var/log", "var/tmp", "web/0", "web/4"} <= named(seen, upath), sh.name
        assert seen.more_references == {"application": 2} and len(seen.references) == 8


def test_one_file_of_hundreds_is_told(each_sh, upath):
    for n in range(400):
        put(upath / f"web/cache/{n:03}.php", f"<?php // compiled from {upath}/web/tpl/x.tpl\n")
    put(upath / "web/cache/zz.php", f"<?php define('S', '{upath}/var/tmp');")
    for sh in each_sh:
        seen = look(sh, upath)
        assert "var/tmp" in named(seen, upath), sh.name
        assert len(seen.references) + seen.more_references["application"] == 401
        assert len(seen.references) <= 22


SPELLINGS = [
    ("x.json", '{"tmp": "%s"}', "var/tmp"),
    ("x.php", "$a='UPATH/web/app/boot.php';", "web/app/boot.php"),
    ("x.php", "ini_set('x','.:UPATH/etc:/tmp');", "etc:/tmp"),
    ("a:1:b.php", "'UPATH/var/log/x.log'", "var/log/x.log"),
    (".user.ini", "open_basedir = UPATH:/tmp\n", ""),
    ("x.php", "define('TOP', 'UPATH/');", ""),
    ("x.php", "'UPATH/website' 'UPATH.old/web' '/backupUPATH/web' 'UPATH/other'", None),
]


def test_spellings(each_sh, upath):
    escaped = str(upath / "var/tmp").replace("/", "\\/")
    for number, (name, text, _) in enumerate(SPELLINGS):
        put(upath / f"web/{number}" / name, text.replace("%s", escaped).replace("UPATH", str(upath)))
    wanted = sorted(place for _, _, place in SPELLINGS if place is not None)
    for sh in each_sh:
        told = [ref.text.removeprefix(str(upath)).lstrip("/") for ref in look(sh, upath).references]
        assert sorted(told) == wanted, sh.name


SYSTEM = {
    "etc/php/8.2/fpm/php.ini": ("php.ini", "session.save_path = UPATH/var/tmp\n", "var/tmp"),
    "etc/php/8.2/mods-available/site.ini": ("php.ini", "session.save_path = UPATH/var/tmp\n", "var/tmp"),
    "etc/php82/conf.d/site.ini": ("php.ini", "session.save_path = UPATH/var/tmp\n", "var/tmp"),
    "etc/supervisor/conf.d/q.conf": ("supervisor", "[program:q]\ncommand=php UPATH/web/q.php\n", "web/q.php"),
    "etc/monit/conf.d/q": ("monit", "check file x with path UPATH/var/log/x\n", "var/log/x"),
    "etc/cron.monthly/x": ("cron", "#!/bin/sh\nphp UPATH/web/q.php\n", "web/q.php"),
    "etc/cron.d/x": ("cron", "1 2 * * * u1 php ~/web/q.php\n", "web/q.php"),
    "etc/crontab": ("cron", "@daily root php ~u1/web/q.php\n", "web/q.php"),
    "var/spool/cron/crontabs/u1": ("cron", "1 2 * * * cd web && php q.php\n", "web"),
    "var/spool/cron/u1": ("cron", '1 2 * * * php "$HOME/web/q.php" secret-word\n', "web/q.php"),
    "etc/fail2ban/jail.local": ("fail2ban", "logpath = UPATH/var/log/access.log\n", "var/log/access.log"),
}


def test_places_of_the_system(each_sh, upath):
    root = upath.parents[1]
    put(root / "etc/passwd", f"root:x:0:0::/root:/bin/sh\nu1:x:1003:1003::{upath}:/bin/sh\n")
    for file, (_, text, _) in SYSTEM.items():
        put(root / file, text.replace("UPATH", str(upath)))
    (root / "etc/php/8.2/fpm/conf.d").mkdir(parents=True)
    (root / "etc/php/8.2/fpm/conf.d/9.ini").symlink_to("../../mods-available/site.ini")
    wanted = {(kind, str(root / file), place) for file, (kind, _, place) in SYSTEM.items()}
    wanted.add(("php.ini", str(root / "etc/php/8.2/fpm/conf.d/9.ini"), "var/tmp"))
    for sh in each_sh:
        references = look(sh, upath).references
        assert {(ref.kind, ref.file, ref.text.removeprefix(f"{upath}/")) for ref in references} == wanted, (
            sh.name
        )
        assert not any("secret" in ref.text for ref in references)


def test_other_accounts_and_comments_are_silent(each_sh, upath):
    for sh in each_sh:
        put(sh.root / "etc/passwd", f"root:x:0:0::/root:/bin/sh\nu1:x:1003:1003::{upath}:/bin/sh\n")
        put(sh.root / "var/spool/cron/crontabs/u1", "# php ~/web/x.php\n1 2 * * * php /opt/web/x.php\n")
        put(sh.root / "var/spool/cron/crontabs/u2", "1 2 * * * php ~/web/x.php\n")
        put(sh.root / "etc/cron.d/x", "1 2 * * * root php ~/web/x.php\n")
        assert look(sh, upath).references == (), sh.name


def test_patterns_of_logrotate(each_sh, upath):
    text = f"{upath.parent}/*/var/log/*.log {{\n  weekly\n}}\n/var/log/nginx/*.log {{\n}}\n"
    for sh in each_sh:
        put(sh.root / "etc/logrotate.d/vhosts", text)
        (glob,) = look(sh, upath).globs
        assert (glob.kind, glob.line, glob.text) == ("logrotate", "1", f"{upath.parent}/*/var/log/*.log")


CLIMBS = {
    "a.php": ("require __DIR__.'/../private/x.php';", ["__DIR__.'/../private/x.php"]),
    "b.php": ('$x = dirname(__FILE__) . "/../var/log";', ['dirname(__FILE__) . "/../var/log']),
    "c.php": ("include '../private/x.php';", ["'../private/x.php'"]),
    "d.php": ("$r = dirname(__DIR__); $s = dirname(__DIR__, 2);",
              ["dirname(__DIR__)", "dirname(__DIR__, 2)"]),
    "e/f/g.php": ("$_SERVER['DOCUMENT_ROOT'] . '/../x'", ["$_SERVER['DOCUMENT_ROOT'] . '/../x"]),
    "e/h.php": ("require __DIR__.'/../../private/x.php';", ["__DIR__.'/../../private/x.php"]),
    "e/i.php": ("require __DIR__.'/../inc/x.php'; dirname(__DIR__); dirname(dirname(__FILE__));", []),
    "j.php": ("require __DIR__.'/inc/x.php'; if ($f != '..') {} dirname(__FILE__);", []),
    "k.js": ("import x from '../../x'", []),
    "wp-load.php": ("@file_exists( dirname( ABSPATH ) . '/wp-config.php' )",
                    ["dirname( ABSPATH ) . '/wp-config.php"]),
    "l.php": ('include "{$_SERVER[\'DOCUMENT_ROOT\']}/../x.php";', ["$_SERVER['DOCUMENT_ROOT']}/../x.php"]),
    "m.php": ("$d . DIRECTORY_SEPARATOR . '..' . DS", ["DIRECTORY_SEPARATOR . '.."]),
}  # fmt: skip


def test_php_that_leads_above_web(each_sh, upath):
    for name, (text, _) in CLIMBS.items():
        put(upath / "web" / name, f"<?php\n{text}\n")
    wanted = {(str(upath / "web" / name), "2", text) for name, (_, told) in CLIMBS.items() for text in told}
    for sh in each_sh:
        told = look(sh, upath).php_climbs
        assert {(ref.file, ref.line, ref.text) for ref in told} == wanted, sh.name
        assert len(told) == len(wanted)
