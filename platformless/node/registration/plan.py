"""From what is on chain and what was asked to what is to be sent. All of it is pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...chain.host_metadata import key_in_metadata
from ...chain.money import Price
from ...chain.node_registry import Host, NodeRegistry
from ...chain.token import Erc20
from ...protocol.digests import ModelId
from ...protocol.secrecy import PublicKeyBytes
from .api_url import ApiUrl, require_reachable
from .asked import (
    AskedModel,
    AskedPrices,
    Details,
    default_price,
    require_own_models,
)
from .errors import AlreadyRegistered, ModelsNotApproved, NotEnoughFab, NotRegistered
from .facts import OnChain, Pair
from .journal import Earlier
from .metadata import Machine, changed_metadata, name_in, new_metadata
from .prices import in_bounds, lowest_in, price_steps, unfinished, wanted_prices
from .served_file import ServedFile
from .steps import (
    API_URL,
    APPROVE,
    METADATA,
    MODELS,
    REGISTER,
    UNREGISTER,
    Plan,
    Step,
)


@dataclass(frozen=True, slots=True)
class Contracts:
    """What makes the calls of a plan."""

    registry: NodeRegistry
    fab: Erc20


@dataclass(frozen=True, slots=True)
class Registration:
    """An account is to become a host."""

    details: Details
    """With a name."""
    api_url: ApiUrl
    models: tuple[AskedModel, ...]
    usdc: AskedPrices
    eth: AskedPrices
    machine: Machine
    served: ServedFile

    @property
    def model_ids(self) -> tuple[ModelId, ...]:
        return tuple(model.id for model in self.models)

    def plan(self, found: OnChain, earlier: Earlier, contracts: Contracts) -> Plan:
        """Registers, or completes a registration with the same name, address and models that
        stopped before its prices were set.

        Raises:
            AlreadyRegistered, ModelsNotApproved, NotEnoughFab, PriceRefused, ApiUrlRefused
        """
        warnings = list(require_reachable(self.api_url, found.is_dev_chain))
        _require_approved(self.models, found)
        wanted = wanted_prices(self.model_ids, self._prices(found), found)
        warnings += self.served.warnings(self.model_ids, found)
        if found.host is None:
            first = _registering(self, found, wanted, contracts)
            differing = [pair for pair in wanted if found.prices.get(pair) != wanted[pair]]
        else:
            self._require_same(found.host)
            first = []
            differing = unfinished(wanted, found, earlier)
            is_as_asked = all(found.prices.get(pair) == wanted[pair] for pair in wanted)
            if not differing and not (is_as_asked and earlier.was_under_way):
                raise AlreadyRegistered(
                    f"{found.account} is registered on chain {found.network.chain_id}"
                )
            warnings.append("registered already: only what an earlier command left is done")
        prices = price_steps(differing, wanted, found, contracts.registry, stage=2)
        return Plan((*first, *prices), tuple(warnings))

    def _prices(self, found: OnChain) -> tuple[AskedPrices, AskedPrices]:
        usdc, native = found.tokens
        return self.usdc.on(usdc), self.eth.on(native)

    def _require_same(self, host: Host) -> None:
        differences = [
            what
            for what, differs in (
                ("name", name_in(host.metadata) != self.details.name),
                ("API URL", host.api_url != self.api_url.text),
                ("models", set(host.models) != set(self.model_ids)),
                ("public key", key_in_metadata(host.metadata, host.address) is None),
            )
            if differs
        ]
        if differences:
            raise AlreadyRegistered(
                f"{host.address} is registered otherwise",
                expected="no registration, or the same one half done",
                got=f"another {', '.join(differences)}",
            )


@dataclass(frozen=True, slots=True)
class Update:
    """A registration is to be changed. None: stays as it is."""

    details: Details
    key: PublicKeyBytes
    api_url: ApiUrl | None
    models: tuple[AskedModel, ...] | None
    usdc: AskedPrices
    eth: AskedPrices
    machine: Machine | None
    served: ServedFile

    @property
    def model_ids(self) -> tuple[ModelId, ...]:
        return tuple(model.id for model in self.models or ())

    def plan(self, found: OnChain, earlier: Earlier, contracts: Contracts) -> Plan:
        """What differs, and nothing else.

        Raises:
            NotRegistered, ModelsNotApproved, PriceRefused, ApiUrlRefused
        """
        del earlier  # what is on chain says it all
        host = require_host(found)
        steps: list[Step] = []
        warnings: list[str] = []
        models = host.models
        if self.models is not None:
            warnings += self.served.warnings(self.model_ids, found)
            if set(self.model_ids) != set(host.models):
                _require_approved(self.models, found)
                models = self.model_ids
                steps.append(_models_step(self.models, contracts))
        if self.api_url is not None:
            warnings += require_reachable(self.api_url, found.is_dev_chain)
            if self.api_url.text != host.api_url:
                steps.append(_api_url_step(self.api_url, contracts))
        metadata = changed_metadata(host.metadata, self.key, self.details, self.machine)
        if metadata != host.metadata:
            text = f"metadata: {metadata}"
            steps.append(Step(METADATA, 0, contracts.registry.set_metadata(metadata), text))
        prices, without = self._prices(models, host, found)
        differing = [pair for pair in prices if found.prices.get(pair) != prices[pair]]
        steps += price_steps(differing, prices, found, contracts.registry, stage=1)
        warnings += without
        return Plan(tuple(steps), tuple(warnings))

    def _prices(
        self, models: Sequence[ModelId], host: Host, found: OnChain
    ) -> tuple[dict[Pair, Price], list[str]]:
        """Prices that were asked, and those of new models, which nobody could buy otherwise; what
        to say of models that stay without one."""
        wanted, warnings = {}, []
        for asked, token in zip((self.usdc, self.eth), found.tokens, strict=True):
            prices = asked.on(token)
            require_own_models(prices, models)
            for model in models:
                pair = (model, token.address)
                price = prices.of(model)
                if price is None and model not in host.models and pair not in found.prices:
                    price = default_price(token)
                if price is not None:
                    wanted[pair] = in_bounds(price, found)
                elif pair not in found.prices:
                    name = found.name_of(model)
                    warnings.append(f"{name} has no price in {token}, and cannot be paid in it")
        return wanted, warnings


@dataclass(frozen=True, slots=True)
class Leaving:
    """A host is to be no host any more; its stake comes back."""

    warnings: tuple[str, ...]
    model_ids: tuple[ModelId, ...] = ()

    def plan(self, found: OnChain, earlier: Earlier, contracts: Contracts) -> Plan:
        """Raises:
        NotRegistered
        """
        del earlier
        host = require_host(found)
        text = f"unregister; the stake of {host.stake} comes back"
        return Plan((Step(UNREGISTER, 0, contracts.registry.unregister(), text),), self.warnings)


Asked = Registration | Update | Leaving


def require_host(found: OnChain) -> Host:
    """Raises:
    NotRegistered
    """
    if found.host is None:
        raise NotRegistered(f"{found.account} is not registered on chain {found.network.chain_id}")
    return found.host


def _registering(
    asked: Registration, found: OnChain, wanted: dict[Pair, Price], contracts: Contracts
) -> list[Step]:
    """Approval of the stake, when what was approved is less, and the registration."""
    stake, registry = found.required_stake, found.network.node_registry
    if found.fab < stake:
        raise NotEnoughFab(f"{found.account} cannot pay the stake", expected=stake, got=found.fab)
    steps = []
    if found.allowance < stake:
        text = f"approve {stake} for NodeRegistry"
        steps.append(Step(APPROVE, 0, contracts.fab.approve(registry, stake), text))
    usdc, native = found.tokens
    call = contracts.registry.register(
        metadata=new_metadata(asked.machine, asked.details),
        api_url=asked.api_url.text,
        models=asked.model_ids,
        stable_price=lowest_in(wanted, usdc),
        native_price=lowest_in(wanted, native),
    )
    text = f"register {asked.details.name!r} at {asked.api_url.text}, stake {stake}"
    return [*steps, Step(REGISTER, 1, call, text)]


def _models_step(models: Sequence[AskedModel], contracts: Contracts) -> Step:
    call = contracts.registry.set_models(tuple(model.id for model in models))
    return Step(MODELS, 0, call, f"models: {', '.join(model.text for model in models)}")


def _api_url_step(url: ApiUrl, contracts: Contracts) -> Step:
    return Step(API_URL, 0, contracts.registry.set_api_url(url.text), f"API URL: {url.text}")


def _require_approved(models: Sequence[AskedModel], found: OnChain) -> None:
    refused = [model for model in models if not found.is_approved(model.id)]
    if refused:
        raise ModelsNotApproved(
            "models that hosts may not serve",
            expected="models that ModelRegistry knows and approves",
            got=", ".join(
                f"{model.text} ({'not approved' if found.models.get(model.id) else 'not known'})"
                for model in refused
            ),
        )
