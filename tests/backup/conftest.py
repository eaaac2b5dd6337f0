"""One chain and one broker for all tests of backups."""

from __future__ import annotations

from tests.pipeline.conftest import dev_chain as dev_chain
from tests.pipeline.conftest import line as line
from tests.pipeline.conftest import valkey_server as valkey_server
from tests.pipeline.conftest import world as world
from tests.services.fixtures import postgresql as postgresql
from tests.services.fixtures import postgresql_url as postgresql_url
