"""What the commands have in common: results as text or as one JSON object, errors as messages
with an exit status.

Exit status: 0 done or accepted, 1 rejected, 2 bad usage or input, 3 could not run.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .errors import PlatformlessError
from .files import write_atomically

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


class BadInput(PlatformlessError):
    """A file or an option that cannot be used."""

    code = "CLI-001"
    outcome = "invalid"
    exit_status = 2


class Interrupted(PlatformlessError):
    """Stopped from the keyboard."""

    code = "CLI-002"


RUNNING = "[green]running[/]; stop with Ctrl-C"


class Output:
    """Results on standard output, everything else on standard error.

    Args:
        program: Names the JSON format, `program/1`.
    """

    def __init__(self, program: str, command: str, as_json: bool) -> None:
        self.command = command
        self.as_json = as_json
        self.console = Console(highlight=False, soft_wrap=True, emoji=False)
        self.errors = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
        self._format = f"{program}/1"

    def json(self, outcome: str, **fields: Any) -> None:
        document = {"format": self._format, "command": self.command, "outcome": outcome, **fields}
        sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
        sys.stdout.flush()

    def error(self, error: PlatformlessError) -> None:
        if self.as_json:
            self.json(error.outcome, error=error.to_json())
            return
        self.errors.print(f"[bold red]{error.outcome}[/]: {plain(error)}")
        if error.advice:
            self.errors.print(f"  what to do: {error.advice}")

    def line(self, text: str) -> None:
        if not self.as_json:
            self.console.print(text)

    def running(self, subject: str, rows: Mapping[str, str]) -> None:
        """Says that something runs until it is interrupted; `subject` names the rows in JSON."""
        if self.as_json:
            self.json("running", **{subject: dict(rows)})
            return
        table = facts()
        for name, value in rows.items():
            table.add_row(name, value)
        self.console.print(table)
        self.line(RUNNING)


def guarded(program: str, command: str, as_json: bool, run: Callable[[Output], None]) -> None:
    """Runs a command and turns its errors into messages and exit statuses."""
    output = Output(program, command, as_json)
    try:
        run(output)
    except PlatformlessError as error:
        output.error(error)
        raise typer.Exit(error.exit_status) from error
    except KeyboardInterrupt as interrupt:
        output.error(Interrupted("interrupted"))
        raise typer.Exit(Interrupted.exit_status) from interrupt


def stop_requested() -> asyncio.Event:
    """An event of the running loop that SIGINT and SIGTERM set, for commands that stay."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


def read_file(path: Path) -> bytes:
    """Raises:
    BadInput: when the file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}", got=error.strerror or str(error)) from error


def require_folder(what: str, path: Path) -> None:
    """Raises:
    BadInput: when the folder that `path` is to be written into does not exist.
    """
    if not path.parent.is_dir():
        raise BadInput(f"the folder of the {what} does not exist", got=path.parent)


def write_file(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Raises:
    BadInput: when the file cannot be written.
    """
    try:
        write_atomically(path, data, mode=mode)
    except OSError as error:
        raise BadInput(f"cannot write {path}", got=error.strerror or str(error)) from error


def harmless(text: str) -> str:
    """Text of a stranger that a terminal only prints: control characters do nothing."""
    return "".join(c if c in "\n\t" or c.isprintable() else _REPLACEMENT for c in text)


def plain(value: object) -> str:
    """As `harmless`, for text that is printed as markup: brackets are brackets."""
    return escape(harmless(str(value)))


def facts() -> Table:
    """A table of names and values; long values are folded, never cut."""
    table = Table(show_header=False, box=None)
    table.add_column()
    table.add_column(overflow="fold")
    return table
