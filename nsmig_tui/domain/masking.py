"""Secrets in lines of configuration, hidden before anybody sees them: in a plan's diffs."""

from __future__ import annotations

import re

HIDDEN = "***"

_NAMED = re.compile(
    r"""(?ix)
    (?<![\w.$-])
    (?!(?:fastcgi|proxy|uwsgi|scgi|grpc|memcached)_pass(?:_\w+)?\b)
    (?P<name>
        [\w.$\[-]*
        (?: passw(?:or)?d | passphrase | pass(?![a-z]) | pwd | pw(?![a-z]) | secret | token | credential
          | authorization | cookie(?=["']?[ \t]+["']?\S+=) | (?:api|access|auth|private|encryption|app)_?key )
        [\w.\]-]*
    )
    (?P<between> ["']?\]?["']? (?:[ \t]*[=:][ \t]*|[ \t]+) ["']?)
    (?![/$;"'=:\s]|unix:)
    (?P<value> [^\r\n;]+ )
    """
)
_IN_ADDRESS = re.compile(r"(?P<before>[a-z][a-z0-9+.-]*://[^/\s:@\"']*:)[^/\s@\"']+(?=@)", re.IGNORECASE)


def mask_line(line: str) -> str:
    """``line`` with the value of whatever is named like a secret hidden; paths and variables stay."""
    line = _IN_ADDRESS.sub(rf"\g<before>{HIDDEN}", line)
    return _NAMED.sub(lambda found: f"{found['name']}{found['between']}{HIDDEN}", line)
