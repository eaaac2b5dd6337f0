"""Runs every check at once and puts their findings in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ...errors import PlatformlessError
from ..keys.errors import HostKeyError
from .build_checks import check_engine, check_gpu, check_prover
from .certificate import check_certificate
from .chain_checks import check_clock, check_contracts, check_rpc
from .finding import Finding, error, skipped
from .host_checks import check_gas, check_host_key, check_registration, check_stake
from .ledger_check import check_ledger
from .machine import Machine
from .machine_checks import check_disk, check_memory, check_open_files
from .model_checks import HASHING_SECONDS, check_model, check_model_memory
from .ports import check_api_port, check_p2p
from .reading_secrets import read_secrets
from .reading_settings import CONTRACTS, SettingsFound, read_settings
from .report import Report
from .service_checks import check_broker, check_portals
from .shared import ChainOutOfReach, KeyOutOfReach, Options, Subject, subject_of
from .trace_check import check_trace

log = logging.getLogger(__name__)

_SECONDS = 30.0
_CHAIN = ("RPC_URL", "CHAIN_ID")
_DEPLOYMENT = (*_CHAIN, *CONTRACTS)
_TRACE = ("TRACE", "TRACE_ONE_IN", "TRACE_THREADS", "SAMPLE_DRAWS")


@dataclass(frozen=True, slots=True)
class Check:
    """A check, and the variables without which it would look at something else."""

    name: str
    run: Callable[[Subject], Awaitable[Sequence[Finding]]]
    needs: tuple[str, ...] = ()
    seconds: float = _SECONDS


CHECKS = (
    Check("host-key", check_host_key),
    Check("rpc", check_rpc, _CHAIN),
    Check("clock", check_clock, _CHAIN),
    Check("contracts", check_contracts, _DEPLOYMENT),
    Check("gas", check_gas, _CHAIN),
    Check("stake", check_stake, _DEPLOYMENT),
    Check("registration", check_registration, (*_DEPLOYMENT, "PUBLIC_URL")),
    Check("certificate", check_certificate, ("PUBLIC_URL",)),
    Check("ports", check_api_port, ("API_HOST", "API_PORT")),
    Check("p2p", check_p2p, ("P2P_ENABLED", "P2P_HOST", "P2P_PORT", "P2P_BOOTSTRAP")),
    Check("model", check_model, (*_DEPLOYMENT, "MODEL_PATH"), HASHING_SECONDS + _SECONDS),
    Check("model-memory", check_model_memory, ("MODEL_PATH", "GPU_LAYERS", "ENGINE_EXACT_REPLAY")),
    Check("gpu", check_gpu),
    Check("engine", check_engine),
    Check("prover", check_prover),
    Check("trace", check_trace, ("MODEL_PATH", *_TRACE)),
    Check("portal", check_portals, ("S5_PORTAL_URL", "S5_PORTAL_TOKEN")),
    Check("broker", check_broker, ("BROKER_URL", "DATA_FOLDER")),
    Check("ledger", check_ledger, ("LEDGER_URL", "LEDGER_KEY", "DATA_FOLDER", *_CHAIN)),
    Check("disk", check_disk, ("DATA_FOLDER",)),
    Check("memory", check_memory, ("PROVER_MEMORY_GIB",)),
    Check("open-files", check_open_files),
)


async def examine(
    environment: Mapping[str, str],
    options: Options,
    machine: Machine | None = None,
    checks: Sequence[Check] = CHECKS,
) -> Report:
    """Looks at everything. Changes nothing, but for a blob on each portal when
    `options.write` says so.

    Args:
        machine: In place of this one, for tests.
        checks: Fewer than all, for tests.
    """
    found = await asyncio.to_thread(_read, environment, options)
    async with subject_of(found, machine or Machine(), options) as subject:
        told = await asyncio.gather(*(_findings(check, subject) for check in checks))
    return Report((*found.findings, *(finding for findings in told for finding in findings)))


def _read(environment: Mapping[str, str], options: Options) -> SettingsFound:
    secrets = read_secrets(environment)
    found = read_settings(secrets.environment, options.env_file)
    return replace(
        found,
        left_out=found.left_out | secrets.left_out,
        findings=(*secrets.findings, *found.findings),
    )


async def _findings(check: Check, subject: Subject) -> Sequence[Finding]:
    wrong = [name for name in check.needs if name in subject.found.left_out]
    if wrong:
        return [skipped(check.name, f"{' and '.join(wrong)} must be right first")]
    try:
        async with asyncio.timeout(check.seconds):
            return await check.run(subject)
    except ChainOutOfReach:
        return [skipped(check.name, "no RPC endpoint serves the chain")]
    except KeyOutOfReach:
        return [skipped(check.name, "the host's key must be right first")]
    except HostKeyError as problem:
        return [skipped(check.name, f"the host's key cannot be had ({problem.code})")]
    except TimeoutError:
        advice = "try again when the machine and its network are less busy"
        return [error(check.name, f"not known within {check.seconds:.0f} s", advice)]
    except PlatformlessError as problem:
        advice = problem.advice or "see the code in the documentation"
        return [error(check.name, str(problem), advice)]
    except Exception as problem:
        log.warning("the check %s failed", check.name, exc_info=True)
        says = f"the check itself failed: {type(problem).__name__} {problem}"
        return [error(check.name, says, "report this, with the log")]
