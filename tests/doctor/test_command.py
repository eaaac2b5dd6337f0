"""`fabstir-llm-node doctor` as a process: its lines, its JSON, its exit status."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from platformless.node.doctor.examining import CHECKS, Check, examine
from platformless.node.doctor.finding import Finding, Level, error, ok, skipped, warning
from platformless.node.doctor.reading_settings import CONTRACTS
from platformless.node.doctor.report import Report
from platformless.node.doctor.shared import Options, Subject
from platformless.node.settings import NodeSettings
from tests.node.world import NodeWorld

from .conftest import Patient

LINE_BEGINNINGS = tuple(level.value for level in Level)


async def run(patient: Patient, *options: str, **changes: object) -> tuple[int, str]:
    """Exit status and standard output of the command."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "platformless.node", "doctor"),
        *("--env-file", str(patient.folder / ".env"), *options),
        env={**os.environ, **patient.environment(**changes)},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_a_node_that_runs_is_well(patient: Patient, nodes: NodeWorld) -> None:
    async with nodes.node(engine_threads=1) as node:
        changes: dict[str, Any] = {
            "API_PORT": node.report.url.rpartition(":")[2],
            "PUBLIC_URL": node.report.url,
            "DATA_FOLDER": nodes.settings().data_folder,
        }
        status, output = await run(patient, "--json", **changes)
    document = json.loads(output)
    assert (document["format"], document["command"]) == ("doctor/1", "doctor")
    wrong = [finding for finding in document["findings"] if finding["level"] == "error"]
    assert (status, wrong) == (0, [])
    assert document["outcome"] == "warning"  # PUBLIC_URL is http://
    assert sum(document["counts"].values()) == len(document["findings"])
    assert all(set(one) == {"name", "level", "says", "advice"} for one in document["findings"])
    names = {finding["name"] for finding in document["findings"]}
    assert names >= {check.name for check in CHECKS}


async def test_each_finding_is_a_line_and_an_error_is_the_exit_status(patient: Patient) -> None:
    status, output = await run(patient, CHAIN_ID=1, MODEL_PATH="absent\nmodel.gguf")
    assert status == 1
    *lines, counted = output.splitlines()
    assert len(lines) > len(CHECKS)
    assert all(line.startswith(LINE_BEGINNINGS) for line in lines)
    errors = [line for line in lines if line.startswith("error")]
    assert f"{len(errors)} error" in counted
    assert all(" -> " in line for line in errors)
    assert not patient.data.exists()


async def test_a_secrets_file_that_is_not_there_is_a_finding(patient: Patient) -> None:
    status, output = await run(patient, "--json", LEDGER_KEY_FILE=patient.folder / "absent")
    findings = {finding["name"]: finding for finding in json.loads(output)["findings"]}
    assert status == 1
    assert findings["ledger"]["level"] == "skipped"
    assert findings["rpc"]["level"] == "ok"


async def test_bad_usage_is_status_2(patient: Patient) -> None:
    assert (await run(patient, "--no-such-option"))[0] == 2


async def test_looking_leaves_nothing_behind(patient: Patient) -> None:
    before = sorted(patient.folder.rglob("*"))
    await patient.examined()
    assert sorted(patient.folder.rglob("*")) == before


async def test_a_check_that_fails_or_hangs_stops_no_other(tmp_path: Path) -> None:
    async def fails(_subject: Subject) -> list[Finding]:
        raise ZeroDivisionError("a mistake in the check")

    async def hangs(_subject: Subject) -> list[Finding]:
        await asyncio.Event().wait()
        return []

    async def works(_subject: Subject) -> list[Finding]:
        return [ok("works", "it does")]

    checks = [Check("fails", fails), Check("hangs", hangs, seconds=0.01), Check("works", works)]
    environment = {"HOST_PRIVATE_KEY": "0x" + "07" * 32}
    report = await examine(environment, Options(tmp_path / ".env"), checks=checks)
    by_name = {finding.name: finding.level for finding in report.findings}
    assert by_name == {
        "settings": Level.OK,
        "fails": Level.ERROR,
        "hangs": Level.ERROR,
        "works": Level.OK,
    }


async def test_what_depends_on_a_wrong_setting_is_not_looked_at(patient: Patient) -> None:
    found = await patient.finding("ports", API_PORT="eighty")
    assert (found.level, "API_PORT" in found.says) == (Level.SKIPPED, True)


def test_every_variable_that_a_check_needs_is_a_setting() -> None:
    known = {name.upper() for name in NodeSettings.model_fields} | set(CONTRACTS)
    for check in CHECKS:
        assert set(check.needs) <= known, check.name


def test_a_report_counts_and_ends_by_its_worst_finding() -> None:
    findings: tuple[Finding, ...] = (ok("a", "b"), skipped("c", "d"))
    assert (Report(findings).exit_status, Report(findings).outcome) == (0, "ok")
    findings += (warning("e", "f [bold]", "g"),)
    assert (Report(findings).exit_status, Report(findings).outcome) == (0, "warning")
    assert "f \\[bold]" in Report(findings).lines()[2]
    findings += (error("h", "i", "j"),)
    assert (Report(findings).exit_status, Report(findings).outcome) == (1, "error")
    assert Report(findings).lines()[-1] == "1 ok, 1 warning, 1 error, 1 skipped"
