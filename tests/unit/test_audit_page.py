"""The HTML report: one file, well formed, and inert whatever strangers wrote."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from platformless.audit.session.html import render_html
from platformless.audit.session.page.figures import Step, margins, shares, timeline
from platformless.audit.session.report import AuditReport
from platformless.audit.session.sample_states import SampleState

from .audit_reports import ACTIVE, hostile, many, partly_sampled, replayed, sampled
from .test_audit_document import REPORTS

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
    assert not re.search(r"url\(|@import", page)
    return parser


@pytest.mark.parametrize("made", REPORTS.values(), ids=REPORTS)
def test_a_page_is_well_formed_and_needs_nothing(made: AuditReport) -> None:
    page = render_html(made)
    read(page)
    assert f"Session {made.session.id}: {made.outcome}" in page
    assert page.encode()


def test_the_page_tells_the_sampled_cells_of_each_checkpoint() -> None:
    page = render_html(partly_sampled())
    for state in SampleState:
        assert f">{state.value}</td>" in page
    assert "0x" + "99" * 32 in page
    assert "were drawn and recomputed for 3,000" in render_html(sampled())


def test_what_strangers_wrote_is_text() -> None:
    page = render_html(hostile())
    shown = "".join(read(page).text)
    assert "<script>alert(1)</script>" in shown
    assert "{{ 7 * 7 }}" in shown
    assert not ACTIVE.search(page)


def test_a_long_session_makes_no_huge_page() -> None:
    page = render_html(many())
    assert len(page) < 2 << 20
    assert "9,500 more" in page
    assert "10,000,000 billed, 9,900,000 proven, 100,000 unproven" in page


@pytest.mark.parametrize("margin", [0.0, 9.0])
def test_a_replay_is_drawn_with_its_verdict(margin: float) -> None:
    made = replayed([0.0] * 400 + [margin])
    assert made.replay is not None
    page = render_html(made)
    assert made.replay.verdict.outcome.value in page
    assert f"margins of 401 tokens in logits; {int(margin > 0)} differ" in page
    assert "False-positive rate" in page


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
