"""The HTML report: one file, well formed, and inert whatever strangers wrote."""

from __future__ import annotations

import re
from array import array
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any, cast

import pytest

from platformless.audit.session.html import render_html
from platformless.audit.session.page.figures import Step, margins, shares, timeline
from platformless.audit.session.report import AuditReport

from .audit_reports import report, timeless

_VOID = {"meta", "br"}


class Page(HTMLParser):
    """Elements must nest; scripts and addresses must not be there."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        names = {name for name, _ in attrs}
        assert not names & {"src", "href", "onload", "onerror", "onclick", "style"}, attrs
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Page:
    parser = Page()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    assert "script" not in parser.elements
    assert not re.search(r"https?:|url\(|@import", page)
    return parser


@pytest.mark.parametrize(
    "made",
    [report(), report(0), report(3, unproven=3, findings=4), timeless()],
    ids=["accepted", "nothing", "rejected", "timeless"],
)
def test_a_page_is_well_formed_and_needs_nothing(made: AuditReport) -> None:
    read(render_html(made))


def test_what_strangers_wrote_is_text() -> None:
    page = render_html(report(findings=2))
    shown = "".join(read(page).text)
    assert "<script>alert('x')</script>" in shown
    assert "{{7*7}}" in shown
    assert not re.search("[\x00-\x08\x0e-\x1f\u202a-\u202e\u2066-\u2069]", page)


def test_a_long_session_makes_no_huge_page() -> None:
    page = render_html(report(10_000, unproven=5_000, findings=3_000))
    read(page)
    assert len(page) < 2 << 20
    assert "9,500 more" in page
    assert "1,000,000 billed, 500,000 proven, 500,000 unproven" in page


def test_a_replay_is_drawn() -> None:
    verdict = SimpleNamespace(
        outcome=SimpleNamespace(value="too_few_tokens"),
        tokens=3,
        mismatches=1,
        false_positive_rate=1e-6,
        thresholds="measured",
        margin_limit=2.0,
    )
    replay = SimpleNamespace(
        verdict=verdict,
        mode=SimpleNamespace(value="exact"),
        mode_reason="recorded",
        model=SimpleNamespace(name="<b>model.gguf"),
        tokens=SimpleNamespace(margin=array("d", [0.0, 0.5, 0.0])),
        replayed=False,
    )
    made = report()
    object.__setattr__(made, "replay", cast(Any, replay))
    page = render_html(made)
    read(page)
    assert "too few tokens" in page
    assert "&lt;b&gt;model.gguf" in page
    assert "margins of 3 tokens in logits; 1 differ, at most by 0.5" in page


def test_figures_keep_what_is_largest() -> None:
    values = [0.0] * 100_000
    values[77_777] = 9.0
    drawn = margins(values, 1.0)
    assert len(drawn) < 100_000
    assert "at most by 9" in drawn
    many = timeline([Step(n, 1, n != 5_000) for n in range(10_000)], 0)
    assert many.count('<circle class="unproven"') == 1
    assert many.count("<circle") <= 2_000
    assert timeline([], 0) == margins([], 1.0) == ""
    assert "<svg" in shares((("host", 0), ("refund", 0)), "nothing")
