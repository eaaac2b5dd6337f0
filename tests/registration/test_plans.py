"""What is sent, by what is on chain and what was asked: without a chain."""

from __future__ import annotations

from dataclasses import replace

import pytest

from platformless.chain.connection import Chain
from platformless.chain.model_registry import FileHash, ModelFile, RegisteredModel
from platformless.chain.money import NATIVE, Amount, Price
from platformless.chain.networks import BASE_SEPOLIA
from platformless.chain.node_registry import Host, NodeRegistry, PriceBounds
from platformless.chain.token import Erc20
from platformless.node.registration.api_url import read_api_url
from platformless.node.registration.asked import (
    AskedModel,
    AskedPrices,
    Details,
    default_price,
)
from platformless.node.registration.errors import (
    AlreadyRegistered,
    ApiUrlRefused,
    ModelsNotApproved,
)
from platformless.node.registration.facts import OnChain
from platformless.node.registration.hardware import Hardware
from platformless.node.registration.journal import Earlier
from platformless.node.registration.metadata import Machine, new_metadata
from platformless.node.registration.plan import Contracts, Registration, Update
from platformless.node.registration.served_file import ServedFile
from platformless.protocol.host_key import LocalKey

USDC = BASE_SEPOLIA.usdc
KEY = LocalKey(b"\x07" * 32)
FILE = ModelFile("owner/name", "file.gguf", FileHash(b"\x01" * 32))
MODEL = AskedModel(FILE.id, "owner/name/file.gguf")
MACHINE = Machine("1.2.3", Hardware("NVIDIA H200", 140, 128, "a processor"), KEY.public_key)
FOUND = OnChain(
    network=BASE_SEPOLIA,
    account=KEY.address,
    is_dev_chain=False,
    host=None,
    required_stake=BASE_SEPOLIA.fab.amount(1000),
    fab=BASE_SEPOLIA.fab.amount(1000),
    allowance=Amount(0, BASE_SEPOLIA.fab),
    eth=NATIVE.amount(1),
    bounds={
        USDC.address: PriceBounds(Price(1, USDC), Price(100_000_000, USDC)),
        NATIVE.address: PriceBounds(Price(227_273, NATIVE), Price(22_727_272_727_273_000, NATIVE)),
    },
    models={FILE.id: RegisteredModel(FILE, approved=True, by_owner=True, registered_at=1)},
    prices={},
)
REGISTRATION = Registration(
    details=Details(name="Node", performance_tier="standard"),
    api_url=read_api_url("https://node.example.com:8080"),
    models=(MODEL,),
    usdc=AskedPrices(USDC),
    eth=AskedPrices(NATIVE),
    machine=MACHINE,
    served=ServedFile(FILE.file_name, FILE.file_hash.value),
)
UPDATE = Update(
    Details(),
    KEY.public_key,
    None,
    None,
    AskedPrices(USDC),
    AskedPrices(NATIVE),
    None,
    ServedFile(),
)
BOTH = {
    (FILE.id, USDC.address): default_price(USDC),
    (FILE.id, NATIVE.address): default_price(NATIVE),
}


def contracts() -> Contracts:
    chain = Chain(BASE_SEPOLIA)
    return Contracts(NodeRegistry(chain), Erc20(chain, BASE_SEPOLIA.fab))


def steps(
    asked: Registration | Update, found: OnChain, earlier: Earlier | None = None
) -> list[str]:
    return [step.kind for step in asked.plan(found, earlier or Earlier(), contracts()).steps]


def registered(**changes: object) -> OnChain:
    host = Host(
        address=KEY.address,
        stake=BASE_SEPOLIA.fab.amount(1000),
        active=True,
        metadata=new_metadata(MACHINE, REGISTRATION.details),
        api_url=REGISTRATION.api_url.text,
        models=(FILE.id,),
    )
    return replace(FOUND, host=host, **changes)  # type: ignore[arg-type]


class TestPlans:
    def test_a_first_registration_approves_registers_and_prices(self) -> None:
        assert steps(REGISTRATION, FOUND) == ["approve", "register", "price", "price"]
        plan = REGISTRATION.plan(FOUND, Earlier(), contracts())
        assert [step.stage for step in plan.steps] == [0, 1, 2, 2]
        assert plan.warnings == ()

    def test_prices_of_an_earlier_registration_that_are_right_are_not_sent(self) -> None:
        assert steps(REGISTRATION, replace(FOUND, prices=BOTH)) == ["approve", "register"]

    def test_a_half_done_registration_lacks_prices(self) -> None:
        one = {key: price for key, price in BOTH.items() if key[1] == USDC.address}
        assert steps(REGISTRATION, registered(prices=one)) == ["price"]
        with pytest.raises(AlreadyRegistered):
            steps(REGISTRATION, registered(prices=BOTH))

    def test_what_an_earlier_command_had_all_sent_is_complete_and_no_second_registration(
        self,
    ) -> None:
        under_way = Earlier(is_own=True, was_under_way=True)
        assert steps(REGISTRATION, registered(prices=BOTH), under_way) == []
        other = BOTH | {(FILE.id, USDC.address): Price(1, USDC)}
        changed = replace(under_way, priced=frozenset(BOTH))
        with pytest.raises(AlreadyRegistered):
            steps(REGISTRATION, registered(prices=other), changed)

    def test_another_price_is_unfinished_only_if_this_machine_has_not_set_it_since(self) -> None:
        other = BOTH | {(FILE.id, USDC.address): Price(1, USDC)}
        found = registered(prices=other)
        with pytest.raises(AlreadyRegistered):
            steps(REGISTRATION, found)
        assert steps(REGISTRATION, found, Earlier(is_own=True)) == ["price"]
        with pytest.raises(AlreadyRegistered):
            steps(REGISTRATION, found, Earlier(True, frozenset({(FILE.id, USDC.address)})))

    def test_another_registration_is_not_gone_on_with(self) -> None:
        for changes in (
            {"details": Details(name="Other")},
            {"api_url": read_api_url("https://other.example.com")},
        ):
            with pytest.raises(AlreadyRegistered, match="otherwise"):
                steps(replace(REGISTRATION, **changes), registered())

    def test_models_that_are_not_approved_are_all_named(self) -> None:
        withdrawn = replace(FILE, file_name="withdrawn.gguf")
        unknown = replace(FILE, file_name="unknown.gguf")
        known = RegisteredModel(withdrawn, approved=False, by_owner=True, registered_at=1)
        models = tuple(AskedModel(file.id, file.file_name) for file in (FILE, withdrawn, unknown))
        found = replace(FOUND, models={**FOUND.models, withdrawn.id: known, unknown.id: None})
        with pytest.raises(ModelsNotApproved) as refused:
            steps(replace(REGISTRATION, models=models), found)
        assert refused.value.got == "withdrawn.gguf (not approved), unknown.gguf (not known)"

    def test_a_private_address_keeps_one_from_a_chain_for_everybody(self) -> None:
        local = replace(REGISTRATION, api_url=read_api_url("http://127.0.0.1:8080"))
        with pytest.raises(ApiUrlRefused):
            steps(local, FOUND)
        assert steps(local, replace(FOUND, is_dev_chain=True))[0] == "approve"

    def test_an_update_that_changes_nothing_has_no_steps(self) -> None:
        assert steps(UPDATE, registered(prices=BOTH)) == []

    def test_an_update_puts_the_key_right(self) -> None:
        found = registered(prices=BOTH)
        assert found.host is not None
        foreign = found.host.metadata.replace(KEY.public_key.value.hex(), "02" + "11" * 32)
        for metadata in (foreign, "no json", "[]"):
            wrong = replace(found, host=replace(found.host, metadata=metadata))
            assert steps(UPDATE, wrong) == ["metadata"]

    def test_a_model_without_a_price_is_told(self) -> None:
        plan = UPDATE.plan(registered(), Earlier(), contracts())
        assert [warning[-len("cannot be paid in it") :] for warning in plan.warnings] == [
            "cannot be paid in it"
        ] * 2
