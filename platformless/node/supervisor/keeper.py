"""Keeps one service running: starts it, waits until it is ready, starts it again when it ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from ...children import Child
from .ending import Ending, said
from .errors import ServiceGaveUp, ServiceNotStarted
from .service import LineBeginning, Patience, Service, ServiceState, ServiceStatus

log = logging.getLogger(__name__)

_PROBE_SECONDS = 0.05


class Keeper:
    """A service and its process.

    Args:
        on_line: Called in the event loop with each line that the service writes.
    """

    def __init__(
        self, service: Service, patience: Patience, on_line: Callable[[str, str], None]
    ) -> None:
        self.service = service
        self.ready = asyncio.Event()
        """Set once it has been ready for the first time."""
        self._patience = patience
        self._on_line = on_line
        self._state = ServiceState.WAITING
        self._restarts = 0
        self._child: Child | None = None
        self._told_ready = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    def status(self) -> ServiceStatus:
        process_id = None if self._child is None else self._child.process_id
        return ServiceStatus(self.service.name, self._state, process_id, self._restarts)

    def start(self) -> asyncio.Task[None]:
        """Starts the service and keeps it running; the task ends only by an error.

        Raises, in the task:
            ServiceNotStarted, ServiceGaveUp
        """
        self._keeping = asyncio.create_task(self._keep(), name=f"keeper of {self.service.name}")
        return self._keeping

    async def stop(self) -> None:
        """Ends the service: SIGTERM, then, when it takes too long, SIGKILL to its group."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        child = self._child
        if child is not None:
            self._state = ServiceState.STOPPING
            with Ending(child.process_id) as ending:
                child.terminate()
                try:
                    await asyncio.wait_for(ending.wait(), self.service.stop_seconds)
                except TimeoutError:
                    log.warning(
                        "%s is killed: it did not end within %g s of SIGTERM",
                        self.service.name,
                        self.service.stop_seconds,
                    )
            await self._bury(child)
        self._state = ServiceState.STOPPED

    def kill(self) -> None:
        """Ends the service's group at once, if it runs."""
        if self._keeping is not None:
            self._keeping.cancel()
        if self._child is not None:
            self._child.kill()
            self._child = None
        self._state = ServiceState.STOPPED

    async def _keep(self) -> None:
        deaths = 0
        while True:
            child = self._started()
            with Ending(child.process_id) as ending:
                is_ready = await self._until_ready(ending)
                ready_at = time.monotonic()
                if is_ready:
                    self._state = ServiceState.READY
                    self.ready.set()
                    await ending.wait()
                too_slow = not ending.has_come
            settled = time.monotonic() - ready_at >= self._patience.settled_seconds
            deaths = 1 if settled else deaths + 1
            self._state = ServiceState.RESTING
            why = await self._bury(child)
            if too_slow:
                why = f"not ready within {self.service.start_seconds:g} s"
            rest_seconds = self._patience.backoff.rest_seconds(deaths)
            if deaths >= self._patience.deaths:
                if self.service.is_vital:
                    raise self._gave_up(child, why, deaths)
                deaths, rest_seconds = 0, self._patience.long_rest_seconds
            log.warning(
                "%s ended (%s): it is started again in %.1f s",
                self.service.name,
                why,
                rest_seconds,
            )
            await asyncio.sleep(rest_seconds)
            self._restarts += 1

    def _started(self) -> Child:
        loop = asyncio.get_running_loop()

        def read(line: str) -> None:  # in the child's reading thread
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._hear, line)

        self._told_ready.clear()
        self._state = ServiceState.STARTING
        try:
            # From the loop's thread: the kernel kills a child when its thread ends.
            self._child = Child(
                self.service.command, environment=self.service.environment, on_line=read
            )
        except OSError as error:
            raise ServiceNotStarted(
                f"{self.service.name} cannot be started",
                expected=f"the program {self.service.command[0]}",
                got=error.strerror or error,
            ) from error
        return self._child

    def _hear(self, line: str) -> None:
        ready = self.service.ready
        if isinstance(ready, LineBeginning) and line.startswith(ready.prefix):
            self._told_ready.set()
        self._on_line(self.service.name, line)

    async def _until_ready(self, ending: Ending) -> bool:
        """False when it ends or its time is over first."""
        asking = asyncio.create_task(self._becomes_ready())
        dying = asyncio.create_task(ending.wait())
        try:
            done, _ = await asyncio.wait(
                {asking, dying},
                timeout=self.service.start_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if asking in done:
                asking.result()
            # What answered in place of a service that has ended is another program.
            return asking in done and dying not in done
        finally:
            asking.cancel()
            dying.cancel()

    async def _becomes_ready(self) -> None:
        ready = self.service.ready
        if isinstance(ready, LineBeginning):
            await self._told_ready.wait()
        elif ready is not None:
            while not await ready():
                await asyncio.sleep(_PROBE_SECONDS)

    async def _bury(self, child: Child) -> str:
        """Kills what is left of a child's group; says how the child ended."""
        await asyncio.to_thread(child.kill)
        self._child = None
        await asyncio.sleep(0)  # its last lines come before what follows
        return said(child.exit_status)

    def _gave_up(self, child: Child, why: str, deaths: int) -> ServiceGaveUp:
        lines = [line for line in child.last_lines() if line.strip()]
        last = "".join(f"\n  {self.service.name} | {line}" for line in lines)
        return ServiceGaveUp(
            f"{self.service.name} ended {deaths} times in a row",
            expected="that it becomes ready and stays so",
            got=f"{why}, after{last or ' no output'}",
        )
