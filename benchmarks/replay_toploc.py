"""TOPLOC on the activations of `replay_activations`. Runs apart, where `toploc` and `torch` are:

    python benchmarks/replay_toploc.py FOLDER      writes FOLDER/toploc.json

A proof is of 32 tokens: 258 bytes. It is rejected by the thresholds of TOPLOC's own experiments
for bf16: at least 90 of 128 exponents equal, mantissas off by at most 10 on average and 8 as the
median. The rows are those that tokens were chosen from, converted to bf16.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch  # type: ignore[import-not-found]
from toploc import (  # type: ignore[import-not-found]
    build_proofs_bytes,
    verify_proofs_bytes,
)

TOKENS, TOP = 32, 128
MOST_EXPONENTS, MOST_MEAN, MOST_MEDIAN = 128 - 90, 10, 8


def main(folder: Path) -> None:
    found = []
    for case in json.loads((folder / "cases.json").read_text()):
        host, auditor = (
            rows(folder / f"{case['number']}-{who}.npy") for who in ("host", "auditor")
        )
        began = time.perf_counter()
        proofs = build_proofs_bytes(host, TOKENS, TOP, skip_prefill=True)
        built = time.perf_counter()
        results = verify_proofs_bytes(auditor, proofs, TOKENS, TOP, skip_prefill=True)
        checked = time.perf_counter()
        found.append(
            {
                **case,
                "proof_bytes": [len(one) for one in proofs],
                "exponents": [float(one.exp_mismatches) for one in results],
                "mean": [float(one.mant_err_mean) for one in results],
                "median": [float(one.mant_err_median) for one in results],
                "rejected": [rejected(one) for one in results],
                "build_seconds": built - began,
                "verify_seconds": checked - built,
            }
        )
    (folder / "toploc.json").write_text(json.dumps(found) + "\n")


def rows(path: Path) -> list[torch.Tensor]:
    """A row a token; whole proofs only."""
    values = torch.from_numpy(np.load(path)).to(torch.bfloat16)
    return list(values[: len(values) // TOKENS * TOKENS].split(1))


def rejected(result) -> bool:  # type: ignore[no-untyped-def]
    return bool(
        result.exp_mismatches > MOST_EXPONENTS
        or result.mant_err_mean > MOST_MEAN
        or result.mant_err_median > MOST_MEDIAN
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
