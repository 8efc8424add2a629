"""Whoever on the vnode names an old path is found: in /etc, in /usr/local, beside web."""

import os

import pytest
from test_references import look, put

from nsmig_tui.domain.readings import read_inspection
from nsmig_tui.remote.script_loader import load_script

HIDDEN = "hunter2"


@pytest.fixture
def upath(tmp_path):
    top = tmp_path / "root/srv/a.test"
    for folder in ("web", "var/log", "var/tmp", "etc", "bin"):
        (top / folder).mkdir(parents=True)
    return top


PLACES = {
    "etc/dovecot/conf.d/10-ssl.conf": ("dovecot", "ssl_cert = <UPATH/etc/ssl/full.pem\n", "etc/ssl/full.pem"),
    "etc/postfix/main.cf": ("postfix", "smtpd_tls_cert_file=UPATH/etc/c.pem\n", "etc/c.pem"),
    "etc/opendkim/KeyTable": ("opendkim", "x a.test:default:UPATH/etc/dkim.key\n", "etc/dkim.key"),
    "etc/letsencrypt/renewal-hooks/deploy/x": ("certbot", "#!/bin/sh\ncp x UPATH/etc/ssl/\n", "etc/ssl"),
    "etc/aliases": ("aliases", f'l: "|UPATH/bin/deliver" {HIDDEN}\n', "bin/deliver"),
    "etc/proftpd/ftpd.passwd": ("proftpd", f"u:{HIDDEN}:1:1::UPATH/web:/bin/false\n", "web:/bin/false"),
    "etc/wget.d/x": ("wget.d", f"UPATH/web/cron.php?key={HIDDEN}&x={HIDDEN}\n", "web/cron.php"),
    "etc/apache2/sites-enabled/a": ("apache2", "DocumentRoot UPATH/web/\n", "web"),
    "etc/nginx/lua/x.lua": ("nginx", 'dofile("UPATH/web/x.lua")\n', "web/x.lua"),
    "etc/php/8.2/prepend.php": ("php.ini", "<?php include 'UPATH/etc/x.php';\n", "etc/x.php"),
    "usr/local/bin/backup": ("/usr/local", "#!/bin/sh\ntar cf x UPATH/web\n", "web"),
    "usr/local/sbin/backup": ("/usr/local", "#!/bin/sh\ntar cf x UPATH/web\n", "web"),
    "usr/local/lib/systemd/system/x.service": ("systemd", "ExecStart=UPATH/bin/x\n", "bin/x"),
    "home/u/.config/systemd/user/x.service": ("systemd", "WorkingDirectory=UPATH/web\n", "web"),
    "var/spool/cron/atjobs/a1": ("cron", "cd UPATH/web || exit\n", "web"),
    "var/spool/incron/u": ("cron", "UPATH/var/log IN_CREATE x\n", "var/log"),
    "var/lib/docker/containers/x/hostconfig.json": ("container", '{"Binds":["UPATH/web:/www"]}', "web:/www"),
    "root/backup.sh": ("system", "tar cf x UPATH/web\n", "web"),
    "root/scripts/backup": ("system", "tar cf x UPATH/web\n", "web"),
    "opt/app/compose.yaml": ("system", "volumes: ['UPATH/web:/www']\n", "web:/www"),
    "srv/a.test/repo.git/hooks/post-receive": ("vhost", "GIT_WORK_TREE=UPATH/web git x\n", "web"),
    "srv/a.test/repo.git/config": ("vhost", "\tworktree = ../web\n", "web"),
    "srv/a.test/.forward": ("vhost", '"|UPATH/bin/x"\n', "bin/x"),
    "srv/a.test/var/lib/job": ("vhost", "UPATH/var/tmp/x\n", "var/tmp/x"),
    "srv/a.test/bin/job": ("vhost/bin", "php UPATH/web/x.php\n", "web/x.php"),
}


def test_who_names_an_old_path_is_told(each_sh, upath):
    root = upath.parents[1]
    for file, (_, text, _) in PLACES.items():
        put(root / file, text.replace("UPATH", str(upath)))
    wanted = {(kind, str(root / file), place) for file, (kind, _, place) in PLACES.items()}
    for sh in each_sh:
        references = look(sh, upath).references
        assert {(ref.kind, ref.file, ref.text.removeprefix(f"{upath}/")) for ref in references} == wanted, (
            sh.name
        )
        assert len(references) == len(PLACES) and HIDDEN not in repr(references), sh.name


SILENT = {
    "etc/nginx/sites-available/a": "root UPATH/web;\n",
    "etc/php/8.2/fpm/pool.d/a.conf": "chdir = UPATH/web\n",
    "etc/php82/php-fpm.d/a.conf": "chdir = UPATH/web\n",
    "etc/passwd": "u:x:1:1::UPATH:/bin/sh\n",
    "etc/passwd-": "u:x:1:1::UPATH/web:/bin/sh\n",
    "etc/.git/x": "UPATH/web\n",
    "etc/letsencrypt/archive/a/x": "UPATH/web\n",
    "etc/postfix/virtual": "a@a.test UPATH/msg/a/\n",
    "etc/dovecot/x": "UPATH.old/web UPATH/website /backupUPATH/web\n",
    "srv/a.test/repo.git/objects/x": "UPATH/web\n",
}


def test_what_is_no_use_is_silent(each_sh, upath):
    for file, text in SILENT.items():
        put(upath.parents[1] / file, text.replace("UPATH", str(upath)))
    for sh in each_sh:
        seen = look(sh, upath)
        assert (seen.references, seen.globs, seen.unread) == ((), (), ()), sh.name


def test_an_old_path_behind_a_link(each_sh, upath):
    root = upath.parents[1]
    put(root / "opt/cron", f"1 2 * * * root php {upath}/web/x.php\n")
    put(upath / "etc/logrotate", "\n")
    for name, target in (("cron.d/x", root / "opt/cron"), ("logrotate.d/x", upath / "etc/logrotate")):
        (root / "etc" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "etc" / name).symlink_to(target)
    climbing = "../" * len((root / "usr/local/bin").parts)
    (root / "usr/local/bin").mkdir(parents=True)
    (root / "usr/local/bin/x").symlink_to(f"{climbing}{upath}/bin/x"[: -len("/bin/x")] + "/bin/x")
    os.mkfifo(root / "etc/fifo")
    (root / "etc/to-fifo").symlink_to("fifo")
    for sh in each_sh:
        told = {(r.kind, r.line, r.text.removeprefix(f"{upath}/")) for r in look(sh, upath).references}
        assert told == {
            ("cron", "1", "web/x.php"),
            ("logrotate", "0", "etc/logrotate"),
            ("/usr/local", "0", "bin/x"),
        }, sh.name


PATTERNS = {
    "/*/web": "for d in TOP/*/web; do",
    "/$d/web/wp-cron.php": 'php "TOP/$d/web/wp-cron.php"',
    "/%i/var/log": "ReadWritePaths=TOP/%i/var/log",
    "/${d}/var/tmp": "find TOP/${d}/var/tmp:x -delete",
}


def test_many_vhosts_at_once(each_sh, upath):
    top = str(upath.parent)
    put(upath.parents[1] / "etc/cron.d/all", "\n".join(PATTERNS.values()).replace("TOP", top) + "\n")
    wanted = [("cron", str(line), top + pattern) for line, pattern in enumerate(PATTERNS, 1)]
    for sh in each_sh:
        assert [(glob.kind, glob.line, glob.text) for glob in look(sh, upath).globs] == wanted, sh.name


def test_a_place_is_told_for_each_that_names_it(each_sh, upath):
    """What is told of one kind may not count in the end; so it hides nothing of another."""
    put(upath / "bin/job", f"{upath}/web/a {upath}/web/b\n" * 30)
    put(upath / "repo.git/hooks/x", f"{upath}/web/a\n")
    for sh in each_sh:
        assert {ref.kind for ref in look(sh, upath).references} == {"vhost/bin", "vhost"}, sh.name


def test_what_is_too_large_is_told(each_sh, upath):
    root = upath.parents[1]
    put(root / "etc/large", "x" * 63 + "\n")
    put(root / "usr/local/bin/program", "\0")
    for file in ("etc/large", "usr/local/bin/program"):
        os.truncate(root / file, 17 << 20)
    (root / "etc/large").write_text(("x" * 63 + "\n") * (17 << 14))
    for sh in each_sh:
        assert look(sh, upath).unread == (str(root / "etc/large"),), sh.name


def test_what_the_time_did_not_suffice_for_is_told(each_sh, upath):
    put(upath.parents[1] / "etc/x", f"{upath}/web\n")
    script = load_script("inspect").replace("SEARCH_FOR=20", "SEARCH_FOR=-1")
    for sh in each_sh:
        done = sh.run(script, upath.name, upath, os.getuid(), 33, "dry")
        seen = read_inspection(done.stdout)
        assert seen.references == () and len(seen.unread) == 1, (sh.name, seen.unread)


def test_homes_below_the_vhost(each_sh, upath):
    lines = [f"{n}:x:{i}:1::{h}:/bin/sh" for i, (n, h) in enumerate(HOMES.items(), 2000)]
    put(upath.parents[1] / "etc/passwd", "\n".join(lines).replace("UPATH", str(upath)) + "\n")
    for sh in each_sh:
        told = {(name, home.removeprefix(f"{upath}/")) for name, home in look(sh, upath).homes}
        assert told == {("b", "web"), ("c", "web/x"), ("d", "web")}, sh.name


HOMES = {"a": "UPATH", "b": "UPATH/web/", "c": "UPATH/web/x", "d": "UPATH/./web", "e": "UPATH2/web", "f": "/"}


def test_links_beside_web(each_sh, upath):
    for name, target in {
        "public_html": "web",
        "logs": f"{upath}/var/log",
        "mail": "msg",
        "var/log/site": "../../web/x",
        "self": ".",
        "bin/leaves": "../web",
    }.items():
        (upath / name).symlink_to(target)
    for sh in each_sh:
        told = {
            (link.removeprefix(f"{upath}/"), to.removeprefix(f"{upath}/"))
            for link, to in look(sh, upath).old_links
        }
        assert told == {("public_html", "web"), ("logs", "var/log"), ("var/log/site", "web/x")}, sh.name


def test_no_link_of_the_vhost_is_followed(each_sh, upath, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    put(elsewhere / "job", f"php {upath}/web/x.php\n")
    (upath / "tools").symlink_to(elsewhere)
    (upath / "job").symlink_to(elsewhere / "job")
    (upath / "bin/job").symlink_to(elsewhere / "job")
    (upath / "var/lib").symlink_to(elsewhere)
    for sh in each_sh:
        assert look(sh, upath).references == (), sh.name
