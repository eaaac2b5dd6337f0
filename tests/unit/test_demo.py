"""The demo's report and display; the demo itself is `make demo`."""

from __future__ import annotations

import io
import json
from dataclasses import replace

from rich.console import Console

from platformless.node.demo.display import DemoDisplay
from platformless.node.demo.report import DemoReport, ProvenCheckpoint, SampledCheckpoint

CHECKPOINT = ProvenCheckpoint(
    number=0,
    tokens=346,
    total_cycles=32_768,
    segments=1,
    prove_seconds=13.04,
    device="cpu",
    bundle_bytes=210_850,
    proof_hash="0xab",
    proof_cid="blobproof",
    delta_cid="blobdelta",
    transaction_hash="0xcd",
)
SAMPLE = SampledCheckpoint(
    number=0,
    total_cycles=1_310_720,
    segments=2,
    prove_seconds=560.04,
    device="cpu",
    bundle_bytes=520_850,
    trace_root="0x12",
    proof_cid="blobsample",
)
REPORT = DemoReport(
    session_id=1,
    tokens=346,
    stream_seconds=8.12345,
    checkpoints=(CHECKPOINT,),
    samples=(),
    settlement_transaction="0xef",
    deposit="0.5 USDC",
    host_earned="0.001557 USDC",
    client_refunded="0.49827 USDC",
    verified=True,
    assurance="accounting",
    total_seconds=91.0,
)


def test_the_report_is_json_with_a_format() -> None:
    document = json.loads(json.dumps(REPORT.to_json()))
    assert document["format"] == "platformless-demo/1"
    assert document["stream_seconds"] == 8.123
    assert document["checkpoints"][0]["proof_cid"] == "blobproof"
    assert document["verified"] is True


def test_a_person_sees_what_was_asked_for() -> None:
    rows = dict(REPORT.rows())
    assert rows["tokens"] == "346"
    assert rows["cycles"] == "32,768 in 1 segment(s)"
    assert rows["prove time"] == "13.0 s on cpu"
    assert rows["CID"] == "blobproof"
    assert rows["verified"] == "yes (assurance: accounting)"


def test_sampled_cells_are_told_where_they_were_proven() -> None:
    report = replace(REPORT, samples=(SAMPLE,))
    assert json.loads(json.dumps(report.to_json()))["samples"][0]["proof_cid"] == "blobsample"
    assert dict(report.rows())["cells: prove time"] == "560.0 s on cpu"
    assert REPORT.to_json()["samples"] == []


def test_without_a_terminal_progress_is_a_line_for_each_thing_done() -> None:
    out = io.StringIO()
    display = DemoDisplay(Console(file=out, force_terminal=False, width=200))
    display.step("A [step]")
    with display.bar("proof") as advance:
        advance(0.0, "proving")
        advance(0.1, "proving")
        advance(1.0, "confirmed")
    display.piece("a [piece]\nof text")
    lines = out.getvalue().splitlines()
    assert "1. A [step] (0 s)" in lines
    assert [line.strip() for line in lines if "%" in line] == ["proving: 0%", "confirmed: 100%"]
    assert "a [piece] of text" in lines[-1]
