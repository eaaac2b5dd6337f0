"""A model file that ModelRegistry names: asked for there, fetched by URL, compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ...chain.connection import Chain
from ...chain.model_registry import FileHash, ModelFile, ModelRegistry, RegisteredModel
from ...chain.networks import Network
from ...protocol.digests import ModelId
from .download import Download, FetchSettings, Progress
from .errors import AnotherFileThere, ModelUnknown, ModelWithdrawn, UrlUnusable
from .part import PartFile, sha256_of


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What to fetch, and where it goes."""

    url: str
    repository: str
    """OWNER/NAME, as it was registered."""
    file_name: str | None = None
    """As it was registered; the last part of the URL when None."""
    folder: Path = Path("models")

    @property
    def name(self) -> str:
        """Raises:
        UrlUnusable: when there is no file name, or one that leads elsewhere.
        """
        address = urlsplit(self.url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise UrlUnusable("no URL to fetch from", expected="http:// or https://", got="another")
        name = self.file_name or unquote(address.path.rpartition("/")[2])
        if not name or name.startswith(".") or "/" in name or "\0" in name:
            raise UrlUnusable(
                "no name for the file", expected="a name like model.gguf", got=name or "nothing"
            )
        return name


@dataclass(frozen=True, slots=True)
class FetchReport:
    """A model file that is here, and is what the registry says."""

    path: Path
    model_id: ModelId
    repository: str
    sha256: FileHash
    size_bytes: int
    received_bytes: int
    resumed_from_bytes: int
    """What an earlier fetch had left."""

    @property
    def was_there(self) -> bool:
        """Whether nothing had to be fetched."""
        return not self.received_bytes and not self.resumed_from_bytes


async def registered_model(network: Network, repository: str, file_name: str) -> RegisteredModel:
    """What the registry has under the id of these names.

    Raises:
        ModelUnknown, ModelWithdrawn, ChainError
    """
    model_id = ModelFile(repository, file_name, FileHash(bytes(32))).id
    async with Chain(network) as chain:
        registry = ModelRegistry(chain)
        model = await registry.model(model_id)
        if model is None:
            raise ModelUnknown(
                f"the registry has no {repository}/{file_name}",
                expected=f"one of {len(await registry.all_models())} models",
                got=f"id {model_id}",
            )
    if not model.approved:
        raise ModelWithdrawn(f"{repository}/{file_name} is not approved any more", got=model_id)
    return model


def fetch(
    request: FetchRequest,
    file: ModelFile,
    settings: FetchSettings | None = None,
    on_progress: Progress = lambda _here, _whole: None,
    on_retry: Callable[[float], None] | None = None,
) -> FetchReport:
    """Brings a registered file into the folder; one that is there already is only hashed. Blocks.

    Args:
        on_retry: Rests so many seconds before the server is asked again; sleeps when None.

    Raises:
        FetchError
    """
    path = request.folder / request.name
    with PartFile(path) as part:
        if path.exists():
            _require_same(path, file.file_hash)
            size = path.stat().st_size
            return FetchReport(path, file.id, file.repository, file.file_hash, size, 0, 0)
        sleeping = {} if on_retry is None else {"sleep": on_retry}
        download = Download(request.url, part, settings or FetchSettings(), on_progress, **sleeping)
        came = download.run(file.file_hash)
    return FetchReport(
        path,
        file.id,
        file.repository,
        file.file_hash,
        came.size_bytes,
        came.received_bytes,
        came.resumed_from_bytes,
    )


def _require_same(path: Path, expected: FileHash) -> None:
    got = FileHash(sha256_of(path))
    if got != expected:
        raise AnotherFileThere(
            f"{path} is another file than the registry's",
            expected=f"SHA-256 {expected}",
            got=got,
        )
