"""deploy/README.md names what exists: files, build arguments, variables, ports, paths."""

from __future__ import annotations

import re

import pytest

from platformless.node.secret_files import SECRETS

from .files import COMPOSE, DEPLOY, DOCKERFILE, ROOT, UNITS, instructions, unit

README = (DEPLOY / "README.md").read_text()
CODE = re.findall(r"```\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize(
    "path", sorted({*re.findall(r"deploy/(?:docker|systemd)/[\w.@*-]+", README)})
)
def test_files_that_it_names_are_there(path: str) -> None:
    if path != "deploy/docker/secrets":
        assert list(ROOT.glob(path)), path


def test_build_arguments_are_the_dockerfiles() -> None:
    table = README.partition("| build argument |")[2].partition("\n\n")[0]
    named = set(re.findall(r"^\| `(.*?)` \|", table.replace("`, `", "` |\n| `"), flags=re.M))
    declared = set(re.findall(r"^ARG (\w+)=", DOCKERFILE.read_text(), flags=re.M))
    assert named == declared


def test_variables_of_compose_are_its_own() -> None:
    line = re.search(r"Limits: (.*?) in `.env`", README)
    assert line is not None
    for name in re.findall(r"`(\w+)`", line[1]):
        assert f"${{{name}:-" in COMPOSE.read_text()


def test_the_containers_command_has_the_images_ports_and_paths() -> None:
    ports = instructions("cuda", "EXPOSE")[-1].split()
    assert {f"-p {port}:{port}" for port in ports} <= set(re.findall(r"-p \S+", CODE[0]))
    assert ":/app/models " in CODE[0]
    assert "docker exec -it fabstir-node /usr/local/bin/fabstir-llm-node register-node" in CODE[0]
    assert "docker build -f Dockerfile.production -t fabstir-llm-node ." in CODE[0]


def test_the_steps_of_systemd_put_what_the_units_need_where_they_need_it() -> None:
    steps = next(block for block in CODE if "systemctl daemon-reload" in block)
    assert "ln -s /opt/fabstir/bin/fabstir-llm-node /usr/local/bin/" in steps
    for path in UNITS:
        said = unit(path)
        assert said["ExecStart"][0].split()[0] == "/usr/local/bin/fabstir-llm-node"
        assert (
            f"--system --home-dir /var/lib/fabstir --shell /usr/sbin/nologin {said['User'][0]}"
            in steps
        )
    assert unit(UNITS[0])["EnvironmentFile"][0] in steps
    assert "/etc/fabstir/secrets/host_private_key" in steps


def test_every_secret_that_may_be_a_file_is_named() -> None:
    for name in SECRETS:
        assert f"`{name.lower()}`" in README
