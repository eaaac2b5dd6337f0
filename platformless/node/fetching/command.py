"""`fabstir-llm-node fetch-model`: a model file into the folder that nodes read it from."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import (
    BarColumn,
    DownloadColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bar

from ...console import Output, plain
from ..reading_settings import load_worker_settings
from .download import FetchSettings, Progress
from .model import FetchReport, FetchRequest, fetch, registered_model

_LINES = 10


def show_fetch(
    output: Output, env_file: Path, request: FetchRequest, settings: FetchSettings
) -> FetchReport:
    """Asks the registry, fetches, and prints what is there now. Needs no key of a host's.

    Raises:
        FetchError, SettingsError, ChainError
    """
    _, network = load_worker_settings(env_file=env_file)
    model = asyncio.run(registered_model(network, request.repository, request.name))
    with _shown(output, request.name) as on_progress:
        report = fetch(request, model.file, settings, on_progress)
    if output.as_json:
        output.json(
            "done",
            file=str(report.path),
            repository=report.repository,
            model_id=str(report.model_id),
            sha256=str(report.sha256),
            size_bytes=report.size_bytes,
            received_bytes=report.received_bytes,
            resumed_from_bytes=report.resumed_from_bytes,
        )
        return report
    how = "was there already" if report.was_there else f"{report.received_bytes:,} bytes fetched"
    output.line(f"{plain(report.path)}: {report.size_bytes:,} bytes, {how}")
    output.line(f"SHA-256 {report.sha256}, as ModelRegistry says of {report.model_id}")
    output.line(f"serve it with MODEL_PATH={plain(report.path.absolute())}")
    return report


@contextmanager
def _shown(output: Output, name: str) -> Iterator[Progress]:
    """A bar on a terminal, a line for each tenth elsewhere; nothing with `--json`."""
    if output.as_json:
        yield lambda _here, _whole: None
        return
    if not output.errors.is_terminal:
        yield _Lines(output, name)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=output.errors) as bar:
        task = bar.add_task(plain(name), total=None)
        yield lambda here, whole: bar.update(task, completed=here, total=whole)


class _Lines:
    def __init__(self, output: Output, name: str) -> None:
        self._output = output
        self._name = name
        self._told = 0

    def __call__(self, here: int, whole: int | None) -> None:
        tenth = _LINES * here // whole if whole else 0
        if tenth > self._told:
            self._told = tenth
            percent = 100 // _LINES * tenth
            self._output.errors.print(f"{plain(self._name)}: {percent} %, {here:,} bytes")
