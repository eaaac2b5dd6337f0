"""Shows the progress of a proof on standard error: a bar on a terminal, plain lines otherwise.

The prover tells when a segment is done; in between the bar moves by the expected speed, and stops
short of the segment's end.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from .messages import Executed
from .messages import Progress as ProverProgress
from .throughput import Throughput

_REFRESH_SECONDS = 0.25
_SHORT_OF_THE_END = 0.98


class ProgressDisplay:
    """Give its `show` as `on_progress`; use it as a context manager."""

    def __init__(self, console: Console, throughput: Throughput | None) -> None:
        self._console = console
        self._throughput = throughput
        self._bar = Progress(
            TextColumn("proving"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[cycles]}"),
            TextColumn("{task.fields[segments]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("prove", total=None, cycles="executing", segments="")
        self._cycles_total = 0
        self._cycles_done = 0
        self._segment_cycles: list[int] = []
        self._segments_done = 0
        self._segment_began = time.monotonic()
        self._ended = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Self:
        self._bar.start()
        self._ticker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._ticker.join()
        self._bar.stop()

    def show(self, progress: ProverProgress) -> None:
        """Takes one event of the prover."""
        self._segment_began = time.monotonic()
        if isinstance(progress, Executed):
            execution = progress.execution
            self._cycles_total = execution.total_cycles
            self._segment_cycles = [1 << po2 for po2 in execution.segment_po2]
            self._plain(
                f"executed: {execution.user_cycles:,} user and {execution.paging_cycles:,} paging "
                f"cycles, {execution.segments} segment(s) of 2^{max(execution.segment_po2)}"
            )
        else:
            self._segments_done = progress.done
            self._cycles_done = progress.cycles_done
            self._plain(
                f"proven: segment {progress.done} of {progress.total}, "
                f"{progress.cycles_done:,} of {progress.cycles_total:,} cycles, "
                f"{progress.elapsed_seconds:.1f} s"
            )
        self._refresh()

    def _plain(self, line: str) -> None:
        if not self._console.is_terminal:
            self._console.print(line, highlight=False, soft_wrap=True)

    def _tick(self) -> None:
        while not self._ended.wait(_REFRESH_SECONDS):
            self._refresh()

    def _refresh(self) -> None:
        if not self._cycles_total:
            return
        self._bar.update(
            self._task,
            total=self._cycles_total,
            completed=self._cycles_done + self._expected_cycles(),
            cycles=f"{self._cycles_total:,} cycles",
            segments=f"segment {min(self._segments_done + 1, len(self._segment_cycles))}"
            f"/{len(self._segment_cycles)}",
        )

    def _expected_cycles(self) -> float:
        """Cycles of the segment under way that should be done by now."""
        if self._throughput is None or self._segments_done >= len(self._segment_cycles):
            return 0.0
        elapsed = time.monotonic() - self._segment_began
        ceiling = self._segment_cycles[self._segments_done] * _SHORT_OF_THE_END
        return min(elapsed * self._throughput.cycles_per_second, ceiling)
