"""Honest hosts and cheating ones against sampled cells: `python -m benchmarks.cheats`.

Challenges of honest transcripts, all of which must be accepted; then each cheat: the exact fraction
of each kind's cells that deviate, and how often challenges of k cells a kind catch it, beside what
1 - (1 - f)^k promises. Writes tables (Markdown), figures (JSON) and plots to `benchmarks/results/`;
ends with status 1 when an honest cell is rejected, or a cheat is caught less often than promised.

    --challenges N   of honest transcripts
    --tokens N       of the transcripts of cheats
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from platformless.engine.build import llama_build
from platformless.engine.model import Model
from platformless.engine.settings import EngineSettings
from tests.cells.held import REFERENCE, Auditor
from tests.engine.traced import TracedModel

from . import cheats_grinding as grinding
from . import cheats_honest
from .cheats_cases import SKIPPED, Cases
from .cheats_curves import Measured, Point, measure
from .cheats_honest import Honest
from .cheats_plots import plot
from .cheats_tables import tables
from .cheats_verdicts import Verdicts
from .machine import machine

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--challenges", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=40)
    options = parser.parse_args()
    model = Model.load(EngineSettings(threads=1))
    auditor = Auditor(model)
    honest = honest_hosts(model, auditor, options.challenges)
    found, facts = cheating_hosts(model, auditor, options.tokens)
    model.close()
    write(honest, found, facts)
    below = [one.name for one in found if not all(point.keeps_promise for point in _points(one))]
    if below:
        print("caught less often than promised:", *below, file=sys.stderr)
    if below or any(one.rejected for one in honest):
        sys.exit(1)


def write(honest: list[Honest], found: list[Measured], facts: dict[str, Any]) -> None:
    """Tables, figures and plots."""
    facts |= {"reference": REFERENCE.value, "llama_build": llama_build(), "machine": machine()}
    (RESULTS / "cheats.md").write_text(tables(honest, found, facts) + "\n")
    figures = {
        "version": 1,
        "honest": [asdict(one) for one in honest],
        "cheats": [_figures(one) for one in found],
        **facts,
    }
    (RESULTS / "cheats.json").write_text(json.dumps(figures, indent=1) + "\n")
    plot(found, RESULTS)


def honest_hosts(model: Model, auditor: Auditor, challenges: int) -> list[Honest]:
    found = cheats_honest.measure(model, auditor, challenges)
    for one in found:
        print(one, file=sys.stderr)
    return found


def cheating_hosts(
    model: Model, auditor: Auditor, tokens: int
) -> tuple[list[Measured], dict[str, Any]]:
    registered, found = TracedModel(model), []
    facts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        cases = Cases(registered, Path(folder), tokens)
        facts["foreign_root"] = grinding.foreign_root(cases.honest, cases.other)
        for case in cases.all():
            found.append(measure(case, registered, auditor))
            print(found[-1].name, found[-1].shares, found[-1].seconds, file=sys.stderr)
            if case.name == SKIPPED:
                verdicts = Verdicts(registered, case.held)
                facts["grinding"] = asdict(grinding.grind(case, verdicts, found[-1]))
    return found, facts


def _points(one: Measured) -> list[Point]:
    return [*one.points, *(point for kind in one.of_kinds.values() for point in kind)]


def _figures(one: Measured) -> dict[str, Any]:
    tries = {str(point.k): grinding.log_tries(one, point.k) for point in one.points}
    return asdict(one) | {
        "log10_tries": {k: None if math.isinf(size) else size for k, size in tries.items()}
    }


if __name__ == "__main__":
    main()
