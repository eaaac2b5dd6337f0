"""Every mistake in the settings is told, and what does not depend on it is still looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from platformless.node.doctor.finding import Level
from platformless.node.doctor.reading_secrets import read_secrets
from platformless.node.doctor.reading_settings import SettingsFound, read_settings

KEY = "0x" + "07" * 32


def found(folder: Path, in_file: str = "", mode: int = 0o600, **environment: str) -> SettingsFound:
    """What is read of a file and an environment."""
    file = folder / ".env"
    if in_file:
        file.write_text(in_file)
        file.chmod(mode)
    return read_settings(environment, file)


def errors(found: SettingsFound) -> list[str]:
    return [finding.says for finding in found.findings if finding.level is Level.ERROR]


def test_settings_that_a_node_takes_are_taken(tmp_path: Path) -> None:
    read = found(tmp_path, f"HOST_PRIVATE_KEY={KEY}\n", API_PORT="81")
    assert errors(read) == []
    assert read.settings.api_port == 81
    assert read.has_key
    assert str(tmp_path / ".env") in read.findings[0].says


def test_each_mistake_is_a_finding_of_its_own(tmp_path: Path) -> None:
    read = found(
        tmp_path,
        "ENABLE_PROOFS=true\nCHECKPOINT_TOKENS=7\n",
        HOST_PRIVATE_KEY=KEY,
        API_PORT="eighty",
        CONTRACT_PROOF_SYSTEM="0x12",
        MAX_CONNECTIONS="5",
    )
    told = errors(read)
    assert len(told) == 4
    for name in ("ENABLE_PROOFS", "CHECKPOINT_TOKENS", "API_PORT", "CONTRACT_PROOF_SYSTEM"):
        assert sum(name in says for says in told) == 1
    assert read.left_out == {
        "ENABLE_PROOFS",
        "CHECKPOINT_TOKENS",
        "API_PORT",
        "CONTRACT_PROOF_SYSTEM",
    }
    assert read.settings.max_connections == 5
    assert all(finding.advice for finding in read.findings if finding.level is Level.ERROR)


def test_a_missing_key_is_told_once(tmp_path: Path) -> None:
    read = found(tmp_path, "API_PORT=81\n")
    [says] = errors(read)
    assert "HOST_PRIVATE_KEY" in says
    assert not read.has_key
    assert read.settings.api_port == 81


def test_a_key_that_is_none_is_told_once_and_never_shown(tmp_path: Path) -> None:
    read = found(tmp_path, HOST_PRIVATE_KEY="0xabcabcabc")
    [says] = errors(read)
    assert "HOST_PRIVATE_KEY" in says
    assert "abcabc" not in f"{read.findings}"
    assert not read.has_key


def test_a_key_file_that_others_may_read_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    text = f"HOST_PRIVATE_KEY={KEY}\nAPI_PORT=eighty\nMAX_CONNECTIONS=5\n"
    read = found(tmp_path, text, mode=0o644)
    loose, port = (finding for finding in read.findings if finding.level is Level.ERROR)
    assert (loose.name, port.name) == ("host-key", "settings")
    assert "mode 644" in loose.says
    assert f"chmod 600 {tmp_path / '.env'}" in loose.advice
    assert read.has_key
    assert read.settings.max_connections == 5


def test_two_sources_of_the_key_are_a_mistake(tmp_path: Path) -> None:
    read = found(tmp_path, f"HOST_PRIVATE_KEY={KEY}\n", HOST_SIGNER_URL="http://127.0.0.1:1")
    [says] = errors(read)
    assert "HOST_SIGNER_URL" in says
    assert not read.has_key


def test_the_environment_wins_over_the_file_though_something_else_is_wrong(tmp_path: Path) -> None:
    in_file = f"JOB_MARKETPLACE_FAB_WITH_S5_ADDRESS=0x{'11' * 20}\n"
    address = "0x" + "22" * 20
    read = found(
        tmp_path,
        in_file,
        HOST_PRIVATE_KEY=KEY,
        CONTRACT_JOB_MARKETPLACE=address,
        API_PORT="eighty",
    )
    [says] = errors(read)
    assert "API_PORT" in says
    assert str(read.network.marketplace) == address


def test_two_names_of_one_contract_in_one_place_must_agree(tmp_path: Path) -> None:
    names: dict[str, Any] = {
        "CONTRACT_NODE_REGISTRY": "0x" + "11" * 20,
        "NODE_REGISTRY_FAB_ADDRESS": "0x" + "22" * 20,
    }
    [says] = errors(found(tmp_path, HOST_PRIVATE_KEY=KEY, **names))
    assert "differ" in says


@pytest.mark.parametrize("content", [b"\xff\xfe=1\n"])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)
    read = read_settings({"HOST_PRIVATE_KEY": KEY}, tmp_path / ".env")
    [says] = errors(read)
    assert "cannot be read" in says
    assert read.has_key


def test_each_secret_in_a_file_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a portal's token\n")
    (tmp_path / "empty").touch()
    read = read_secrets(
        {
            "S5_PORTAL_TOKEN_FILE": str(tmp_path / "token"),
            "LEDGER_KEY_FILE": str(tmp_path / "absent"),
            "METRICS_TOKEN_FILE": str(tmp_path / "empty"),
        }
    )
    assert read.environment == {"S5_PORTAL_TOKEN": "a portal's token"}
    assert read.left_out == {"LEDGER_KEY", "METRICS_TOKEN"}
    assert [finding.level for finding in read.findings] == [Level.ERROR, Level.ERROR]
    assert str(tmp_path / "absent") in read.findings[0].says
