"""The transactions of a plan, in the order in which they can be made."""

from __future__ import annotations

from dataclasses import dataclass

from ...chain.connection import ContractCall
from .facts import Pair

APPROVE = "approve"
REGISTER = "register"
MODELS = "models"
API_URL = "api-url"
METADATA = "metadata"
UNREGISTER = "unregister"
PRICE = "price"

ONCE = (APPROVE, REGISTER, MODELS, API_URL, METADATA, UNREGISTER)
"""Steps that a plan has at most once; a price there is for each model and token."""


@dataclass(frozen=True, slots=True)
class Step:
    """A transaction of a plan."""

    name: str
    stage: int
    """Steps of a stage are sent together, when those of the stage before are final."""
    call: ContractCall
    text: str
    """For a person."""

    @property
    def kind(self) -> str:
        """The name without what it is for."""
        return self.name.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be sent, and what the operator should know before."""

    steps: tuple[Step, ...]
    warnings: tuple[str, ...] = ()

    @property
    def content(self) -> tuple[tuple[str, ContractCall], ...]:
        """By which two plans are the same."""
        return tuple((step.name, step.call) for step in self.steps)


def price_step(pair: Pair) -> str:
    """The name of the step that sets a price."""
    model, token = pair
    return f"{PRICE}/{model}/{token}"
