"""A node in a process of its own, and what it costs the machine, for `benchmarks.node`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast


class NodeProcess:
    """`fabstir-llm-node serve`, until the end of the `with` block."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "platformless.node", "serve", "--json", "--env-file", "none"],
            env={**os.environ, **environment, "LOG_LEVEL": "error"},
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )
        output = cast(IO[str], self._process.stdout)
        shown = ""
        while not shown.endswith("\n}\n"):
            line = output.readline()
            if not line:
                raise RuntimeError(f"the node ended after {shown!r}")
            shown += line
        report = json.loads(shown)
        if report["outcome"] != "running":
            raise RuntimeError(f"the node does not run: {shown}")
        self.url: str = report["node"]["url"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()

    @property
    def loop_seconds(self) -> float:
        """CPU time of the main thread, which runs the event loop."""
        pid = self._process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9

    @property
    def open_files(self) -> int:
        """Files, sockets and the like that it has open."""
        return sum(1 for _ in Path(f"/proc/{self._process.pid}/fd").iterdir())

    @property
    def threads(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self._process.pid}/task").iterdir())

    @property
    def anonymous_bytes(self) -> int:
        """Resident memory that is no file's."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) << 10
        raise RuntimeError("the system does not tell")
