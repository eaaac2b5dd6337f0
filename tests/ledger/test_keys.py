"""The key that private contents are sealed with."""

from __future__ import annotations

from pathlib import Path

import pytest

from platformless.prover.ledger.errors import LedgerError, LedgerKeyRefused
from platformless.prover.ledger.settings import KEY_FILE, LedgerSettings, ledger_key

from .samples import CHAIN


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    key = ledger_key(folder)
    assert len(key) == 32
    assert ledger_key(folder) == key
    assert [path.name for path in folder.iterdir()] == [KEY_FILE]
    assert (folder / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert ledger_key(folder, "0x" + "ab" * 32) == b"\xab" * 32


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    ledger_key(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o640)
    with pytest.raises(LedgerKeyRefused, match="640"):
        ledger_key(tmp_path)


@pytest.mark.parametrize("given", ["", "ab" * 31, "cafe" * 15 + "nope"])
def test_a_key_that_is_none_is_refused_and_not_repeated(tmp_path: Path, given: str) -> None:
    with pytest.raises(LedgerKeyRefused) as error:
        ledger_key(tmp_path, given)
    assert "cafe" not in str(error.value)
    (tmp_path / KEY_FILE).write_text(given)
    (tmp_path / KEY_FILE).chmod(0o600)
    with pytest.raises(LedgerKeyRefused):
        ledger_key(tmp_path)


def test_a_key_has_32_bytes() -> None:
    with pytest.raises(LedgerError):
        LedgerSettings("sqlite:///x", b"short", CHAIN)
