"""`prove-session watch`: what a third-party watchdog runs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...console import BadInput, Output, guarded, read_file, stop_requested, write_file
from ...protocol.digests import Address
from ..chain_options import (
    DEFAULT_NETWORK,
    ChainOptions,
    EnvFile,
    MarketplaceAddress,
    NetworkName,
    RpcUrls,
)
from .options import (
    PORTAL_PATIENCE_SECONDS,
    AskHost,
    AskPrivateHosts,
    MinimumAssurance,
    PolicyFile,
    PolicyOptions,
    PortalPatience,
    PortalUrls,
    RequireSamples,
    SampleDraws,
    SampleOneIn,
    TrustedModels,
    opened,
)

if TYPE_CHECKING:
    from ...audit.session.watching import Watched, WatchResult


def watch(
    host: Annotated[str, typer.Option("--host", help="Address of the host.")],
    portal: PortalUrls,
    network: NetworkName = DEFAULT_NETWORK,
    env_file: EnvFile = None,
    rpc_url: RpcUrls = None,
    marketplace: MarketplaceAddress = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="JSON lines are appended here; default: standard output."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", help="Keeps the place, to go on after a stop; default: OUT.state."),
    ] = None,
    from_block: Annotated[
        int | None,
        typer.Option("--from-block", min=0, help="Where to begin; default: the newest block."),
    ] = None,
    confirmations: Annotated[
        int, typer.Option("--confirmations", min=0, help="Blocks that must follow an opening.")
    ] = 5,
    poll_seconds: Annotated[
        float, typer.Option("--poll-seconds", min=0.05, help="Time between looks at the chain.")
    ] = 10.0,
    full: Annotated[bool, typer.Option("--full", help="Whole reports in the lines.")] = False,
    once: Annotated[
        bool, typer.Option("--once", help="Stop when what is over by now is audited.")
    ] = False,
    ask_host: AskHost = False,
    ask_private_hosts: AskPrivateHosts = False,
    policy: PolicyFile = None,
    minimum_assurance: MinimumAssurance = None,
    require_samples: RequireSamples = False,
    sample_draws: SampleDraws = None,
    sample_one_in: SampleOneIn = None,
    trust_model: TrustedModels = None,
    sample_patience: Annotated[
        float,
        typer.Option(
            "--sample-patience",
            min=0,
            help="Seconds in which sample proofs that the policy asks for may still come.",
        ),
    ] = 3600.0,
    portal_patience: PortalPatience = PORTAL_PATIENCE_SECONDS,
) -> None:
    """Follow new sessions of a host, audit each when it is over, append a JSON line for each."""

    def run(_output: Output) -> None:
        from ...audit.session.inputs import AuditInputs
        from ...audit.session.watching import HostWatch, WatchSettings

        address = Address.from_hex(host)
        keeper = _Keeper(out, state)
        wanted = PolicyOptions(
            file=policy,
            minimum_assurance=minimum_assurance,
            require_samples=require_samples,
            sample_draws=sample_draws,
            sample_one_in=sample_one_in,
            models=tuple(trust_model or ()),
        ).resolve()
        inputs = AuditInputs(policy=wanted, ask_host=ask_host, ask_private_hosts=ask_private_hosts)
        options = ChainOptions(network, env_file, tuple(rpc_url or ()), marketplace)

        async def watching() -> None:
            async with opened(options, portal, portal_patience) as (chain, storage):
                begun = from_block
                if begun is None:
                    begun = (await chain.head()).number
                following = HostWatch(
                    chain,
                    storage,
                    address,
                    keeper.begin(begun),
                    tell=lambda result: keeper.tell(result, full),
                    keep=keeper.keep,
                    inputs=inputs,
                    settings=WatchSettings(
                        confirmations,
                        poll_seconds,
                        sample_patience_seconds=sample_patience,
                    ),
                )
                await following.run(stop_requested(), once=once)

        asyncio.run(watching())

    guarded("prove-session", "watch", False, run)


class _Keeper:
    """The output, one line a session, and the state. The line comes first: after a crash between
    the two the session is known from the line, and is not told again."""

    def __init__(self, out: Path | None, state: Path | None) -> None:
        self._out = out
        self._state = state or (out.with_name(out.name + ".state") if out is not None else None)
        self._told = frozenset(_sessions_in(out))

    def begin(self, from_block: int) -> Watched:
        """Where the last run stood, or the beginning."""
        from ...audit.session.watching import Watched

        if self._state is None or not self._state.exists():
            return Watched(from_block)
        watched = Watched.decode(read_file(self._state))
        for session_id in self._told:
            watched = watched.without(session_id)
        return watched

    async def tell(self, result: WatchResult, full: bool) -> None:
        line = json.dumps(result.to_json(full=full), allow_nan=False) + "\n"
        if self._out is None:
            sys.stdout.write(line)
            sys.stdout.flush()
            return
        try:
            with self._out.open("a", encoding="utf-8") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise BadInput(f"cannot write {self._out}", got=error.strerror or str(error)) from error

    async def keep(self, watched: Watched) -> None:
        if self._state is not None:
            write_file(self._state, watched.encode())


def _sessions_in(out: Path | None) -> list[int]:
    """The sessions that lines were written of. A last line that a crash cut short is dropped."""
    if out is None or not out.exists():
        return []
    data = read_file(out)
    whole, _, rest = data.rpartition(b"\n")
    if rest:
        write_file(out, whole + b"\n" if whole else b"")
    return [_session_of(line) for line in whole.splitlines()]


def _session_of(line: bytes) -> int:
    try:
        fields: Any = json.loads(line)
        return int(fields["session"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            "the output file has a line that is no result of a watch", got=repr(line[:80])
        ) from error
