"""Every finding has a sentence of its own for a person."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import platformless.audit.errors
import platformless.audit.session.errors
from platformless.audit.session.findings import Finding, Severity, worst_first
from platformless.audit.session.meanings import meaning_of
from platformless.errors import PlatformlessError

_ROW = re.compile(r"\b(?:AUD|VER|RCV)-[0-9]{3}\b")


def listed_codes() -> list[str]:
    """Of the trees in the docstrings; those that end with 00 are families."""
    trees = (platformless.audit.errors.__doc__, platformless.audit.session.errors.__doc__)
    found = {code for tree in trees for code in _ROW.findall(tree or "")}
    return sorted(code for code in found if not code.endswith("00"))


@pytest.mark.parametrize("code", [code for code in listed_codes() if code != "AUD-610"])
def test_a_code_has_its_own_sentence(code: str) -> None:
    assert meaning_of(code) not in {meaning_of("AUD-999"), meaning_of("VER-999")}
    assert meaning_of(code).endswith(".")


def test_codes_of_other_rooms_have_that_of_their_family() -> None:
    for family in ("STO", "CHN", "PRO", "ENG"):
        assert meaning_of(f"{family}-123") != meaning_of("XYZ-123")


def test_every_class_is_in_the_tree() -> None:
    text = Path(platformless.audit.session.errors.__file__).read_text()
    for code in re.findall(r'code = "(AUD-[0-9]{3})"', text):
        assert code in (platformless.audit.session.errors.__doc__ or "")


def test_findings_come_worst_first_and_short() -> None:
    error = PlatformlessError("long", expected="a" * 10_000, got=None)
    found = worst_first(
        [
            Finding.of(error, Severity.NOTE),
            Finding.of(error, Severity.ERROR, 3),
            Finding.of(error, Severity.WARNING),
            Finding.of(error, Severity.ERROR, 1),
            Finding.of(error, Severity.ERROR),
        ]
    )
    assert [(one.severity.value, one.checkpoint) for one in found] == [
        ("error", None),
        ("error", 1),
        ("error", 3),
        ("warning", None),
        ("note", None),
    ]
    assert len(found[0].expected or "") < 600
    assert found[0].got is None
