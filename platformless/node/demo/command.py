"""`fabstir-llm-node demo`: the demo as a command, with its report on the screen and in a file."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ...console import Output, facts, write_file
from .display import DemoDisplay
from .report import DemoReport
from .run import run_demo


def show_demo(
    output: Output, report_file: Path, folder: Path | None, *, sampled: bool = False
) -> DemoReport:
    """Runs the demo, shows what came of it, and writes the report.

    Raises:
        DemoFailed: when a step did not do what it should.
    """
    display = DemoDisplay(output.errors if output.as_json else output.console)
    with _folder(folder) as place:
        report = asyncio.run(run_demo(place, display, sampled=sampled))
    document = report.to_json()
    write_file(report_file, (json.dumps(document, indent=2) + "\n").encode())
    if output.as_json:
        output.json("accepted", demo=document)
        return report
    table = facts()
    for name, value in report.rows():
        table.add_row(name, value)
    output.console.print()
    output.console.print(table)
    output.line(f"\nwritten to {report_file}")
    return report


@contextlib.contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """The folder that was named, which stays; else one that goes away when all is well."""
    if given is not None:
        given.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield given.absolute()
        return
    made = Path(tempfile.mkdtemp(prefix="platformless-demo-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)
