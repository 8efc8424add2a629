"""The directory trees of the demo's vhosts: old layout, new layout, and what is wrong with some."""

from __future__ import annotations

import os
import random
from pathlib import Path

_OLD = 1_546_300_800
"""2019-01-01, so that kept times are seen to be kept."""

MEDIA_FILES, MEDIA_BYTES = 24, 400_000


def write_site(root: Path, domain: str, kind: str) -> None:
    """Make ``{root}/srv/{domain}`` with all that is in it."""
    top = root / "srv" / domain
    if kind == "misnamed":
        top.mkdir()
        (top / "notes.txt").write_text("Copied here before the move, look at it some day.\n")
        return
    web = top / "web"
    if kind == "native":
        web = top / "web/app/public"
        _folders(top, {".archive": 0o700, "web/app/public": 0o755, "web/log": 0o750, "web/run": 0o750})
        (top / "web/app").chmod(0o755)
    else:
        _folders(top, {".ssh": 0o700, "bin": 0o755, "etc": 0o755, "var/log": 0o750, "var/run": 0o750})
        _folders(top, {"var/tmp": 0o750, "web": 0o755})
        _old_layout(top, domain)
    if kind == "linked":
        # What a migration as root must not follow.
        web.rmdir()
        elsewhere = root / "mnt/data" / domain
        elsewhere.mkdir()
        web.symlink_to(elsewhere)
    _mail(top / "msg", domain)
    _pages(web, domain)
    if kind in ("own", "media"):
        _uploads(web, domain, large=kind == "media")
    if kind == "absolute":
        _absolute(web, domain)
    _make_old(top)


def _folders(top: Path, wanted: dict[str, int]) -> None:
    for name, mode in wanted.items():
        (top / name).mkdir(parents=True)
        (top / name).chmod(mode)


def _old_layout(top: Path, domain: str) -> None:
    (top / ".ssh/authorized_keys").write_text("# no keys\n")
    (top / ".ssh/authorized_keys").chmod(0o600)
    (top / "bin/backup.sh").write_text(f"#!/bin/sh\necho {domain} is backed up from outside\n")
    (top / "bin/backup.sh").chmod(0o755)
    (top / "etc/motd").write_text(f"Welcome to {domain}\n")
    (top / "var/log/access.log").write_text('192.0.2.7 - - "GET / HTTP/1.1" 200 1234\n' * 40)
    (top / "var/log/php-errors.log").write_text("")
    (top / "var/tmp/sess_4f1c2a").write_text('cart|a:1:{i:0;s:5:"bread";}')
    (top / "var/tmp/sess_4f1c2a").chmod(0o600)


def _mail(msg: Path, domain: str) -> None:
    for folder in ("cur", "new", "tmp"):
        (msg / "info/Maildir" / folder).mkdir(parents=True)
    text = f"From: a@{domain}\nTo: info@{domain}\nSubject: Hello\n\nAn ordinary message.\n"
    for number in range(3):
        (msg / f"info/Maildir/cur/15463008{number:02}.M1P{number}.mail:2,S").write_text(text)
    msg.chmod(0o750)


def _pages(web: Path, domain: str) -> None:
    title = domain.split(".")[0].title()
    (web / "index.html").write_text(
        f'<!doctype html>\n<html lang="en"><head><title>{title}</title>\n<link rel="stylesheet" '
        f'href="/style.css"></head>\n<body><h1>{title}</h1><p>Open every day but Monday.</p></body></html>\n'
    )
    (web / "style.css").write_text("body { font: 1rem/1.5 serif; margin: 2rem auto; max-width: 40rem }\n")
    (web / "hello.php").write_text(
        "<?php\n// a page that is made at every request\n"
        f'echo "Hello from {title}, PHP ", PHP_VERSION, "\\n";\n?>\n'
        "<p>You asked for <?= $_SERVER['REQUEST_URI'] ?></p>\n"
    )
    (web / ".htaccess").write_text("Require all granted\n")
    (web / ".well-known").mkdir()
    (web / ".well-known/security.txt").write_text(f"Contact: mailto:info@{domain}\n")
    (web / "inc").mkdir()
    (web / "inc/footer.html").write_text("<p>Made by hand.</p>\n")
    (web / "about").mkdir()
    (web / "about/index.html").write_text(f"<h1>About {title}</h1>\n")
    (web / "about/naïve café.txt").write_text("a name with blanks and accents\n")
    (web / "home").symlink_to("about")
    os.link(web / "style.css", web / "about/style.css")
    # An entry with a name that the new layout also uses: it is content like any other.
    (web / "log").mkdir()
    (web / "log/changes.txt").write_text("2019: opened\n")
    sparse = web / "inc/sparse.bin"
    with sparse.open("wb") as file:
        file.truncate(1 << 20)
        file.seek(1 << 19)
        file.write(b"middle")


def _uploads(web: Path, domain: str, *, large: bool) -> None:
    folder = web / "uploads"
    folder.mkdir(mode=0o2775)
    folder.chmod(0o2775)
    (folder / "readme.txt").write_text("Pictures of the season.\n")
    dice = random.Random(domain)
    for number in range(MEDIA_FILES if large else 2):
        year = folder / str(2015 + number % 4)
        year.mkdir(exist_ok=True)
        (year / f"picture-{number:03}.jpg").write_bytes(dice.randbytes(MEDIA_BYTES if large else 20_000))


def _absolute(web: Path, domain: str) -> None:
    """An application whose configuration holds its own path, as so many do."""
    (web / "inc/banner.php").write_text(f'<?php echo "<b>Offer of the week at {domain}</b>\\n"; ?>\n')
    (web / "index.php").write_text(
        f"<?php\nrequire_once '{web}/inc/banner.php';\necho 'uploads: ', is_dir('{web}/inc');\n?>\n"
    )


def _make_old(top: Path) -> None:
    """Set every time back, deepest first, so that directories keep theirs."""
    for folder, folders, files in os.walk(top, topdown=False):
        for name in (*files, *folders):
            os.utime(os.path.join(folder, name), (_OLD, _OLD), follow_symlinks=False)
    os.utime(top, (_OLD, _OLD))
