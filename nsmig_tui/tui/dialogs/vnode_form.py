"""The form to add a vnode or edit one."""

from __future__ import annotations

from dataclasses import replace

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button, Checkbox, Input, Label, Static

from ...domain.errors import UsageError
from ...domain.fleet import Vnode
from ...domain.vnode_names import checked
from ..safe import content
from ..words import sentences
from .base import Dialog

FIELDS = (
    ("name", "Name", "vn1"),
    ("vsite", "Vsite", "default"),
    ("ssh_host", "SSH host", "an alias of ~/.ssh/config; empty: the name"),
    ("vpath", "VPATH", "/srv"),
)


class Tick(Checkbox):
    """A checkbox that shows its state by a sign, not by colour alone."""

    BUTTON_LEFT, BUTTON_RIGHT = "[", "]"

    @property
    def BUTTON_INNER(self) -> str:
        """An x when on, nothing when off."""
        return "x" if self.value else " "


class VnodeForm(Dialog[Vnode | None]):
    """Asks for a vnode's settings; answers the Vnode, or None. The name of an existing one is fixed."""

    def __init__(self, vnode: Vnode | None = None, taken: frozenset[str] = frozenset()) -> None:
        super().__init__(f"Edit {vnode.name}" if vnode else "Add a vnode")
        self.vnode, self.taken = vnode, taken

    def body(self) -> ComposeResult:
        """One line a field."""
        start = self.vnode or Vnode("")
        for name, label, hint in FIELDS:
            value = str(getattr(start, name)) if self.vnode or name in ("vsite", "vpath") else ""
            with Horizontal(classes="field"):
                yield Label(content(label))
                yield Input(value, placeholder=hint, id=name, disabled=bool(self.vnode) and name == "name")
        yield Tick(
            content("production: shown as PROD wherever it matters"), start.production, id="production"
        )
        yield Static(content(""), id="complaint", markup=False)
        with Horizontal(id="buttons"):
            yield Button(content("Cancel (esc)"), id="cancel")
            yield Button(content("Save (enter)"), id="save", variant="primary")

    def on_mount(self) -> None:
        """Start in the first field that can be written."""
        self.query_one("#vsite" if self.vnode else "#name").focus()

    @on(Button.Pressed, "#cancel")
    def _cancelled(self, event: Button.Pressed) -> None:
        event.stop()
        self.action_leave()

    @on(Button.Pressed, "#save")
    @on(Input.Submitted)
    def _saved(self, event) -> None:
        event.stop()
        values = {name: self.query_one(f"#{name}", Input).value.strip() for name, _l, _h in FIELDS}
        values["vsite"] = values["vsite"] or "default"
        production = self.query_one("#production", Tick).value
        made = replace(self.vnode or Vnode(values["name"]), production=production, **values)
        try:
            if not self.vnode and made.name in self.taken:
                raise UsageError(f"There is a vnode {made.name} already.")
            vnode = checked(made)
        except UsageError as error:
            self.query_one("#complaint", Static).update(content(sentences(error.message, error.hint)))
            return
        self.dismiss(vnode)
