"""The rooms of the house: who may import whom, and what a verifier needs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_rooms_import_only_what_is_below_them() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([lint], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_every_room_is_under_the_import_contract() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = " | ".join(settings["tool"]["importlinter"]["contracts"][0]["layers"]).split(" | ")
    rooms = [path.parent.name for path in (ROOT / "platformless").glob("*/__init__.py")]
    assert rooms
    for room in rooms:
        assert f"platformless.{room}" in layers, room


def test_verification_loads_no_prover() -> None:
    script = (
        "import sys, platformless.audit.verify\n"
        "print([name for name in sys.modules if name.startswith('platformless.prover')])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_no_file_names_this_machine() -> None:
    git = shutil.which("git") or "git"
    found = subprocess.run(
        [git, "grep", "-nIE", r"(/work/(main|shared)|/root/)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    mentions = [line for line in found.stdout.splitlines() if "test_architecture.py" not in line]
    assert mentions == []
