"""The edits that bring one vhost's php-fpm pools to a stage of its migration."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping

from .fpm_pools import Entry, FpmModel, Pool
from .path_map import PathMap
from .php_values import map_value
from .rewrite import Draft, Edit, Outcome, apply_edits, newline_of

SECOND_POOL = "-ns1"

BOUND = ("listen", "pm.status_listen")
"""Keys whose address only one pool can have: php-fpm starts for no site where two name the same."""


def fpm_changes(
    model: FpmModel,
    pools: Collection[Pool],
    paths: PathMap,
    *,
    copies: bool = True,
    keep_old_socket: bool = False,
    existing: Mapping[str, bytes] | None = None,
    chdir: str = "",
) -> Outcome:
    """The edits that map the values of these ``pools`` by ``paths``, and nothing else.

    Shared includes are treated as for nginx: an NS3 copy takes their place with ``copies``, else their
    changed text does. ``keep_old_socket`` adds, for each pool whose socket moves, a pool ``NAME-ns1``
    that is the same (its text written out, ``$pool`` replaced) but listens where the pool did before, and
    has no address of its own that the pool keeps.
    With ``chdir`` nothing changes but each ``chdir`` below ``web``, to this directory: php-fpm does not
    start, for any site, where a pool's is not there, and without an exchange ``web`` is not for a moment.
    Raises ValueError when ``paths`` sends a class to an nginx variable.
    """
    if any(new.startswith("$") for _, new in paths.rules):
        raise ValueError("php-fpm has no variables to hold a path")
    rewriter = _Rewriter(model, pools, paths, copies, existing or {})
    rewriter.chdir = chdir
    for pool in pools:
        rewriter.pool(pool)
    if keep_old_socket:
        for pool in pools:
            rewriter.second(pool)
    return rewriter.draft.outcome()


class _Rewriter:
    """Walks the vhost's pools, follows includes and collects edits."""

    def __init__(
        self,
        model: FpmModel,
        pools: Collection[Pool],
        paths: PathMap,
        copies: bool,
        existing: Mapping[str, bytes],
    ) -> None:
        self.model, self.paths, self.copies = model, paths, copies
        self.own = {pool.name for pool in pools}
        self.chdir = ""
        fallback = posixpath.dirname(model.main)
        tops = (paths.upath, *paths.aliases)
        patterns = model.include_patterns()
        self.draft = Draft("fpm", model.texts, patterns, existing, fallback, model.resolve, tops)

    def pool(self, pool: Pool) -> None:
        """One pool, edited where it stands."""
        for file in dict.fromkeys(entry.file for entry in pool.entries):
            if file not in self.model.users:
                entries = [entry for entry in pool.entries if entry.file == file]
                self.draft.edit(file, self._edits(pool, file, entries))

    def second(self, pool: Pool) -> None:
        """The pool once more, under a name of its own, on the old socket."""
        values = {"pool": pool.name}
        old = {key: pool.value(key) or "" for key in BOUND}
        left = {key: address for key, address in old.items() if self.paths.apply(address, values) != address}
        if "listen" not in left:
            return
        name = pool.name + SECOND_POOL
        if any(other.name == name for other in self.model.pools):
            self.draft.problem("critical", f"a pool [{name}] exists already", pool.where)
            return
        newline = newline_of(self.model.texts[pool.file])
        lines = [f"[{name}]{newline}"]
        for entry in pool.entries:
            if entry.key in ("include", *BOUND):
                continue
            text = self.model.texts[entry.file]
            value = map_value(self.paths, entry.key, text[entry.start : entry.end], values)
            value = value.replace("$pool", pool.name)
            lines.append(text[entry.line_start : entry.start] + value + text[entry.end : entry.line_end])
        lines += [f"{key} = {address}{newline}" for key, address in left.items()]
        self.draft.append(
            pool.file, "".join(part if part.endswith("\n") else part + newline for part in lines)
        )

    def _edits(self, pool: Pool, file: str, entries: list[Entry]) -> list[Edit]:
        text, values = self.model.texts[file], {"pool": pool.name}
        edits: list[Edit] = []
        for entry in entries:
            raw = text[entry.start : entry.end]
            if entry.key == "include" and not self.paths.find(raw):
                edits += self._include(pool, file, entry)
                continue
            new = self._new_value(entry.key, raw, values)
            if new != raw:
                edits.append(Edit(entry.start, entry.end, new))
        return edits

    def _new_value(self, key: str, raw: str, values: Mapping[str, str]) -> str:
        if not self.chdir:
            return map_value(self.paths, key, raw, values)
        in_web = any(hit.old == "web" for hit in self.paths.find(raw, values))
        return self.chdir if key == "chdir" and in_web else raw

    def _include(self, pool: Pool, file: str, entry: Entry) -> list[Edit]:
        """The edit of one ``include`` inside a pool, after what it reads has been looked at."""
        results = [(path, self._included(pool, path)) for path in entry.included]
        if all(text is None for _, text in results):
            return []
        newline = newline_of(self.model.texts[file])
        if not self.copies:
            parts = [text if text is not None else f"include={path}" for path, text in results]
            inlined = "".join(part if part.endswith("\n") else part + newline for part in parts)
            return [Edit(entry.line_start, entry.line_end, inlined)]
        names = [path if text is None else self.draft.copy(path, text) for path, text in results]
        if len(names) == 1:
            raw = self.model.texts[file][entry.start : entry.end]
            return [Edit(entry.start, entry.end, raw.replace(entry.value, names[0]))]
        message = f"include {entry.value} is replaced by the files that it names today"
        self.draft.problem("warning", message, entry.where)
        return [Edit(entry.line_start, entry.line_end, "".join(f"include={n}{newline}" for n in names))]

    def _included(self, pool: Pool, path: str) -> str | None:
        """The changed text of an included file, or None when it needs none (or is edited in place)."""
        entries = [entry for entry in pool.entries if entry.file == path]
        edits = self._edits(pool, path, entries)
        if not edits:
            return None
        text, values = self.model.texts[path], {"pool": pool.name}
        templated = any(
            hit.templated for e in entries for hit in self.paths.find(text[e.start : e.end], values)
        )
        if self.model.users.get(path, frozenset()) <= self.own and not templated:
            self.draft.edit(path, edits)
            return None
        return apply_edits(text, edits)
