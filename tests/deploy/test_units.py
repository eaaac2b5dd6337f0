"""systemd's units: what systemd says of them, and that they name the paths of the rest."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from platformless.node.secret_files import SECRETS

from .files import DEPLOY, UNITS, unit
from .programs import lint

INSTALL = "make services"
NODE, PROVER, SAMPLER = UNITS
DROP_IN = DEPLOY / "systemd" / "gpu.conf"
PROGRAM = "/usr/local/bin/fabstir-llm-node"
WORST_EXPOSURE = 20  # tenths; systemd calls up to 4.9 "OK", and up to 1.9 is what is reached


def runnable(path: Path, folder: Path, drop_in: Path | None = None) -> Path:
    """A copy with a program that exists here: systemd looks for it."""
    copy = folder / path.name
    text = path.read_text()
    assert f"ExecStart={PROGRAM}" in text
    copy.write_text(text.replace(f"ExecStart={PROGRAM}", "ExecStart=/bin/true"))
    if drop_in is not None:
        (folder / f"{path.name}.d").mkdir()
        (folder / f"{path.name}.d" / drop_in.name).write_text(drop_in.read_text())
    return copy


@pytest.mark.parametrize("drop_in", [None, DROP_IN], ids=["cpu", "gpu"])
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_understands_every_line(path: Path, drop_in: Path | None, tmp_path: Path) -> None:
    copy = runnable(path, tmp_path, drop_in)
    assert not lint("systemd-analyze", INSTALL, "verify", "--man=no", "--recursive-errors=no", copy)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_calls_the_exposure_low(path: Path, tmp_path: Path) -> None:
    copy = runnable(path, tmp_path)
    threshold = f"--threshold={WORST_EXPOSURE}"
    assert not lint("systemd-analyze", INSTALL, "security", "--offline=true", threshold, copy)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_service_is_started_again_unless_its_settings_are_wrong(path: Path) -> None:
    said = unit(path)
    assert said["Restart"] == ["always"]
    assert said["RestartPreventExitStatus"] == ["2"]
    assert said["LimitNOFILE"] == ["65536"]
    assert said["KillMode"] == ["mixed"]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_settings_come_from_a_file_and_secrets_from_credentials(path: Path) -> None:
    said = unit(path)
    for credential in said["LoadCredential"]:
        name, _, file = credential.partition(":")
        assert file == f"/etc/fabstir/secrets/{name}"
        assert name.upper() in (*SECRETS, "HOST_PRIVATE_KEY")
    assert said["EnvironmentFile"][0].startswith("/etc/fabstir/")
    assert not any(secret in " ".join(said["Environment"]) for secret in SECRETS)


def test_only_the_node_has_the_hosts_key() -> None:
    assert "host_private_key" in " ".join(unit(NODE)["LoadCredential"])
    for path in (PROVER, SAMPLER):
        assert "host_private_key" not in " ".join(unit(path)["LoadCredential"])


def test_the_node_is_the_supervisor_and_the_others_are_workers() -> None:
    node, prover, sampler = (shlex.split(unit(path)["ExecStart"][0]) for path in UNITS)
    no_file = ["--env-file", "/dev/null"]
    assert node == [PROGRAM, *no_file]
    assert prover == [PROGRAM, "worker", "--queues", "live,aggregate", *no_file]
    assert sampler == [PROGRAM, "worker", "--queues", "audit", *no_file]


def test_the_sampler_is_a_prover_that_lets_others_go_first() -> None:
    prover, sampler = unit(PROVER), unit(SAMPLER)
    assert sampler["Nice"] == ["10"]
    own = {"Nice", "Description", "Environment", "ExecStart", "StateDirectory", "WorkingDirectory"}
    assert {name: sampler[name] for name in sampler.keys() - own} == {
        name: prover[name] for name in prover.keys() - own
    }


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_what_is_written_is_in_the_state_folder(path: Path) -> None:
    said = unit(path)
    state = f"/var/lib/{said['StateDirectory'][0]}"
    assert said["WorkingDirectory"] == [state]
    settings = " ".join(said["Environment"]).split()
    for name in ("DATA_FOLDER", "HOME"):
        assert f"{name}={state}" in settings
    assert f"PLATFORMLESS_CACHE={state}/cache" in settings
    assert said["StateDirectoryMode"] == ["0700"]


def test_a_stop_takes_as_long_as_a_supervisor_may() -> None:
    assert int(unit(NODE)["TimeoutStopSec"][0]) > int(unit(PROVER)["TimeoutStopSec"][0])


def test_the_operators_command_has_the_services_settings() -> None:
    script = (DEPLOY / "systemd" / "fabstir-admin").read_text()
    said = unit(NODE)
    for name in ("EnvironmentFile", "LoadCredential", "StateDirectory", "WorkingDirectory"):
        assert f"--property={name}={said[name][0]}" in script
    for setting in " ".join(said["Environment"]).split():
        assert f"--setenv={setting}" in script
    assert f"--uid={said['User'][0]}" in script
