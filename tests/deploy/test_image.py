"""Dockerfile.production says what the deployment guide's commands need. It is read here, not built:
deploy/README.md tells how it was."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from platformless.node.settings import NodeSettings

from .files import DEPLOY, DOCKERFILE, ROOT, instructions, stages
from .programs import lint

TARGETS = ("cpu", "cuda")


def test_hadolint_has_nothing_to_say() -> None:
    config = DEPLOY / "docker" / "hadolint.yaml"
    assert not lint("hadolint", "make setup", "--no-color", "--config", config, DOCKERFILE)


def test_the_default_target_is_cuda() -> None:
    assert list(stages())[-1] == "cuda"
    assert "cpu" in stages()


@pytest.mark.parametrize("target", TARGETS)
def test_the_guides_paths_are_there(target: str) -> None:
    assert instructions(target, "WORKDIR")[-1] == "/app"
    run = " ".join(instructions(target, "RUN"))
    assert "ln -s /opt/fabstir/bin/fabstir-llm-node" in run
    assert "/usr/local/bin/" in run
    assert "/app/models" in run
    assert json.loads(instructions(target, "ENTRYPOINT")[-1])[-1] == (
        "/usr/local/bin/fabstir-llm-node"
    )


@pytest.mark.parametrize("target", TARGETS)
def test_the_ports_are_the_settings_defaults(target: str) -> None:
    exposed = instructions(target, "EXPOSE")[-1].split()
    fields = NodeSettings.model_fields
    assert exposed == [str(fields["api_port"].default), str(fields["p2p_port"].default)]


@pytest.mark.parametrize("target", TARGETS)
def test_it_runs_as_a_user_of_a_fixed_number_that_is_not_root(target: str) -> None:
    assert instructions(target, "USER") == ["10001:10001"]
    run = " ".join(instructions(target, "RUN"))
    assert "--uid 10001" in run
    assert "--gid 10001" in run


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_kept_is_in_a_volume(target: str) -> None:
    volumes = json.loads(instructions(target, "VOLUME")[-1])
    environment = " ".join(instructions(target, "ENV"))
    assert volumes == ["/app/data"]
    for setting in ("DATA_FOLDER=/app/data", "PLATFORMLESS_CACHE=/app/data/", "HOME=/app/data"):
        assert setting in environment


@pytest.mark.parametrize("target", TARGETS)
def test_its_health_is_the_nodes_and_asked_without_curl(target: str) -> None:
    check = instructions(target, "HEALTHCHECK")[-1]
    assert "/usr/local/lib/fabstir/healthcheck.py" in check
    assert "curl" not in DOCKERFILE.read_text()


@pytest.mark.parametrize("target", TARGETS)
def test_each_target_has_the_prover_of_its_device(target: str) -> None:
    copied = " ".join(instructions(target, "COPY"))
    assert "/usr/local/bin/stark-prover" in copied
    assert ("/usr/local/bin/stark-prover-cuda" in copied) == (target == "cuda")


def test_the_commit_comes_from_a_build_argument() -> None:
    assert "PLATFORMLESS_BUILD=unknown" in instructions("runtime", "ARG")
    assert "PLATFORMLESS_BUILD=${PLATFORMLESS_BUILD}" in " ".join(instructions("runtime", "ENV"))
    assert 'image.revision="${PLATFORMLESS_BUILD}"' in " ".join(instructions("runtime", "LABEL"))


def test_the_tools_are_those_of_the_checkout() -> None:
    text = DOCKERFILE.read_text()
    assert "s/^UV_VERSION=//p' tools/environment.sh" in text
    assert re.search(r"^UV_VERSION=[0-9.]+$", (ROOT / "tools/environment.sh").read_text(), re.M)
    assert "tools/prover.sh \\" in text
    assert "tools/prover.sh cuda" in text
    compiler = re.search(r"need clang\+\+-19 (\S+)", (ROOT / "tools/common.sh").read_text())
    assert compiler is not None
    assert compiler[1] in " ".join(instructions("prover-cpu", "RUN"))


def test_pythons_environment_is_the_lock_files_hash_by_hash() -> None:
    script = (DEPLOY / "docker" / "python-environment.sh").read_text()
    assert "--require-hashes" in script
    assert "--constraint" in script
    wheel = (DEPLOY / "docker" / "llama-wheel.sh").read_text()
    assert "--require-hashes" in wheel
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extra in extras["optional-dependencies"]:
        assert f"--extra {extra}" in script


def test_the_images_of_the_guides_cuda_release_are_the_default() -> None:
    defaults = dict(text.split("=", 1) for name, text in stages()[""] if name == "ARG")
    assert defaults["CUDA_DEVEL_IMAGE"] == "nvidia/cuda:12.2.2-devel-ubuntu22.04"
    assert defaults["CUDA_RUNTIME_IMAGE"] == "nvidia/cuda:12.2.2-runtime-ubuntu22.04"


def test_what_is_copied_may_enter_the_build_and_nothing_secret_may() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert next(line for line in ignored if not line.startswith("#")) == "*"
    allowed = [line[1:] for line in ignored if line.startswith("!")]
    for stage in stages():
        for name, rest in stages()[stage]:
            if name != "COPY" or rest.startswith("--from"):
                continue
            for source in rest.split()[:-1]:
                path = ROOT / source
                assert path.exists(), source
                assert any(
                    path == ROOT / pattern
                    or ROOT / pattern.partition("*")[0] in (path, *path.parents)
                    or path.match(pattern)
                    or path.is_relative_to(ROOT / pattern)
                    for pattern in allowed
                ), source
    assert "**/.env*" in ignored
    for secret in (".env", "deploy/docker/secrets", "data", ".git"):
        assert not any(secret == pattern.split("/*")[0] for pattern in allowed)


@pytest.mark.parametrize("instruction", ["ARG", "ENV"])
def test_no_layer_has_a_secret(instruction: str) -> None:
    for stage in stages():
        for name, rest in stages()[stage]:
            if name == instruction:
                assert not re.search(r"KEY|TOKEN|PASSWORD|SECRET", rest), rest
