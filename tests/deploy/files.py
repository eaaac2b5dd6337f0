"""The files that are compared with each other, and with what the program reads."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = ROOT / "Dockerfile.production"
COMPOSE = ROOT / "compose.yml"
COMPOSE_CUDA = ROOT / "compose.cuda.yml"
UNITS = tuple(sorted((DEPLOY / "systemd").glob("*.service")))
SCRIPTS = (*sorted((DEPLOY / "docker").glob("*.sh")), DEPLOY / "systemd" / "fabstir-admin")


@cache
def compose() -> dict[str, Any]:
    """compose.yml, with anchors and merges resolved."""
    return dict(yaml.safe_load(COMPOSE.read_text()))


@cache
def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage of the Dockerfile, by the stage's name."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    text = text.replace("\\\n", " ")
    found: dict[str, list[tuple[str, str]]] = {"": []}
    name = ""
    for line in filter(str.strip, text.splitlines()):
        instruction, _, rest = line.strip().partition(" ")
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = [("FROM", base)]
            continue
        found[name].append((instruction, " ".join(rest.split())))
    return found


def instructions(stage: str, kind: str) -> list[str]:
    """What a stage and those that it is built from say, the last one last."""
    own = stages()[stage]
    base = own[0][1]
    inherited = instructions(base, kind) if base in stages() else []
    return [*inherited, *(rest for name, rest in own if name == kind)]


def unit(path: Path) -> dict[str, list[str]]:
    """The directives of a systemd unit; one that is given again adds to the list."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found
