"""Errors of the host's key. What is secret is in none of them.

HostKeyError             KEY-000
├── KeyFileLoose         KEY-001   a file with a secret that others may read
├── KeyUnusable          KEY-002   a file that is not there, or holds no key
├── KeystoreLocked       KEY-003   a keystore that the password does not open
├── SignerUnreachable    KEY-004   the signer does not answer; also a `KeyUnavailable`
├── SignerRefused        KEY-005   the signer does not sign that, or wants another token
├── SignerUntrue         KEY-006   the signer's answer is not what its key would give
├── NotPermitted         KEY-007   within the signer: against its policy
├── TokenWrong           KEY-008   within the signer: no token, or another one
├── SignerNotPrivate     KEY-009   a place to listen, or to ask, where others could use the key
└── KeystoreExists       KEY-010   a file is there already
"""

from __future__ import annotations

from ...errors import PlatformlessError
from ...protocol.host_key import KeyUnavailable


class HostKeyError(PlatformlessError):
    """The host's key cannot be had, or not used like this."""

    code = "KEY-000"


class KeyFileLoose(HostKeyError):
    code = "KEY-001"
    outcome = "invalid"
    exit_status = 2
    advice = "chmod 600 the file, and let it belong to the user that runs the node"


class KeyUnusable(HostKeyError):
    code = "KEY-002"
    outcome = "invalid"
    exit_status = 2


class KeystoreLocked(HostKeyError):
    code = "KEY-003"
    outcome = "invalid"
    exit_status = 2
    advice = "set HOST_KEYSTORE_PASSWORD or HOST_KEYSTORE_PASSWORD_FILE to the keystore's password"


class SignerUnreachable(HostKeyError, KeyUnavailable):
    code = "KEY-004"
    advice = "start `fabstir-llm-node signer`, or set HOST_SIGNER_URL to where it is"


class SignerRefused(HostKeyError):
    code = "KEY-005"
    advice = "the signer's log says what it was asked for; compare HOST_SIGNER_TOKEN and CHAIN_ID"


class SignerUntrue(HostKeyError):
    code = "KEY-006"
    advice = "see that HOST_SIGNER_URL is the host's own signer"


class NotPermitted(HostKeyError):
    code = "KEY-007"
    outcome = "rejected"
    exit_status = 1


class TokenWrong(HostKeyError):
    code = "KEY-008"
    outcome = "rejected"
    exit_status = 1
    advice = "set the signer's HOST_SIGNER_TOKEN"


class SignerNotPrivate(HostKeyError):
    code = "KEY-009"
    outcome = "invalid"
    exit_status = 2


class KeystoreExists(HostKeyError):
    code = "KEY-010"
    outcome = "invalid"
    exit_status = 2
    advice = "name another file"
