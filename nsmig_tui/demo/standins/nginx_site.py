"""Answers one request from a configuration: which server, which location, which file or PHP socket."""

from __future__ import annotations

import mimetypes
import os
import re
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate

import fastcgi
from nginx_conf import Conf, Directive

REASONS = {200: "OK", 301: "Moved Permanently", 302: "Found", 304: "Not Modified", 400: "Bad Request"}
REASONS |= {403: "Forbidden", 404: "Not Found", 405: "Not Allowed", 502: "Bad Gateway"}
REASONS |= {500: "Internal Server Error"}
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")
mimetypes.init([])


@dataclass
class Request:
    """What the client asked, and the variables that the configuration may name."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        """The path that is being looked for; try_files and index change it."""
        return self.variables["uri"]


@dataclass
class Answer:
    """The answer, and the chain of blocks that made it (for the access log)."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    chain: list[list[Directive]] = field(default_factory=list)


class Site:
    """A configuration that answers. ``problem`` takes lines for the error log."""

    def __init__(self, conf: Conf, problem: Callable[[str], None]) -> None:
        self.http = conf.http()
        self.problem = problem
        self.servers = [item.block or [] for item in self.http if item.name == "server"]

    def answer(self, request: Request) -> Answer:
        """Answer one request; a mistake of ours becomes a 500 with a line in the error log."""
        host = request.headers.get("host", "").rsplit(":", 1)[0].lower()
        path, _, args = request.target.partition("?")
        server = self._server(host)
        request.variables = {
            "host": host,
            "http_host": request.headers.get("host", ""),
            "uri": _decoded(path),
            "request_uri": request.target,
            "args": args,
            "query_string": args,
            "is_args": "?" if args else "",
            "scheme": "http",
            "request_method": request.method,
            "server_name": _args(server, "server_name")[0] if _args(server, "server_name") else "",
            "remote_addr": "127.0.0.1",
            "server_port": "80",
            "server_protocol": "HTTP/1.1",
            "document_root": "",
            "fastcgi_script_name": "",
        }
        return self._in_server(server, request, 0)

    def _server(self, host: str) -> list[Directive]:
        default = None
        for server in self.servers:
            names = [name for item in server if item.name == "server_name" for name in item.args]
            if any(name == host or (name[:2] == "*." and host.endswith(name[1:])) for name in names):
                return server
            if any("default_server" in item.args for item in server if item.name == "listen"):
                default = server
        return default if default is not None else (self.servers[0] if self.servers else [])

    def _in_server(self, server: list[Directive], request: Request, depth: int) -> Answer:
        chain = [self.http, server]
        early = self._rewrite(server, request, chain)
        if early is not None:
            return early
        if depth > 9:
            self.problem("rewrite or internal redirection cycle")
            return self._plain(500, chain)
        location = _location(server, request.uri)
        while location is not None:
            chain = [*chain, location.block or []]
            early = self._rewrite(location.block or [], request, chain)
            if early is not None:
                return early
            inner = _location(location.block or [], request.uri)
            if inner is None:
                break
            location = inner
        return self._content(server, location, request, chain, depth)

    def _rewrite(
        self, block: list[Directive], request: Request, chain: list[list[Directive]]
    ) -> Answer | None:
        for item in block:
            if item.name == "set":
                request.variables[item.args[0].lstrip("$")] = expand(item.args[1], request.variables)
            elif item.name == "return":
                status = int(item.args[0])
                text = expand(item.args[1], request.variables) if len(item.args) > 1 else ""
                if status in (301, 302):
                    return self._plain(status, chain, {"Location": text})
                return Answer(status, {"Content-Type": "text/plain"}, text.encode(), chain)
            elif item.name == "if" and _holds(item.args, request.variables):
                inner = self._rewrite(item.block or [], request, chain)
                if inner is not None:
                    return inner
        return None

    def _content(
        self,
        server: list[Directive],
        location: Directive | None,
        request: Request,
        chain: list[list[Directive]],
        depth: int,
    ) -> Answer:
        own = location.block or [] if location is not None else []
        if "all" in (_nearest(chain, "deny") or []):
            return self._plain(403, chain)
        base = _nearest(chain, "root") or ["/usr/share/nginx/html"]
        root = request.variables["document_root"] = expand(base[0], request.variables)
        request.variables["realpath_root"] = os.path.realpath(root)
        alias = _args(own, "alias")
        tries = _nearest(chain, "try_files")
        if tries:
            outcome = self._try_files(tries, root, request)
            if isinstance(outcome, int):
                return self._plain(outcome, chain)
            if outcome:
                path, _, args = outcome.partition("?")
                request.variables |= {"uri": path, "args": args, "query_string": args}
                return self._in_server(server, request, depth + 1)
        if _args(own, "fastcgi_pass"):
            return self._php(own, request, chain)
        path = root + request.uri
        if alias and location is not None:
            path = expand(alias[0], request.variables) + request.uri[len(location.args[-1]) :]
        return self._file(path, server, request, chain, depth)

    def _try_files(self, words: list[str], root: str, request: Request) -> str | int | None:
        """None: serve the uri that now stands in the request; text: go there; number: answer that."""
        for word in words[:-1]:
            uri = expand(word, request.variables)
            path = root + uri
            if os.path.isdir(path) if uri.endswith("/") else os.path.isfile(path):
                request.variables["uri"] = uri
                return None
        last = words[-1]
        return int(last[1:]) if last[:1] == "=" else expand(last, request.variables)

    def _file(
        self, path: str, server: list[Directive], request: Request, chain: list[list[Directive]], depth: int
    ) -> Answer:
        try:
            if os.path.isdir(path):
                if not path.endswith("/"):
                    location = f"http://{request.headers.get('host', '')}{request.uri}/"
                    return self._plain(301, chain, {"Location": location})
                for name in _nearest(chain, "index") or ["index.html"]:
                    if os.path.isfile(path + name):
                        request.variables["uri"] = request.uri + name
                        return self._in_server(server, request, depth + 1)
                self.problem(f'directory index of "{path}" is forbidden')
                return self._plain(403, chain)
            with open(path, "rb") as file:
                facts = os.fstat(file.fileno())
                if not stat.S_ISREG(facts.st_mode):
                    return self._plain(404, chain)
                headers = {
                    "Content-Type": mimetypes.guess_type(path)[0] or "application/octet-stream",
                    "Last-Modified": formatdate(facts.st_mtime, usegmt=True),
                    "ETag": f'"{int(facts.st_mtime):x}-{facts.st_size:x}"',
                }
                return Answer(200, headers, file.read(), chain)
        except PermissionError:
            self.problem(f'open() "{path}" failed (13: Permission denied)')
            return self._plain(403, chain)
        except OSError:
            self.problem(f'open() "{path}" failed (2: No such file or directory)')
            return self._plain(404, chain)

    def _php(self, own: list[Directive], request: Request, chain: list[list[Directive]]) -> Answer:
        request.variables["fastcgi_script_name"] = request.uri
        given = [item.args for block in chain for item in block if item.name == "fastcgi_param"]
        params = {args[0]: expand(args[1], request.variables) for args in given}
        where = expand(_args(own, "fastcgi_pass")[0], request.variables)
        places = [where.removeprefix("unix:")]
        for item in self.http:
            if item.name == "upstream" and item.args == [where]:
                servers = [one.args[0] for one in item.block or [] if one.name == "server"]
                places = [one.removeprefix("unix:") for one in servers]
        for place in places:
            try:
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.settimeout(20)
                    sock.connect(place)
                    out, errors = fastcgi.ask(sock, params, request.body)
            except OSError as error:
                words = f"({error.errno}: {os.strerror(error.errno)})" if error.errno else str(error)
                self.problem(f"connect() to unix:{place} failed {words} while connecting to upstream")
                continue
            if errors:
                self.problem(f'FastCGI sent in stderr: "{errors.decode(errors="replace")}"')
            return self._from_php(out, chain)
        return self._plain(502, chain)

    def _from_php(self, out: bytes, chain: list[list[Directive]]) -> Answer:
        head, _, body = out.partition(b"\r\n\r\n")
        lines = [line.partition(":") for line in head.decode("latin-1").split("\r\n")]
        headers = {name: value.strip() for name, _, value in lines}
        status = int(headers.pop("Status", "200").split()[0])
        return Answer(status, headers, body, chain)

    def _plain(
        self, status: int, chain: list[list[Directive]], headers: dict[str, str] | None = None
    ) -> Answer:
        title = f"{status} {REASONS.get(status, '')}"
        text = f"<html><head><title>{title}</title></head><body><h1>{title}</h1><hr>nginx</body></html>\r\n"
        return Answer(status, {"Content-Type": "text/html"} | (headers or {}), text.encode(), chain)


def expand(text: str, variables: dict[str, str]) -> str:
    """Put variables in; one that nobody set is empty."""
    return _VARIABLE.sub(lambda match: variables.get(match[1] or match[2], ""), text)


def nearest_logs(chain: list[list[Directive]]) -> list[str]:
    """The access logs in force for a chain of blocks, not yet expanded."""
    for block in reversed(chain):
        paths = [item.args[0] for item in block if item.name == "access_log"]
        if paths:
            return [path for path in paths if path != "off"]
    return []


def _args(block: list[Directive], name: str) -> list[str]:
    return next((item.args for item in block if item.name == name), [])


def _nearest(chain: list[list[Directive]], name: str) -> list[str]:
    return next((args for block in reversed(chain) if (args := _args(block, name))), [])


def _decoded(path: str) -> str:
    raw = re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), path.encode("latin-1"))
    parts: list[str] = []
    for part in raw.decode("utf-8", "surrogateescape").split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/" + "/".join(parts).lstrip("/")


def _location(block: list[Directive], uri: str) -> Directive | None:
    """The location that nginx would take: exact, then the longest prefix, unless a pattern matches."""
    best: Directive | None = None
    patterns: list[Directive] = []
    for item in block:
        if item.name != "location":
            continue
        sign, word = item.args if len(item.args) == 2 else ["", item.args[0]]
        if sign == "=":
            if uri == word:
                return item
        elif sign in ("~", "~*"):
            patterns.append(item)
        elif uri.startswith(word) and (best is None or len(word) > len(best.args[-1])):
            best = item
    if best is None or best.args[0] != "^~":
        for item in patterns:
            if re.search(item.args[1], uri, re.IGNORECASE if item.args[0] == "~*" else 0):
                return item
    return best


def _holds(words: list[str], variables: dict[str, str]) -> bool:
    """Whether the condition of an ``if`` holds."""
    words = [*words]
    words[0], words[-1] = words[0].removeprefix("("), words[-1].removesuffix(")")
    words = [word for word in words if word]
    if len(words) == 1:
        return expand(words[0], variables) not in ("", "0")
    if len(words) == 2:
        path = expand(words[1], variables)
        sign = words[0].lstrip("!")
        tests = {"-d": os.path.isdir, "-f": os.path.isfile, "-e": os.path.exists}
        return tests[sign](path) != words[0].startswith("!")
    left, sign, right = words
    left = expand(left, variables)
    if sign in ("=", "!="):
        return (left == expand(right, variables)) == (sign == "=")
    found = re.search(right, left, re.IGNORECASE if "*" in sign else 0)
    return bool(found) != sign.startswith("!")
