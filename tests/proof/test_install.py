"""Whoever installs the package alone can verify: no Rust, no C++, no prover."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from platformless.places import cache_folder

from .conftest import BUNDLE

ROOT = Path(__file__).parents[2]


def test_the_installed_wheel_verifies_a_bundle(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": "/usr/bin:/bin"}
    environment.setdefault("UV_CACHE_DIR", str(cache_folder() / "uv"))
    python = tmp_path / "venv" / "bin" / "python"

    def uv(*arguments: str | Path) -> None:
        command = [cache_folder() / "tools" / "bin" / "uv", *arguments, "--quiet"]
        subprocess.run(command, env=environment, check=True)

    uv("build", "--wheel", "--out-dir", tmp_path, ROOT)
    [wheel] = tmp_path.glob("*.whl")
    uv("venv", "--python", sys.executable, tmp_path / "venv")
    lock: list[str | Path] = ["--constraint", ROOT / "requirements.lock", "--no-verify-hashes"]
    uv("pip", "install", "--python", python, *lock, wheel)

    result = subprocess.run(
        [python.with_name("prove-session"), "verify", BUNDLE, "--json"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["outcome"] == "accepted"
