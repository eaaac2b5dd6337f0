"""How a demo looks while it runs: steps, the streamed text, bars; lines where no terminal is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

_LINE_EVERY_SECONDS = 5.0
Advance = Callable[[float, str], None]
"""Takes what is done, from 0 to 1, and what is being done."""


class DemoDisplay:
    """Writes to one console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._steps = 0

    def step(self, title: str) -> None:
        self._steps += 1
        elapsed = time.monotonic() - self._began
        self._console.print(f"\n[bold]{self._steps}. {escape(title)}[/] [dim]({elapsed:.0f} s)[/]")

    def say(self, text: str) -> None:
        self._console.print(f"   {escape(text)}")

    def question(self, text: str) -> None:
        self._console.print(f"   [cyan]client:[/] {escape(text)}")
        self._console.print("   [green]model:[/] ", end="")

    def piece(self, text: str) -> None:
        """A piece of an answer, as it comes."""
        self._console.print(text.replace("\n", " "), end="", markup=False, soft_wrap=True)

    def answered(self) -> None:
        self._console.print()

    @contextlib.contextmanager
    def bar(self, title: str) -> Iterator[Advance]:
        """A bar on a terminal; elsewhere a line now and then."""
        progress = Progress(
            TextColumn("   {task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        task = progress.add_task(title, total=1.0)
        last = ("", 0.0)

        def advance(done: float, doing: str) -> None:
            nonlocal last
            progress.update(task, completed=done, description=doing)
            now = time.monotonic()
            if not self._console.is_terminal and (
                doing != last[0] or now - last[1] > _LINE_EVERY_SECONDS
            ):
                self._console.print(f"   {doing}: {done:.0%}")
                last = (doing, now)

        with progress:
            yield advance
