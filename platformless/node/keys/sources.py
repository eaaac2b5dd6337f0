"""Where the host's key comes from: the one function that opens it, for every process that needs it.

| set | the key is |
|---|---|
| `HOST_PRIVATE_KEY` | these 32 bytes in hex |
| `HOST_PRIVATE_KEY_FILE` | in this file, in hex |
| `HOST_KEYSTORE` and its password | in this keystore |
| `HOST_SIGNER_URL` | in the signer there, and stays there |

`reading_settings` sees to it that exactly one is set.
"""

from __future__ import annotations

from pathlib import Path

from ...protocol.errors import ValueOutOfRange
from ...protocol.host_key import HostKey, LocalKey
from ..redaction import SECRETS
from ..settings import NodeSettings
from .errors import KeyUnusable
from .files import read_secret
from .keystore import opened
from .remote import RemoteKey


def open_key(settings: NodeSettings) -> HostKey:
    """The host's key. Blocks: a keystore takes about a second, a signer is waited for.

    Raises:
        HostKeyError: when it cannot be had.
    """
    if settings.host_signer_url:
        token = settings.host_signer_token.get_secret_value() or None
        return RemoteKey.connect(settings.host_signer_url, token)
    return open_local_key(settings)


def open_local_key(settings: NodeSettings) -> LocalKey:
    """The key, for a process that holds it itself.

    Raises:
        HostKeyError: when it cannot be had; `KeyUnusable` when a signer has it.
    """
    if settings.host_keystore is not None:
        text = read_secret(settings.host_keystore)
        return opened(text, _password(settings), str(settings.host_keystore))
    if settings.host_private_key_file is not None:
        path = settings.host_private_key_file
        return key_of(read_secret(path), str(path))
    text = settings.host_private_key.get_secret_value()
    if not text:
        raise KeyUnusable("the key is in a signer", expected="a key that this process can read")
    return key_of(text, "HOST_PRIVATE_KEY")


def key_of(text: str, name: str) -> LocalKey:
    """The key that is written so, which is not repeated.

    Raises:
        KeyUnusable
    """
    try:
        key = LocalKey(bytes.fromhex(text.strip().removeprefix("0x")))
    except (ValueError, ValueOutOfRange):
        raise KeyUnusable(
            f"{name} holds no private key", expected="0x and 64 hex digits", got="not shown"
        ) from None
    SECRETS.hide_key(key.secret())
    return key


def _password(settings: NodeSettings) -> str:
    file: Path | None = settings.host_keystore_password_file
    return read_secret(file) if file else settings.host_keystore_password.get_secret_value()
