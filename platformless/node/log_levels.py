"""How much is logged: `info`, or a level for a module as well, `info,platformless.chain=debug`.

A module stands for all that is in it, and the longest name that fits counts. Names of the older
node's modules are understood: `fabstir_llm_node::chain=debug`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

PACKAGE = "platformless"
TRACE = 5
"""More than debugging: every step of what is repeated often."""
LEVELS = {
    "trace": TRACE,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "off": logging.ERROR,  # what failed is always told
}
_NAMES = {level: name for name, level in reversed(LEVELS.items()) if name not in ("warning", "off")}
_OLDER = "fabstir_llm_node"


@dataclass(frozen=True, slots=True)
class LogLevels:
    """Levels as `logging` numbers them."""

    default: int = logging.INFO
    """Of this package."""
    modules: Mapping[str, int] = field(default_factory=dict)
    """Of parts of it, and of libraries, by their loggers' names."""

    def __str__(self) -> str:
        """As `parse_levels` reads it."""
        named = [f"{name}={_NAMES[level]}" for name, level in self.modules.items()]
        return ",".join([_NAMES[self.default], *named])


def parse_levels(text: str) -> LogLevels:
    """Raises:
    ValueError: naming what is no level and no `module=level`.
    """
    return _levels(text, lenient=False)


def parse_rust_log(text: str) -> LogLevels:
    """As `parse_levels`; what only Rust programs understand is passed over."""
    return _levels(text, lenient=True)


def _levels(text: str, *, lenient: bool) -> LogLevels:
    default = logging.INFO
    modules: dict[str, int] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, _, level_name = part.rpartition("=")
        module = _module(name)
        level = LEVELS.get(level_name.strip().lower())
        if level is None or not (part == level_name or _is_module(module)):
            if lenient:
                continue
            raise ValueError(
                f"a level ({', '.join(LEVELS)}), or with commas module=level: not {part!r}"
            )
        if part == level_name or module == PACKAGE:
            default = level
        else:
            modules[module] = level
    return LogLevels(default, modules)


def _module(name: str) -> str:
    words = name.strip().replace("::", ".").split(".")
    return ".".join([PACKAGE if words[0] == _OLDER else words[0], *words[1:]])


def _is_module(name: str) -> bool:
    return all(word.isidentifier() for word in name.split("."))
