"""Secrets that are files instead of variables: Docker's and systemd's way to hand them over.

`LEDGER_URL_FILE=/run/secrets/ledger_url` names the file that holds `LEDGER_URL`; systemd's
credentials (`LoadCredential=ledger_url:…`) are found by their names in lower case. What is handed
over so is shown by neither `docker inspect` nor `systemctl show`. The host's key has its own ways
(`keys/`), in which it never becomes a variable.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from pathlib import Path

from .errors import SettingsError

SECRETS = (
    "LEDGER_KEY",
    "LEDGER_URL",
    "BROKER_URL",
    "S5_PORTAL_TOKEN",
    "METRICS_TOKEN",
    "HOST_SIGNER_TOKEN",
)
"""What may be a file: keys and tokens, and URLs that hold a password."""

CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Where systemd says that a service's credentials are."""

_SUFFIX = "_FILE"
_LARGEST_BYTES = 4096


class SecretFileUnusable(SettingsError):
    """A file that should hold a secret does not, or says something else than the variable."""

    code = "NOD-120"


def secrets_from_files(environment: Mapping[str, str]) -> dict[str, str]:
    """The secrets that files hold, by the names of their variables.

    Raises:
        SecretFileUnusable: when a file cannot be read, is empty or too large, or when the variable
            is set as well and differs. What is in them is never shown.
    """
    found: dict[str, str] = {}
    for name, path in _files(environment).items():
        value = _read(name, path)
        if environment.get(name, "").strip() not in ("", value):
            raise SecretFileUnusable(
                f"{name} is set, and {path} says something else", expected="one of them"
            )
        found[name] = value
    return found


def take_secrets(environment: MutableMapping[str, str]) -> None:
    """Puts the secrets that files hold into the environment, and takes the files' names out of it:
    a child that is started without a secret shall not be told its file.

    Raises:
        SecretFileUnusable: see `secrets_from_files`.
    """
    found = secrets_from_files(environment)
    for name in SECRETS:
        environment.pop(name + _SUFFIX, None)
    environment.update(found)


def _files(environment: Mapping[str, str]) -> dict[str, Path]:
    """A variable's own file comes before systemd's credential."""
    files = {}
    folder = environment.get(CREDENTIALS, "").strip()
    for name in SECRETS:
        chosen = environment.get(name + _SUFFIX, "").strip()
        credential = Path(folder, name.lower())
        if chosen:
            files[name] = Path(chosen)
        elif folder and credential.is_file():
            files[name] = credential
    return files


def _read(name: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_BYTES + 1)
        value = data.decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "bytes that are no text"
        raise SecretFileUnusable(
            f"cannot read {name} from {path}", expected="a text file", got=reason
        ) from None
    if not value or len(data) > _LARGEST_BYTES or "\n" in value:
        raise SecretFileUnusable(
            f"{path} does not hold {name}",
            expected=f"one line of at most {_LARGEST_BYTES} bytes",
            got="nothing" if not value else "more",
        )
    return value
