"""Benchmark of replays: `python -m benchmarks.replay`.

Honest hosts in many setups (how far their tokens are off, how many of their transcripts are
rejected), cheating ones (how many tokens it takes until a replay rejects them), and the speed of a
replay beside that of the generation. With `--compare`, TOPLOC on the activations of some of the
same transcripts. Writes tables (Markdown) and figures (JSON) to `benchmarks/results/`.

    --quick           a minute's worth, written nowhere
    --calibrate       writes `platformless/audit/replay/calibration.json` from the first half
    --stranger FILE   a GGUF file of another model
    --other-build DIR another build of llama_cpp, for honest hosts with another processor
    --compare PYTHON  an interpreter that has `toploc`
    --keep DIR        transcripts and models of an earlier run are taken from there
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from platformless.audit.replay import calibration as calibrating
from platformless.audit.replay.calibration import (
    Calibration,
    SamplerClass,
    released_calibration,
)
from platformless.audit.replay.verdict import Outcome, judge_statistical
from platformless.engine.build import llama_build
from platformless.engine.model import packaged_model
from platformless.engine.weights import weights_of

from . import replay_activations, replay_speed
from .machine import machine
from .replay_cases import attacks, honest_hosts
from .replay_data import AttackReplays, attacked, bit_exact, honest, say
from .replay_figures import attack_figures, calibrate, honest_figures, write_calibration
from .replay_tables import attack_table, exact_line, honest_table, speed_table, toploc_table

RESULTS = Path(__file__).parent / "results"
CALIBRATION = Path(calibrating.__file__).with_name("calibration.json")
COMPARED = (
    "none (honest)",
    "Q4_0 instead of Q4_1",
    "Q4_K_M instead of Q4_1",
    "Q8_0 instead of Q4_1",
    "a system prompt that is not shown",
    "one token in 100 exchanged",
)
"""Attacks that TOPLOC is shown as well: those that the same vocabulary allows."""


def main() -> None:
    options = _options()
    kept: Path | None = options.keep
    sessions, tokens, count = (1, 24, 1) if options.quick else (2, 120, 4)
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) if kept is None else kept / "models"
        models.mkdir(parents=True, exist_ok=True)
        hosts = honest_hosts(options.other_build)
        if options.quick:
            hosts = hosts[:1]
        exact = bit_exact(1, tokens, kept)
        calibration = released_calibration()
        first = honest(hosts, "calibration", sessions, tokens, kept)
        if options.calibrate:
            calibration = _calibrate(calibrate(first, _model(), llama_build()))
        held_out = honest(hosts, "heldout", sessions, tokens, kept)
        cases = attacks(count, models, options.stranger, 60 if options.quick else 150)
        if options.quick:
            cases = [one for one in cases if one.name in COMPARED[:2]]
        replays = attacked(cases, kept)
        flat = [one for some in held_out.values() for one in some]
        figures = [attack_figures(one, flat, calibration) for one in replays]
        honest_now = honest_figures(held_out, calibration)
        toploc = _toploc(replays, options.compare, calibration) if options.compare else []
        pairs = replay_speed.measure(1 if options.quick else 3, 100 if options.quick else 600)
    text = "\n\n".join(
        (
            exact_line(exact),
            honest_table(honest_now),
            attack_table(figures),
            *([toploc_table(toploc)] if toploc else []),
            speed_table(pairs),
            f"{llama_build()}, {packaged_model().name}. {machine()}",
        )
    )
    print(text)
    if not options.quick:
        results = {
            "exact": [
                {
                    "host": one.name,
                    "sampler": one.sampler,
                    "tokens": len(one.margins),
                    "mismatches": sum(margin > 0 for margin in one.margins),
                }
                for one in exact
            ],
            "held_out": [asdict(one) for one in honest_now],
            "attacks": [asdict(one) for one in figures],
            "toploc": toploc,
            "speed": [asdict(one) for one in pairs],
        }
        (options.out / "replay.md").write_text(text + "\n")
        (options.out / "replay.json").write_text(json.dumps(results, indent=1) + "\n")


def _calibrate(calibration: Calibration) -> Calibration:
    CALIBRATION.write_bytes(write_calibration(calibration))
    say(f"written: {CALIBRATION}")
    return calibration


def _toploc(
    replays: Sequence[AttackReplays], python: Path, calibration: Calibration
) -> list[dict[str, Any]]:
    compared = [one for one in replays if one.name in COMPARED and one.sampler == "greedy"]
    with tempfile.TemporaryDirectory() as folder:
        replay_activations.write(Path(folder), [(one.case, one.recorded) for one in compared])
        script = Path(__file__).with_name("replay_toploc.py")
        subprocess.run([str(python), str(script), folder], check=True)
        found = json.loads((Path(folder) / "toploc.json").read_text())
        return beside_replays(found, compared, calibration)


def beside_replays(
    found: Sequence[dict[str, Any]], compared: Sequence[AttackReplays], calibration: Calibration
) -> list[dict[str, Any]]:
    """TOPLOC's results with those of both replays for the same tokens: the first answers."""
    replays = [pair for one in compared for pair in zip(one.exact, one.statistical, strict=True)]
    results = []
    for one, (exact, statistical) in zip(found, replays, strict=True):
        margins = statistical.margins[: one["tokens"]]
        classes = [SamplerClass(statistical.sampler)] * len(margins)
        verdict = judge_statistical(margins, classes, calibration)
        results.append(
            {
                **one,
                "exact_replay": any(margin > 0 for margin in exact.margins[: one["tokens"]]),
                "statistical_replay": verdict.outcome is Outcome.REJECTED,
            }
        )
    return results


def _model() -> str:
    path = packaged_model()
    return f"{path.name} {weights_of(path).file_sha256.hex()}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--stranger", type=Path)
    parser.add_argument("--other-build", type=Path)
    parser.add_argument("--compare", type=Path)
    parser.add_argument("--keep", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
