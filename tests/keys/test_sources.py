"""Where the host's key may come from: exactly one place, which nobody else may read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from platformless.chain.accounts import Account
from platformless.node import reading_settings
from platformless.node.errors import LooseSecretFile, MissingSetting, WrongSetting
from platformless.node.keys import files
from platformless.node.keys.errors import KeyFileLoose, KeystoreLocked, KeyUnusable
from platformless.node.keys.sources import open_key, open_local_key
from platformless.node.reading_settings import load_settings
from platformless.node.settings import KEY_SOURCES
from platformless.protocol.host_key import HostKey, LocalKey

KEY = "0x" + "07" * 32
HOST = LocalKey(b"\x07" * 32).address
PASSWORD = "a password of the test"  # noqa: S105


def key_with(variables: Mapping[str, object]) -> HostKey:
    settings, _ = load_settings({name: str(value) for name, value in variables.items()}, None)
    return open_key(settings)


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture(scope="module")
def keystore_text() -> str:
    """As another wallet writes it; with few rounds, since it is about the format."""
    return json.dumps(Account.encrypt(b"\x07" * 32, PASSWORD, kdf="pbkdf2", iterations=2))


def test_the_environment_may_hold_the_key() -> None:
    assert key_with({"HOST_PRIVATE_KEY": KEY}).address == HOST


@pytest.mark.parametrize("mode", [0o600, 0o400])
@pytest.mark.parametrize("text", [KEY, KEY[2:], f"{KEY}\n"])
def test_a_file_may_hold_the_key(tmp_path: Path, mode: int, text: str) -> None:
    path = written(tmp_path / "key", text, mode)
    assert key_with({"HOST_PRIVATE_KEY_FILE": path}).address == HOST


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path / "key", KEY, mode)
    with pytest.raises(KeyFileLoose) as refused:
        key_with({"HOST_PRIVATE_KEY_FILE": path})
    assert refused.value.got == f"mode {mode:03o}"


@pytest.mark.parametrize("text", ["", "0x12", "zz" * 32, "00" * 32, "07" * 33, "\x00" * 70])
def test_a_file_without_a_key_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    path = written(tmp_path / "key", text)
    with pytest.raises(KeyUnusable) as refused:
        key_with({"HOST_PRIVATE_KEY_FILE": path})
    assert not text or text not in str(refused.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable, match="No such file"):
        key_with({"HOST_PRIVATE_KEY_FILE": tmp_path / "key"})


def test_what_systemd_hands_over_is_read_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "host_private_key", KEY, 0o440)  # the mode that an access list shows
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert key_with({"CREDENTIALS_DIRECTORY": tmp_path}).address == HOST
    assert key_with({"HOST_PRIVATE_KEY_FILE": tmp_path / "host_private_key"}).address == HOST


def test_a_containers_secret_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_settings, "_MOUNTED", (str(tmp_path),))
    monkeypatch.setattr(files, "MOUNTED", tmp_path)
    with pytest.raises(MissingSetting):
        load_settings({}, None)
    written(tmp_path / "host_private_key", KEY, 0o444)
    assert key_with({}).address == HOST


def test_a_wallets_keystore_is_opened_with_its_password(tmp_path: Path, keystore_text: str) -> None:
    store = written(tmp_path / "keystore.json", keystore_text)
    password = written(tmp_path / "password", PASSWORD + "\n")
    by_file = {"HOST_KEYSTORE": store, "HOST_KEYSTORE_PASSWORD_FILE": password}
    assert key_with(by_file).address == HOST
    assert key_with({"HOST_KEYSTORE": store, "HOST_KEYSTORE_PASSWORD": PASSWORD}).address == HOST


def test_another_password_opens_nothing_and_is_not_shown(
    tmp_path: Path, keystore_text: str
) -> None:
    store = written(tmp_path / "keystore.json", keystore_text)
    with pytest.raises(KeystoreLocked) as refused:
        key_with({"HOST_KEYSTORE": store, "HOST_KEYSTORE_PASSWORD": "another-one"})
    assert "another-one" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "no json", "[]", "{}", '{"version": 3}', '{"version": 1}'])
def test_what_is_no_keystore_is_refused(tmp_path: Path, text: str) -> None:
    store = written(tmp_path / "keystore.json", text)
    with pytest.raises(KeyUnusable):
        key_with({"HOST_KEYSTORE": store, "HOST_KEYSTORE_PASSWORD": PASSWORD})


@pytest.mark.parametrize("others", [{}, {"PASSWORD": "p", "PASSWORD_FILE": "f"}])
def test_a_keystore_needs_one_password(others: Mapping[str, str]) -> None:
    variables = {f"HOST_KEYSTORE_{name}": value for name, value in others.items()}
    with pytest.raises((MissingSetting, WrongSetting), match="needs one password"):
        load_settings({"HOST_KEYSTORE": "keystore.json", **variables}, None)


def test_two_sources_are_refused_by_their_names() -> None:
    with pytest.raises(WrongSetting) as refused:
        load_settings({"HOST_PRIVATE_KEY": KEY, "HOST_SIGNER_URL": "unix:///run/signer"}, None)
    assert refused.value.got == "HOST_PRIVATE_KEY and HOST_SIGNER_URL"
    assert "0707" not in str(refused.value)


def test_none_is_refused_with_what_could_be_set() -> None:
    with pytest.raises(MissingSetting) as refused:
        load_settings({}, None)
    assert refused.value.expected == " or ".join(KEY_SOURCES)


def test_a_key_that_a_signer_has_is_not_had_here() -> None:
    settings, _ = load_settings({"HOST_SIGNER_URL": "unix:///run/signer"}, None)
    with pytest.raises(KeyUnusable, match="in a signer"):
        open_local_key(settings)


@pytest.mark.parametrize(
    "line",
    ["HOST_PRIVATE_KEY=" + KEY, "HOST_KEYSTORE_PASSWORD=secret", "HOST_SIGNER_TOKEN=secret"],
)
def test_a_settings_file_with_a_secret_is_the_owners_alone(tmp_path: Path, line: str) -> None:
    path = written(tmp_path / ".env", line, 0o644)
    with pytest.raises(LooseSecretFile):
        load_settings({}, path)


def test_nothing_secret_is_shown() -> None:
    settings, _ = load_settings(
        {
            "HOST_KEYSTORE": "keystore.json",
            "HOST_KEYSTORE_PASSWORD": "keystore-secret",
            "HOST_SIGNER_TOKEN": "token-secret",
        },
        None,
    )
    shown = f"{settings!r} {settings} {settings.model_dump()}"
    assert "keystore-secret" not in shown
    assert "token-secret" not in shown
