"""`nsmig node import`: vnodes from an OpenSSH configuration or an Ansible inventory."""

from __future__ import annotations

from argparse import Namespace
from fnmatch import fnmatchcase
from pathlib import Path

from ..domain.errors import ExitCode, UsageError
from ..domain.fleet import Vnode
from ..domain.text import clean
from ..domain.vnode_names import checked
from ..engine.inventory.ansible_hosts import read_hosts
from ..engine.inventory.ssh_hosts import read_names
from .session import Session


async def import_vnodes(session: Session, arguments: Namespace) -> int:
    """Add every host that matches and is not there yet; those that are there stay as they are."""
    found, notes = _read(session, arguments)
    added, known, refused = [], [], []
    for vnode in found:
        if not fnmatchcase(vnode.name, arguments.match):
            continue
        try:
            tidy = checked(vnode)
        except UsageError as error:
            refused.append({"name": clean(vnode.name, 80), "reason": error.message})
            continue
        if session.app.store.vnode(vnode.name) is not None:
            known.append(vnode.name)
            continue
        session.app.store.save_vnode(tidy)
        added.append(vnode.name)
    stanzas = [notes[name] for name in added if name in notes]
    if session.settings.json:
        session.out.document({"added": added, "known": known, "refused": refused, "ssh_config": stanzas})
        return ExitCode.DONE
    for name in added:
        session.out.line(name)
    for row in refused:
        session.out.tell(f"not imported: {row['reason']}")
    if stanzas:
        session.out.talk(
            "The inventory names users, ports, keys or jump hosts. OpenSSH's own files rule here; "
            "add to ~/.ssh/config:"
        )
        for stanza in stanzas:
            session.out.talk(stanza)
    session.out.talk(f"{len(added)} added, {len(known)} were there already, {len(refused)} not imported")
    return ExitCode.DONE


def _read(session: Session, arguments: Namespace) -> tuple[list[Vnode], dict[str, str]]:
    """The vnodes that the file names, and what ssh must be told besides."""
    if arguments.ansible_inventory:
        hosts = read_hosts(Path(arguments.ansible_inventory).expanduser())
        vnodes = [Vnode(host.name, host.group or "default", host.alias) for host in hosts]
        return vnodes, {host.name: host.stanza for host in hosts if host.needs_stanza}
    if getattr(arguments, "ssh_config", None) is None:
        raise UsageError("Give --ssh-config FILE or --ansible-inventory FILE.")
    return [Vnode(name) for name in read_names(Path(arguments.ssh_config))], {}
