"""A healthy NS1 vhost as `inspect` would tell of it, to be bent by the tests one fact at a time."""

from dataclasses import replace

from web_config_cases import A_SITE, SHARED, UPATH

from nsmig_tui.domain.fleet import Vnode
from nsmig_tui.domain.readings import (
    Capabilities,
    FpmMaster,
    Inspection,
    Place,
)
from nsmig_tui.domain.service_config import ConfigFile, ServiceConfig
from nsmig_tui.domain.surroundings import Serving, serving_of

DOMAIN = "a.test"
VNODE = Vnode("vn1")
FPM_MAIN = "/etc/php/8.2/fpm/php-fpm.conf"
POOL = b"""[a]
user = u1003
listen = /srv/a.test/var/run/fpm.sock
chdir = /srv/a.test/web
php_admin_value[error_log] = /srv/a.test/var/log/php-errors.log
"""
POOL_WITH_TMP = POOL + b"php_admin_value[session.save_path] = /srv/a.test/var/tmp\n"
B_SITE = b"server { listen 80; server_name b.test; root /srv/b.test/web; }\n"

CAN = Capabilities(
    machine_id="0123456789abcdef",
    uid=0,
    manager="systemd",
    exchange="mv",
    tar="gnu",
    gzip="gzip",
    web_user="www-data",
    web_uid=33,
    web_gid=33,
    masters=(FpmMaster(7, FPM_MAIN, "php8.2-fpm.service"),),
)
SETTINGS = {
    "VHOST": DOMAIN,
    "UPATH": UPATH,
    "WPATH": f"{UPATH}/web",
    "MPATH": f"{UPATH}/msg",
    "UUSER": "u1003",
    "U_UID": "1003",
    "U_GID": "1003",
}


def place(kind="dir", uid=1003, gid=1003, mode="755", inode="1", device="9", target=""):
    """One structural path."""
    return Place(kind, uid, gid, mode, inode, device, target)


def service(main, texts, **more):
    """A service's configuration, read without links and tested well."""
    files = tuple(ConfigFile(path, path, text) for path, text in texts.items())
    return ServiceConfig(main, files=files, **{"test_rc": 0, **more})


def nginx_config(a_site=A_SITE, b_site=B_SITE, **more):
    """nginx with the two sites."""
    enabled = {"/etc/nginx/sites-enabled/a": a_site, "/etc/nginx/sites-enabled/b": b_site}
    return service("/etc/nginx/nginx.conf", SHARED | enabled, **more)


def fpm_config(pool=POOL, **more):
    """php-fpm with one pool."""
    texts = {FPM_MAIN: b"[global]\ninclude=/etc/php/8.2/fpm/pool.d/*.conf\n"}
    if pool is not None:
        texts["/etc/php/8.2/fpm/pool.d/a.conf"] = pool
    return service(FPM_MAIN, texts, binary="/usr/sbin/php-fpm8.2", **more)


PLACES = {
    "upath": place(inode="10"),
    "vpath": place(uid=0, inode="2"),
    "web": place(inode="11"),
    "msg": place(inode="12"),
    "var": place(inode="13"),
    "var/log": place(uid=0, inode="14"),
    "var/run": place(inode="15"),
    "var/tmp": place(inode="16"),
    "bin": place(inode="17"),
    "etc": place(inode="18"),
}
HEALTHY = Inspection(
    places=PLACES,
    tree={"entries": 20, "alloc": 1 << 20, "bytes": 900_000, "longest": 40},
    entries={
        "top": ("web", "msg", "var", "bin", "etc"),
        "var": ("log", "run", "tmp"),
        "web": ("index.html", "index.php"),
    },
    siblings=(DOMAIN, "b.test"),
    listening=frozenset({f"{UPATH}/var/run/fpm.sock"}),
    capabilities=CAN,
    settings=SETTINGS,
    account=("u1003", 1003, 1003, UPATH, "/bin/bash"),
    nginx=nginx_config(),
    fpm=(fpm_config(),),
)


def without(mapping, *names):
    """A mapping with some keys gone."""
    return {key: value for key, value in mapping.items() if key not in names}


def places(**changed):
    """The healthy places with some changed; ``var_log`` stands for ``var/log``, None for not there."""
    new = PLACES | {name.replace("_", "/"): value for name, value in changed.items()}
    return {name: value for name, value in new.items() if value is not None}


def seen(**changes):
    """The healthy vhost with other facts."""
    return replace(HEALTHY, **changes)


def serving(facts: Inspection) -> Serving:
    """How those facts are served."""
    return serving_of(
        DOMAIN,
        UPATH,
        facts.nginx,
        facts.fpm,
        facts.capabilities,
        facts.listening,
        facts.siblings,
        facts.entries.get("alias", ()),
        facts.entries.get("var", ()),
        facts.entries.get("socket", ()),
    )
