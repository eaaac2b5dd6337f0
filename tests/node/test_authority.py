"""Which sessions a host serves, read from the real contracts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from platformless.chain.devchain import DevChain
from platformless.node.errors import (
    DepositUsedUp,
    ForeignHost,
    JobNotActive,
    JobNotFound,
    JobTimedOut,
    ModelNotServed,
)
from platformless.node.sessions.authority import SessionAuthority
from platformless.protocol.digests import ModelId, WeightsRoot
from tests.chain.conftest import dev_chain as dev_chain
from tests.chain.world import World


@pytest.fixture
async def world(dev_chain: DevChain, tmp_path: Path) -> AsyncIterator[World]:
    async with World(dev_chain, tmp_path) as world:
        yield world


def authority(world: World, host: str = "host", *models: ModelId) -> SessionAuthority:
    return SessionAuthority(
        world.chain, world.address(host), frozenset(models or (world.model_id,))
    )


async def test_an_open_session_of_this_host_is_admitted(world: World) -> None:
    session_id = await world.open_session()
    admitted = await authority(world).admit(session_id)
    assert admitted.session.client == world.address("client")
    assert admitted.model_id == world.model_id
    assert admitted.tokens_per_second == 2000
    rules = admitted.claim_rules()
    assert (rules.minimum_claim, rules.proof_interval) == (100, 100)
    assert rules.affordable == 100_000
    terms = admitted.terms(WeightsRoot.zero())
    assert (terms.chain_id, terms.marketplace) == (84532, world.network.marketplace)
    assert (terms.session_id, terms.price) == (session_id, 5_000)


async def test_a_job_that_does_not_exist_is_refused(world: World) -> None:
    with pytest.raises(JobNotFound):
        await authority(world).admit(10**9)


async def test_a_job_that_is_over_is_refused(world: World) -> None:
    session_id = await world.open_session()
    await world.send("client", world.marketplace.complete(session_id))
    with pytest.raises(JobNotActive):
        await authority(world).admit(session_id)


async def test_a_job_that_has_timed_out_is_refused(world: World) -> None:
    session_id = await world.open_session(proof_timeout_seconds=60)
    await world.pass_time(61)
    with pytest.raises(JobTimedOut):
        await authority(world).admit(session_id)
    admitted = await authority(world).admit(session_id, timed_out_too=True)
    assert admitted.session.id == session_id


async def test_another_hosts_job_is_refused(world: World) -> None:
    session_id = await world.open_session()
    with pytest.raises(ForeignHost):
        await authority(world, "host-2").admit(session_id)


async def test_a_job_for_another_model_is_refused(world: World) -> None:
    session_id = await world.open_session()
    with pytest.raises(ModelNotServed):
        await authority(world, "host", ModelId(b"\x01" * 32)).admit(session_id)


async def test_a_job_whose_deposit_is_used_up_is_refused(world: World) -> None:
    session_id = await world.open_session()
    await world.pass_time(120)
    submission = world.submission(session_id, 100_000)
    await world.send("host", world.marketplace.submit_proof(submission))
    with pytest.raises(DepositUsedUp):
        await authority(world).admit(session_id)
