"""Errors of the node.

NodeError                    NOD-000
├── SettingsError            NOD-100
│   ├── MissingSetting       NOD-101   a variable that must be set is not
│   ├── WrongSetting         NOD-102   a variable's value cannot be used
│   ├── DeprecatedSetting    NOD-103   a variable that is no longer read
│   └── LooseSecretFile      NOD-104   a file with a secret that others may read
└── SessionError             NOD-200   a client may not do this; `wire_code` is what it is told
    ├── SessionKeyMissing    NOD-201   the session has no key, or its time is over
    ├── ForeignClient        NOD-202   the session belongs to another client
    ├── ReplayedFrame        NOD-203   a frame that was seen before
    ├── TooManyFrames        NOD-204   more frames than are remembered against replay
    ├── TooManySessions      NOD-205   more sessions than the node serves
    ├── JobNotFound          NOD-211   the chain has no such job
    ├── JobNotActive         NOD-212   the job is over
    ├── ForeignHost          NOD-213   the job is another host's
    ├── ModelNotServed       NOD-214   the job is for a model that is not served here
    ├── DepositUsedUp        NOD-215   the job's deposit pays for nothing more
    └── JobTimedOut          NOD-216   the job has timed out: anyone may end it at any moment
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
