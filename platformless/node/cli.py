"""The command `fabstir-llm-node`: a thin skin over library calls."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ..console import AsJson, Output, guarded
from .backup import cli as backups
from .doctor import cli as examination
from .fetching import cli as fetching
from .keys import cli as keys
from .operating import cli as operating
from .options import PROGRAM, EnvFile
from .p2p import cli as dht
from .registration import cli as registration
from .s5 import cli as blobs

app = typer.Typer(
    pretty_exceptions_enable=False,
    help="Run a host of the marketplace.",
)


@app.callback(invoke_without_command=True)
def node(
    context: typer.Context,
    env_file: EnvFile = Path(".env"),
    provers: Annotated[
        int, typer.Option("--provers", min=0, max=64, help="Processes that build proofs.")
    ] = 1,
    version: Annotated[
        bool, typer.Option("--version", help="Say what this program is made of, and end.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Without a command: run the whole node, its workers and what they need, until interrupted."""
    if version:
        from ..prover.release_facts import print_version

        print_version(PROGRAM, as_json)

    def begin(_output: Output) -> None:
        from .secret_files import take_secrets

        take_secrets(os.environ)

    if context.invoked_subcommand != "doctor":  # which tells every mistake in them
        guarded(PROGRAM, context.invoked_subcommand or "run", as_json, begin)
    if context.invoked_subcommand is not None:
        return

    def run(output: Output) -> None:
        from .supervisor.run import run_node

        run_node(output, env_file, provers)

    guarded(PROGRAM, "run", as_json, run)


@app.command("serve")
def serve(
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """Serve sessions over WebSocket and HTTP, until interrupted."""

    def run(output: Output) -> None:
        from .serve import serve_sessions

        serve_sessions(output, env_file)

    guarded(PROGRAM, "serve", as_json, run)


@app.command("worker")
def worker(
    queues: Annotated[
        str,
        typer.Option(
            "--queues",
            help="live, aggregate: build proofs. audit: sampled cells, with TRACE. "
            "settlement: submit and settle.",
        ),
    ] = "live,aggregate",
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """Build proofs on this machine, or submit and settle, until interrupted."""

    def run(output: Output) -> None:
        from .workers.command import queues_of, run_worker

        run_worker(output, queues_of(queues), env_file)

    guarded(PROGRAM, "worker", as_json, run)


@app.command("demo")
def demo(
    report: Annotated[
        Path, typer.Option("--report", help="Where the report is written, as JSON.")
    ] = Path("demo-report.json"),
    folder: Annotated[Path | None, typer.Option("--folder", help="Keep data and log here.")] = None,
    sampled: Annotated[
        bool,
        typer.Option(
            "--sampled", help="Prove cells of the model's arithmetic as well (minutes on a CPU)."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a marketplace on this machine, and one paid session from token to settled proof."""

    def run(output: Output) -> None:
        from .demo.command import show_demo

        show_demo(output, report, folder, sampled=sampled)

    guarded(PROGRAM, "demo", as_json, run)


@app.command("dev-chain")
def dev_chain(
    port: Annotated[int, typer.Option(min=0, max=65535, help="RPC port; 0: a free one.")] = 8545,
    block_seconds: Annotated[
        float, typer.Option(min=0.1, help="A block comes this often, and for each transaction.")
    ] = 1.0,
    env_file: Annotated[
        Path | None, typer.Option("--env-file", help="Write the .env to this file as well.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a local chain with the marketplace on it, until it is interrupted."""

    def run(output: Output) -> None:
        # Here, not above: other commands need no chain.
        from .dev_chain import DevChainRequest, run_dev_chain

        run_dev_chain(output, DevChainRequest(port, block_seconds, env_file))

    guarded(PROGRAM, "dev-chain", as_json, run)


@app.command("model-info")
def model_info(
    file: Annotated[Path, typer.Argument(metavar="FILE.gguf")],
    repository: Annotated[
        str | None,
        typer.Option("--repository", help="OWNER/NAME where it is published: half of its id."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print what a model file is called: SHA-256, weights root, id on chain."""

    def run(output: Output) -> None:
        from .model_info import show_model_info

        show_model_info(output, file, repository)

    guarded(PROGRAM, "model-info", as_json, run)


app.add_typer(operating.jobs, name="jobs")
app.command("withdraw-earnings")(operating.withdraw_earnings)
app.command("register-node")(registration.register_node)
app.command("registration-status")(registration.registration_status)
app.command("update-registration")(registration.update_registration)
app.command("unregister-node")(registration.unregister_node)
app.add_typer(keys.key, name="key")
app.command("signer")(keys.signer)
app.add_typer(backups.backup, name="backup")
app.command("restore")(backups.restore)
app.command("doctor")(examination.doctor)
app.command("fetch-model")(fetching.fetch_model)
app.command("p2p")(dht.p2p)
app.command("peers")(dht.peers)
app.add_typer(blobs.s5, name="s5")
app.command("s5-portal")(blobs.s5_portal)


def main() -> None:
    """Entry point of the console script."""
    app()
