"""Errors of the node.

NodeError                    NOD-000
├── SettingsError            NOD-100
│   ├── MissingSetting       NOD-101   a variable that must be set is not
│   ├── WrongSetting         NOD-102   a variable's value cannot be used
│   ├── DeprecatedSetting    NOD-103   a variable that is no longer read
│   ├── LooseSecretFile      NOD-104   a file with a secret that others may read
│   ├── ModelNotRegistered   NOD-105   the registry has no model with this file's hash
│   ├── PortInUse            NOD-106   the node cannot listen where it should
│   ├── QueuesRefused        NOD-107   queues that no worker serves, or not together
│   └── SecretFileUnusable   NOD-120   a file that stands for a secret variable (secret_files)
├── ClientGone               NOD-300   nobody reads the answer any more
└── SessionError             NOD-200   a client may not do this; `wire_code` is what it is told
    ├── SessionKeyMissing    NOD-201   the session has no key, or its time is over
    ├── ForeignClient        NOD-202   the session belongs to another client
    ├── ReplayedFrame        NOD-203   a frame that was seen before
    ├── TooManyFrames        NOD-204   more frames than are remembered against replay
    ├── TooManySessions      NOD-205   more sessions than the node serves
    ├── AnswerUnderWay       NOD-206   the session's last prompt is still being answered
    ├── OutOfOrder           NOD-207   a frame that needs another one before it
    ├── SessionMismatch      NOD-208   ids that name different sessions
    ├── AcknowledgementRefused NOD-209 an acknowledgement of what never was, or another's
    ├── NotServedHere        NOD-210   something that this node does not do
    ├── RequestRefused       NOD-220   a parameter of a prompt that cannot be used
    ├── JobNotFound          NOD-211   the chain has no such job
    ├── JobNotActive         NOD-212   the job is over
    ├── ForeignHost          NOD-213   the job is another host's
    ├── ModelNotServed       NOD-214   the job is for a model that is not served here
    ├── DepositUsedUp        NOD-215   the job's deposit pays for nothing more
    ├── JobTimedOut          NOD-216   the job has timed out: anyone may end it at any moment
    ├── SessionStateLost     NOD-217   the chain knows more of the session than the ledger
    ├── SessionHasEnded      NOD-218   its client ended it
    ├── ShuttingDown         NOD-219   the node takes no more prompts
    ├── TooManySockets       NOD-226   more connections than the node serves
    ├── EncryptionNeeded     NOD-225   the node serves encrypted sessions only
    ├── ChallengeUnknown     NOD-221   a wallet challenge that was not given out, or used already
    ├── ChallengeExpired     NOD-222   its time is over
    ├── WalletProofNeeded    NOD-223   the client must prove which wallet it is
    ├── WrongWallet          NOD-224   the challenge is not signed by the job's depositor
    └── guard.errors.GuardError GRD-000 a limit refused it, or the operator's blocklist
"""

from __future__ import annotations

from typing import ClassVar

from ..errors import PlatformlessError


class NodeError(PlatformlessError):
    """The node cannot do what it was asked."""

    code = "NOD-000"


class SettingsError(NodeError):
    """The node cannot be started like this."""

    code = "NOD-100"
    outcome = "invalid"
    exit_status = 2


class MissingSetting(SettingsError):
    code = "NOD-101"
    advice = "set it in the environment or in .env"


class WrongSetting(SettingsError):
    code = "NOD-102"


class DeprecatedSetting(SettingsError):
    code = "NOD-103"
    advice = "remove the variable, and set what stands in its place"


class LooseSecretFile(SettingsError):
    code = "NOD-104"
    advice = "chmod 600 the file"


class ClientGone(NodeError):
    code = "NOD-300"


class ModelNotRegistered(SettingsError):
    code = "NOD-105"
    advice = "serve a file that is in ModelRegistry; `fabstir-llm-node model-info` prints its hash"


class PortInUse(SettingsError):
    code = "NOD-106"
    advice = "set API_HOST and API_PORT"


class QueuesRefused(SettingsError):
    code = "NOD-107"


class SessionError(NodeError):
    """A client may not do this."""

    code = "NOD-200"
    wire_code: ClassVar[str] = "SESSION_ERROR"


class SessionKeyMissing(SessionError):
    code = "NOD-201"
    wire_code = "SESSION_KEY_NOT_FOUND"
    advice = "begin the session anew"


class ForeignClient(SessionError):
    code = "NOD-202"
    wire_code = "SESSION_NOT_YOURS"


class ReplayedFrame(SessionError):
    code = "NOD-203"
    wire_code = "REPLAYED"


class TooManyFrames(SessionError):
    code = "NOD-204"
    wire_code = "TOO_MANY_MESSAGES"
    advice = "begin the session anew"


class TooManySessions(SessionError):
    code = "NOD-205"
    wire_code = "NODE_FULL"


class AnswerUnderWay(SessionError):
    code = "NOD-206"
    wire_code = "STREAM_IN_PROGRESS"
    advice = "wait for stream_end, or cancel"


class OutOfOrder(SessionError):
    code = "NOD-207"
    wire_code = "OUT_OF_ORDER"


class SessionMismatch(SessionError):
    code = "NOD-208"
    wire_code = "SESSION_MISMATCH"


class AcknowledgementRefused(SessionError):
    code = "NOD-209"
    wire_code = "ACKNOWLEDGEMENT_REFUSED"


class NotServedHere(SessionError):
    code = "NOD-210"
    wire_code = "NOT_SUPPORTED"


class RequestRefused(SessionError):
    code = "NOD-220"
    outcome = "invalid"
    wire_code = "INVALID_REQUEST"


class JobNotFound(SessionError):
    code = "NOD-211"
    wire_code = "JOB_NOT_FOUND"


class JobNotActive(SessionError):
    code = "NOD-212"
    wire_code = "JOB_NOT_ACTIVE"


class ForeignHost(SessionError):
    code = "NOD-213"
    wire_code = "WRONG_HOST"


class ModelNotServed(SessionError):
    code = "NOD-214"
    wire_code = "MODEL_NOT_SERVED"


class DepositUsedUp(SessionError):
    code = "NOD-215"
    wire_code = "DEPOSIT_USED_UP"
    advice = "open another session"


class JobTimedOut(SessionError):
    code = "NOD-216"
    wire_code = "JOB_TIMED_OUT"
    advice = "open another session"


class SessionStateLost(SessionError):
    """Going on would prove another transcript than the one before."""

    code = "NOD-217"
    wire_code = "SESSION_STATE_LOST"
    advice = "open another session"


class SessionHasEnded(SessionError):
    code = "NOD-218"
    wire_code = "SESSION_ENDED"
    advice = "open another session"


class ShuttingDown(SessionError):
    code = "NOD-219"
    wire_code = "SHUTTING_DOWN"
    advice = "try again in a minute, or use another host"


class ChallengeUnknown(SessionError):
    code = "NOD-221"
    wire_code = "CHALLENGE_UNKNOWN"
    advice = "ask for a new challenge"


class ChallengeExpired(SessionError):
    code = "NOD-222"
    wire_code = "CHALLENGE_EXPIRED"
    advice = "ask for a new challenge"


class WalletProofNeeded(SessionError):
    code = "NOD-223"
    wire_code = "WALLET_PROOF_REQUIRED"
    advice = "sign a challenge of GET /v1/auth/challenge with the depositor's wallet"


class WrongWallet(SessionError):
    code = "NOD-224"
    wire_code = "WRONG_WALLET"
    advice = "sign with the wallet that opened the job"


class EncryptionNeeded(SessionError):
    code = "NOD-225"
    wire_code = "ENCRYPTION_REQUIRED"
    advice = "begin with encrypted_session_init"


class TooManySockets(SessionError):
    code = "NOD-226"
    wire_code = "NODE_FULL"
