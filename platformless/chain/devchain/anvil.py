"""Runs anvil, Foundry's development node, on the loopback interface."""

from __future__ import annotations

import secrets
from pathlib import Path

from ...children import Child
from ...places import find_program
from ..errors import AnvilFailed, AnvilNotFound

_START_SECONDS = 30
_GAS_LIMIT = 60_000_000
_LISTENING = "Listening on "


def find_anvil() -> Path:
    """The binary: `ANVIL`, else what `make contracts` installed, else the search path.

    Raises:
        AnvilNotFound: when there is none.
    """
    found, expected = find_program("anvil", "ANVIL")
    if found is None:
        raise AnvilNotFound("no anvil binary", expected=expected, got="none")
    return found


class Anvil:
    """A running anvil. `url` is its RPC address."""

    def __init__(self, chain_id: int, *, port: int = 0, block_seconds: float | None = 1.0) -> None:
        """Args:
            port: 0 takes a free one.
            block_seconds: Blocks come this often, and at once for each transaction; None: only
                for transactions.

        Raises:
            AnvilNotFound, AnvilFailed.
        """
        command = [str(find_anvil()), "--host", "127.0.0.1", "--port", str(port)]
        command += ["--chain-id", str(chain_id), "--accounts", "0"]
        # Makes every chain's block 0 another one: an outbox tells chains apart by it.
        command += ["--gas-limit", str(_GAS_LIMIT + secrets.randbelow(_GAS_LIMIT // 10))]
        if block_seconds is not None:
            command += ["--block-time", f"{block_seconds:g}", "--mixed-mining"]
        try:
            self._child = Child(command)
        except OSError as error:
            raise AnvilFailed("anvil does not start", got=str(error)) from error
        line = self._child.wait_for_line(_LISTENING, _START_SECONDS)
        if line is None:
            last = " / ".join(self._child.last_lines()[-3:])
            self._child.kill()
            raise AnvilFailed(
                "anvil did not start", expected=f"{_LISTENING!r} on its output", got=last
            )
        self.url = f"http://{line.removeprefix(_LISTENING).strip()}"

    @property
    def process_id(self) -> int:
        return self._child.process_id

    @property
    def is_running(self) -> bool:
        return self._child.exit_status is None

    def stop(self) -> None:
        """Ends anvil; its chain is gone."""
        self._child.kill()
