"""What the node is and how it is: health, version, models, chains. Open to anyone."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...protocol.digests import ModelId, WeightsRoot
from ..monitoring.condition import Condition, health_body, ready_body
from .bodies import chain_number
from .health import Health
from .replies import json_reply

_NO_STORE = {"cache-control": "no-store"}

FEATURES = (
    "checkpoint-index",
    "encrypted-sessions",
    "session-proofs",
    "streaming",
    "transcript-updates",
    "wallet-challenge",
)
"""Clients look for features of their own here, such as web search; what is not served is not
named."""
TRACED = {"sampled": "sampled-traces", "always": "traces"}
"""Features of a host whose claims commit to traces: some, or all, get a proof of sampled cells."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that sessions may be for."""

    id: ModelId
    repository: str
    file_name: str
    context_tokens: int
    weights_root: WeightsRoot

    @property
    def name(self) -> str:
        """As clients write it: they make the id of it."""
        return f"{self.repository}:{self.file_name}"


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What does not change while the node runs."""

    version: str
    build: str
    """The commit, or "unknown"."""
    chain_id: int
    chain_name: str
    models: tuple[ServedModel, ...]
    trace: str = "off"
    """As TRACE says: whether claims commit to traces."""

    @property
    def features(self) -> tuple[str, ...]:
        return (*FEATURES, TRACED[self.trace]) if self.trace in TRACED else FEATURES


class VersionBody(Struct, frozen=True):
    version: str
    build: str
    features: tuple[str, ...]
    chains: list[int]
    breaking_changes: list[str]


class ModelBody(Struct, frozen=True):
    """A model; the last two fields are new."""

    id: str
    name: str
    description: str
    context_window_size: int
    weights_root: str


class ModelsBody(Struct, frozen=True, omit_defaults=True):
    models: list[ModelBody]
    chain_id: int
    chain_name: str | None = None


class ChainBody(Struct, frozen=True):
    chain_id: int
    name: str


class ChainsBody(Struct, frozen=True):
    chains: list[ChainBody]
    default_chain: int


class StatusEndpoints:
    """`/health`, `/ready`, `/status` and `/v1/…` of the same kind."""

    def __init__(self, facts: NodeFacts, health: Health, condition: Condition) -> None:
        self._facts = facts
        self._health = health
        self._condition = condition

    def routes(self) -> list[Route]:
        paths = {
            "/health": self.health,
            "/v1/health": self.health,
            "/status": self.health,
            "/ready": self.ready,
            "/v1/version": self.version,
            "/v1/models": self.models,
            "/v1/chains": self.chains,
        }
        return [Route(path, endpoint, methods=["GET"]) for path, endpoint in paths.items()]

    async def health(self, _request: Request) -> Response:
        """Always 200: clients read the body, and take another status for a node that is gone."""
        report = await self._health.report()
        body = health_body(report.status, report.issues, self._condition)
        return json_reply(body, headers=_NO_STORE)

    async def ready(self, _request: Request) -> Response:
        """200 when sessions can be served now; otherwise 503, with the reasons."""
        report = await self._health.report()
        body = ready_body(report.vital_issues, self._condition)
        return json_reply(body, 200 if body.ready else 503, headers=_NO_STORE)

    async def version(self, _request: Request) -> Response:
        facts = self._facts
        return json_reply(
            VersionBody(facts.version, facts.build, facts.features, [facts.chain_id], [])
        )

    async def models(self, request: Request) -> Response:
        """None for another chain: sessions there are not served."""
        facts = self._facts
        asked = request.query_params.get("chain_id")
        chain_id = facts.chain_id if asked is None else chain_number("chain_id", asked)
        if chain_id != facts.chain_id:
            return json_reply(ModelsBody([], chain_id))
        return json_reply(ModelsBody([*map(_model, facts.models)], chain_id, facts.chain_name))

    async def chains(self, _request: Request) -> Response:
        facts = self._facts
        chain = ChainBody(facts.chain_id, facts.chain_name)
        return json_reply(ChainsBody([chain], facts.chain_id))


def _model(model: ServedModel) -> ModelBody:
    return ModelBody(
        id=str(model.id),
        name=model.name,
        description=f"{model.file_name}, context of {model.context_tokens} tokens",
        context_window_size=model.context_tokens,
        weights_root=str(model.weights_root),
    )
