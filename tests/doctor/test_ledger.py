"""The ledger is looked at, and stays as it is to the last byte."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from pathlib import Path

from platformless.chain.devchain import DevChain
from platformless.node.backing import chain_tag
from platformless.node.doctor.finding import Level
from platformless.prover.ledger.settings import LedgerSettings, ledger_key
from tests.ledger_jobs.builder import PROBLEM, Store

from .conftest import Patient, levels


def content(folder: Path) -> dict[str, str]:
    """Every file below a folder, by the hash of its bytes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


async def opened(patient: Patient, url: str = "") -> Store:
    """The node's ledger, with a session of three checkpoints."""
    tag = await chain_tag(patient.world.chain)
    data = patient.data
    url = url or f"sqlite:///{data}/ledger.db"
    store = await Store.open(LedgerSettings(url, ledger_key(data), tag))
    await store.session(7, 3)
    return store


async def test_where_no_node_has_run_nothing_is_begun(patient: Patient) -> None:
    found = await patient.finding("ledger")
    assert (found.level, "none yet" in found.says) == (Level.OK, True)
    assert not patient.data.exists()


async def test_a_ledger_that_is_whole_is_well_and_not_touched(patient: Patient) -> None:
    await (await opened(patient)).close()
    before = content(patient.data)
    found = await patient.findings("ledger")
    assert levels(found) == [Level.OK, Level.OK]
    assert content(patient.data) == before


async def test_failed_jobs_are_counted_also_while_a_node_writes(patient: Patient) -> None:
    store = await opened(patient)
    try:
        await store.jobs.fail(await store.claimed(), PROBLEM)
        before = content(patient.data)
        found = await patient.findings("ledger")
        assert content(patient.data).keys() == before.keys()
        assert levels(found) == [Level.OK, Level.WARNING, Level.OK]
        assert "1 jobs have failed" in found[1].says
        assert "jobs retry" in found[1].advice
        await store.session(8)  # it is not locked
    finally:
        await store.close()


async def test_failed_jobs_of_other_chains_do_not_count(patient: Patient) -> None:
    data = patient.data
    store = await Store.open(
        LedgerSettings(f"sqlite:///{data}/ledger.db", ledger_key(data), "1:0xaa:0xbb")
    )
    await store.session(7)
    await store.jobs.fail(await store.claimed(), PROBLEM)
    await store.close()
    assert levels(await patient.findings("ledger")) == [Level.OK, Level.OK]


async def test_a_damaged_file_is_told(patient: Patient) -> None:
    await (await opened(patient)).close()
    file = patient.data / "ledger.db"
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 8192] = b"\xa5" * 8192
    file.write_bytes(data)
    found = (await patient.findings("ledger"))[0]
    assert found.level is Level.ERROR
    file.write_bytes(b"no database at all, but long enough to be read as one" * 100)
    found = (await patient.findings("ledger"))[0]
    assert (found.level, "cannot be read" in found.says) == (Level.ERROR, True)


async def test_tables_of_other_versions_are_told(patient: Patient) -> None:
    await (await opened(patient)).close()

    def set_version(version: str) -> None:
        with sqlite3.connect(patient.data / "ledger.db") as connection:
            connection.execute("UPDATE ledger_version SET version_num = ?", (version,))
        connection.close()

    await asyncio.to_thread(set_version, "0001")
    assert (await patient.findings("ledger"))[0].level is Level.WARNING
    await asyncio.to_thread(set_version, "9999")
    found = (await patient.findings("ledger"))[0]
    assert (found.level, "newer version" in found.says) == (Level.ERROR, True)


async def test_another_key_than_the_ledgers_is_told(patient: Patient) -> None:
    await (await opened(patient)).close()
    found = (await patient.findings("ledger", LEDGER_KEY="ab" * 32))[0]
    assert found.level is Level.ERROR
    (patient.data / "ledger.key").chmod(0o644)
    found = (await patient.findings("ledger"))[0]
    assert (found.level, "600" in found.says) == (Level.ERROR, True)
    (patient.data / "ledger.key").unlink()
    found = (await patient.findings("ledger"))[-1]
    assert (found.name, found.level) == ("ledger-key", Level.ERROR)
    assert not (patient.data / "ledger.key").exists()


async def test_a_ledger_on_a_server_is_looked_at(patient: Patient, postgresql_url: str) -> None:
    def level_of_tables() -> list[Level]:
        return levels([finding for finding in found if finding.name == "ledger"])

    found = await patient.findings("ledger", LEDGER_URL=postgresql_url)
    assert level_of_tables() == [Level.WARNING], "the node has not made its tables yet"
    store = await opened(patient, postgresql_url)
    await store.jobs.fail(await store.claimed(), PROBLEM)
    await store.close()
    found = await patient.findings("ledger", LEDGER_URL=postgresql_url)
    assert level_of_tables() == [Level.OK, Level.WARNING]


async def test_a_server_that_does_not_answer_is_told(patient: Patient) -> None:
    url = "postgresql+psycopg://user:secret-word@127.0.0.1:1/ledger"
    found = (await patient.findings("ledger", LEDGER_URL=url))[0]
    assert found.level is Level.ERROR
    assert "secret-word" not in f"{found}"
    found = (await patient.findings("ledger", LEDGER_URL="no url"))[0]
    assert found.level is Level.ERROR


async def test_without_the_chain_the_ledger_is_looked_at_all_the_same(
    patient: Patient, dev_chain: DevChain
) -> None:
    assert dev_chain.is_running
    await (await opened(patient)).close()
    found = await patient.findings("ledger", RPC_URL="http://127.0.0.1:1")
    assert levels(found) == [Level.OK, Level.OK]
