"""Settings from the environment and from `.env`.

A name that is no longer used is refused with the one to use. Secrets are never shown in errors.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from dotenv import dotenv_values
from pydantic import SecretStr, ValidationError

from ..chain.networks import Network, network_from
from ..protocol.errors import ValueOutOfRange
from ..protocol.host_key import LocalKey
from .errors import DeprecatedSetting, LooseSecretFile, MissingSetting, WrongSetting
from .log_levels import parse_rust_log
from .settings import KEY_SOURCES, NodeSettings, P2PSettings, WorkerSettings

_OTHERS = stat.S_IRWXG | stat.S_IRWXO

_SECRETS = frozenset({"HOST_PRIVATE_KEY", "HOST_KEYSTORE_PASSWORD", "HOST_SIGNER_TOKEN"})
_CREDENTIALS = "CREDENTIALS_DIRECTORY"
_MOUNTED = ("/run/secrets",)
_MOUNTED_KEY = "host_private_key"
"""Its name among systemd's credentials, and among a container's secrets."""

RENAMED = {
    "NODE_PRIVATE_KEY": "HOST_PRIVATE_KEY",
    "AUTH_SERVICE_URL": "nothing: clients prove themselves to the node",
    "ENABLE_PROOFS": "nothing: proofs are always made",
    "S5_SEED_PHRASE": "S5_PORTAL_URL and S5_PORTAL_TOKEN",
    "BASE_SEPOLIA_RPC_URL": "RPC_URL",
    "CONTRACT_JOB_MARKETPLACE_FAB_WITH_S5": "JOB_MARKETPLACE_FAB_WITH_S5_ADDRESS",
}
"""Names that other versions of a node read, and what stands in their place."""

_ALIASES = {
    "NODE_REGISTRY_FAB_ADDRESS": "CONTRACT_NODE_REGISTRY",
    "JOB_MARKETPLACE_FAB_WITH_S5_ADDRESS": "CONTRACT_JOB_MARKETPLACE",
}
"""The guide's names of contracts, and the names that clients and `dev-chain` use for them."""


def load_settings(
    environment: Mapping[str, str] | None = None, env_file: Path | None = Path(".env")
) -> tuple[NodeSettings, Network]:
    """Settings and the network that they describe. The environment wins over the file.

    Raises:
        DeprecatedSetting, MissingSetting, WrongSetting: for what is set, or not.
        LooseSecretFile: when others may read a file that holds the key.
    """
    found = _found(environment, env_file)
    _require_one_key(found, os.environ if environment is None else environment)
    settings = _made(NodeSettings, found)
    _require_key(settings)
    return settings, network_from(found)


def load_worker_settings(
    environment: Mapping[str, str] | None = None, env_file: Path | None = Path(".env")
) -> tuple[WorkerSettings, Network]:
    """As `load_settings`, for a worker without the host's key."""
    found = _found(environment, env_file)
    return _made(WorkerSettings, found), network_from(found)


def load_p2p_settings(
    environment: Mapping[str, str] | None = None, env_file: Path | None = Path(".env")
) -> tuple[P2PSettings, Network]:
    """As `load_settings`, for the part in the DHT, without the host's key."""
    found = _found(environment, env_file)
    return _made(P2PSettings, found), network_from(found)


_Settings = TypeVar("_Settings", bound=WorkerSettings)


def _made(kind: type[_Settings], found: Mapping[str, str]) -> _Settings:
    try:
        return kind(**_known(kind, found))
    except ValidationError as error:
        raise _named(kind, error) from None


def _found(environment: Mapping[str, str] | None, env_file: Path | None) -> dict[str, str]:
    """All variables that are set."""
    found: dict[str, str] = {}
    if env_file is not None and env_file.is_file():
        in_file = dotenv_values(env_file, interpolate=False)
        if not _SECRETS.isdisjoint(in_file):
            _require_private(env_file)
        found |= _named_alike({name: value or "" for name, value in in_file.items()})
    found |= _named_alike(os.environ if environment is None else environment)
    for name, instead in RENAMED.items():
        if name in found:
            raise DeprecatedSetting(f"{name} is no longer used", expected=instead, got=name)
    if "LOG_LEVEL" not in found and "RUST_LOG" in found:
        found["LOG_LEVEL"] = str(parse_rust_log(found["RUST_LOG"]))
    return found


def _named_alike(source: Mapping[str, str]) -> dict[str, str]:
    """A source's variables without empty ones, contracts under one name.

    Raises:
        WrongSetting: when two names of one contract say different things.
    """
    found = {name: value for name, value in source.items() if value.strip()}
    for name, common in _ALIASES.items():
        if name in found and found.setdefault(common, found[name]) != found[name]:
            raise WrongSetting(
                f"{name} and {common} differ", expected=found[common], got=found[name]
            )
    return found


def _known(kind: type[WorkerSettings], found: Mapping[str, str]) -> dict[str, Any]:
    """The variables that are fields. An empty one counts as unset."""
    names = {name.upper(): name for name in kind.model_fields}
    return {names[name]: value.strip() for name, value in found.items() if name in names}


def _require_private(path: Path) -> None:
    mode = path.stat().st_mode
    if mode & _OTHERS:
        raise LooseSecretFile(
            f"{path} holds a private key and others may read it",
            expected="mode 600",
            got=f"mode {stat.S_IMODE(mode):03o}",
        )


def _require_one_key(found: dict[str, str], environment: Mapping[str, str]) -> None:
    """Sees to it that one source of the host's key is set; one that the system has mounted for
    this service counts when none is.

    Raises:
        MissingSetting: when there is none.
        WrongSetting: when there are two.
    """
    sources = [name for name in KEY_SOURCES if name in found]
    if not sources:
        folders = [environment.get(_CREDENTIALS, ""), *_MOUNTED]
        mounted = (Path(folder) / _MOUNTED_KEY for folder in folders if folder)
        file = next((path for path in mounted if path.is_file()), None)
        if file is None:
            raise MissingSetting("no host key is set", expected=" or ".join(KEY_SOURCES))
        found["HOST_PRIVATE_KEY_FILE"] = str(file)
    elif len(sources) > 1:
        raise WrongSetting(
            "the host's key is set twice", expected="one source", got=" and ".join(sources)
        )


def _require_key(settings: NodeSettings) -> None:
    """Checks what is set of the key without showing it; files are read when the key is opened.

    Raises:
        WrongSetting, MissingSetting
    """
    text = settings.host_private_key.get_secret_value()
    if text:
        try:
            LocalKey(bytes.fromhex(text.removeprefix("0x")))
        except (ValueError, ValueOutOfRange):
            raise WrongSetting(
                "HOST_PRIVATE_KEY is no private key",
                expected="0x and 64 hex digits",
                got="not shown",
            ) from None
    if settings.host_keystore is None:
        return
    given = bool(settings.host_keystore_password.get_secret_value())
    if given == (settings.host_keystore_password_file is not None):
        kind = WrongSetting if given else MissingSetting
        raise kind(
            "HOST_KEYSTORE needs one password",
            expected="HOST_KEYSTORE_PASSWORD or HOST_KEYSTORE_PASSWORD_FILE",
            got="both" if given else "neither",
        )


def _named(kind: type[WorkerSettings], error: ValidationError) -> MissingSetting | WrongSetting:
    """The first thing that is wrong, by its variable; never its value when it is a secret."""
    first = error.errors(include_url=False)[0]
    field = str(first["loc"][0])
    variable = field.upper()
    if first["type"] == "missing":
        return MissingSetting(f"{variable} is not set", expected="a value", got="nothing")
    is_secret = kind.model_fields[field].annotation is SecretStr
    got = "not shown" if is_secret else str(first.get("input"))
    return WrongSetting(f"{variable} cannot be used", expected=str(first["msg"]), got=got)
