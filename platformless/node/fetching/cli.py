"""The command `fetch-model`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...console import AsJson, Output, guarded
from ..options import PROGRAM, EnvFile


def fetch_model(
    url: Annotated[str, typer.Argument(metavar="URL")],
    repository: Annotated[
        str, typer.Option("--repository", help="OWNER/NAME, as the model was registered.")
    ],
    file_name: Annotated[
        str | None,
        typer.Option("--file-name", help="As it was registered; default: the URL's last part."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The folder that it goes into.")] = Path(
        "models"
    ),
    largest_gib: Annotated[
        float, typer.Option("--largest-gib", min=0.001, help="No more than this.")
    ] = 64,
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """Fetch a model file, and keep it when ModelRegistry knows its SHA-256."""

    def run(output: Output) -> None:
        from .command import show_fetch
        from .download import FetchSettings
        from .model import FetchRequest

        request = FetchRequest(url, repository, file_name, out)
        show_fetch(output, env_file, request, FetchSettings(int(largest_gib * 2**30)))

    guarded(PROGRAM, "fetch-model", as_json, run)
