"""`--version` of both commands, where the commit comes from, and shell completion."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from platformless import __version__
from platformless.audit.release import trusted_images
from platformless.commit import RECORD, commit, commit_of

ROOT = Path(__file__).parents[2]
NO_DETECTION = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
"""Then --show-completion takes the shell's name."""
COMMANDS = ("fabstir-llm-node", "prove-session")


def run(command: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name(command), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    done = subprocess.run(
        [shutil.which("git") or "git", "-C", folder, *identity, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_version_names_what_it_is_made_of(command: str) -> None:
    done = run(command, "--version", PLATFORMLESS_BUILD="abc123")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"{command} {__version__}"
    facts = dict(line.split(maxsplit=1) for line in lines[1:])
    assert facts["commit"] == "abc123"
    assert facts["zkVM"].startswith("risc0-zkvm ")
    for image in trusted_images().values():
        assert str(image) in done.stdout
    assert "llama-cpp-python" in facts["llama.cpp"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_version_is_told_as_json(command: str, tmp_path: Path) -> None:
    absent = {"STARK_PROVER": f"{tmp_path}/a", "STARK_PROVER_CUDA": f"{tmp_path}/b"}
    done = run(command, "--version", "--json", **absent)
    document = json.loads(done.stdout)
    assert document["format"] == f"{command}/1"
    assert document["version"] == __version__
    assert document["commit"] == commit()
    assert document["image_ids"] == {name: str(image) for name, image in trusted_images().items()}
    assert document["provers"] == []
    assert document["engine"]["gpu"] in (True, False)


def test_what_is_not_installed_is_told(tmp_path: Path) -> None:
    """An environment without llama.cpp: a module of that name that is not there."""
    (tmp_path / "llama_cpp.py").write_text(
        "raise ModuleNotFoundError('no llama_cpp', name='llama_cpp')"
    )
    absent = {"STARK_PROVER": f"{tmp_path}/a", "STARK_PROVER_CUDA": f"{tmp_path}/b"}
    done = run("prove-session", "--version", PYTHONPATH=str(tmp_path), **absent)
    assert done.returncode == 0, done.stderr
    facts = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert facts["prover"] == "not installed"
    assert facts["llama.cpp"] == "not installed"


def test_a_library_that_does_not_load_is_told(tmp_path: Path) -> None:
    """As llama.cpp built for CUDA fails without a driver."""
    (tmp_path / "llama_cpp.py").write_text(
        "raise RuntimeError('Failed to load shared library: libcuda.so.1')"
    )
    done = run("fabstir-llm-node", "--version", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "llama.cpp         does not load: Failed to load" in done.stdout


def test_a_prover_that_does_not_start_is_told(tmp_path: Path) -> None:
    binary = tmp_path / "stark-prover"
    binary.write_text("#!/bin/sh\necho libcuda.so.1 is missing >&2\nexit 127\n")
    binary.chmod(stat.S_IRWXU)
    done = run("prove-session", "--version", STARK_PROVER=str(binary))
    assert done.returncode == 0, done.stderr
    assert f"{binary}: PRV-002" in done.stdout
    assert "libcuda.so.1 is missing" in done.stdout


def test_options_of_the_program_are_not_taken_for_a_commands() -> None:
    assert run("prove-session", "--json", "inspect", "absent").returncode == 2
    assert run("prove-session", "--json").returncode == 2
    assert "Usage: prove-session" in run("prove-session", "--help").stdout


class TestCommit:
    """Where the commit comes from."""

    @pytest.fixture
    def package(self, tmp_path: Path) -> Path:
        package = tmp_path / "checkout" / "platformless"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        return package

    def test_the_environment_comes_first(self, package: Path) -> None:
        (package / RECORD).write_text("recorded\n")
        assert commit_of(package, {"PLATFORMLESS_BUILD": " said "}) == "said"

    @pytest.mark.parametrize("environment", [{}, {"PLATFORMLESS_BUILD": "unknown"}])
    def test_a_checkout_comes_next(self, package: Path, environment: Mapping[str, str]) -> None:
        checkout = package.parent
        git(checkout, "init")
        git(checkout, "add", ".")
        git(checkout, "commit", "-m", "first")
        (package / RECORD).write_text("recorded\n")
        head = git(checkout, "rev-parse", "HEAD")
        assert commit_of(package, environment) == head
        (package / "__init__.py").write_text("# changed")
        assert commit_of(package, environment) == f"{head}-dirty"

    def test_a_build_may_have_recorded_it(self, package: Path) -> None:
        (package / RECORD).write_text("recorded\n")
        assert commit_of(package, {}) == "recorded"

    def test_a_package_is_not_the_checkout_that_it_is_installed_in(self, package: Path) -> None:
        checkout = package.parent
        git(checkout, "init")
        git(checkout, "commit", "--allow-empty", "-m", "first")
        installed = checkout / ".venv" / "site-packages" / "platformless"
        installed.mkdir(parents=True)
        assert commit_of(installed, {}) == "unknown"

    def test_otherwise_it_is_unknown(self, package: Path) -> None:
        assert commit_of(package, {}) == "unknown"


class TestCompletion:
    """The shell's protocol: the command itself is asked for the words that may follow."""

    @pytest.mark.parametrize(
        ("command", "typed", "expected"),
        [
            ("fabstir-llm-node", "fabstir-llm-node doc", ["doctor"]),
            ("fabstir-llm-node", "fabstir-llm-node jobs re", ["retry"]),
            ("prove-session", "prove-session insp", ["inspect"]),
        ],
    )
    def test_names_of_commands_are_completed(
        self, command: str, typed: str, expected: list[str]
    ) -> None:
        variable = f"_{command.replace('-', '_').upper()}_COMPLETE"
        words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
        done = run(command, **{variable: "complete_bash", "_TYPER_COMPLETE_ARGS": typed, **words})
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == expected

    @pytest.mark.parametrize("command", COMMANDS)
    def test_the_script_for_a_shell_is_shown(self, command: str) -> None:
        done = run(
            command, "--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"
        )
        assert done.returncode == 0, done.stderr
        assert f"complete -o default -F _{command.replace('-', '_')}_completion" in done.stdout
        assert command in done.stdout
