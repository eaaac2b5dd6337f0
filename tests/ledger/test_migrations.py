"""Tables come from migrations, and are those that the code describes."""

from __future__ import annotations

import importlib
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import platformless.prover.ledger
from platformless.prover.ledger.database import Database
from platformless.prover.ledger.errors import LedgerTooNew
from platformless.prover.ledger.migrations import upgrading
from platformless.prover.ledger.tables import metadata

from .samples import marking, marks

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
