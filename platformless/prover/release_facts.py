"""What a version is made of: commit, zkVM, trusted programs, and which builds are installed.

Nothing here asks the chain or loads a model. A part that is not installed is told as such.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import typer

from .. import __version__
from ..audit.release import trusted_images
from ..audit.verify import ZKVM
from ..commit import commit
from ..console import Output, guarded
from ..errors import PlatformlessError
from ..places import find_program
from .errors import ProverError
from .messages import ProverInfo
from .process import StarkProver

CUDA_PROGRAM = "stark-prover-cuda"
_PROGRAMS = (("stark-prover", "STARK_PROVER"), (CUDA_PROGRAM, "STARK_PROVER_CUDA"))
_INFO_SECONDS = 10.0
NOT_INSTALLED = "not installed"


@dataclass(frozen=True, slots=True)
class InstalledProver:
    """A stark-prover binary that was found."""

    program: str
    path: Path
    info: ProverInfo | None
    """What it says of itself; None when it does not."""
    problem: str = ""
    """Why it does not."""

    @property
    def is_cuda(self) -> bool:
        """Whether it was built for a GPU, as it says or as it is called."""
        return self.info.device == "cuda" if self.info else self.program == CUDA_PROGRAM


@dataclass(frozen=True, slots=True)
class InstalledEngine:
    """The llama.cpp that was found."""

    build: str = ""
    """As transcripts name it; empty when it does not load."""
    uses_gpu: bool = False
    problem: str = ""
    """Why it does not load."""


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """A version, as `--version` prints it."""

    version: str
    commit: str
    zkvm: str
    image_ids: dict[str, str]
    provers: tuple[InstalledProver, ...]
    engine: InstalledEngine | None
    """None when it is not installed."""

    def to_json(self) -> dict[str, Any]:
        engine = self.engine
        return {
            "version": self.version,
            "commit": self.commit,
            "zkvm": self.zkvm,
            "image_ids": self.image_ids,
            "provers": [_prover_json(prover) for prover in self.provers],
            "engine": None
            if engine is None
            else {
                "build": engine.build or None,
                "gpu": engine.uses_gpu,
                "problem": engine.problem or None,
            },
        }


async def release_facts() -> ReleaseFacts:
    """Raises:
    VerifierDamaged: when the list of trusted programs cannot be read.
    """
    provers, engine = await asyncio.gather(installed_provers(), asyncio.to_thread(installed_engine))
    return ReleaseFacts(
        __version__,
        commit(),
        ZKVM,
        {name: str(image) for name, image in sorted(trusted_images().items())},
        provers,
        engine,
    )


async def installed_provers() -> tuple[InstalledProver, ...]:
    """The binaries that were found, the CPU's first, each asked what it is."""
    found = [(name, find_program(name, variable)[0]) for name, variable in _PROGRAMS]
    return tuple(
        await asyncio.gather(*(_asked(name, path) for name, path in found if path is not None))
    )


async def _asked(program: str, path: Path) -> InstalledProver:
    try:
        async with StarkProver(path) as prover:
            info = await prover.info(deadline_seconds=_INFO_SECONDS)
    except ProverError as error:
        return InstalledProver(program, path, None, str(error))
    return InstalledProver(program, path, info)


def installed_engine() -> InstalledEngine | None:
    """The llama.cpp here; None when there is none. Loads its library, no model; takes a second."""
    try:
        from ..engine.build import llama_build
        from ..engine.model import offloads_to_gpu

        return InstalledEngine(llama_build(), offloads_to_gpu())
    except PlatformlessError as error:
        if isinstance(error.__cause__, ModuleNotFoundError):
            return None
        return InstalledEngine(problem=str(error))
    except (OSError, RuntimeError) as error:
        # Its library does not load: one built for CUDA, without a driver, for example.
        return InstalledEngine(problem=str(error))


def print_version(program: str, as_json: bool) -> NoReturn:
    """Prints the facts and ends the program.

    Raises:
        typer.Exit: always.
    """
    guarded(program, "version", as_json, lambda output: show_version(output, program))
    raise typer.Exit


def show_version(output: Output, program: str) -> None:
    """Prints the facts, as text or as JSON."""
    told = asyncio.run(release_facts())
    if output.as_json:
        output.json("told", **told.to_json())
        return
    output.line(f"{program} {told.version}")
    for name, value in _rows(told):
        output.console.print(f"{name:<18}{value}", markup=False)


def _rows(told: ReleaseFacts) -> list[tuple[str, str]]:
    provers = [("prover", _prover_text(prover)) for prover in told.provers]
    return [
        ("commit", told.commit),
        ("zkVM", told.zkvm),
        *((f"image {name}", image) for name, image in told.image_ids.items()),
        *(provers or [("prover", NOT_INSTALLED)]),
        ("llama.cpp", _engine_text(told.engine)),
    ]


def _prover_text(prover: InstalledProver) -> str:
    if prover.info is None:
        return f"{prover.path}: {prover.problem}"
    kinds = "composite and succinct" if prover.info.succinct else "composite"
    return f"{prover.info.device}, {kinds} receipts, {prover.info.version} ({prover.path})"


def _engine_text(engine: InstalledEngine | None) -> str:
    if engine is None:
        return NOT_INSTALLED
    if not engine.build:
        return f"does not load: {engine.problem}"
    return f"{engine.build}, {'for a GPU' if engine.uses_gpu else 'without a GPU'}"


def _prover_json(prover: InstalledProver) -> dict[str, Any]:
    info = prover.info
    return {
        "program": prover.program,
        "path": str(prover.path),
        "device": info.device if info else None,
        "version": info.version if info else None,
        "zkvm": info.zkvm if info else None,
        "succinct": info.succinct if info else None,
        "image_ids": {name: f"0x{digits}" for name, digits in info.images.items()}
        if info
        else None,
        "problem": prover.problem or None,
    }
