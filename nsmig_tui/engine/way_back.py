"""What undoing a migration changes, as rows of a plan: alone, or ahead of a restore that begins with it."""

from __future__ import annotations

from typing import Any

from ..domain.fleet import STEPS, Vhost, Vnode
from ..domain.readings import Inspection

Rows = dict[str, list[dict[str, str]]]


def in_order(rows: Rows) -> tuple[dict[str, Any], ...]:
    """The seven steps of a plan, each with its changes."""
    return tuple({"name": step, "changes": rows[step]} for step in STEPS)


def undo_rows(vnode: Vnode, vhost: Vhost, seen: Inspection) -> Rows:
    """Step of a migration -> what its undo changes there."""
    up = f"{vnode.vpath}/{vhost.domain}"
    rows: Rows = {step: [] for step in STEPS}
    moves = rows[STEPS[2]]
    moves += [
        {"what": "move", "from": f"{up}/web/app/public", "to": f"{up}/web"},
        {"what": "move", "from": f"{up}/web/log", "to": f"{up}/var/log"},
    ]
    if seen.is_dir("web/app/public") and seen.is_dir("web/tmp"):
        moves.append({"what": "move", "from": f"{up}/web/tmp", "to": f"{up}/var/tmp"})
    if vhost.backup_archive:  # without an archive nothing was put away
        moves.append({"what": "bring back", "from": f"{up}/.archive/legacy-*", "to": up})
    rows[STEPS[3]] = [{"what": "owners and modes go back as they were recorded"}]
    rows[STEPS[4]] = [{"what": "the configuration files go back, byte for byte"}]
    rows[STEPS[5]] = [{"what": "nginx and php-fpm are reloaded, never stopped"}]
    return rows
