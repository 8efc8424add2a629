"""The edits that bring one vhost's nginx configuration to a stage of its migration."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from .nginx_directives import FOLLOWS, STAYS, UNKNOWN, takes_variables, use_of
from .nginx_model import HOST_VARIABLES, NginxModel, Server, refuses_links
from .nginx_sites import PASS, Problem, Site, Use
from .nginx_spelling import WRITE_OUT, Speller, Spelling, Trouble
from .nginx_syntax import Directive, walk
from .nginx_variables import NONE, PATTERNS, Block, Blocks, Scope, names_in
from .path_map import PathMap, normal, substitute
from .rewrite import Draft, Edit, Outcome, apply_edits, newline_of, respelled

ROOT_VARIABLE = "$nsmig_root"
DISK_VARIABLE = "$nsmig_disk"
CACHE = "open_file_cache"
LEAD_ELSEWHERE = "Take the old path out, or move what it names out of web and var; then validate again."
KEPT_VALID = "Links keep the old path valid; change it when there is time."
ESCAPED = Trouble("error", "names the path in a form that cannot be changed", "Take the \\ out of the path.")
_SOCKET = re.compile(r"unix:(/[^\s:;,\"']*)")


@dataclass(frozen=True)
class Transition:
    """For vnodes without atomic exchange: the root is chosen for each request by what exists on disk.

    ``old_root``: the content's place before. ``staged``: the directory that holds the site between the two
    renames. ``switched``: a directory that exists once the new layout is in place, and ``new_root`` the
    root from then on. nginx looks for a directory first and opens the file some microseconds later; a
    request that meets a rename between the two would find nothing. So what nginx reads itself it reads
    by ``held``, a link that leads to the content wherever it stands (see run_keeper.sh). What it tells
    other programs, which have no such way, is the place on disk.
    """

    old_root: str
    staged: str
    switched: str
    new_root: str
    held: str

    def preamble(self, old_root: str, newline: str, *, uncached: bool, links: bool) -> str:
        """The lines that go to the start of a server block.

        ``uncached``: nginx is to remember nothing of where it found files. ``links``: it may follow them.
        """
        lines = (
            "",
            *(["    open_file_cache off;"] if uncached else []),
            # disable_symlinks may ask for the root already where nginx looks for a directory
            *([] if links else [f"    set {ROOT_VARIABLE} {old_root};"]),
            f"    set {DISK_VARIABLE} {old_root};",
            f"    if (-d {self.staged}) {{ set {DISK_VARIABLE} {self.staged}; }}",
            f"    if (-d {self.switched}) {{ set {DISK_VARIABLE} {self.new_root}; }}",
            f"    set {ROOT_VARIABLE} {DISK_VARIABLE};",
            *([f"    if (-d {self.held}) {{ set {ROOT_VARIABLE} {self.held}; }}"] if links else []),
            "",
        )
        return newline.join(lines)


def nginx_changes(
    model: NginxModel,
    site: Site,
    paths: PathMap,
    *,
    copies: bool = True,
    transition: Transition | None = None,
    sockets: Collection[str] | None = None,
    existing: Mapping[str, bytes] | None = None,
    blocks: Blocks | None = None,
) -> Outcome:
    """The edits that map this vhost's paths by ``paths`` in all its server blocks, and nothing else.

    A shared include that has to change is never edited. With ``copies`` an NS3 copy takes its place (the
    final form); without, its changed text is put in place of the ``include`` (stages that soon pass).
    ``transition`` sends the root through a variable. ``sockets``: the paths on which the vhost's own pools
    listen; any other socket (of a Python application, say) stays where its program made it. None: all move.
    ``existing``: content of files on the vnode that nginx does not read now, so that a copy does not take
    a name that is in use. ``blocks``: what is found out about the server blocks, for the next call with the
    same ``model`` and ``site``.
    """
    rewriter = _Rewriter(model, site, paths, copies, existing or {}, blocks)
    if transition is not None:
        rewriter.paths = paths.with_target("web", ROOT_VARIABLE)
    rewriter.sockets = None if sockets is None else {normal(path) for path in sockets}
    rewriter.transition = transition
    rewriter.all(site)
    return rewriter.draft.outcome()


def foreseen(
    model: NginxModel,
    site: Site,
    paths: PathMap,
    sockets: Collection[str] | None = None,
    blocks: Blocks | None = None,
) -> tuple[tuple[Problem, ...], tuple[Use, ...]]:
    """All that would be said of edits by ``paths``, and what goes on naming old paths after them."""
    rewriter = _Rewriter(model, site, paths, True, {}, blocks)
    rewriter.sockets = None if sockets is None else {normal(path) for path in sockets}
    rewriter.all(site)
    return rewriter.draft.outcome().problems, tuple(dict.fromkeys(rewriter.uses))


class _Rewriter:
    """Walks the vhost's server blocks, follows includes and collects edits."""

    def __init__(
        self,
        model: NginxModel,
        site: Site,
        paths: PathMap,
        copies: bool,
        existing: Mapping[str, bytes],
        blocks: Blocks | None,
    ) -> None:
        self.model, self.paths, self.aim, self.copies = model, paths, paths, copies
        self.own = {server.number for server in site.servers}
        self.variable_base = ""
        self.transition: Transition | None = None
        self.told_place = False
        self.blocks = blocks or Blocks(model, site.domain)
        self.speller = Speller(paths, paths, Block(model, NONE, Scope({})))
        self.location: Directive | None = None
        self.uses: list[Use] = []
        self.sockets: set[str] | None = None
        fallback = posixpath.dirname(model.main)
        tops = (site.upath, *site.links)
        patterns = model.include_patterns()
        self.draft = Draft("nginx", model.texts, patterns, existing, fallback, model.resolve, tops)

    def all(self, site: Site) -> None:
        """All that names this vhost's paths."""
        for server in site.servers:
            self.server(server)
        self.outside()

    def server(self, server: Server) -> None:
        """One server block, edited where it stands."""
        self.speller = Speller(self.paths, self.aim, self.blocks.of(server))
        self.variable_base, self.told_place = "", False
        self.draft.edit(server.file, self._block(server.file, server.directive.block or ()))
        if not self.transition or not server.directive.body or not (self.variable_base or self.told_place):
            return
        said = [p.directive for p in (*server.inner, *self.model.outside)]
        start = server.directive.body[0]
        text = self.transition.preamble(
            self.variable_base or self.transition.old_root,
            newline_of(self.model.texts[server.file]),
            uncached=any(d.name == CACHE for d in said) and not server.own(CACHE),
            links=not any(map(refuses_links, said)),
        )
        self.draft.edit(server.file, [Edit(start, start, text)])

    def outside(self) -> None:
        """Literal paths of this vhost that stand in no server block: upstreams, maps, caches."""
        self.speller = Speller(self.paths, self.aim, Block(self.model, NONE, Scope({})))
        naming = {path for path, text in self.model.texts.items() if self.paths.is_near(text)}
        for placed in self.model.outside:
            if placed.file not in naming:
                continue
            in_map = placed.blocks[-1:] == ("map",)
            self.draft.edit(placed.file, self._args(placed.file, placed.directive, in_map, False))

    def _block(self, file: str, directives: tuple[Directive, ...]) -> list[Edit]:
        edits: list[Edit] = []
        for directive in directives:
            if directive.name == "include":
                edits += self._include(file, directive)
                continue
            edits += self._args(file, directive, False, True)
            edits += self._while_moving(file, directive)
            if directive.name in ("root", "alias") and directive.args and self.location is not None:
                self._reaches(f"{file}:{directive.line}", directive, self.location)
            if directive.block:
                outer, around = self.speller, self.location
                self.speller = outer.inside(directive)
                self.location = directive if directive.name == "location" else around
                edits += self._block(file, directive.block)
                self.speller, self.location = outer, around
        return edits

    def _reaches(self, where: str, directive: Directive, location: Directive) -> None:
        """A word on a location in whose folder requests name by themselves what moves (``/web/x``)."""
        plain = location.values[:-1] in ((), ("=",), ("^~",)) and location.values[-1:] != ()
        uri = location.values[-1] if plain and directive.name == "root" else "/"
        for text in self.speller.block.plain.readings(directive.values[0]):
            place = self.paths.place(text)
            if place not in ("", "var"):
                continue
            asked = f"{place}/{uri.lstrip('/')}".lstrip("/")
            for old, _ in self.paths.rules:
                if f"{old}/".startswith(asked) or f"{asked}/".startswith(f"{old}/"):
                    message = f"{directive.name} {directive.values[0]} lets requests name {old}, which moves"
                    hint = f"Name {self.paths.upath}/{old} itself in it, or a folder that stays."
                    self.draft.problem("error" if plain else "warning", message, where, hint)
                    return

    def _while_moving(self, file: str, directive: Directive) -> list[Edit]:
        """What a directive needs while the tree is switched without an exchange."""
        if self.transition is None:
            return []
        if directive.name == CACHE and directive.args:  # it would remember for a minute where the root was
            return [Edit(directive.args[0].start, directive.args[-1].end, "off")]
        if directive.name == "location" and directive.body and self._passes(directive):
            self.told_place = True
            start = directive.body[0]
            return [Edit(start, start, f" set {ROOT_VARIABLE} {DISK_VARIABLE};")]
        return []

    def _passes(self, directive: Directive) -> bool:
        """Whether a location hands its requests to another program, itself or by what it includes."""
        for inner in directive.block or ():
            if inner.name in PASS or (inner.name == "if" and self._passes(inner)):
                return True
            if inner.name == "include":
                read = (self.model.trees[path] for path in self.model.included(inner))
                if any(d.name in PASS for tree in read for d in walk(tree)):
                    return True
        return False

    def _args(self, file: str, directive: Directive, in_map: bool, variables: bool) -> list[Edit]:
        text = self.model.texts[file]
        where = f"{file}:{directive.line}"
        use = FOLLOWS if in_map else use_of(directive.name)
        edits: list[Edit] = []
        for number, arg in enumerate(directive.args):
            raw = text[arg.start : arg.end]
            if directive.name == "if" and "\\" in raw and self.paths.find(raw.replace("\\", "")):
                self._unclear(directive, raw, where, ESCAPED)
                continue
            if self.speller.is_far(directive, number):
                continue
            if self.speller.is_plain(raw):
                continue
            spelling = self.speller.spell(directive, number, raw)
            hits = spelling.hits
            if use != FOLLOWS:
                self._left(directive, use, raw, where, spelling)
                continue
            if spelling.trouble:
                self._unclear(directive, raw, where, spelling.trouble)
            sockets = self._other_sockets(arg.value, spelling.known) if hits else []
            if any("$" in path for path in sockets):
                message = (
                    f"{directive.name} {raw}: nobody can tell whether a pool of this vhost listens there"
                )
                self.draft.problem("error", message, where, WRITE_OUT)
                continue
            if sockets:
                message = f"{directive.name} {raw}: no pool of this vhost listens there; it stays"
                self.draft.problem("warning", message, where)
                if any(hit.old != "var/run" for hit in hits):  # what is in there goes along with the folder
                    self._keep(raw, where, spelling, must=True)
                continue
            pattern = directive.name == "if" and any(v in PATTERNS for v in directive.values[:number])
            fixed = not variables or not takes_variables(directive.name) or pattern
            if self._needs_variable(spelling) and fixed:
                message = f"{directive.name} {raw} cannot change while the tree is switched"
                hint = "Give this vnode perl or mv --exchange, or move the file out of web/."
                self.draft.problem("critical", message, where, hint)
                continue
            if spelling.new != raw:
                new = spelling.new
                if directive.name == "set":  # what other programs are told may be built from it
                    new = new.replace(ROOT_VARIABLE, DISK_VARIABLE)
                edits.append(Edit(arg.start, arg.end, new))
        code = text[slice(*directive.body)] if directive.is_lua and directive.body else ""
        if code and self.paths.find(code, self._known()):
            self.draft.problem("error", f"old path in {directive.name} is not changed", where, LEAD_ELSEWHERE)
        return edits

    def _left(self, directive: Directive, use: str, raw: str, where: str, spelling: Spelling) -> None:
        """An argument that keeps its old path, or of which nobody knows whether it may have another."""
        if use == UNKNOWN and spelling.trouble:
            self._unclear(directive, raw, where, spelling.trouble)
        if not spelling.hits:
            return
        if use == UNKNOWN:
            message = f"old path in {directive.name} is not changed: {raw}"
            self.draft.problem("error", message, where, LEAD_ELSEWHERE)
        elif use != STAYS:
            message = f"old path in {directive.name} is not changed: {raw}"
            self.draft.problem("warning", message, where, KEPT_VALID)
            self._keep(raw, where, spelling)
        elif any(hit.old == "var/run" for hit in spelling.hits):
            message = f"{directive.name} {raw} would be gone for a moment while var/run is emptied"
            self.draft.problem("error", message, where, "Move the cache elsewhere and reload nginx.")
        else:
            message = f"{directive.name} {raw} stays: nginx gives no cache another path while it runs"
            self.draft.problem("warning", message, where, KEPT_VALID)
            self._keep(raw, where, spelling, must=True)

    def _keep(self, raw: str, where: str, spelling: Spelling, *, must: bool = False) -> None:
        text = normal(substitute(raw, spelling.known))
        for alias in self.paths.aliases:
            text = text.replace(alias, self.paths.upath)
        self.uses.append(Use(where, text, must))

    def _known(self) -> dict[str, str]:
        """The variables that have one value in this block."""
        values = self.speller.block.server.values.items()
        return {name: given[0] for name, given in values if len(given) == 1}

    def _unclear(self, directive: Directive, raw: str, where: str, trouble: Trouble) -> None:
        message = f"{directive.name} {raw} {trouble.says}"
        self.draft.problem(trouble.severity, message, where, trouble.hint)

    def _other_sockets(self, value: str, known: Mapping[str, str]) -> list[str]:
        """The sockets that an argument names, where none of them is made by a pool of the vhost."""
        if self.sockets is None or "unix:" not in value:
            return []
        named = [normal(path) for path in _SOCKET.findall(substitute(value, known))]
        return [] if any(path in self.sockets for path in named) else named

    def _needs_variable(self, spelling: Spelling) -> bool:
        for hit in spelling.hits:
            if (self.paths.target(hit.old) or "").startswith("$"):
                base = hit.base
                if not all(name in HOST_VARIABLES for name in names_in(base)):
                    base = substitute(base, spelling.known)  # the block sets it later than we ask
                literal = "$" not in base
                if not self.variable_base or (literal and "$" in self.variable_base):
                    self.variable_base = f"{base}{hit.old}"
                return True
        return False

    def _include(self, file: str, directive: Directive) -> list[Edit]:
        """The edit of one ``include``, after what it reads has been looked at."""
        if self._args(file, directive, False, True):
            return self._moved_include(file, directive)
        results = [(path, self._included(path)) for path in self.model.included(directive)]
        if all(text is None for _, text in results):
            return []
        newline = newline_of(self.model.texts[file])
        if not self.copies:
            texts = [text if text is not None else f"include {quoted(path)};" for path, text in results]
            inlined = "".join(part if part.endswith("\n") else part + newline for part in texts)
            return [Edit(directive.start, directive.end, inlined)]
        names = [path if text is None else self.draft.copy(path, text) for path, text in results]
        if len(names) == 1:
            arg = directive.args[0]
            return [Edit(arg.start, arg.end, quoted(respelled(arg.value, results[0][0], names[0])))]
        where = f"{file}:{directive.line}"
        message = f"include {directive.values[0]} is replaced by the files that it names today"
        self.draft.problem("warning", message, where, "A file added there later is not read by this vhost.")
        lines = newline.join(f"include {quoted(name)};" for name in names)
        return [Edit(directive.start, directive.end, lines)]

    def _moved_include(self, file: str, directive: Directive) -> list[Edit]:
        """An include that reads files of the vhost's own tree: they move, their text is the site's."""
        for path in self.model.included(directive):
            if self.paths.find(self.model.texts[path], self._known()):
                message = f"{path} is the site's own and names old paths; it is not changed"
                hint = "Move its text to the server's own configuration, or take the old paths out of it."
                self.draft.problem("error", message, f"{file}:{directive.line}", hint)
        return self._args(file, directive, False, True)

    def _included(self, path: str) -> str | None:
        """The changed text of an included file, or None when it needs none (or is edited in place)."""
        edits = self._block(path, self.model.trees[path])
        if not edits:
            return None
        private = self.model.users.get(path, frozenset()) <= self.own and not self._is_templated(path)
        if private and self.transition is None:
            self.draft.edit(path, edits)
            return None
        return apply_edits(self.model.texts[path], edits)

    def _is_templated(self, path: str) -> bool:
        text = self.model.texts[path]
        known = self._known()
        args = [arg for directive in walk(self.model.trees[path]) for arg in directive.args]
        return any(hit.templated for a in args for hit in self.paths.find(text[a.start : a.end], known))


def quoted(path: str) -> str:
    """A path as one word of nginx's language."""
    if any(char in path for char in " \t;{}\"'#\\"):
        return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return path
