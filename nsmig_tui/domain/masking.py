"""Secrets in lines of configuration, hidden before anybody sees them: in a plan's diffs."""

from __future__ import annotations

import re

HIDDEN = "***"

_PATH = r"/[\w.@+~-]+(?:/[\w.@+~$(){}*-]*)+"
_VARIABLES = r"(?:\$\{?\w+\}?)+"
_NAMED = re.compile(
    rf"""(?ix)
    (?<![\w.$-])
    (?!(?:fastcgi|proxy|uwsgi|scgi|grpc|memcached)_pass(?:_\w+)?\b)
    (?P<name>
        [\w.$\[-]*
        (?: passw(?:or)?d | passphrase | pass(?![a-z]) | pwd | pw(?![a-z]) | secret | token | credential
          | authorization | cookie(?=["']?[ \t]+["']?\S+=) | secure_link_md5
          | (?<=[_-])auth(?![\w-]) | (?<![a-z])salt(?![a-z])
          | (?:api|access|auth|private|encryption|app)[_-]?key )
        [\w.\]-]*
    )
    (?P<between> ["']?\]?["']? (?:[ \t]*(?P<equals>[=:])[ \t]*|[ \t]+) )
    (?(equals)|(?!{_VARIABLES}(?:[\s;]|$)|"{_VARIABLES}"|'{_VARIABLES}'))
    (?: "(?!{_PATH}["])(?:\\.|[^"\\\r\n])*"?
      | '(?!{_PATH}['])(?:\\.|[^'\\\r\n])*'?
      | (?!["'=:;\s]|unix:|{_PATH}["']?(?:[\s;]|$))[^\r\n;]+ )
    """
)
"""With ``=`` before it (in a pool, say) a ``$`` makes no variable."""
_IN_ADDRESS = re.compile(
    r"(?P<before>(?<![a-z0-9+.-])[a-z0-9][a-z0-9+.-]*://[^/\s:@\"']*:)[^/\s\"']+(?=@)", re.IGNORECASE
)
_IN_QUERY = re.compile(r"(?P<before>[?&]auth(?:\[\w*\])?=)[^&\s\"';]+", re.IGNORECASE)


def mask_line(line: str) -> str:
    """``line`` with the value of whatever is named like a secret hidden; paths and variables stay."""
    for pattern in (_IN_ADDRESS, _IN_QUERY):
        line = pattern.sub(rf"\g<before>{HIDDEN}", line)
    return _NAMED.sub(lambda found: f"{found['name']}{found['between']}{HIDDEN}", line)
