"""Which server block nginx answers with, by address, port and the name that is asked for."""

from __future__ import annotations

from functools import lru_cache

from .nginx_model import NginxModel, Server, name_matches


def answering(model: NginxModel, host: str, address: str, port: int) -> Server | None:
    """The block with which nginx answers a question for ``host`` on ``address:port``."""
    names, patterns, default = _listening(model, address, port)
    if host in names:
        return names[host]
    for group in patterns:
        fits = [(len(name), server) for name, server in group if name_matches(name, host)]
        if fits:
            # nginx takes the longest wildcard, but the first regular expression
            return fits[0][1] if group is patterns[-1] else max(fits, key=lambda pair: pair[0])[1]
    return default


_Patterns = tuple[tuple[tuple[str, Server], ...], ...]


@lru_cache(8)
def _listening(
    model: NginxModel, address: str, port: int
) -> tuple[dict[str, Server], _Patterns, Server | None]:
    """Plain names, patterns in nginx's order, and the default block of one address; as asked of all names."""
    here = [(s, li) for s in model.servers for li in s.listens if li.port == port]
    every = ("::",) if ":" in address else ("*", "0.0.0.0")
    exact = [(s, li) for s, li in here if _plain(li.address) == _plain(address)]
    found = exact or [(s, li) for s, li in here if li.address in every]
    names: dict[str, Server] = {}
    for server, _ in found:
        for name in server.names:
            names.setdefault(name.removeprefix("."), server)
    all_names = [(name, server) for server, _ in found for name in server.names]
    patterns = (
        tuple(pair for pair in all_names if pair[0][:1] in ("*", ".")),
        tuple(pair for pair in all_names if pair[0].endswith(".*")),
        tuple(pair for pair in all_names if pair[0].startswith("~")),
    )
    default = [server for server, listen in found if listen.default] or [server for server, _ in found]
    return names, patterns, default[0] if default else None


def _plain(address: str) -> str:
    return "127.0.0.1" if address == "localhost" else address
