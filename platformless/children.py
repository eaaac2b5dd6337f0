"""Child processes that end with their parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_LOG_LINES = 20
_LIBC = ctypes.CDLL(None, use_errno=True)


class Child:
    """A process in its own group, killed by the kernel when the thread that started it ends;
    start it from a thread that lives as long as the program. Its output is read, and the last
    lines are kept.

    Args:
        on_line: Called with each line, from a thread of its own; must not raise.

    Raises:
        OSError: when the program does not start.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        parent = os.getpid()

        def end_with_parent() -> None:
            _LIBC.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
            if os.getppid() != parent:  # it died before the line above
                os._exit(1)

        self._process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
            process_group=0,
            preexec_fn=end_with_parent,
        )
        self._on_line = on_line
        self._lines: deque[str] = deque(maxlen=_LOG_LINES)
        self._seen = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def last_lines(self) -> list[str]:
        """The end of what it wrote."""
        with self._seen:
            return list(self._lines)

    def wait_for_line(self, prefix: str, seconds: float) -> str | None:
        """The first line with this prefix; None when the process ends or time is over first."""

        def found() -> str | None:
            return next((line for line in self._lines if line.startswith(prefix)), None)

        with self._seen:
            self._seen.wait_for(lambda: found() or self._ended, timeout=seconds)
            return found()

    def terminate(self) -> None:
        """Asks the process to end (SIGTERM); its group is not told."""
        if self._process.returncode is None:  # not waited for yet: its number is still its own
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)

    def wait(self, seconds: float) -> int | None:
        """Its exit status; None when it still runs after `seconds`."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """Ends the process and its group, and waits for it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(timeout=5)

    def _read(self) -> None:
        if self._process.stdout is not None:
            with self._process.stdout as lines:
                for line in lines:
                    self._take(line.rstrip())
        with self._seen:
            self._ended = True
            self._seen.notify_all()

    def _take(self, line: str) -> None:
        with self._seen:
            self._lines.append(line)
            self._seen.notify_all()
        if self._on_line is not None:
            self._on_line(line)
