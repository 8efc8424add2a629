"""The command line's grammar. Nothing here loads more than argparse: help must be instant."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from .. import __version__
from ..domain.errors import UsageError
from ..domain.options import IONICE

EPILOG = """\
exit codes: 0 done; 2 wrong usage; 3 could not connect or log in; 4 refused, nothing touched;
5 a step failed and was undone; 6 an undo failed, a person must look; 7 some succeeded, some did not;
75 another run holds the lock; 130 interrupted. (1: nsmig itself failed; its log file says how.)
environment: NSMIG_DATA_DIR, NSMIG_CONFIG_DIR, NSMIG_SSH_CONFIG, NO_COLOR
"""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises UsageError, so that wrong words are told like every other error."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing and exiting."""
        raise UsageError(f"{self.prog}: {message}.", hint=f"See `{self.prog} --help`.")


def _common(*, demo: bool = False) -> argparse.ArgumentParser:
    """The global options; SUPPRESS lets them stand before or after the command without overruling.

    ``demo``: without a word on those that mean nothing to it, which are taken all the same.
    """
    common = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = common.add_argument_group("global options (before or after the command)")
    where = argparse.SUPPRESS if demo else "where the database is"
    group.add_argument("--data-dir", type=_given, metavar="DIR", help=where)
    group.add_argument("--config-dir", type=_given, metavar="DIR", help="where config.toml is")
    where = argparse.SUPPRESS if demo else "instead of the user's own OpenSSH configuration"
    group.add_argument("--ssh-config", type=_given, metavar="FILE", help=where)
    group.add_argument("--json", action="store_true", help="print JSON: a document, or one event a line")
    group.add_argument("--read-only", action="store_true", help="refuse every command that changes something")
    group.add_argument("--quiet", action="store_true", help="no talk, only results and errors")
    return common


def build_parser() -> Parser:
    """The whole grammar. After parsing, ``command`` is a key of ``registry.COMMANDS`` or None."""
    common = _common()
    parser = Parser(
        prog="nsmig",
        description="Migrate NetServa vhosts in place, with a way back at any moment. "
        "Without a command: the terminal application.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"nsmig {__version__}")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=Parser)

    def add(name: str, words: str, under: Any = commands, prefix: str = "", short: str = "") -> Parser:
        options = _common(demo=True) if name == "demo" else common
        made = under.add_parser(
            name, help=short or words, description=words, parents=[options], allow_abbrev=False
        )
        made.set_defaults(command=f"{prefix}{name}")
        return made

    _add_node_commands(commands, common, add)
    _add_looking_commands(add)
    _add_archive_commands(commands, common, add)
    _add_changing_commands(add)
    return parser


def _add_node_commands(commands: Any, common: argparse.ArgumentParser, add: Any) -> None:
    words = "add, list, remove, check or import vnodes"
    node = commands.add_parser("node", help=words, description=words, parents=[common], allow_abbrev=False)
    under = node.add_subparsers(metavar="ACTION", required=True, parser_class=Parser)
    made = add("add", "add a vnode", under, "node ")
    made.add_argument("name", type=_word, metavar="NAME")
    made.add_argument(
        "--vsite", type=_word, default="default", metavar="SITE", help="the place that it belongs to"
    )
    made.add_argument(
        "--ssh-host", type=_word, default=None, metavar="ALIAS", help="the name to give to ssh, if not NAME"
    )
    made.add_argument(
        "--vpath", type=_word, default="/srv", metavar="DIR", help="the parent of all vhosts (/srv)"
    )
    add("list", "list the vnodes", under, "node ")
    made = add("remove", "forget a vnode; nothing changes on the server", under, "node ")
    made.add_argument("name", type=_word, metavar="NAME")
    made.add_argument("--yes", action="store_true", help="do not ask")
    made = add("check", "connect to vnodes and say what is there", under, "node ")
    made.add_argument("names", type=_word, metavar="NAME", nargs="*", help="default: all")
    made = add("import", "add the hosts of an OpenSSH configuration or an Ansible inventory", under, "node ")
    # The file's hosts come from the global `--ssh-config`, or from an inventory.
    made.add_argument(
        "--ansible-inventory", type=_word, metavar="FILE", help="read this instead of --ssh-config FILE"
    )
    made.add_argument("--match", type=_given, default="*", metavar="GLOB", help="only names like this")


def _add_archive_commands(commands: Any, common: argparse.ArgumentParser, add: Any) -> None:
    words = "verify or prune archives"
    archives = commands.add_parser(
        "archives", help=words, description=words, parents=[common], allow_abbrev=False
    )
    under = archives.add_subparsers(metavar="ACTION", required=True, parser_class=Parser)
    made = add("verify", "read archives to their end and compare their hashes", under, "archives ")
    _add_target(made)
    made.add_argument("--vnode", dest="only_vnode", type=_word, metavar="VNODE", help="only there")
    made = add("prune", "delete old archives and put-aside trees", under, "archives ")
    _add_target(made)
    made.add_argument("--vnode", dest="only_vnode", type=_word, metavar="VNODE", help="only there")
    made.add_argument("--keep-days", type=_count, metavar="N", help="keep what is younger (settings: 90)")
    made.add_argument("--keep-count", type=_count, metavar="N", help="keep the newest N of a kind (3)")
    _add_consent(made)


def _add_looking_commands(add: Any) -> None:
    made = add("discover", "ask vnodes what vhosts they have")
    made.add_argument("vnodes", type=_word, metavar="VNODE", nargs="*", help="default: all")
    made = add("list", "list vhosts")
    made.add_argument("vnode", type=_word, metavar="VNODE", nargs="?")
    made.add_argument("--status", choices=("discovered", "validated", "migrated", "failed", "native"))
    made = add("show", "show one vhost: details, findings, runs")
    made.add_argument("vnode", type=_word, metavar="VNODE")
    made.add_argument("vhost", type=_word, metavar="VHOST")
    made = add("validate", "judge whether a vhost can be migrated; only reads on the server")
    _add_target(made)
    made.add_argument("--all", action="store_true", help="every vhost in the old layout")
    made = add("history", "list the runs")
    _add_target(made)
    made.add_argument("--limit", type=_count, default=200, metavar="N", help="at most N, newest first (200)")


def _add_changing_commands(add: Any) -> None:
    made = add("migrate", "migrate vhosts to the new layout")
    _add_target(made)
    made.add_argument("--all-validated", action="store_true", help="every validated vhost, in a batch")
    made.add_argument(
        "--vnode", dest="only_vnode", type=_word, metavar="VNODE", help="with --all-validated: only there"
    )
    made.add_argument("--no-backup", action="store_true", help="no archive to go back to; needs --force")
    made.add_argument("--force", action="store_true", help="goes with --no-backup")
    made.add_argument(
        "--owners",
        choices=("foreign", "keep", "all"),
        help="who gets the account's ownership below web: foreign entries (default), none, all",
    )
    made.add_argument(
        "--compat", choices=("auto", "never", "always"), help="links at old paths (default: where used)"
    )
    made.add_argument(
        "--nice",
        type=int,
        choices=range(20),
        metavar="N",
        help="how far heavy work stands back behind the sites, 0 to 19 (settings: 10)",
    )
    made.add_argument(
        "--ionice", choices=tuple(IONICE), help="and on the disks, where the server has ionice (best-effort)"
    )
    _add_limits(made)
    _add_consent(made)
    made = add(
        "rollback",
        "undo a migration, or restore an archive. An undo moves everything back and keeps what was written"
        " since; --archive puts the tree back as it was archived, and keeps what it replaces in .archive.",
        short="undo a migration, or restore an archive",
    )
    made.add_argument("vnode", type=_word, metavar="VNODE")
    made.add_argument("vhost", type=_word, metavar="VHOST")
    source = made.add_mutually_exclusive_group()
    source.add_argument("--list", action="store_true", help="list the archives on the vnode")
    source.add_argument(
        "--archive",
        type=_word,
        metavar="FILE",
        help="restore this archive instead of undoing; a name that --list shows",
    )
    made.add_argument("--exact", action="store_true", help="with --archive: do not carry over newer files")
    made.add_argument("--with-mail", action="store_true", help="with --archive: restore msg/ too")
    _add_consent(made)
    made = add(
        "resume",
        "attach to a run that is at work, or finish what was left half-done: of VNODE VHOST; of a batch, if"
        " its name stands in the place of VNODE; without either, of every run and batch that has not ended as"
        " far as we know, after a question that names them. The vnodes' own journals decide what is left to"
        " do. Where nothing is unfinished, nothing is done.",
        short="attach to, finish or undo what was left half-done",
    )
    _add_target(made)
    made.add_argument(
        "--undo", action="store_true", help="undo it instead of finishing it (not with a batch)"
    )
    made.add_argument("--retry", action="store_true", help="with a batch: try its failed vhosts again too")
    made.add_argument("--yes", action="store_true", help="do not ask")
    _add_batch_commands(add)
    short = "a fleet of throw-away servers on this machine, to try everything on"
    made = add("demo", f"{short}. It has a database and an SSH configuration of its own.", short=short)
    made.add_argument("--run", action="store_true", help="headless: discover, validate, migrate, roll back")


def _add_limits(made: argparse.ArgumentParser) -> None:
    made.add_argument("--jobs", type=_count, metavar="N", help="vnodes worked on at once")
    made.add_argument("--per-vnode", type=_count, metavar="N", help="backups at once on each vnode")
    made.add_argument("--max-failures", type=_count, metavar="N", help="stop when so many have failed")
    made.add_argument("--canary", type=_count, metavar="N", help="migrate N first, then wait for consent")
    made.add_argument(
        "--clean",
        type=_count,
        metavar="SECONDS",
        help="with --canary: go on by itself after so long, if none of them failed",
    )
    made.add_argument("--detach", action="store_true", help="start the batch, print its name and return")


def _add_batch_commands(add: Any) -> None:
    made = add("attach", "watch or steer a batch; leaving it stops nothing")
    made.add_argument(
        "batch", type=_word, metavar="BATCH", nargs="?", help="default: the one that runs, or the newest"
    )
    orders = made.add_mutually_exclusive_group()
    orders.add_argument("--list", action="store_true", help="list the batches")
    orders.add_argument("--pause", action="store_true", help="begin nothing new")
    orders.add_argument(
        "--continue", action="store_true", help="begin again; also the consent after canaries"
    )
    orders.add_argument("--cancel", action="store_true", help="begin nothing more; what is under way ends")
    orders.add_argument("--retry", action="store_true", help="try again what failed or was set aside")
    made.add_argument(
        "--only", nargs=2, type=_word, metavar=("VNODE", "VHOST"), help="cancel or retry this one"
    )
    made = add("report", "the report of a batch")
    made.add_argument("batch", type=_word, metavar="BATCH", nargs="?", help="default: the newest")
    made.add_argument("--format", choices=("json", "md", "html"))
    made.add_argument(
        "--output", type=_word, metavar="FILE", help="write it there; the name's ending tells the format"
    )


def _add_target(made: argparse.ArgumentParser) -> None:
    made.add_argument("vnode", type=_word, metavar="VNODE", nargs="?")
    made.add_argument("vhost", type=_word, metavar="VHOST", nargs="?")


def _add_consent(made: argparse.ArgumentParser) -> None:
    made.add_argument("--dry-run", action="store_true", help="show the plan; change nothing")
    made.add_argument("--yes", action="store_true", help="do not ask")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0, of 9 digits at most")
    return int(text)


def _given(text: str) -> str:
    """Anything but nothing: that is a script's unset variable, and must not mean "all", "none" or "usual"."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty (an unset variable?)")
    return text


def _word(text: str) -> str:
    """A name or file that is kept or shown."""
    _given(text)
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise argparse.ArgumentTypeError(f"{text!r} is not UTF-8")
    return text
