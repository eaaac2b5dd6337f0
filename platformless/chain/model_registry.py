"""Client of ModelRegistry: which model files hosts may serve.

The registry keeps a file's SHA-256; no contract checks that a host runs that file.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..protocol.digests import FixedBytes, ModelId, keccak256
from .connection import Chain, ContractCall
from .contract import ContractClient


class FileHash(FixedBytes):
    """SHA-256 of a model file."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file by its repository and name, with its content."""

    repository: str
    file_name: str
    file_hash: FileHash

    @property
    def id(self) -> ModelId:
        """keccak-256 of `repository/file_name` in UTF-8."""
        return ModelId(keccak256(f"{self.repository}/{self.file_name}".encode()))


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A model as the registry keeps it."""

    file: ModelFile
    approved: bool
    by_owner: bool
    """Approved by the registry's owner; otherwise by a vote."""
    registered_at: int
    """Unix time in seconds."""


class ModelRegistry(ContractClient):
    """The models of a network."""

    CONTRACT = "ModelRegistry"

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain, chain.network.model_registry)

    async def model(self, model_id: ModelId) -> RegisteredModel | None:
        """None when the registry does not know the model."""
        repository, file_name, file_hash, tier, active, at = await self._read("models", model_id)
        if at == 0:
            return None
        file = ModelFile(repository, file_name, FileHash(file_hash))
        return RegisteredModel(file, approved=active, by_owner=tier == 1, registered_at=at)

    async def is_approved(self, model_id: ModelId) -> bool:
        return bool(await self._read("isModelApproved", model_id))

    async def all_models(self) -> list[ModelId]:
        """Every model ever approved, also those that are not any more."""
        return [ModelId(value) for value in await self._read("getAllModels")]

    async def rate_limit(self, model_id: ModelId) -> int:
        """Tokens per second that a session of this model may claim."""
        return int(await self._read("getModelRateLimit", model_id))

    def approve(self, file: ModelFile) -> ContractCall:
        """By the registry's owner."""
        return self._write(
            "addTrustedModel",
            file.repository,
            file.file_name,
            file.file_hash,
            about=f"{file.repository}/{file.file_name}",
        )

    def withdraw_approval(self, model_id: ModelId) -> ContractCall:
        """By the registry's owner. Hosts that list the model keep it."""
        return self._write("deactivateModel", model_id, about=model_id)

    def renew_approval(self, model_id: ModelId) -> ContractCall:
        """By the registry's owner."""
        return self._write("reactivateModel", model_id, about=model_id)

    def set_rate_limit(self, model_id: ModelId, tokens_per_second: int) -> ContractCall:
        """By the registry's owner."""
        return self._write(
            "setModelRateLimit", model_id, tokens_per_second, about=f"{tokens_per_second}/s"
        )
