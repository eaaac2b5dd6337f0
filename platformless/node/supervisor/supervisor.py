"""Runs several services: started in order, each kept running, stopped in reverse.

The kernel kills every service when the supervisor's process ends, however it ends: `kill -9` of it
leaves nothing behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from .keeper import Keeper
from .service import Patience, Service, ServiceStatus


def _nothing() -> None:
    """What is done when nobody wants to be told."""


class Supervisor:
    """The services of one machine.

    Args:
        services: In the order in which they need each other.
        on_line: Called in the event loop with a service's name and each line that it writes.
    """

    def __init__(
        self,
        services: Sequence[Service],
        on_line: Callable[[str, str], None],
        patience: Patience | None = None,
    ) -> None:
        self._keepers = [Keeper(service, patience or Patience(), on_line) for service in services]

    def status(self) -> tuple[ServiceStatus, ...]:
        """Every service, in the order of their start."""
        return tuple(keeper.status() for keeper in self._keepers)

    async def run(self, stopping: asyncio.Event, when_ready: Callable[[], None] = _nothing) -> None:
        """Runs the services until `stopping` is set; none is left when this returns or raises.

        Must be called in the main thread: services do not outlive the thread that starts them.

        Args:
            when_ready: Called once, when every vital service has become ready.

        Raises:
            ServiceNotStarted, ServiceGaveUp: when one cannot be kept running.
        """
        loop = asyncio.get_running_loop()
        failed: asyncio.Future[BaseException] = loop.create_future()

        def note(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) and not failed.done():
                failed.set_result(error)

        async def start() -> None:
            for keeper in self._keepers:
                keeper.start().add_done_callback(note)
                if keeper.service.is_vital:
                    await keeper.ready.wait()
            when_ready()

        starting = asyncio.create_task(start())
        starting.add_done_callback(note)
        asked = asyncio.create_task(stopping.wait())
        either: set[asyncio.Future[Any]] = {asked, failed}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
            starting.cancel()
            await self._stop()
        if failed.done():
            raise failed.result()

    async def _stop(self) -> None:
        """Stops the services, the last one first, each when the one after it has ended."""
        try:
            for keeper in reversed(self._keepers):
                await keeper.stop()
        finally:
            for keeper in self._keepers:
                keeper.kill()  # whoever was not stopped, because this was interrupted
