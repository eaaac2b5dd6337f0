"""The node's settings: the guide's names, and nothing secret ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from platformless.chain.networks import BASE_SEPOLIA
from platformless.node.errors import (
    DeprecatedSetting,
    LooseSecretFile,
    MissingSetting,
    SettingsError,
    WrongSetting,
)
from platformless.node.keys.sources import open_key
from platformless.node.reading_settings import RENAMED, load_settings, load_worker_settings
from platformless.node.settings import NodeSettings
from platformless.protocol.digests import Address
from platformless.protocol.host_key import LocalKey

KEY = "0x" + "07" * 32
GUIDE = {
    "HOST_PRIVATE_KEY": KEY,
    "RPC_URL": "https://rpc.example,https://other.example",
    "CHAIN_ID": "84532",
    "MODEL_PATH": "/app/models/tinyllama-1b.Q4_K_M.gguf",
    "P2P_PORT": "9000",
    "API_PORT": "8080",
    "PUBLIC_URL": "https://node1.example.com",
    "GPU_LAYERS": "35",
    "NODE_REGISTRY_FAB_ADDRESS": "0x" + "11" * 20,
    "JOB_MARKETPLACE_FAB_WITH_S5_ADDRESS": "0x" + "22" * 20,
    "RUST_LOG": "platformless=debug",
    "SESSION_KEY_TTL_SECONDS": "600",
}


def test_the_guides_example_is_read() -> None:
    settings, network = load_settings(GUIDE, None)
    assert open_key(settings).address == LocalKey(b"\x07" * 32).address
    assert settings.model_path == Path("/app/models/tinyllama-1b.Q4_K_M.gguf")
    assert (settings.api_port, settings.gpu_layers) == (8080, 35)
    assert settings.session_key_ttl_seconds == 600
    assert settings.log_level == "debug"
    assert network.rpc_urls == ("https://rpc.example", "https://other.example")
    assert network.node_registry == Address(b"\x11" * 20)
    assert network.marketplace == Address(b"\x22" * 20)


def test_a_key_is_enough() -> None:
    settings, network = load_settings({"HOST_PRIVATE_KEY": KEY}, None)
    assert settings.model_path is None
    assert settings.session_key_ttl_seconds == 3600
    assert network == BASE_SEPOLIA
    assert isinstance(settings, NodeSettings)


def test_traces_are_off_unless_they_are_asked_for() -> None:
    plain, _ = load_worker_settings({}, None)
    assert (plain.trace, plain.trace_one_in, plain.sample_draws) == ("off", 16, 1)
    told = {"TRACE": "sampled", "TRACE_ONE_IN": "3", "TRACE_THREADS": "2", "SAMPLE_DRAWS": "24"}
    asked, _ = load_worker_settings({**told, "MODEL_PATH": "/m.gguf"}, None)
    assert (asked.trace, asked.trace_one_in, asked.trace_threads) == ("sampled", 3, 2)
    assert (asked.sample_draws, asked.model_path) == (24, Path("/m.gguf"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRACE", "sometimes"),
        ("TRACE", "true"),
        ("TRACE_ONE_IN", "0"),
        ("TRACE_ONE_IN", str(2**32)),
        ("TRACE_THREADS", "-1"),
        ("SAMPLE_DRAWS", "0"),
        ("SAMPLE_DRAWS", "25"),  # of each of 21 kinds, and the guest takes 512 cells
    ],
)
def test_a_trace_that_cannot_be_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load_worker_settings({name: value}, None)


def test_a_dev_chains_env_file_is_read(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text(f"HOST_PRIVATE_KEY={KEY}\nCONTRACT_JOB_MARKETPLACE=0x{'33' * 20}\nAPI_PORT=1\n")
    env.chmod(0o600)
    settings, network = load_settings({"API_PORT": "2"}, env)
    assert network.marketplace == Address(b"\x33" * 20)
    assert settings.api_port == 2, "the environment wins"


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text(f"HOST_PRIVATE_KEY={KEY}\n")
    env.chmod(0o644)
    with pytest.raises(LooseSecretFile) as error:
        load_settings({}, env)
    assert error.value.got == "mode 644"
    env.write_text("API_PORT=1\n")
    load_settings({"HOST_PRIVATE_KEY": KEY}, env)


@pytest.mark.parametrize("name", RENAMED)
def test_a_name_no_longer_used_is_refused_with_what_to_set(name: str) -> None:
    with pytest.raises(DeprecatedSetting) as error:
        load_settings({**GUIDE, name: "secret-value"}, None)
    assert error.value.expected == RENAMED[name]
    assert "secret-value" not in str(error.value)


def test_a_missing_key_is_told() -> None:
    with pytest.raises(MissingSetting) as error:
        load_settings({}, None)
    assert "HOST_PRIVATE_KEY" in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_PORT", "eighty"),
        ("API_PORT", "70000"),
        ("GPU_LAYERS", "-1"),
        ("CHAIN_ID", "0"),
        ("SESSION_KEY_TTL_SECONDS", "0"),
        ("CHECKPOINT_TOKENS", "99"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_by_its_name(name: str, value: str) -> None:
    with pytest.raises(WrongSetting) as error:
        load_settings({**GUIDE, name: value}, None)
    assert name in str(error.value)
    assert error.value.got == value


@pytest.mark.parametrize("key", ["0x12", "zz" * 32, "00" * 32, "ff" * 32, "07" * 33])
def test_a_wrong_key_is_told_and_not_shown(key: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings({"HOST_PRIVATE_KEY": key}, None)
    assert key not in str(error.value)
    assert key not in repr(error.value.to_json())


def test_secrets_are_not_shown() -> None:
    settings, _ = load_settings({**GUIDE, "S5_PORTAL_TOKEN": "portal-secret"}, None)
    shown = f"{settings!r} {settings} {settings.model_dump()}"
    assert "0707" not in shown
    assert "portal-secret" not in shown
    assert settings.s5_portal_token.get_secret_value() == "portal-secret"


def test_the_environment_wins_under_every_name_of_a_contract(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text(f"JOB_MARKETPLACE_FAB_WITH_S5_ADDRESS=0x{'11' * 20}\nHOST_PRIVATE_KEY={KEY}\n")
    env.chmod(0o600)
    environment = {"CONTRACT_JOB_MARKETPLACE": "0x" + "22" * 20, "HOST_PRIVATE_KEY": ""}
    settings, network = load_settings(environment, env)
    assert network.marketplace == Address(b"\x22" * 20)
    assert open_key(settings).address == LocalKey(b"\x07" * 32).address
    with pytest.raises(WrongSetting):
        load_settings({**GUIDE, "CONTRACT_NODE_REGISTRY": "0x" + "33" * 20}, None)


@pytest.mark.parametrize(
    ("name", "value", "level"),
    [
        ("RUST_LOG", "off", "error"),
        ("RUST_LOG", "my_crate", "info"),
        ("RUST_LOG", "a=debug,b=warn", "info,a=debug,b=warn"),
        ("LOG_LEVEL", "INFO", "info"),
    ],
)
def test_levels_are_read_as_they_are_written_elsewhere(name: str, value: str, level: str) -> None:
    assert load_settings({"HOST_PRIVATE_KEY": KEY, name: value}, None)[0].log_level == level


def test_an_rpc_address_with_a_key_in_it_is_not_shown() -> None:
    settings, network = load_settings({**GUIDE, "RPC_URL": "https://rpc.example/v2/api-key"}, None)
    assert "api-key" not in f"{settings!r} {network!r}"
