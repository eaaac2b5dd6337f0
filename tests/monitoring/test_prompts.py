"""What is counted of prompts."""

from __future__ import annotations

import asyncio

import pytest

from platformless.chain.errors import EndpointsUnavailable
from platformless.engine.errors import EngineStopped, QueueFull, TokenLimitExceeded
from platformless.node.errors import (
    ClientGone,
    DepositUsedUp,
    ModelNotServed,
    RequestRefused,
    ShuttingDown,
)
from platformless.node.monitoring.counted import OUTCOMES, Counted
from platformless.node.monitoring.exposition import counted_families, exposed
from platformless.node.monitoring.prompts import counted_prompt, outcome_of

from .scraping import Samples, lint, names, samples_of, value


class Sink:
    """An output whose client may be gone."""

    gone = False

    async def position(self, place: int) -> None:
        """Nobody is told."""

    async def piece(self, text: str, tokens: int) -> None:  # noqa: ARG002
        if self.gone:
            raise ClientGone("gone")


def told(counted: Counted) -> Samples:
    return samples_of(exposed(counted_families(counted)).decode())


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (DepositUsedUp("x"), "deposit_used_up"),
        (ShuttingDown("x"), "shutting_down"),
        (ClientGone("x"), "cancelled"),
        (asyncio.CancelledError(), "cancelled"),
        (EngineStopped("x"), "error"),
        (EndpointsUnavailable("x"), "error"),
        (RuntimeError("x"), "error"),
        (RequestRefused("x"), None),
        (ModelNotServed("x"), None),
        (TokenLimitExceeded(9, 8), None),
    ],
)
def test_the_nodes_failures_are_errors_and_the_clients_are_not(
    error: BaseException, outcome: str | None
) -> None:
    assert outcome_of(error) == outcome
    counted = Counted()
    with pytest.raises(type(error)), counted_prompt(counted, Sink()):
        raise error
    found = {name: value(told(counted), "prompts_total", {"outcome": name}) for name in OUTCOMES}
    assert found == {name: float(name == outcome) for name in OUTCOMES}


def test_a_prompt_that_found_the_line_full_was_refused() -> None:
    counted = Counted()
    with pytest.raises(QueueFull), counted_prompt(counted, Sink()):
        raise QueueFull("full")
    assert value(told(counted), "refused_total", {"reason": "queue_full"}) == 1
    assert value(told(counted), "prompts_total", {"outcome": "error"}) == 0


async def test_tokens_count_once_they_are_sent_and_the_first_is_timed() -> None:
    counted, sink = Counted(), Sink()
    with counted_prompt(counted, sink) as output:
        await output.position(2)
        await output.piece("He", 1)
        await output.piece("llo.", 3)
        sink.gone = True
        with pytest.raises(ClientGone):
            await output.piece(" never", 5)
    samples = told(counted)
    assert value(samples, "completion_tokens_total") == 4
    assert value(samples, "time_to_first_token_seconds_count") == 1


async def test_a_prompt_without_a_token_waits_no_more_once_it_has_ended() -> None:
    counted = Counted()
    with pytest.raises(EngineStopped), counted_prompt(counted, Sink()):
        raise EngineStopped("x")
    assert counted.first_tokens.most_seconds() == 0


def test_all_counters_are_there_from_the_start_without_their_age() -> None:
    text = exposed(counted_families(Counted())).decode()
    assert lint(text) == ""
    assert not [name for name in names(samples_of(text)) if name.endswith("_created")]
    assert value(samples_of(text), "wallet_proofs_total", {"result": "refused"}) == 0
