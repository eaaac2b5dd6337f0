"""Keystores: the encrypted JSON (Web3 Secret Storage, version 3) that wallets read and write."""

from __future__ import annotations

import json
from pathlib import Path

from ...files import write_atomically
from ...protocol.errors import ValueOutOfRange
from ...protocol.host_key import LocalKey
from ..redaction import SECRETS
from .errors import KeystoreExists, KeystoreLocked, KeyUnusable


def opened(text: str, password: str, name: str) -> LocalKey:
    """The key in a keystore. Takes about a second: the password is stretched.

    Raises:
        KeyUnusable: when the text is no keystore.
        KeystoreLocked: when the password is another.
    """
    from ...chain.accounts import Account  # a node without a keystore does without it

    try:
        fields = json.loads(text)
        if not isinstance(fields, dict) or fields.get("version") != 3:
            raise KeyUnusable(f"{name} is no keystore", expected="Web3 JSON of version 3")
        key = LocalKey(bytes(Account.decrypt(fields, password)))
    except ValueOutOfRange:
        raise KeyUnusable(f"{name} holds no private key", got="not shown") from None
    except json.JSONDecodeError:
        raise KeyUnusable(f"{name} is no keystore", expected="JSON", got="not shown") from None
    except ValueError:
        raise KeystoreLocked(
            f"the password does not open {name}", expected="the keystore's", got="not shown"
        ) from None
    except (KeyError, TypeError, NotImplementedError):
        raise KeyUnusable(f"{name} is no keystore", expected="Web3 JSON of version 3") from None
    SECRETS.hide_key(key.secret())
    return key


def write_keystore(path: Path, key: LocalKey, password: str) -> None:
    """Writes a keystore with mode 600.

    Raises:
        KeystoreExists: when something is there: it may be another key's only copy.
        KeyUnusable: when it cannot be written, or the password is empty.
    """
    from ...chain.accounts import Account

    if not password:
        raise KeyUnusable("a keystore needs a password", expected="one", got="an empty one")
    if path.exists():
        raise KeystoreExists(f"{path} is there already", expected="a new file")
    fields = Account.encrypt(key.secret(), password)
    try:
        write_atomically(path, (json.dumps(fields) + "\n").encode(), mode=0o600)
    except OSError as error:
        raise KeyUnusable(f"cannot write {path}", got=error.strerror or error) from None
