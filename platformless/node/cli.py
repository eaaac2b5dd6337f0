"""The command `fabstir-llm-node`: a thin skin over library calls."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ..console import AsJson, Output, guarded
from .backup import cli as backups
from .keys import cli as keys
from .operating import cli as operating
from .registration import cli as registration

_PROGRAM = "fabstir-llm-node"

app = typer.Typer(
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
    version: Annotated[
        bool, typer.Option("--version", help="Say what this program is made of, and end.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Without a command: run the whole node, its workers and what they need, until interrupted."""
    if version:
        from ..prover.release_facts import print_version

        print_version(_PROGRAM, as_json)

    def begin(_output: Output) -> None:
        from .secret_files import take_secrets

        take_secrets(os.environ)

    if context.invoked_subcommand != "doctor":  # which tells every mistake in them
        guarded(_PROGRAM, context.invoked_subcommand or "run", as_json, begin)
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


@app.command("doctor")
def doctor(
    write: Annotated[
        bool, typer.Option("--write", help="Also store a small blob at every portal.")
    ] = False,
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """Check everything that a node needs; change nothing. Exit status 1: something is wrong."""

    def run(output: Output) -> None:
        from .doctor.cli import show_examination

        show_examination(output, env_file, write)

    guarded("doctor", "doctor", as_json, run)


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


@app.command("p2p")
def p2p(env_file: EnvFile = Path(".env"), as_json: AsJson = False) -> None:
    """Take part in the DHT: announce the node's models, answer who looks for one."""

    def run(output: Output) -> None:
        from .p2p.command import run_part

        run_part(output, env_file)

    guarded(_PROGRAM, "p2p", as_json, run)


@app.command("peers")
def peers(
    model: Annotated[str, typer.Option("--model", metavar="ID", help="32 bytes in hex.")],
    bootstrap: Annotated[
        list[str] | None,
        typer.Option("--bootstrap", metavar="MULTIADDR", help="Asked first; several times."),
    ] = None,
    chain: Annotated[
        bool, typer.Option("--chain/--no-chain", help="Whether NodeRegistry must confirm a node.")
    ] = True,
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """Find the nodes that serve a model."""

    def run(output: Output) -> None:
        from .p2p.addresses import parsed_list
        from .p2p.command import PeersRequest, model_of, show_peers

        addresses = parsed_list(",".join(bootstrap or ()))
        show_peers(output, env_file, PeersRequest(model_of(model), addresses, chain))

    guarded(_PROGRAM, "peers", as_json, run)


@app.command("fetch-model")
def fetch_model(
    url: Annotated[str, typer.Argument(metavar="URL")],
    repository: Annotated[
        str, typer.Option("--repository", help="OWNER/NAME, as the model was registered.")
    ],
    file_name: Annotated[
        str | None,
        typer.Option("--file-name", help="As it was registered; default: the URL's last part."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The folder that it goes into.")] = Path(
        "models"
    ),
    largest_gib: Annotated[
        float, typer.Option("--largest-gib", min=0.001, help="No more than this.")
    ] = 64,
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """Fetch a model file, and keep it when ModelRegistry knows its SHA-256."""

    def run(output: Output) -> None:
        from .fetching.command import show_fetch
        from .fetching.download import FetchSettings
        from .fetching.model import FetchRequest

        request = FetchRequest(url, repository, file_name, out)
        show_fetch(output, env_file, request, FetchSettings(int(largest_gib * 2**30)))

    guarded(_PROGRAM, "fetch-model", as_json, run)


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
