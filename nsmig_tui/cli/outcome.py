"""From how things ended to what the process answers."""

from __future__ import annotations

from ..domain.errors import NsmigError
from ..domain.events import Result
from ..domain.outcomes import code_of, combine, summarize

__all__ = ["code_of", "combine", "result_of", "summarize"]


def result_of(error: NsmigError, vnode: str, vhost: str, status: str = "") -> Result:
    """The result line of a vhost whose work ended in an exception instead of a Result."""
    return Result(
        vnode=vnode,
        vhost=vhost,
        ok=False,
        status=status,
        errors=(error.message,),
        hint=error.hint,
        exit_code=int(error.exit_code),
    )
