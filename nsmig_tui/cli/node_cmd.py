"""`nsmig node …`: the vnodes that we know."""

from __future__ import annotations

from argparse import Namespace

from ..domain.errors import ExitCode, NsmigError, Refused
from ..domain.events import Summary
from ..domain.fleet import Vnode
from ..domain.vnode_names import checked
from . import consent, outcome
from .documents import vnode_row
from .session import Session
from .tables import print_table


async def add(session: Session, arguments: Namespace) -> int:
    """Add one vnode. An equal one that is there already is fine; another of that name is refused."""
    vnode = checked(Vnode(arguments.name, arguments.vsite, arguments.ssh_host or "", arguments.vpath))
    known = session.app.store.vnode(vnode.name)
    if known is None:
        session.app.store.save_vnode(vnode)
    elif (known.vsite, known.target, known.vpath) != (vnode.vsite, vnode.target, vnode.vpath):
        raise Refused(
            f"There is a vnode {vnode.name} already: vsite {known.vsite}, {known.target}, {known.vpath}.",
            hint="Choose another name, or remove it first.",
            vnode=vnode.name,
        )
    if session.settings.json:
        session.out.document(vnode_row(known or vnode))
    else:
        session.out.talk(
            f"{vnode.name} {'is there already' if known else 'added'}; next: nsmig discover {vnode.name}"
        )
    return ExitCode.DONE


async def list_vnodes(session: Session, arguments: Namespace) -> int:
    """Print all vnodes."""
    found = [vnode_row(vnode) for vnode in session.app.store.vnodes()]
    if session.settings.json:
        session.out.document(found)
        return ExitCode.DONE
    columns = ("vsite", "name", "ssh_host", "vpath", "status", "last_contact", "unreachable")
    rows = [
        [row[name] for name in columns] for row in sorted(found, key=lambda row: (row["vsite"], row["name"]))
    ]
    print_table(session.out, columns, rows, color=session.settings.color)
    return ExitCode.DONE


async def remove(session: Session, arguments: Namespace) -> int:
    """Forget one vnode and its vhosts; the records of runs stay, and nothing happens on the server."""
    vnode = session.vnode(arguments.name)
    going = [record for record in session.app.store.unfinished() if record.vnode == vnode.name]
    if going:
        raise Refused(
            f"A run on {going[0].vhost} of {vnode.name} is not finished.",
            hint=f"`nsmig resume {vnode.name} {going[0].vhost}` first.",
            vnode=vnode.name,
            vhost=going[0].vhost,
        )
    vhosts = session.app.store.vhosts(vnode.name)
    facts = (
        f"Forget {vnode.name} ({vnode.target}, {vnode.vpath}) with what we know of its {len(vhosts)} vhosts.",
        "Nothing changes on the server. The way back: add it and discover again; records of runs are kept.",
    )
    await consent.require(session.out, facts, yes=arguments.yes)
    session.app.store.remove_vnode(vnode.name)
    if session.settings.json:
        session.out.document({"removed": vnode.name, "vhosts": len(vhosts)})
    else:
        session.out.talk(f"{vnode.name} removed")
    return ExitCode.DONE


async def check(session: Session, arguments: Namespace) -> int:
    """Connect to each vnode and say what is there."""
    names = arguments.names or [vnode.name for vnode in session.app.store.vnodes()]
    for name in names:
        session.vnode(name)
    engine = session.app.engine
    codes = []
    for name in names:
        try:
            found = await engine.check(name)
        except NsmigError as error:
            found = {
                "ok": False,
                "error": error.message,
                "hint": error.hint,
                "exit_code": int(error.exit_code),
            }
        codes.append(0 if found.get("ok", True) else found.get("exit_code") or int(ExitCode.CONNECT))
        if session.settings.json:
            session.out.json_line({"type": "check", "vnode": name, **found})
        else:
            _tell_check(session, name, found)
    session.reported = True
    session.printer.summary(Summary(ok=codes.count(0), failed=len(codes) - codes.count(0)))
    return outcome.combine(codes)


def _tell_check(session: Session, name: str, found: dict) -> None:
    rows = [
        (key, ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value)
        for key, value in found.items()
    ]
    print_table(session.out, ("vnode", name), rows, color=session.settings.color)
