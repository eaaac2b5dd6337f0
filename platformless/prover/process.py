"""Drives a stark-prover process: one request at a time, with a deadline.

The process runs in its own process group, so that killing the group leaves nothing behind. It is
started with the first request, and again with the first request after it died; a request that was
under way when it died fails with `ProverCrashed`, which the caller may repeat.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..closing import AsyncClosing
from ..decoding import decode_json
from .errors import DeadlineExceeded, ProofCancelled, ProverCrashed, ProverRefused
from .messages import (
    ABSENT,
    Execution,
    OnProgress,
    Proof,
    ProverInfo,
    Reply,
    decode_progress,
    decode_reply,
)

DEFAULT_MEMORY_BYTES = 8 << 30
_LINE_LIMIT_BYTES = 128 << 20
_LOG_LINES = 20
_WORKER_DIED = "STP-015"
_CANCELLED = "STP-016"
_Result = TypeVar("_Result")


class StarkProver(AsyncClosing):
    """An asynchronous client of one stark-prover process.

    Use it as an asynchronous context manager, or call `close` at the end. Requests from several
    tasks wait for one another.
    """

    def __init__(self, binary: Path) -> None:
        self._binary = binary
        self._process: asyncio.subprocess.Process | None = None
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        self._log_reader: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._requests = 0
        self._busy: str | None = None

    @property
    def process_id(self) -> int | None:
        """Process id while the process runs; also the id of its group."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def info(self, *, deadline_seconds: float = 30) -> ProverInfo:
        """What the binary is and can do."""
        return await self._request("info", {}, ProverInfo, deadline_seconds, None)

    async def execute(
        self,
        witness: bytes,
        *,
        image: str = "session",
        program_path: Path | None = None,
        assumptions: Sequence[Path] = (),
        assumed: Sequence[bytes] = (),
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        deadline_seconds: float = 120,
    ) -> Execution:
        """Runs the guest without proving.

        Args:
            assumptions: files with the receipts of the claims on which the guest rests.
            assumed: digests of claims that are taken as proven without a receipt.

        Raises:
            ProverRefused: when the guest refuses the witness (STP-011), among others.
            ProverCrashed, DeadlineExceeded.
        """
        fields = _job(witness, image, program_path, memory_bytes, assumptions)
        if assumed:
            fields["assumed"] = [claim.hex() for claim in assumed]
        return await self._request("execute", fields, Execution, deadline_seconds, None)

    async def prove(
        self,
        witness: bytes,
        *,
        image: str = "session",
        program_path: Path | None = None,
        assumptions: Sequence[Path] = (),
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        receipt: str = "composite",
        deadline_seconds: float = 3600,
        on_progress: OnProgress | None = None,
    ) -> Proof:
        """Builds a proof. `on_progress` is called from the event loop and must not block.

        Args:
            assumptions: files with the receipts of the claims on which the guest rests. They go
                into a composite receipt; a succinct one resolves them.

        Raises:
            ProverRefused: when the guest or the prover refuses.
            ProofCancelled: when `cancel` was called.
            ProverCrashed, DeadlineExceeded: after which the process is started anew.
        """
        job = _job(witness, image, program_path, memory_bytes, assumptions)
        fields = {**job, "receipt": receipt}
        return await self._request("prove", fields, Proof, deadline_seconds, on_progress)

    async def cancel(self) -> None:
        """Cancels the request that is under way, if any; it raises ProofCancelled."""
        if self._busy is not None and self.process_id is not None:
            await self._send({"id": "cancel", "op": "cancel", "target": self._busy})

    async def close(self) -> None:
        """Stops the process and all that it started."""
        process, self._process = self._process, None
        if process is None:
            return
        _kill_group(process)
        await process.wait()
        if self._log_reader is not None:
            await self._log_reader

    async def _request(
        self,
        op: str,
        fields: dict[str, Any],
        result: type[_Result],
        deadline_seconds: float,
        on_progress: OnProgress | None,
    ) -> _Result:
        async with self._turn:
            self._requests += 1
            request_id = f"{op}-{self._requests}"
            try:
                async with asyncio.timeout(deadline_seconds):
                    await self._start()
                    self._busy = request_id
                    await self._send({"id": request_id, "op": op, **fields})
                    return await self._answer(request_id, result, on_progress)
            except TimeoutError as error:
                await self.close()
                raise DeadlineExceeded(
                    f"{op} took too long", expected=f"at most {deadline_seconds} s"
                ) from error
            except (ProverCrashed, asyncio.CancelledError):
                await self.close()
                raise
            finally:
                self._busy = None

    async def _answer(
        self, request_id: str, result: type[_Result], on_progress: OnProgress | None
    ) -> _Result:
        while True:
            line = await self._read_line()
            reply = decode_reply(line)
            if reply.id != request_id:
                continue
            if reply.error is not None:
                raise _refusal(reply)
            if reply.result is not ABSENT:
                try:
                    return decode_json(reply.result, result)
                except msgspec.DecodeError as error:
                    raise ProverCrashed(
                        "stark-prover gave a result that does not decode", got=str(error)
                    ) from error
            progress = decode_progress(reply, line)
            if progress is not None and on_progress is not None:
                on_progress(progress)

    async def _start(self) -> None:
        if self.process_id is not None:
            return
        await self.close()
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RISC0_")}
        try:
            self._process = await asyncio.create_subprocess_exec(
                self._binary,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=_LINE_LIMIT_BYTES,
                process_group=0,
                env=environment,
            )
        except OSError as error:
            raise ProverCrashed(f"{self._binary} does not start", got=str(error)) from error
        self._log_reader = asyncio.create_task(self._keep_log(self._process))

    async def _keep_log(self, process: asyncio.subprocess.Process) -> None:
        if process.stderr is None:
            return
        async for line in process.stderr:
            self._log.append(line.decode("utf-8", "replace").rstrip())

    async def _send(self, message: dict[str, Any]) -> None:
        if self._process is None or self._process.stdin is None:
            raise ProverCrashed("stark-prover is not running")
        try:
            self._process.stdin.write(msgspec.json.encode(message) + b"\n")
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise await self._death() from error

    async def _read_line(self) -> bytes:
        if self._process is None or self._process.stdout is None:
            raise ProverCrashed("stark-prover is not running")
        try:
            line = await self._process.stdout.readline()
        except ValueError as error:
            raise ProverCrashed("stark-prover wrote a line without end") from error
        if not line.endswith(b"\n"):
            raise await self._death()
        return line

    async def _death(self) -> ProverCrashed:
        """The error that tells how the process ended, with the end of its log."""
        status: int | None = None
        if self._process is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    status = await self._process.wait()
        last = self._log[-1] if self._log else "no log"
        return ProverCrashed(
            "stark-prover ended during a request", got=f"exit status {status}; {last}"
        )


def _job(
    witness: bytes,
    image: str,
    program_path: Path | None,
    memory_bytes: int,
    assumptions: Sequence[Path],
) -> dict[str, Any]:
    job: dict[str, Any] = {
        "image": image,
        "witness": base64.b64encode(witness).decode("ascii"),
        "memory_bytes": memory_bytes,
    }
    if program_path is not None:
        job["program_path"] = str(program_path)
    if assumptions:
        job["assumptions"] = [str(path) for path in assumptions]
    return job


def _refusal(reply: Reply) -> ProverRefused | ProofCancelled | ProverCrashed:
    fault = reply.error
    if fault is None:
        return ProverCrashed("stark-prover gave no reason")
    if fault.code == _CANCELLED:
        return ProofCancelled(fault.message)
    if fault.code == _WORKER_DIED:
        return ProverCrashed(fault.message)
    return ProverRefused(fault.code, fault.message, expected=fault.expected, got=fault.got)


def _kill_group(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
