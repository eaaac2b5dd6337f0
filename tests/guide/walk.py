"""The deployment guide from its first command for a host to its last, against a dev chain.

What differs from the guide's text is said in docs/operations.md. Not walked, as it needs another
machine: renting an instance, drivers, firewall, DNS, the container engine.

`python -m tests.guide.walk docs/guide-transcript.md` walks it and writes what was typed and
answered.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from platformless.chain.devchain import DevChain, DevChainSettings, start_dev_chain
from platformless.client import Client, ClientSettings
from platformless.engine.model import packaged_model
from platformless.node.supervisor.run import free_port
from tests.chain.world import AT_ONCE

from .operator import Operator, Transcript

_START_SECONDS = 180.0
_STOP_SECONDS = 60.0
_RUNNING = "running; stop with Ctrl-C"


def walk(folder: Path) -> Transcript:
    """Walks it. Everything that the guide promises is asserted on the way."""
    transcript = Transcript()
    with asyncio.run(start_dev_chain(DevChainSettings(port=0))) as chain:
        transcript.hidden[chain.rpc_url] = "http://127.0.0.1:8545"
        transcript.hidden[str(folder)] = "/home/operator"
        transcript.hidden[str(Path.home())] = "~"
        transcript.say(_INTRODUCTION)
        first = Host(chain, folder / "node1", transcript, "host")
        _install(first)
        _configure(first)
        with _models(first) as url:
            _fetch(first, url)
        with first.running():
            _register(first, "Node 1")
            _look(first)
            _second_host(Host(chain, folder / "node2", transcript, "host-2"))
            _session(first)
            _monitor(first)
            _change(first)
            _back_up(first)
        _leave(first)
    return transcript


class Host:
    """One operator, whose account is a dev chain's."""

    def __init__(self, chain: DevChain, folder: Path, transcript: Transcript, name: str) -> None:
        self.chain = chain
        self.name = name
        self.transcript = transcript
        self.port = free_port("127.0.0.1")
        self.url = f"http://127.0.0.1:{self.port}"
        self.operator = Operator(folder, transcript)
        self.run = self.operator.run
        shown = "8080" if name == "host" else "8081"
        for before in (":", "API_PORT=", "port "):
            transcript.hidden[f"{before}{self.port}"] = f"{before}{shown}"

    def env_text(self, key: str) -> str:
        """The guide's `.env`, with a dev chain's addresses, and times that fit a walk."""
        found = self.chain.environment()
        return "\n".join(
            [
                "# Node Identity",
                f"HOST_PRIVATE_KEY={key}",
                "",
                "# Blockchain Configuration",
                f"RPC_URL={found['RPC_URL']}",
                f"CHAIN_ID={found['CHAIN_ID']}",
                "",
                "# Contract Addresses",
                f"NODE_REGISTRY_FAB_ADDRESS={found['CONTRACT_NODE_REGISTRY']}",
                f"JOB_MARKETPLACE_FAB_WITH_S5_ADDRESS={found['CONTRACT_JOB_MARKETPLACE']}",
                *(
                    f"{name}={found[name]}"
                    for name in (
                        "CONTRACT_MODEL_REGISTRY",
                        "CONTRACT_PROOF_SYSTEM",
                        "CONTRACT_HOST_EARNINGS",
                        "FAB_TOKEN",
                        "USDC_TOKEN",
                    )
                ),
                "",
                "# Model Configuration",
                f"MODEL_PATH=models/{packaged_model().name}",
                "GPU_LAYERS=35",
                "",
                "# Network Ports",
                "P2P_PORT=9000",
                f"API_PORT={self.port}",
                "API_HOST=127.0.0.1",
                f"PUBLIC_URL={self.url}",
                "",
                "# Logging",
                "RUST_LOG=info",
                "",
                "# A dev chain mines at once, and the walk waits for nothing",
                "CONFIRMATIONS=1",
                "SETTLE_IDLE_SECONDS=5",
                "DISCONNECT_GRACE_SECONDS=1",
                "DRAIN_SECONDS=1",
                "",
            ]
        )

    @contextmanager
    def running(self, options: str = "") -> Iterator[None]:
        """`fabstir-llm-node`, in the background, until it is stopped."""
        log_path = self.operator.folder / "node.log"
        command = ["fabstir-llm-node", *options.split()]
        with log_path.open("w") as log:
            process = subprocess.Popen(
                command,
                cwd=self.operator.folder,
                env=self.operator.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                self.transcript.command(f"{' '.join(command)} > node.log 2>&1 &", "", 0)
                _until(self._serves, process, log_path)
                self.run(f"grep -c '{_RUNNING}' node.log")
                yield
            finally:
                process.terminate()
                status = process.wait(_STOP_SECONDS)
                self.transcript.command("kill %1; wait %1", "", status)
        assert status == 0, log_path.read_text()[-4000:]

    def _serves(self) -> bool:
        """Once `running` is printed, everything is up."""
        try:
            ready = httpx.get(f"{self.url}/ready", trust_env=False, timeout=2).status_code == 200
        except httpx.HTTPError:
            return False
        return ready and _RUNNING in (self.operator.folder / "node.log").read_text()


def _install(host: Host) -> None:
    host.transcript.heading("Building fabstir-llm-node from source")
    host.transcript.say(
        "`git clone` and `make setup prover` were run before (the guide: `cargo build --release "
        "--features real-ezkl`). There is no build that makes mock proofs."
    )
    version = host.run("fabstir-llm-node --version")
    for part in ("commit", "zkVM", "image session", "prover"):
        assert part in version


def _configure(host: Host) -> None:
    host.transcript.heading("Configure Environment")
    key = "0x" + bytes(host.chain.accounts[host.name].key).hex()
    text, hidden = host.env_text(key), "0x<provided-test-key>"
    host.operator.write(".env", text, mode=0o600, shown=text.replace(key, hidden))


@contextmanager
def _models(host: Host) -> Iterator[str]:
    """Where the model can be fetched from: a web server of this machine."""
    folder = packaged_model().parent
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        base = f"http://127.0.0.1:{server.server_port}"
        host.transcript.hidden[base] = "http://127.0.0.1:8000"
        yield f"{base}/{packaged_model().name}"
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""


def _fetch(host: Host, url: str) -> None:
    host.transcript.heading("Download Model")
    model = host.chain.model
    host.run(
        f"fabstir-llm-node fetch-model {url} --repository {model.repository} "
        f"--file-name {model.file_name}"
    )
    if model.file_name != packaged_model().name:
        host.run(f"mv models/{model.file_name} models/{packaged_model().name}")
    host.run("ls -l models/ | wc -l")


def _register(host: Host, name: str) -> None:
    host.transcript.heading(f"Register {name} on Blockchain")
    chain_id = host.chain.network.chain_id
    asked = (
        f'fabstir-llm-node register-node --chain {chain_id} --name "{name}" '
        f'--api-url "{host.url}" --models "{host.chain.model.id}" --performance-tier standard'
    )
    host.run(f"fabstir-llm-node registration-status --chain {chain_id}", status=1)
    host.run(f"{asked} --dry-run")
    host.run(f"{asked} --yes")
    told = host.run(f"fabstir-llm-node registration-status --chain {chain_id}")
    assert f"✅ Node registered on chain {chain_id}" in told
    assert f"Name: {name}" in told
    assert f"API URL: {host.url}" in told
    assert f"Models: [{host.chain.model.id}]" in told


def _look(host: Host) -> None:
    host.transcript.heading("Test Node Health")
    health = json.loads(host.run(f"curl -s {host.url}/health"))
    assert health["status"] == "healthy"
    assert health["model_loaded"] is True
    assert health["active_sessions"] == 0
    assert set(health["gpu"]) == {"available", "model", "vram_total", "vram_used", "temperature"}
    assert health["gpu_available"] is health["gpu"]["available"]
    host.run(f"curl -s -o /dev/null -w '%{{http_code}}\\n' {host.url}/ready")
    host.run("fabstir-llm-node doctor")


def _second_host(host: Host) -> None:
    host.transcript.heading("Deploy GPU Node 2 (Host Provider B)")
    _configure(host)
    (host.operator.folder / "models").mkdir()
    target = host.operator.folder / "models" / packaged_model().name
    target.symlink_to(packaged_model())
    with host.running("--provers 0"):
        _register(host, "Node 2")
        health = json.loads(host.run(f"curl -s {host.url}/health"))
        assert health["status"] == "healthy"
    chain_id = host.chain.network.chain_id
    host.run(f"fabstir-llm-node unregister-node --chain {chain_id} --yes")


def _session(host: Host) -> None:
    host.transcript.heading("A client's session, proven and paid")
    session_id, tokens = asyncio.run(_converse(host))
    host.transcript.say(
        f"A client opened session {session_id} with the Python SDK, was answered {tokens} tokens "
        "over an encrypted WebSocket, and ended it."
    )
    host.run("fabstir-llm-node jobs watch --until-idle")
    jobs = json.loads(host.run("fabstir-llm-node jobs --json"))["jobs"]
    assert {job["state"] for job in jobs} == {"confirmed"}
    host.run("fabstir-llm-node withdraw-earnings --dry-run")
    host.run("fabstir-llm-node withdraw-earnings")


async def _converse(host: Host) -> tuple[int, int]:
    settings = ClientSettings(
        network=host.chain.network,
        private_key=bytes(host.chain.accounts["client"].key),
        folder=host.operator.folder / "client",
        sending=AT_ONCE,
    )
    async with Client(settings) as client:
        session = await client.open(
            host.chain.model.id,
            host.chain.network.usdc.amount("0.5"),
            proof_interval=100,  # type: ignore[arg-type]
        )
        async with session:
            answer = await session.ask("Tell me a long story about a lighthouse.", max_tokens=120)
            await answer.text()
            await session.end()
        return session.id, int(session.tokens)


def _monitor(host: Host) -> None:
    host.transcript.heading("Monitoring & Operations")
    metrics = host.run(f"curl -s {host.url}/metrics", shown=("platformless_stake", "_prompts_"))
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=metrics, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "platformless_proofs_confirmed_total 1.0" in metrics
    host.run(f"curl -s {host.url}/v1/autoscaling")
    host.run("grep -c INFO node.log")


def _change(host: Host) -> None:
    host.transcript.heading("Update registration")
    chain_id = host.chain.network.chain_id
    url = host.url.replace("127.0.0.1", "localhost")
    host.run(
        f'fabstir-llm-node update-registration --chain {chain_id} --api-url "{url}" '
        f'--models "{host.chain.model.id}" --yes'
    )
    told = host.run(f"fabstir-llm-node registration-status --chain {chain_id}")
    assert f"API URL: {url}" in told


def _back_up(host: Host) -> None:
    host.transcript.heading("Backup & Recovery")
    text = f"{secrets.token_hex(16)}\n"
    host.operator.write("passphrase", text, mode=0o600, shown="<a passphrase>\n")
    host.run("mkdir backups")
    command = "fabstir-llm-node backup backups --with-key --passphrase-file passphrase"
    told = host.run(f"{command} --json")
    host.run(f"fabstir-llm-node backup verify {json.loads(told)['backup']['path']}")


def _leave(host: Host) -> None:
    host.transcript.heading("Leave the marketplace")
    chain_id = host.chain.network.chain_id
    host.run(f"fabstir-llm-node unregister-node --chain {chain_id} --yes")
    host.run(f"fabstir-llm-node registration-status --chain {chain_id}", status=1)


def _until(condition: Callable[[], bool], process: subprocess.Popen[bytes], log_path: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not condition():
        told = log_path.read_text()[-4000:]
        assert process.poll() is None, told
        assert time.monotonic() < deadline, told
        time.sleep(0.2)


_INTRODUCTION = (
    "# The deployment guide, walked\n\n"
    "What an operator types to run a host, and what is answered, on a dev chain that has Base "
    "Sepolia's number. Written by `python -m tests.guide.walk docs/guide-transcript.md`;\n"
    "`tests/guide/test_guide.py` walks the same and checks each answer."
)


def main() -> None:
    """Walks, and writes the transcript."""
    with tempfile.TemporaryDirectory() as folder:
        text = walk(Path(folder)).text()
    Path(sys.argv[1]).write_text(text)


if __name__ == "__main__":
    main()
