"""Every attack on the list is told by its own code, on a real chain and a real portal."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from platformless.errors import PlatformlessError

from .attack import ATTACKS, Attack
from .scene import Scene

for _module in sorted(Path(__file__).parent.glob("by_*.py")):
    importlib.import_module(f"{__package__}.{_module.stem}")

DOCS = Path(__file__).parents[2] / "docs" / "audit.md"


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: f"{attack.group}: {attack.name}")
async def test_an_attack_is_told_by_its_code(scene: Scene, attack: Attack) -> None:
    inputs = await attack.play(scene)
    if attack.ends == "refused":
        with pytest.raises(PlatformlessError) as refusal:
            await scene.audit(inputs)
        assert refusal.value.code == attack.code
        return
    report = await scene.audit(inputs)
    assert not report.accepted
    assert attack.code in {finding.code for finding in report.errors}, report.findings


def test_the_list_has_twenty_five_ways_of_a_host_alone() -> None:
    assert sum(attack.who == "host" for attack in ATTACKS) >= 25
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


def test_the_documentation_has_the_same_list() -> None:
    shown = [line for line in DOCS.read_text().splitlines() if line.startswith("| ")]
    for attack in ATTACKS:
        assert f"| {attack.who} | {attack.name} | {attack.code} |" in shown
