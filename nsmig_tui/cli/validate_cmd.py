"""`nsmig validate`: judge whether vhosts can be migrated."""

from __future__ import annotations

from argparse import Namespace

from ..domain.errors import UsageError
from ..domain.fleet import IN_NEW_LAYOUT, Layout
from .session import Session


async def validate(session: Session, arguments: Namespace) -> int:
    """Validate one vhost, or every one that is there and still in the old layout."""
    if arguments.all == bool(arguments.vnode) or (arguments.vnode and not arguments.vhost):
        raise UsageError("Give VNODE and VHOST, or --all.")
    if arguments.all:
        targets = [
            (vhost.vnode, vhost.domain)
            for vhost in session.app.store.vhosts()
            if vhost.status not in IN_NEW_LAYOUT and not vhost.vanished and vhost.layout != Layout.NS3
        ]
    else:
        vhost = session.vhost(arguments.vnode, arguments.vhost)
        targets = [(vhost.vnode, vhost.domain)]
    return await session.work("validate", targets, session.app.engine.validate)
