"""`.env.example` says what can be set, all of it, and with the defaults that hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from platformless.chain.networks import BASE_SEPOLIA, network_from
from platformless.node.errors import SettingsError
from platformless.node.reading_settings import load_settings
from platformless.node.settings import NodeSettings

from .files import DEPLOY, ROOT, compose

EXAMPLE = (ROOT / ".env.example").read_text()
LINE = re.compile(r"^(# )?([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)

CHAIN = {
    "NODE_REGISTRY_FAB_ADDRESS": BASE_SEPOLIA.node_registry,
    "JOB_MARKETPLACE_FAB_WITH_S5_ADDRESS": BASE_SEPOLIA.marketplace,
    "CONTRACT_MODEL_REGISTRY": BASE_SEPOLIA.model_registry,
    "CONTRACT_PROOF_SYSTEM": BASE_SEPOLIA.proof_system,
    "CONTRACT_HOST_EARNINGS": BASE_SEPOLIA.host_earnings,
    "FAB_TOKEN": BASE_SEPOLIA.fab.address,
    "USDC_TOKEN": BASE_SEPOLIA.usdc.address,
}
"""Read by `network_from`, and by the names of the deployment guide."""

OUTSIDE = {
    "STARK_PROVER",
    "STARK_PROVER_CUDA",
    "PLATFORMLESS_CACHE",
    "PLATFORMLESS_BUILD",
    "GOMP_SPINCOUNT",
}
"""Read from the environment alone, by other parts than the settings."""

ALIASES = {"RUST_LOG", "CONTRACT_NODE_REGISTRY", "CONTRACT_JOB_MARKETPLACE"}


def said() -> dict[str, tuple[bool, str]]:
    """Whether a name's line is a comment that shows the default, and its value."""
    return {name: (bool(comment), value) for comment, name, value in LINE.findall(EXAMPLE)}


def fields() -> set[str]:
    return {name.upper() for name in NodeSettings.model_fields}


def test_every_setting_is_in_the_example_and_nothing_else() -> None:
    assert set(said()) == fields() | set(CHAIN) | OUTSIDE


def test_no_name_is_there_twice() -> None:
    names = [name for _, name, _ in LINE.findall(EXAMPLE)]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("name", sorted(fields()))
def test_the_shown_default_is_the_default(name: str) -> None:
    default = NodeSettings.model_fields[name.lower()].default
    is_shown, value = said()[name]
    if isinstance(default, SecretStr) or default is None or default == "":
        assert (is_shown, value) == (False, "")
        return
    assert is_shown
    kind = NodeSettings.model_fields[name.lower()].annotation
    if kind is bool:
        assert value == str(default).lower()
    elif isinstance(default, int | float):
        assert float(value) == float(default)
    else:
        assert value == str(default)


def test_the_chains_addresses_are_base_sepolias() -> None:
    assert {name: said()[name][1] for name in CHAIN} == {
        name: str(address).lower() for name, address in CHAIN.items()
    }


def test_a_copy_with_nothing_but_a_key_makes_the_default_settings(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(EXAMPLE.replace("HOST_PRIVATE_KEY=\n", f"HOST_PRIVATE_KEY=0x{'11' * 32}\n"))
    file.chmod(0o600)
    settings, network = load_settings({}, file)
    assert settings == NodeSettings(host_private_key=settings.host_private_key)
    assert network == network_from({})


def test_a_copy_with_all_defaults_spelled_out_says_the_same(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    text = re.sub(r"^# (?=[A-Z][A-Z0-9_]*=)", "", EXAMPLE, flags=re.MULTILINE)
    file.write_text(text.replace("HOST_PRIVATE_KEY=\n", f"HOST_PRIVATE_KEY=0x{'11' * 32}\n"))
    file.chmod(0o600)
    settings, network = load_settings({}, file)
    assert settings == NodeSettings(host_private_key=settings.host_private_key)
    assert network == network_from({})


def test_an_unchanged_copy_says_what_is_missing(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(EXAMPLE)
    file.chmod(0o600)
    with pytest.raises(SettingsError, match="HOST_PRIVATE_KEY"):
        load_settings({}, file)


def test_docker_can_read_it_as_well() -> None:
    for line in EXAMPLE.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            assert re.fullmatch(r"[A-Z][A-Z0-9_]*", name)
            assert not re.search(r"[\s\"'#]", value), line


@pytest.mark.parametrize("file", sorted((DEPLOY / "systemd").glob("*.env.example")))
def test_the_units_examples_have_known_names_and_no_secret(file: Path) -> None:
    names = {name for _, name, _ in LINE.findall(file.read_text())}
    secret = {
        name.upper()
        for name, field in NodeSettings.model_fields.items()
        if field.annotation is SecretStr
    }
    assert names <= set(said())
    assert not names & secret


def test_compose_hands_every_setting_to_the_node_or_sets_it() -> None:
    handed = {name.removesuffix("_FILE") for name in compose()["services"]["node"]["environment"]}
    elsewhere = {"DATA_FOLDER"}  # the image's
    from_files = {"HOST_PRIVATE_KEY", "HOST_KEYSTORE_PASSWORD", "HOST_SIGNER_TOKEN"}
    wanted = {name.removesuffix("_FILE") for name in fields() | set(CHAIN)}
    wanted |= {name.removesuffix("_FILE") for name in ALIASES}
    assert handed >= wanted - elsewhere - from_files
    assert handed <= wanted
