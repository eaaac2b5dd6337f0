"""Tables come from migrations, and are those that the code describes."""

from __future__ import annotations

import importlib
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import platformless.prover.ledger
from platformless.protocol.digests import TraceRoot
from platformless.prover.ledger.database import Database
from platformless.prover.ledger.errors import LedgerTooNew
from platformless.prover.ledger.job_reading import JobReader
from platformless.prover.ledger.job_states import JobKind, JobQueue, JobState
from platformless.prover.ledger.job_values import Problem, Worker
from platformless.prover.ledger.job_writing import JobWriter
from platformless.prover.ledger.migrations import upgrading
from platformless.prover.ledger.tables import metadata
from tests.ledger_jobs.builder import ARTEFACT

from .samples import CHAIN, marking, marks

FOLDER = Path(upgrading.__file__).parent
BEFORE_VERSIONS = (
    "bindings",
    "seen_inits",
    "sessions",
    "entries",
    "streamed",
    "checkpoints",
    "acknowledgements",
)
OPEN = """
import sys
from platformless.prover.ledger.database import Database
Database.open(sys.argv[1]).close()
print([name for name in sys.modules if name.split(".")[0] in ("alembic", "mako")])
"""
BROKEN = """
import sqlalchemy as sa
from alembic import op

revision = "9000"
down_revision = "{latest}"


def upgrade() -> None:
    op.create_table("half", sa.Column("n", sa.Integer))
    raise ZeroDivisionError
"""


@pytest.fixture
def engine(url: str, tmp_path: Path) -> Iterator[sa.Engine]:
    """The database, not yet a ledger."""
    (tmp_path / "new").mkdir(exist_ok=True)
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


def differences(engine: sa.Engine) -> list[Any]:
    """Between the tables that are there and those that any module of the ledger describes."""
    for module in pkgutil.iter_modules(platformless.prover.ledger.__path__):
        importlib.import_module(f"platformless.prover.ledger.{module.name}")
    with engine.connect() as connection:
        options = {"version_table": upgrading.VERSION_TABLE, "compare_server_default": True}
        return list(
            compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        )


def set_version(engine: sa.Engine, version: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE {upgrading.VERSION_TABLE} SET version_num = '{version}'"  # noqa: S608
        )


def test_migrated_tables_are_those_of_the_code(url: str, engine: sa.Engine) -> None:
    Database.open(url).close()
    assert differences(engine) == []


def test_tables_without_a_version_are_brought_up_to_date_and_keep_their_rows(
    url: str, engine: sa.Engine
) -> None:
    old = [metadata.tables[name] for name in BEFORE_VERSIONS]
    metadata.create_all(engine, tables=old)
    with engine.begin() as connection:
        marking(b"old")(connection)
    database = Database.open(url)
    assert marks(database) == [b"old"]
    database.close()
    assert differences(engine) == []


def test_a_newer_ledger_is_refused_and_left_as_it_is(url: str, engine: sa.Engine) -> None:
    Database.open(url).close()
    set_version(engine, "9999")
    with pytest.raises(LedgerTooNew, match=r"LED-007.*version 9999"):
        Database.open(url)
    set_version(engine, upgrading.known_versions()[-1])
    Database.open(url).close()


def test_a_step_that_fails_leaves_nothing_behind(
    url: str, engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "100% broken"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    broken = BROKEN.format(latest=upgrading.known_versions()[-1])
    (folder / "versions/9000_broken.py").write_text(broken)
    with monkeypatch.context() as patched:
        patched.setattr(upgrading, "_FOLDER", folder)
        with pytest.raises(ZeroDivisionError):
            Database.open(url)
    assert sa.inspect(engine).get_table_names() == []
    Database.open(url).close()
    assert differences(engine) == []


def older(url: str, folder: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a ledger as the program of a version made it."""
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for script in (folder / "versions").glob("*.py"):
        if script.name.partition("_")[0] > version:
            script.unlink()
    with monkeypatch.context() as patched:
        patched.setattr(upgrading, "_FOLDER", folder)
        Database.open(url).close()


def test_proofs_from_before_there_were_traces_have_none(
    url: str, engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older(url, tmp_path / "as it was", "0002", monkeypatch)
    known = {column["name"] for column in sa.inspect(engine).get_columns("artefacts")}
    traced = replace(ARTEFACT, trace_root=TraceRoot(b"\x0a" * 32))
    untraced = replace(ARTEFACT, trace_problem=Problem("PIP-009", "no time"))
    old_row = {
        **{name: value for name, value in asdict(ARTEFACT).items() if name in known},
        "chain": CHAIN,
        "job_id": "7-0",
        "proof_hash": ARTEFACT.proof_hash.value,
    }
    assert known == old_row.keys()
    with engine.begin() as connection:
        table = sa.Table("artefacts", sa.MetaData(), autoload_with=connection)
        connection.execute(table.insert(), old_row)
    database = Database.open(url)
    assert differences(engine) == []
    with database.write() as connection:
        writer = JobWriter(connection, CHAIN, 0)
        for number, artefact in enumerate((traced, untraced), 1):
            writer.add(
                f"7-{number}", JobKind.CHECKPOINT, 7, number=number, queue=JobQueue.LIVE, due_at=0
            )
            lease = writer.claim_proof(
                JobQueue.LIVE, Worker("w", "cpu", has_cpu=True), 1, most_starts=1
            )
            assert lease is not None
            writer.finish(lease, JobState.PROVEN, artefact=artefact)
    with database.read() as connection:
        reader = JobReader(connection, CHAIN)
        found = [reader.artefact(f"7-{number}") for number in range(3)]
    assert found == [ARTEFACT, traced, untraced]
    database.close()


def test_a_ledger_that_is_up_to_date_is_opened_without_alembic(url: str) -> None:
    Database.open(url).close()
    shown = subprocess.run(
        [sys.executable, "-c", OPEN, url], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "[]"


def test_steps_follow_one_another_in_the_order_of_their_numbers() -> None:
    scripts = ScriptDirectory(str(FOLDER))
    revisions = [script.revision for script in scripts.walk_revisions()]
    assert revisions[::-1] == upgrading.known_versions()
