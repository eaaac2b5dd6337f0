"""An operator who follows the deployment guide arrives."""

from __future__ import annotations

from pathlib import Path

from .walk import walk

HEADINGS = (
    "Building fabstir-llm-node from source",
    "Configure Environment",
    "Download Model",
    "Register Node 1 on Blockchain",
    "Test Node Health",
    "Deploy GPU Node 2 (Host Provider B)",
    "A client's session, proven and paid",
    "Monitoring & Operations",
    "Update registration",
    "Backup & Recovery",
    "Leave the marketplace",
)


def test_every_command_of_the_guide_works_in_its_order(tmp_path: Path) -> None:
    text = walk(tmp_path).text()
    places = [text.index(f"## {heading}") for heading in HEADINGS]
    assert places == sorted(places)
    assert "0x<provided-test-key>" in text
    kept = (Path(__file__).parents[2] / "docs" / "guide-transcript.md").read_text()
    headings = [line for line in kept.splitlines() if line.startswith("## ")]
    assert all(f"## {heading}" in headings for heading in HEADINGS)
