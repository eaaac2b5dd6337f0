"""The settings as a node would load them, every mistake in them as a finding of its own.

A node stops at the first mistake. Here the variable at fault is left out and loading goes on, so
that what does not depend on it can be looked at. The host's key is not opened here (`shared.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from ...chain.networks import Network
from ...errors import PlatformlessError
from ..errors import LooseSecretFile, MissingSetting
from ..reading_settings import load_settings
from ..settings import KEY_SOURCES, KEY_VARIABLES, NodeSettings
from .finding import Finding, error, ok

CONTRACTS = (
    "CONTRACT_JOB_MARKETPLACE",
    "JOB_MARKETPLACE_FAB_WITH_S5_ADDRESS",
    "CONTRACT_NODE_REGISTRY",
    "NODE_REGISTRY_FAB_ADDRESS",
    "CONTRACT_MODEL_REGISTRY",
    "CONTRACT_PROOF_SYSTEM",
    "CONTRACT_HOST_EARNINGS",
    "FAB_TOKEN",
    "USDC_TOKEN",
)
"""Variables with an address. Two of one contract may differ in file and environment."""
_STAND_IN = {"HOST_PRIVATE_KEY": "0x" + "01" * 32}
"""Takes the place of a key that is not set, so that the other settings can be read."""
_NAME, _KEY_NAME = "settings", "host-key"


@dataclass(frozen=True, slots=True)
class SettingsFound:
    """What could be read."""

    settings: NodeSettings
    network: Network
    has_key: bool
    """Whether a source of the host's key is set that can be used."""
    left_out: frozenset[str]
    """Variables whose values cannot be used: what depends on them is not looked at."""
    findings: tuple[Finding, ...]


def read_settings(environment: Mapping[str, str], env_file: Path) -> SettingsFound:
    """Settings of the environment and of the file, as far as they can be used."""
    try:
        in_file = _in_file(env_file)
    except (OSError, UnicodeDecodeError) as problem:
        unreadable = error(_NAME, f"{env_file} cannot be read: {problem}", "make it a text file")
        return _forgiving(environment, {}, env_file, [unreadable])
    try:
        settings, network = load_settings(environment, env_file)
    except LooseSecretFile as problem:
        advice = f"chmod 600 {env_file}; whoever could read it may have the key"
        loose = error(_KEY_NAME, str(problem), advice)
        return _forgiving(environment, in_file, env_file, [loose])
    except PlatformlessError:
        return _forgiving(environment, in_file, env_file, [])
    said = (ok(_NAME, _read_from(env_file)),)
    return SettingsFound(settings, network, True, frozenset(), said)


def _forgiving(
    environment: Mapping[str, str],
    in_file: Mapping[str, str],
    env_file: Path,
    findings: list[Finding],
) -> SettingsFound:
    merged = _Merged(environment, in_file)
    left_out: set[str] = set()
    has_key = True
    while True:
        try:
            settings, network = load_settings(merged.values(), None)
            break
        except PlatformlessError as problem:
            if isinstance(problem, MissingSetting) and _has_no_key(merged.values()):
                if KEY_VARIABLES.isdisjoint(left_out):
                    findings.append(error(_KEY_NAME, str(problem), problem.advice))
                has_key = False
                merged.environment |= _STAND_IN
                continue
            culprits = merged.culprits(problem)
            if not merged.drop_shadowed(culprits):
                if not culprits:
                    raise
                findings.append(_settings_finding(problem, culprits))
                left_out.update(culprits)
                merged.drop(culprits)
    if not any(finding.name == _NAME for finding in findings):
        findings.insert(0, ok(_NAME, _read_from(env_file)))
    return SettingsFound(settings, network, has_key, frozenset(left_out), tuple(findings))


class _Merged:
    """The variables of file and environment, from which some can be taken out."""

    def __init__(self, environment: Mapping[str, str], in_file: Mapping[str, str]) -> None:
        self.environment = {name: value for name, value in environment.items() if value.strip()}
        self.in_file = {name: value for name, value in in_file.items() if value.strip()}

    def values(self) -> dict[str, str]:
        return {**self.in_file, **self.environment}

    def culprits(self, problem: PlatformlessError) -> list[str]:
        """The variables each of which, left out, does away with the problem."""
        values = self.values()
        return [
            name
            for name in values
            if _problem_of({key: value for key, value in values.items() if key != name})
            != str(problem)
        ]

    def drop_shadowed(self, culprits: list[str]) -> bool:
        """Two names of one contract: the environment's wins over the file's. Whether it did."""
        only_in_file = [name for name in culprits if name not in self.environment]
        is_shadowed = bool(only_in_file) and len(only_in_file) < len(culprits)
        if not is_shadowed or not set(culprits) <= set(CONTRACTS):
            return False
        self.drop(only_in_file)
        return True

    def drop(self, names: list[str]) -> None:
        for name in names:
            self.environment.pop(name, None)
            self.in_file.pop(name, None)


def _has_no_key(values: Mapping[str, str]) -> bool:
    return all(name not in values for name in KEY_SOURCES)


def _problem_of(values: Mapping[str, str]) -> str | None:
    """What is wrong besides a key that is not set."""
    try:
        load_settings({**values, **(_STAND_IN if _has_no_key(values) else {})}, None)
    except PlatformlessError as problem:
        return str(problem)
    return None


def _settings_finding(problem: PlatformlessError, culprits: list[str]) -> Finding:
    name = _NAME if KEY_VARIABLES.isdisjoint(culprits) else _KEY_NAME
    told = str(problem)
    if not any(culprit in told for culprit in culprits):
        told = f"{', '.join(culprits)}: {told}"
    return error(name, told, problem.advice or f"correct {' or '.join(culprits)}")


def key_source(settings: NodeSettings) -> str:
    """The variable that says what the host's key is, or where."""
    given = {
        "HOST_PRIVATE_KEY": settings.host_private_key.get_secret_value(),
        "HOST_PRIVATE_KEY_FILE": settings.host_private_key_file,
        "HOST_KEYSTORE": settings.host_keystore,
        "HOST_SIGNER_URL": settings.host_signer_url,
    }
    return next(name for name in KEY_SOURCES if given.get(name))


def _read_from(env_file: Path) -> str:
    if env_file.is_file():
        return f"read from {env_file} and the environment"
    return f"read from the environment alone: there is no {env_file}"


def _in_file(env_file: Path) -> dict[str, str]:
    if not env_file.is_file():
        return {}
    return {name: value or "" for name, value in dotenv_values(env_file, interpolate=False).items()}
