"""The yardstick: the bare steps by a plain asyncio and asyncssh script; one connection, shared reloads.

It looks before it begins, writes an archive with a JSON file beside it, moves, sets owners and modes,
rewrites the configuration, reloads once a vnode, and asks every site. It verifies no more, undoes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import asyncssh

AT_ONCE = 2
"""Archives written at the same time on one vnode."""

SAVE = r"""
d=$1 u=/srv/$1
[ -d "$u/web" ] && [ ! -e "$u/web/app/public" ] && nginx -t 2>/dev/null || exit 1
need=$(du -skx "$u" | cut -f1)
[ "$(df -Pk "$u" | awk 'NR==2 {print $4}')" -gt $((2 * need)) ] || exit 2
mkdir -p "$u/.archive" && chmod 700 "$u/.archive" && cd "$u" || exit 3
t=$(date -u +%Y%m%d-%H%M%S)
tar --exclude=./.archive -czf ".archive/pre-migration-$t.tar.gz" . 2>/dev/null
printf '{"domain": "%s", "kib": %s, "at": "%s"}\n' "$d" "$need" "$t" >".archive/migration-$t.json"
"""

MOVE = r"""
d=$1 u=/srv/$1
cd "$u" || exit 1
o=$(stat -c %U web)
mkdir .new .new/app .new/run && mv web .new/app/public && mv .new web || exit 2
mv var/log web/log && mv var/tmp web/tmp || exit 2
mkdir .archive/legacy && mv .ssh bin etc var .archive/legacy/ || exit 3
chown "$o:www-data" web web/app web/app/public web/log web/run web/tmp
chmod 755 web web/app web/app/public
chmod 750 web/log web/run web/tmp
find web/app/public ! -user "$o" -exec chown -h "$o:www-data" {} +
sed -i -e "s|/srv/$d/web|/srv/$d/web/app/public|g" -e "s|/srv/$d/var/log|/srv/$d/web/log|g" \
  -e "s|/srv/$d/var/run|/srv/$d/web/run|g" -e "s|/srv/$d/var/tmp|/srv/$d/web/tmp|g" \
  "/etc/nginx/sites-available/$d" "/etc/php/8.2/fpm/pool.d/$d.conf"
"""

RELOAD = r"""
nginx -t 2>/dev/null && php-fpm8.2 -t 2>/dev/null && systemctl reload php8.2-fpm || exit 1
for d; do
  i=0
  until [ -S "/srv/$d/web/run/fpm.sock" ]; do i=$((i + 1)); [ $i -lt 500 ] || exit 2; sleep 0.01; done
done
systemctl reload nginx
"""


class Failed(RuntimeError):
    """A bare step did not come through: the comparison would mean nothing."""


async def migrate_all(ssh_config: Path, vhosts: dict[str, Sequence[str]]) -> None:
    """All vnodes side by side. ``vhosts``: vnode -> domains. Raises Failed."""
    await asyncio.gather(*(_vnode(ssh_config, name, domains) for name, domains in vhosts.items()))


async def _vnode(ssh_config: Path, name: str, domains: Sequence[str]) -> None:
    async with asyncssh.connect(name, config=[str(ssh_config)]) as link:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(domain: str) -> None:
            async with gate:
                await _script(link, SAVE, domain)

        await asyncio.gather(*(one(domain) for domain in domains))
        # nginx -t opens every site's logs: it would fail for all as long as one is half moved.
        for domain in domains:
            await _script(link, MOVE, domain)
        await _script(link, RELOAD, *domains)
        for domain in domains:
            await _ask(link, domain)


async def _script(link: asyncssh.SSHClientConnection, text: str, *args: str) -> None:
    done = await link.run(f"sh -s -- {' '.join(args)}", input=text)
    if done.exit_status:
        raise Failed(f"{args[0]}: step ended with {done.exit_status}: {done.stderr}")


async def _ask(link: asyncssh.SSHClientConnection, domain: str) -> None:
    for path in ("/page.html", "/"):
        answer = b""
        # The old worker may answer for a moment after the reload.
        for _ in range(200):
            reader, writer = await link.open_connection("127.0.0.1", 80)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {domain}\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read()
            writer.close()
            if b" 200 " in answer.split(b"\r\n", 1)[0]:
                break
            await asyncio.sleep(0.02)
        else:
            raise Failed(f"{domain}{path}: {answer[:80]!r}")
