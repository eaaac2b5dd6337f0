"""The command `fabstir-llm-node`: a thin skin over library calls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import AsJson, Output, guarded
from .operating import cli as operating

_PROGRAM = "fabstir-llm-node"

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Run a host of the marketplace.",
)
EnvFile = Annotated[Path, typer.Option("--env-file", help="Settings besides the environment's.")]


@app.callback(invoke_without_command=True)
def node(
    context: typer.Context,
    env_file: EnvFile = Path(".env"),
    provers: Annotated[
        int, typer.Option("--provers", min=0, max=64, help="Processes that build proofs.")
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Without a command: run the whole node, its workers and what they need, until interrupted."""
    if context.invoked_subcommand is not None:
        return

    def run(output: Output) -> None:
        from .supervisor.run import run_node

        run_node(output, env_file, provers)

    guarded(_PROGRAM, "run", as_json, run)


@app.command("serve")
def serve(
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """Serve sessions over WebSocket and HTTP, until interrupted."""

    def run(output: Output) -> None:
        from .serve import serve_sessions

        serve_sessions(output, env_file)

    guarded(_PROGRAM, "serve", as_json, run)


@app.command("worker")
def worker(
    queues: Annotated[
        str,
        typer.Option(
            "--queues", help="live, audit, aggregate: build proofs. settlement: submit and settle."
        ),
    ] = "live,audit,aggregate",
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """Build proofs on this machine, or submit and settle, until interrupted."""

    def run(output: Output) -> None:
        from .workers.command import queues_of, run_worker

        run_worker(output, queues_of(queues), env_file)

    guarded(_PROGRAM, "worker", as_json, run)


@app.command("demo")
def demo(
    report: Annotated[
        Path, typer.Option("--report", help="Where the report is written, as JSON.")
    ] = Path("demo-report.json"),
    folder: Annotated[Path | None, typer.Option("--folder", help="Keep data and log here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run a marketplace on this machine, and one paid session from token to settled proof."""

    def run(output: Output) -> None:
        from .demo.command import show_demo

        show_demo(output, report, folder)

    guarded(_PROGRAM, "demo", as_json, run)


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

    guarded(_PROGRAM, "dev-chain", as_json, run)


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

    guarded(_PROGRAM, "model-info", as_json, run)


app.add_typer(operating.jobs, name="jobs")
app.command("withdraw-earnings")(operating.withdraw_earnings)


PortalUrls = Annotated[
    list[str],
    typer.Option("--portal", envvar="S5_PORTAL_URL", help="S5 portal; several times for several."),
]

s5 = typer.Typer(no_args_is_help=True, help="Blobs on S5 portals.")
app.add_typer(s5, name="s5")


@s5.command("cid")
def s5_cid(
    target: Annotated[str, typer.Argument(metavar="FILE-or-CID")], as_json: AsJson = False
) -> None:
    """Print every spelling of a blob's name."""

    def run(output: Output) -> None:
        from .s5 import show_cid

        show_cid(output, target)

    guarded(_PROGRAM, "s5 cid", as_json, run)


@s5.command("put")
def s5_put(
    file: Path,
    portal: PortalUrls,
    copies: Annotated[int, typer.Option(min=1, help="Portals that must have it.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Upload a file; it is named by its hash."""

    def run(output: Output) -> None:
        from .s5_transfer import TransferRequest, put_file

        put_file(output, TransferRequest(tuple(portal), copies), file)

    guarded(_PROGRAM, "s5 put", as_json, run)


@s5.command("get")
def s5_get(
    cid: str,
    portal: PortalUrls,
    out: Annotated[Path | None, typer.Option("--out", help="File to write; default: CID.")] = None,
    as_json: AsJson = False,
) -> None:
    """Download a blob, verified."""

    def run(output: Output) -> None:
        from .s5_transfer import TransferRequest, get_file

        get_file(output, TransferRequest(tuple(portal)), cid, out or Path(cid))

    guarded(_PROGRAM, "s5 get", as_json, run)


PortalFolder = Annotated[Path, typer.Option("--folder", help="Where blobs are kept.")]


@app.command("s5-portal")
def s5_portal(
    folder: PortalFolder,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 5522,
    quota_gib: Annotated[
        float | None, typer.Option("--quota-gib", min=0.001, help="No more than this.")
    ] = None,
    token: Annotated[
        str | None, typer.Option(envvar="S5_PORTAL_TOKEN", help="Needed to write.")
    ] = None,
    private_reads: Annotated[
        bool, typer.Option("--private-reads", help="Reading needs the token as well.")
    ] = False,
    allow_delete: Annotated[
        bool, typer.Option("--allow-delete", help="Blobs may be deleted.")
    ] = False,
    fsck: Annotated[
        bool, typer.Option("--fsck", help="Hash every blob again, report, and end.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run an S5 portal on this machine, until it is interrupted."""

    def run(output: Output) -> None:
        from .s5 import PortalRequest, check_portal, run_portal

        if fsck:
            check_portal(output, folder)
            return
        quota_bytes = None if quota_gib is None else int(quota_gib * 2**30)
        run_portal(
            output,
            PortalRequest(folder, host, port, quota_bytes, token, private_reads, allow_delete),
        )

    guarded(_PROGRAM, "s5-portal", as_json, run)


def main() -> None:
    """Entry point of the console script."""
    app()
