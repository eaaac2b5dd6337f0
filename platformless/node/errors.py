"""Errors of the node.

NodeError                    NOD-000
└── SettingsError            NOD-100
    ├── MissingSetting       NOD-101   a variable that must be set is not
    ├── WrongSetting         NOD-102   a variable's value cannot be used
    ├── DeprecatedSetting    NOD-103   a variable that is no longer read
    └── LooseSecretFile      NOD-104   a file with a secret that others may read
"""

from __future__ import annotations

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
