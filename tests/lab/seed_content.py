"""The files of a seeded vhost: the old skeleton, a small site, and everything odd that a tree can hold."""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import subprocess
from pathlib import Path

ODD_NAMES = [
    b"new\nline.txt",
    b"two  blanks and tab\t.txt",
    b"-rf",
    b"--checkpoint-action=exec=touch pwned",
    b"single'quote",
    b'double"quote',
    b"back\\slash",
    b"caf\xe9-latin1",
    b"\xff\xfe-not-utf8",
    b"\x1b[31mred\x1b[0m",
    b"$(touch pwned)",
    b"`touch pwned`",
    b"semi;touch pwned",
    b"*",
    b"~",
    b"#comment",
    b" leading-blank",
    b"trailing-blank ",
    b"trailing-newline\n",
    "schön-日本-🐘".encode(),
    "rtl-\u202etxt.exe".encode(),
    b"n" * 255,
]


def _put(
    path: bytes | Path, data: bytes | str, mode: int = 0o644, owner: tuple[int, int] | None = None
) -> None:
    """Write a file with exact mode and owner, directories above it included."""
    target = os.fsencode(path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "wb") as handle:
        handle.write(data.encode() if isinstance(data, str) else data)
    if owner:
        os.chown(target, *owner)
    os.chmod(target, mode)


def answers(domain: str, php: bool, content: str) -> tuple[tuple[str, int, str], ...]:
    """(path, status, text) of requests whose answers a migration must not change."""
    always = [
        ("/page.html", 200, f"page of {domain}"),
        ("/css/site.css", 200, "color: teal"),
        ("/.well-known/acme-challenge/token", 200, f"acme {domain}"),
        ("/.env", 403, ""),
        ("/no-such-page", 404, ""),
    ]
    if php:
        always += [("/", 200, f"home of {domain}"), ("/sub/deep.php", 200, f"library of {domain}")]
    else:
        always += [("/", 200, f"home of {domain}")]
    if php and content == "absolute":
        always.append(("/absolute.php", 200, f"prepended library of {domain}"))
    if content == "odd":
        always += [("/log/app.log", 200, "log of the application"), ("/public/", 200, "inner public")]
    return tuple(always)


def write_tree(top: Path, uid: int, www: int, *, shared_logs: bool) -> None:
    """The skeleton of the old layout; ``shared_logs``: nginx's workers open the logs, so they may write."""
    layout = {
        "": (0o755, www),
        ".ssh": (0o700, uid),
        "bin": (0o750, uid),
        "etc": (0o750, uid),
        "var": (0o750, www),
        "var/log": (0o770 if shared_logs else 0o750, www),
        "var/run": (0o750, www),
        "var/tmp": (0o750, www),
        "web": (0o755, www),
        "msg": (0o700, uid),
    }
    for inner, (mode, gid) in layout.items():
        directory = top / inner
        directory.mkdir()
        os.chown(directory, uid, gid)
        directory.chmod(mode)
    own = (uid, uid)
    _put(top / ".ssh/authorized_keys", "ssh-ed25519 AAAAC3 someone\n", 0o600, own)
    _put(top / "bin/deploy", "#!/bin/sh\necho deploy\n", 0o750, own)
    _put(top / "etc/profile", "umask 027\n", 0o640, own)
    _put(top / "var/log/old.log.1", "from before\n", 0o640, own)
    _put(top / "var/tmp/sess_0123456789abcdef", "n|i:7;", 0o600, own)
    _put(top / "var/run/worker.pid", "4242\n", 0o644, own)
    mail = top / "msg/info/Maildir"
    for part in ("cur", "new", "tmp"):
        (mail / part).mkdir(parents=True)
    _put(mail / "cur/1700000000.M1P1.host,S=41:2,S", "Subject: hello\n\nA message that must stay.\n", 0o600)
    _put(mail / "new/1700000001.M2P2.host", "Subject: fresh\n\nNew mail.\n", 0o600)
    for where, _, names in os.walk(top / "msg"):
        for name in [".", *names]:
            os.chown(os.path.join(where, name), *own)


def write_site(top: Path, domain: str, uid: int, *, php: bool, content: str, files: int) -> None:
    """What the site serves."""
    web = top / "web"
    pages = {
        "page.html": f"<!doctype html><title>p</title>page of {domain}\n",
        "css/site.css": "body { color: teal }\n",
        "download/readme.txt": "a file behind an alias\n",
        ".well-known/acme-challenge/token": f"acme {domain}\n",
        ".env": "APP_KEY=not-for-the-public\n",
    }
    if php:
        pages["index.php"] = "<?php require __DIR__ . '/inc/lib.php'; echo 'home of ', site(), \"\\n\";\n"
        pages["inc/lib.php"] = f"<?php function site() {{ return '{domain}'; }}\n"
        pages["sub/deep.php"] = "<?php require '../inc/lib.php'; echo 'library of ', site();\n"
        pages["counter.php"] = (
            "<?php session_start(); echo 'visit ', $_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1;\n"
        )
        pages["slow.php"] = "<?php usleep(1000 * (int) ($_GET['ms'] ?? 500)); echo 'slow done';\n"
        pages["upload.php"] = (
            "<?php $n = basename($_GET['name']); mkdir('uploads');\n"
            'file_put_contents("uploads/$n", file_get_contents(\'php://input\')); echo "stored $n";\n'
        ).replace("mkdir", "@mkdir")
    else:
        pages["index.html"] = f"home of {domain}\n"
    if content == "absolute":
        root = f"/srv/{domain}/web"
        pages[".user.ini"] = f"auto_prepend_file = {root}/inc/prepend.php\n"
        pages["inc/prepend.php"] = "<?php define('PREPENDED', 'prepended ');\n"
        pages["absolute.php"] = (
            f"<?php require '{root}/inc/lib.php'; echo PREPENDED, 'library of ', site();\n"
        )
        pages["wp-config.php"] = f"<?php define('WPCACHEHOME', '{root}/cache/');\n"
    for number in range(files):
        pages[f"many/{number:06d}.txt"] = f"numbered page {number}\n"
    for inner, text in pages.items():
        _put(web / inner, text)
    for where, _, names in os.walk(web):
        for name in [".", *names]:
            os.chown(os.path.join(where, name), uid, uid if where != os.fspath(web) else 33)
    if content == "odd":
        write_odd(top, uid)


def write_odd(top: Path, uid: int) -> None:
    """Every kind of entry that a naive tool loses, follows or breaks."""
    web = os.fsencode(top / "web")
    own = (uid, 33)
    odd = web + b"/odd"
    os.makedirs(odd)
    for name in ODD_NAMES:
        _put(odd + b"/" + name, b"content of " + name, 0o644, own)
        _put(web + b"/in dir " + name[:200] + b"/inner", b"inner", 0o640, own)
    _put(web + b"/-weird/--file", b"dashes", 0o644, own)
    _put(web + b"/.git/config", b"[core]\n", 0o644, own)
    _put(web + b"/.htaccess", b"Deny from all\n", 0o644, own)
    for name, text in (
        ("app/code.txt", "own app"),
        ("app/public/code.txt", "own app's public"),
        ("run/state", "own run"),
        ("log/app.log", "log of the application"),
    ):
        _put(os.path.join(web, name.encode()), text, 0o644, own)
    _put(web + b"/public/index.html", b"inner public", 0o644, own)
    os.makedirs(web + b"/empty dir")
    _write_links(web, os.fsencode(top))
    _write_special(web, own)
    _write_attributes(web, own)
    _give_to_account(web, own)
    _put(top / "private/notes.txt", "a directory of the admin's own\n", 0o600, (0, 0))
    _put(top / "readme.txt", "a file at the top\n", 0o644, own)
    _put(top / "var/cache/blob", "something else in var\n", 0o644, own)


def _give_to_account(web: bytes, own: tuple[int, int]) -> None:
    """What was made without an owner belongs to the account; the files meant to be foreign stay so."""
    for where, directories, names in os.walk(web):
        for path in (os.path.join(where, name) for name in [*directories, *names]):
            if os.lstat(path).st_uid == 0 and os.path.basename(path) != b"left-by-root":
                os.lchown(path, *own)


def _write_links(web: bytes, top: bytes) -> None:
    """Symbolic links of all sorts, and hard links, also across directories of the site."""
    inner_top = b"/srv/" + os.path.basename(top)
    for name, target in (
        (b"link-relative", b"page.html"),
        (b"link-absolute", inner_top + b"/web/page.html"),
        (b"link-dir", b"css"),
        (b"link-up", b"../var/log"),
        (b"link-broken", b"no/such/thing"),
        (b"link-outside", b"/etc/hostname"),
        (b"link-loop", b"link-loop"),
        (b"link-odd", b"odd/new\nline.txt"),
    ):
        os.symlink(target, web + b"/" + name)
    _put(web + b"/hard-a", b"one inode, three names")
    os.link(web + b"/hard-a", web + b"/hard-b")
    os.link(web + b"/hard-a", web + b"/odd/hard-c")


def _write_special(web: bytes, own: tuple[int, int]) -> None:
    """Sparse, setuid, setgid, sticky, unreadable, fifo, socket, foreign owners."""
    _put(web + b"/sparse.img", b"start", 0o644, own)
    with open(web + b"/sparse.img", "r+b") as handle:
        handle.seek(8 << 20)
        handle.write(b"end")
    _put(web + b"/setuid-tool", b"#!/bin/sh\n", 0o4755, own)
    _put(web + b"/mode-0000", b"nobody reads this", 0o000, own)
    _put(web + b"/upload-by-server.jpg", b"jpeg", 0o640, (33, 33))
    _put(web + b"/left-by-root", b"root", 0o600, (0, 0))
    _put(web + b"/left-by-nobody", b"nobody", 0o644, (65534, 65534))
    os.mkdir(web + b"/setgid-dir")
    os.chown(web + b"/setgid-dir", *own)
    os.chmod(web + b"/setgid-dir", 0o2775)
    os.mkdir(web + b"/sticky-dir")
    os.chmod(web + b"/sticky-dir", 0o1777)
    os.mkfifo(web + b"/a-fifo", 0o640)
    handle = os.open(web, os.O_DIRECTORY)
    try:  # by way of the descriptor: a socket's path has room for 107 bytes only
        with socket.socket(socket.AF_UNIX) as plug:
            plug.bind(f"/proc/self/fd/{handle}/a-socket")
    finally:
        os.close(handle)


def _write_attributes(web: bytes, own: tuple[int, int]) -> None:
    """ACLs (also a default one), user attributes and a file capability."""
    _put(web + b"/acl-file", b"acl", 0o640, own)
    os.mkdir(web + b"/acl-dir")
    _put(web + b"/acl-dir/child", b"child", 0o640, own)
    subprocess.run(["setfacl", "-m", "u:33:rw,g:4:r", web + b"/acl-file"], check=True)
    subprocess.run(["setfacl", "-m", "u:33:rwx,d:u:33:rwx,d:g:4:rx", web + b"/acl-dir"], check=True)
    _put(web + b"/xattr-file", b"xattr", 0o644, own)
    os.setxattr(web + b"/xattr-file", b"user.origin", b"bytes \x00\xff here")
    _put(web + b"/capable", b"#!/bin/sh\n", 0o755, own)
    net_bind_service = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
    os.setxattr(web + b"/capable", b"security.capability", net_bind_service)


def age(top: Path) -> None:
    """Give every entry a time of its own in the past, with nanoseconds, so that a touched one stands out."""
    for where, directories, names in os.walk(os.fsencode(top), topdown=False):
        for name in [*names, *directories, b""]:
            path = os.path.join(where, name) if name else where
            seed = int.from_bytes(hashlib.sha256(path[len(os.fsencode(top)) :]).digest()[:6], "big")
            moment = 1_600_000_000_000_000_000 + seed % 100_000_000_000_000_000
            os.utime(path, ns=(moment, moment), follow_symlinks=False)
