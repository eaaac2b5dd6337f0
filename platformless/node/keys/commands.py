"""`fabstir-llm-node key …`: which account a host has, and its key as a keystore."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from ...console import BadInput, Output
from ...protocol.digests import Address
from ...protocol.host_key import HostKey, LocalKey
from ...protocol.secrecy import PublicKeyBytes
from ..reading_settings import load_settings
from .files import read_secret
from .keystore import write_keystore
from .sources import key_of, open_key, open_local_key

PASSWORD = "HOST_KEYSTORE_PASSWORD"  # noqa: S105


@dataclass(frozen=True, slots=True)
class KeyReport:
    """What may be told of a key."""

    address: Address
    public_key: PublicKeyBytes
    keystore: Path | None = None
    """That was written."""

    @classmethod
    def of(cls, key: HostKey, keystore: Path | None = None) -> KeyReport:
        return cls(key.address, key.public_key, keystore)


def show_address(output: Output, env_file: Path) -> KeyReport:
    """Opens the key that the settings name, and tells its account.

    Raises:
        SettingsError, HostKeyError
    """
    settings, _ = load_settings(env_file=env_file)
    return _told(output, KeyReport.of(open_key(settings)))


def export_keystore(
    output: Output, env_file: Path, out: Path, password_file: Path | None
) -> KeyReport:
    """Writes the key that the settings name into a keystore.

    Raises:
        SettingsError, HostKeyError
    """
    settings, _ = load_settings(env_file=env_file)
    return _written(output, open_local_key(settings), out, password_file)


def import_key(
    output: Output, key_file: Path | None, out: Path, password_file: Path | None
) -> KeyReport:
    """Writes a key from a file, or from standard input, into a keystore.

    Raises:
        HostKeyError
    """
    if key_file is not None:
        key = key_of(read_secret(key_file), str(key_file))
    elif sys.stdin.isatty():
        key = key_of(getpass.getpass("private key (not shown): "), "what was typed")
    else:
        key = key_of(sys.stdin.readline(), "standard input")
    return _written(output, key, out, password_file)


def _written(output: Output, key: LocalKey, out: Path, password_file: Path | None) -> KeyReport:
    write_keystore(out, key, _new_password(password_file))
    return _told(output, KeyReport.of(key, out.absolute()))


def _new_password(file: Path | None) -> str:
    """Raises:
    BadInput: when there is no way to get one.
    """
    if file is not None:
        return read_secret(file)
    if os.environ.get(PASSWORD):
        return os.environ[PASSWORD]
    if not sys.stdin.isatty():
        raise BadInput("no password", expected=f"--password-file, or {PASSWORD}")
    first = getpass.getpass("password of the keystore: ")
    if getpass.getpass("once more: ") != first:
        raise BadInput("the passwords differ", expected="the same twice")
    return first


def _told(output: Output, report: KeyReport) -> KeyReport:
    if output.as_json:
        output.json(
            "done",
            address=str(report.address),
            public_key=str(report.public_key),
            keystore=None if report.keystore is None else str(report.keystore),
        )
        return report
    output.line(f"address     {report.address}")
    output.line(f"public key  {report.public_key}")
    if report.keystore is not None:
        output.line(f"written to {report.keystore}; set HOST_KEYSTORE to it, and remove the key")
    return report
