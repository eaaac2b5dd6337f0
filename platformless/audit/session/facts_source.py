"""Where an audit has the facts of a model from: a digest that its policy trusts, or the file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...chain.model_registry import RegisteredModel
from ...protocol.digests import WeightsRoot
from ...protocol.sample.facts import ModelFactsDigest
from ..model_file import ModelIdentity, identify_model
from ..sample_expected import NamedModel
from .errors import ModelFileForeign
from .replaying import unregistered


class FactsSource:
    """The facts of models by the roots of their weights. The file is read when it is first asked
    for."""

    def __init__(self, trusted: Mapping[WeightsRoot, ModelFactsDigest], file: Path | None) -> None:
        self._trusted = trusted
        self._file = file
        self._reading = asyncio.Lock()
        self._identity: ModelIdentity | None = None
        self.file_used = False
        """Whether the file gave the facts of a root that was asked for, or confirmed them."""

    async def model_of(self, root: WeightsRoot) -> NamedModel | None:
        """The model with these weights; None when nothing tells its facts.

        Raises:
            ModelError: when the file is no model file.
        """
        facts, model = self._trusted.get(root), await self._read()
        if model is not None and model.weights_root == root and model.facts is not None:
            self.file_used = True
            facts = facts or model.facts
        return None if facts is None else NamedModel(root, facts)

    async def _read(self) -> ModelIdentity | None:
        if self._file is None:
            return None
        async with self._reading:
            if self._identity is None:
                self._identity = await asyncio.to_thread(identify_model, self._file)
            return self._identity

    @property
    def why_none(self) -> object:
        """Why there are no facts of a root."""
        if self._identity is None:
            return "neither"
        return self._identity.problem or "a file of other weights"

    def contradictions(self) -> Iterator[ModelFileForeign]:
        """Whether the file has other facts than are trusted for its weights: the root does not hold
        the numbers of its header."""
        model = self._identity
        if model is None or model.facts is None:
            return
        trusted = self._trusted.get(model.weights_root)
        if trusted not in (None, model.facts):
            yield ModelFileForeign(
                "the model file has other facts than the policy trusts",
                expected=trusted,
                got=model.facts,
            )

    def foreign(
        self, root: WeightsRoot, registered: RegisteredModel | None
    ) -> Iterator[ModelFileForeign]:
        """Whether the file, where it was read, is not the one that the session was sold for."""
        model = self._identity
        if model is None:
            return
        if model.weights_root != root:
            yield ModelFileForeign(
                "the model file has other weights than the session names",
                expected=root,
                got=model.weights_root,
            )
        yield from unregistered(model.sha256, registered)
