"""The prover process as another program meets it: JSON lines, coded errors, no way to break it."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from platformless.audit.release import trusted_images

from ..samples import window_of

MEMORY = 4 << 30


class Pipe:
    """A stark-prover and its pipes."""

    def __init__(self, binary: Path) -> None:
        self.process = subprocess.Popen(
            [binary],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )

    def send(self, data: bytes | dict[str, Any]) -> None:
        line = data if isinstance(data, bytes) else json.dumps(data).encode() + b"\n"
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        reply: dict[str, Any] = json.loads(self.process.stdout.readline())
        return reply

    def ask(self, data: bytes | dict[str, Any]) -> dict[str, Any]:
        self.send(data)
        return self.read()

    def worker(self) -> int:
        """Process id of the child that computes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text().split()[0])

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def pipe(prover_binary: Path) -> Iterator[Pipe]:
    pipe = Pipe(prover_binary)
    yield pipe
    pipe.close()


def job(request_id: str, op: str = "execute", tokens: int = 20, **fields: Any) -> dict[str, Any]:
    witness = base64.b64encode(window_of(tokens).witness()).decode()
    return {
        "id": request_id,
        "op": op,
        "image": "session",
        "witness": witness,
        "memory_bytes": MEMORY,
        **fields,
    }


def test_info_says_what_the_binary_is(pipe: Pipe) -> None:
    result = pipe.ask({"id": "1", "op": "info"})["result"]
    assert result["zkvm"] == "risc0-zkvm 3.0.6"
    assert result["device"] in ("cpu", "cuda")
    assert isinstance(result["succinct"], bool)
    assert result["images"] == {name: image.value.hex() for name, image in trusted_images().items()}


@pytest.mark.parametrize(
    ("line", "code", "request_id"),
    [
        (b"hello\n", "STP-005", None),
        (b"\xff\xfe\n", "STP-005", None),
        (b"{}\n", "STP-007", None),
        (b"[1]\n", "STP-007", None),
        (b"[" * 50_000 + b"\n", "STP-005", None),
        (b'{"id": 5, "op": "info"}\n', "STP-007", None),
        (b'{"id": "a"}\n', "STP-006", "a"),
        (b'{"id": "a", "op": "explode"}\n', "STP-006", "a"),
        (b'{"id": "a", "op": "info", "extra": 1}\n', "STP-007", "a"),
        (b'{"id": "a", "op": "prove"}\n', "STP-007", "a"),
        (b'{"id": "a", "op": "cancel", "target": "b"}\n', "STP-017", "a"),
    ],
)
def test_a_bad_line_gets_a_coded_error_and_the_process_lives(
    pipe: Pipe, line: bytes, code: str, request_id: str | None
) -> None:
    reply = pipe.ask(line)
    assert reply["error"]["code"] == code
    assert reply["id"] == request_id
    assert "result" in pipe.ask({"id": "after", "op": "info"})


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"image": "other"}, "STP-008"),
        ({"witness": "!!"}, "STP-007"),
        ({"witness": ""}, "STP-011"),
        ({"memory_bytes": -1}, "STP-007"),
        ({"memory_bytes": 1000}, "STP-010"),
        ({"program_path": "/does/not/exist"}, "STP-009"),
        ({"program_path": "/etc/hostname"}, "STP-009"),
        ({"receipt": "groth16"}, "STP-007"),
        ({"assumptions": "/etc/hostname"}, "STP-007"),
        ({"assumptions": ["/does/not/exist"]}, "STP-019"),
        ({"assumed": ["00" * 32] * 501}, "STP-019"),
        ({"assumed": ["12"]}, "STP-007"),
    ],
)
def test_a_bad_job_gets_a_coded_error_and_the_process_lives(
    pipe: Pipe, fields: dict[str, Any], code: str
) -> None:
    assert pipe.ask(job("bad", **fields))["error"]["code"] == code
    assert "result" in pipe.ask(job("good"))


def test_a_line_that_is_too_long_is_skipped(pipe: Pipe) -> None:
    limit = pipe.ask({"id": "1", "op": "info"})["result"]["max_request_bytes"]
    pipe.send(b"x" * (limit + 1))
    reply = pipe.ask(b"\n")
    assert reply["error"]["code"] == "STP-003"
    assert reply["error"]["got"] > limit
    assert "result" in pipe.ask({"id": "2", "op": "info"})


def test_a_truncated_request_is_reported_at_the_end_of_input(pipe: Pipe) -> None:
    out, _ = pipe.process.communicate(b'{"id": "1", "op": "in', timeout=10)
    assert json.loads(out)["error"]["code"] == "STP-004"
    assert pipe.process.returncode == 0


def test_succinct_is_refused_where_it_cannot_be_made(pipe: Pipe) -> None:
    if pipe.ask({"id": "1", "op": "info"})["result"]["succinct"]:
        return
    reply = pipe.ask(job("2", "prove", receipt="succinct"))
    assert reply["error"]["code"] == "STP-012"


def test_a_proof_rests_on_no_claim_without_a_receipt(pipe: Pipe) -> None:
    assumed = ["00" * 32]
    assert "result" in pipe.ask(job("1", assumed=assumed))
    assert pipe.ask(job("2", "prove", assumed=assumed))["error"]["code"] == "STP-022"


def test_one_proof_at_a_time_and_a_cancelled_one_leaves_the_process_ready(pipe: Pipe) -> None:
    assert pipe.ask(job("long", "prove"))["event"] == "executed"
    busy = pipe.ask(job("second"))
    assert (busy["id"], busy["error"]["code"]) == ("second", "STP-018")
    assert "result" in pipe.ask({"id": "info", "op": "info"})
    worker = pipe.worker()
    cancelled = pipe.ask({"id": "stop", "op": "cancel", "target": "long"})
    assert (cancelled["id"], cancelled["error"]["code"]) == ("long", "STP-016")
    assert pipe.read() == {"id": "stop", "result": {"cancelled": "long"}}
    assert not Path(f"/proc/{worker}").exists()
    assert "result" in pipe.ask(job("next"))


def test_a_killed_worker_is_reported_and_replaced(pipe: Pipe) -> None:
    assert pipe.ask(job("doomed", "prove"))["event"] == "executed"
    os.kill(pipe.worker(), signal.SIGKILL)
    reply = pipe.read()
    assert (reply["id"], reply["error"]["code"]) == ("doomed", "STP-015")
    assert "result" in pipe.ask(job("next"))


def test_a_killed_prover_leaves_no_worker(pipe: Pipe) -> None:
    assert pipe.ask(job("x", "prove"))["event"] == "executed"
    descriptor = os.pidfd_open(pipe.worker())
    pipe.process.kill()
    pipe.process.wait()
    os.set_blocking(descriptor, False)
    assert wait_for_exit(descriptor)


def wait_for_exit(descriptor: int) -> bool:
    """Whether the process of a pidfd ends within ten seconds."""
    import select

    ready, _, _ = select.select([descriptor], [], [], 10)
    os.close(descriptor)
    return bool(ready)


def test_shutdown_ends_a_proof_and_the_process(pipe: Pipe) -> None:
    assert pipe.ask(job("x", "prove"))["event"] == "executed"
    assert pipe.ask({"id": "bye", "op": "shutdown"})["error"]["code"] == "STP-016"
    assert pipe.read() == {"id": "bye", "result": {}}
    assert pipe.process.wait(10) == 0


@pytest.mark.parametrize("value", ["1", "0", "true", ""])
def test_dev_mode_cannot_be_switched_on(prover_binary: Path, value: str) -> None:
    for arguments in ([], ["--worker", str(os.getpid())]):
        result = subprocess.run(
            [prover_binary, *arguments],
            env={"RISC0_DEV_MODE": value},
            input=b"",
            capture_output=True,
            check=False,
        )
        assert result.returncode == 2
        assert b"STP-001" in result.stderr
        assert result.stdout == b""


def test_the_binary_takes_no_other_arguments(prover_binary: Path) -> None:
    result = subprocess.run([prover_binary, "--dev"], capture_output=True, check=False)
    assert result.returncode == 2
    assert b"STP-002" in result.stderr
