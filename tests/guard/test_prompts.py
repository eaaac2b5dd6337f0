"""What a wallet may ask: how often over all its sessions, how much at once, how long a talk."""

from __future__ import annotations

from pathlib import Path

import pytest

from platformless.node.guard.blocklist import BlocklistFile
from platformless.node.guard.buckets import Limit
from platformless.node.guard.errors import (
    PromptTooLarge,
    RateLimited,
    SessionTooLarge,
    WalletBlocked,
)
from platformless.node.guard.prompts import PromptGuard, PromptLimits
from platformless.node.monitoring.counted import Counted
from platformless.node.sessions.memory import entry_bytes
from platformless.protocol.digests import Address
from platformless.protocol.frames import PromptRequest
from platformless.protocol.transcript import Entry, Kind

from .clock import Clock

WALLET, OTHER = Address(b"\x01" * 20), Address(b"\x02" * 20)
HELLO = PromptRequest(prompt="Hello.")


def guard(**limits: object) -> tuple[PromptGuard, Clock]:
    clock = Clock()
    made = PromptLimits(**limits)  # type: ignore[arg-type]
    return PromptGuard(made, clock=clock), clock


def test_prompts_are_counted_by_who_pays() -> None:
    asked, clock = guard(rate=Limit(1, 2))
    for _ in range(2):
        asked.take(WALLET, HELLO, 0)
    with pytest.raises(RateLimited, match="try in 1 s") as limited:
        asked.take(WALLET, HELLO, 0)
    assert limited.value.retry_after == 1
    asked.take(OTHER, HELLO, 0)
    clock.go(1)
    asked.take(WALLET, HELLO, 0)


@pytest.mark.parametrize(
    ("prompt", "stop", "fits"),
    [
        ("x" * 1024, [], True),
        ("x" * 1025, [], False),
        ("é" * 512, [], True),
        ("é" * 513, [], False),
        ("x" * 1000, ["y" * 24], True),
        ("x" * 1000, ["y" * 12, "z" * 13], False),
    ],
)
def test_a_prompt_is_as_long_as_its_utf8(prompt: str, stop: list[str], *, fits: bool) -> None:
    asked, _ = guard(prompt_bytes=1024, rate=Limit(0.001, 1))
    request = PromptRequest(prompt=prompt, stop=stop)
    if not fits:
        with pytest.raises(PromptTooLarge, match="at most 1024 bytes"):
            asked.take(WALLET, request, 0)
    asked.take(WALLET, HELLO if not fits else request, 0)  # a refusal used nothing up


def test_a_session_that_takes_too_much_memory_ends_there() -> None:
    asked, _ = guard(session_bytes=1000)
    asked.take(WALLET, HELLO, 1000)
    with pytest.raises(SessionTooLarge, match="at most 1000 bytes") as refused:
        asked.take(WALLET, HELLO, 1001)
    assert "open another" in refused.value.advice


def test_a_blocked_wallet_is_served_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "blocklist"
    path.write_text(str(WALLET))
    counted = Counted()
    asked = PromptGuard(blocklist=BlocklistFile(path), counted=counted)
    with pytest.raises(WalletBlocked):
        asked.require_served(WALLET)
    with pytest.raises(WalletBlocked):
        asked.take(WALLET, HELLO, 0)
    asked.require_served(OTHER)
    asked.take(OTHER, HELLO, 0)
    refused = counted.registry.get_sample_value(
        "platformless_refused_total", {"reason": "wallet_blocked"}
    )
    assert refused == 2


@pytest.mark.parametrize(
    ("text", "most"), [("", 1.0), ("abc", 3.0), ("naïve", 5.0), ("日本", 4.0), ("🦀", 4.0)]
)
def test_memory_counts_tokens_and_text_as_python_holds_them(text: str, most: float) -> None:
    tokens = tuple(range(10))
    entry = Entry(Kind.PROMPT, tokens, text)
    assert entry_bytes(entry) == 1500 + 10 * 40 + (2 * int(most) if text else 0)
