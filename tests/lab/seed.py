"""Puts vhosts of the old layout on a node, as a NetServa 1.0 server has them: account, tree, configuration.

Everything is written from this machine into the node's directories; only the service reload happens inside.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from lab import seed_config, seed_content
from lab.node import Node, NodeError, wait_for

WWW_DATA = 33
FIRST_UID = 1101
SECRET = "secret-canary-8f1c"
"""Stands in every settings file; a test that finds it anywhere on the operator's side has found a leak."""


@dataclass(frozen=True)
class Vhost:
    """A seeded vhost and the answers that it gives."""

    domain: str
    uid: int
    shape: str
    php: bool
    tls: bool
    aliases: tuple[str, ...]
    answers: tuple[tuple[str, int, str], ...]
    """(path, status, text in the body) of requests that are right before, during and after a migration."""

    @property
    def user(self) -> str:
        """The Unix account."""
        return f"u{self.uid}"

    @property
    def upath(self) -> str:
        """The vhost's top directory on the node."""
        return f"/srv/{self.domain}"


def seed_vhost(
    node: Node,
    domain: str,
    *,
    shape: str = "literal",
    php: bool = True,
    pool: str = "own",
    aliases: Sequence[str] = (),
    tls: bool = False,
    uid: int | None = None,
    content: str = "small",
    files: int = 0,
    reload: bool = True,
) -> Vhost:
    """Put one vhost on a running node and wait until it answers (unless ``reload`` is off).

    ``shape``: "literal" (paths spelled out) or "shared" (includes that use ``$host``). ``pool``: "own" or
    "include" (a common file that uses ``$pool``). ``content``: "small", "odd" (every kind of name and entry),
    "absolute" (the application uses its old absolute paths). ``files``: how many numbered pages
    ``/many/000000.txt``… there are besides. After ``reload=False`` call ``serve`` once for all.
    """
    number = uid if uid is not None else _free_uid(node)
    vhost = Vhost(domain, number, shape, php, tls, tuple(aliases), seed_content.answers(domain, php, content))
    old_umask = os.umask(0o022)
    try:
        _add_account(node, vhost)
        seed_content.write_tree(node.srv / domain, vhost.uid, WWW_DATA, shared_logs=shape == "shared")
        seed_content.write_site(node.srv / domain, domain, vhost.uid, php=php, content=content, files=files)
        seed_content.age(node.srv / domain)
        _write_settings(node, vhost)
        seed_config.write_shared(node)
        seed_config.write_site_file(node, vhost)
        if php:
            seed_config.write_pool_file(node, vhost, pool)
    finally:
        os.umask(old_umask)
    if reload:
        serve(node, [vhost])
    return vhost


def serve(node: Node, vhosts: Sequence[Vhost]) -> None:
    """Let nginx and php-fpm take up the configuration on disk and wait until every answer is right."""
    node.sh("nginx -t && php-fpm8.2 -t && systemctl reload php8.2-fpm && systemctl reload nginx")
    for vhost in vhosts:
        for path, status, text in vhost.answers:
            what = f"{vhost.domain}{path} to answer {status} with {text!r}"
            wait_for(what, lambda v=vhost, p=path, s=status, t=text: _answers(node, v.domain, p, s, t), 20)


def wrong_answers(node: Node, vhost: Vhost) -> list[str]:
    """Which of the vhost's answers are not as seeded; empty when the site is well."""
    return [
        f"{vhost.domain}{path}: wanted {status} with {text!r}"
        for path, status, text in vhost.answers
        if not _answers(node, vhost.domain, path, status, text)
    ]


def seed_references(node: Node, vhost: Vhost) -> dict[str, str]:
    """Plant what outside the vhost's tree knows its old paths; returns kind -> path of each file."""
    web, logs = f"{vhost.upath}/web", f"{vhost.upath}/var/log"
    files = {
        "cron": (f"/etc/cron.d/{vhost.user}", f"17 3 * * * {vhost.user} php {web}/cron.php >/dev/null\n"),
        "crontab": (f"/var/spool/cron/crontabs/{vhost.user}", f"5 4 * * 0 tar cf /tmp/x.tar {web}\n"),
        "logrotate": (f"/etc/logrotate.d/{vhost.user}", f"{logs}/*.log {{\n    weekly\n    missingok\n}}\n"),
        "systemd": (
            f"/etc/systemd/system/{vhost.user}.service",
            f"[Service]\nUser={vhost.user}\nWorkingDirectory={web}\nExecStart=/bin/true\n",
        ),
        "certbot": (
            f"/etc/letsencrypt/renewal/{vhost.domain}.conf",
            f"[renewalparams]\nauthenticator = webroot\n[[webroot_map]]\n{vhost.domain} = {web}\n",
        ),
    }
    for path, text in files.values():
        node.path(path).parent.mkdir(parents=True, exist_ok=True)
        node.path(path).write_text(text)
    node.path(files["crontab"][0]).chmod(0o600)
    return {kind: path for kind, (path, _) in files.items()}


def _answers(node: Node, host: str, path: str, status: int, text: str) -> bool:
    """One request, compared."""
    try:
        answer = node.http(host, path)
    except OSError:
        return False
    return answer.status == status and text in answer.text


def _free_uid(node: Node) -> int:
    """The first number from FIRST_UID that no account of the node has."""
    used = {int(line.split(":")[2]) for line in node.path("/etc/passwd").read_text().splitlines()}
    return next(number for number in range(FIRST_UID, 60000) if number not in used)


def _add_account(node: Node, vhost: Vhost) -> None:
    """The vhost's user and group, locked, with the vhost's top directory as home."""
    user, uid = vhost.user, vhost.uid
    if f"\n{user}:" in node.path("/etc/passwd").read_text():
        raise NodeError(f"{user} is taken on {node.name}")
    lines = {
        "passwd": f"{user}:x:{uid}:{uid}:{vhost.domain}:{vhost.upath}:/bin/bash\n",
        "group": f"{user}:x:{uid}:\n",
        "shadow": f"{user}:!:19700:0:99999:7:::\n",
    }
    for name, line in lines.items():
        with node.path(f"/etc/{name}").open("a") as handle:
            handle.write(line)


def _write_settings(node: Node, vhost: Vhost) -> None:
    """The vhost's settings file as NetServa 1.0 wrote it, secrets included."""
    values = {
        "ADMIN": "sysadm",
        "AHOST": node.name,
        "AMAIL": f"admin@{vhost.domain}",
        "ANAME": "System Administrator",
        "APASS": SECRET,
        "C_FPM": "/etc/php/8.2/fpm",
        "C_WEB": "/etc/nginx/sites-enabled",
        "DNAME": vhost.domain.replace(".", "_"),
        "DPASS": SECRET,
        "DUSER": vhost.user,
        "MPATH": f"{vhost.upath}/msg",
        "OSTYP": "debian",
        "UPASS": SECRET,
        "UPATH": vhost.upath,
        "UUSER": vhost.user,
        "U_GID": str(vhost.uid),
        "U_SHL": "/bin/bash",
        "U_UID": str(vhost.uid),
        "VHOST": vhost.domain,
        "VPATH": "/srv",
        "VUSER": "admin",
        "V_PHP": "8.2",
        "WPASS": SECRET,
        "WPATH": f"{vhost.upath}/web",
        "WPUSR": "wpadmin",
        "WUGID": "www-data",
    }
    target = node.path(f"/root/.vhosts/{vhost.domain}")
    target.parent.mkdir(mode=0o700, exist_ok=True)
    target.write_text("".join(f"{name}='{value}'\n" for name, value in values.items()))
    target.chmod(0o600)
