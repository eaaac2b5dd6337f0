"""Secrets that are handed over as files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from platformless.node.secret_files import SecretFileUnusable, secrets_from_files, take_secrets


def held(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_a_file_stands_for_a_variable(tmp_path: Path) -> None:
    path = held(tmp_path, "url", "postgresql+psycopg://u:p@h/d\n")
    assert secrets_from_files({"LEDGER_URL_FILE": path}) == {
        "LEDGER_URL": "postgresql+psycopg://u:p@h/d"
    }


def test_systemds_credentials_are_found_by_their_names(tmp_path: Path) -> None:
    held(tmp_path, "ledger_key", "11" * 32)
    held(tmp_path, "something_else", "x")
    found = secrets_from_files({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert found == {"LEDGER_KEY": "11" * 32}


def test_a_variables_own_file_comes_before_a_credential(tmp_path: Path) -> None:
    held(tmp_path, "broker_url", "redis://credential")
    own = held(tmp_path, "own", "redis://own")
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path), "BROKER_URL_FILE": own}
    assert secrets_from_files(environment) == {"BROKER_URL": "redis://own"}


def test_what_a_child_inherits_has_the_secret_and_not_the_files_name(tmp_path: Path) -> None:
    environment = {"METRICS_TOKEN_FILE": held(tmp_path, "token", "secret"), "OTHER": "x"}
    take_secrets(environment)
    assert environment == {"METRICS_TOKEN": "secret", "OTHER": "x"}


def test_the_hosts_key_never_becomes_a_variable(tmp_path: Path) -> None:
    path = held(tmp_path, "host_private_key", "11" * 32)
    environment = {"HOST_PRIVATE_KEY_FILE": path, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    before = dict(environment)
    take_secrets(environment)
    assert environment == before


def test_a_variable_that_says_the_same_does_not_disturb(tmp_path: Path) -> None:
    path = held(tmp_path, "token", "secret\n")
    assert secrets_from_files({"METRICS_TOKEN": "secret", "METRICS_TOKEN_FILE": path})


def test_a_variable_that_says_something_else_is_refused(tmp_path: Path) -> None:
    path = held(tmp_path, "token", "secret-in-file")
    with pytest.raises(SecretFileUnusable) as refusal:
        secrets_from_files({"METRICS_TOKEN": "secret-in-variable", "METRICS_TOKEN_FILE": path})
    assert "secret-in" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b" \n", b"a\nb", b"x" * 5000, b"\xff\xfe"])
def test_a_file_that_holds_no_secret_is_refused_and_not_shown(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(SecretFileUnusable) as refusal:
        secrets_from_files({"METRICS_TOKEN_FILE": str(path)})
    assert refusal.value.exit_status == 2
    assert "xxxx" not in str(refusal.value)


@pytest.mark.parametrize("path", ["/nowhere/token", os.sep])
def test_a_file_that_cannot_be_read_is_named(path: str) -> None:
    with pytest.raises(SecretFileUnusable, match="METRICS_TOKEN"):
        secrets_from_files({"METRICS_TOKEN_FILE": path})
