"""Errors of registering a host.

RegistrationError                REG-000
├── InputRefused                 REG-100   exit status 2
│   ├── ChainNotNamed            REG-101   neither or both of --chain and --all-chains
│   ├── ChainNotKnown            REG-102   no deployment on a chain of this id is known
│   ├── NameRefused              REG-103   a name that is empty, too long or not printable
│   ├── ApiUrlRefused            REG-104   an address that clients could not use
│   ├── ModelsRefused            REG-105   a list of models that cannot be read
│   ├── PriceRefused             REG-106   no price, or one that the registry does not take
│   ├── DetailRefused            REG-107   tier, location, number of answers, or address
│   ├── NothingAsked             REG-108   an update that names nothing to update
│   └── ConfirmationNeeded       REG-109   nobody can be asked, and --yes was not given
├── RegistrationRefused          REG-200   exit status 1
│   ├── AlreadyRegistered        REG-201   the account is a host already
│   ├── NotRegistered            REG-202   the account is no host
│   ├── ModelsNotApproved        REG-203   models that hosts may not serve
│   ├── NotEnoughFab             REG-204   less FAB than the stake
│   ├── NotEnoughEth             REG-205   less ETH than the transactions may cost
│   ├── Declined                 REG-206   the operator said no
│   └── StepRefused              REG-207   the contract refused a transaction
└── RegistrationUnfinished       REG-300   exit status 3; the same command goes on from there
    ├── StepUnderWay             REG-301   a transaction is sent and not final yet
    ├── PlanChanged              REG-302   the chain changed while the operator decided
    └── AlreadyRunning           REG-303   another such command of this account is running
"""

from __future__ import annotations

from ...errors import PlatformlessError


class RegistrationError(PlatformlessError):
    """A host cannot be registered, looked at, changed or unregistered."""

    code = "REG-000"


class InputRefused(RegistrationError):
    """What was asked for cannot be."""

    code = "REG-100"
    outcome = "invalid"
    exit_status = 2


class ChainNotNamed(InputRefused):
    code = "REG-101"
    advice = "name one chain with --chain, or take --all-chains"


class ChainNotKnown(InputRefused):
    code = "REG-102"
    advice = "name one of these chains, or set CHAIN_ID, RPC_URL and the contracts' addresses"


class NameRefused(InputRefused):
    code = "REG-103"


class ApiUrlRefused(InputRefused):
    code = "REG-104"
    advice = "name the address by which clients reach the node from the internet"


class ModelsRefused(InputRefused):
    code = "REG-105"
    advice = "`fabstir-llm-node model-info FILE --repository OWNER/NAME` prints a model's id"


class PriceRefused(InputRefused):
    code = "REG-106"
    advice = "prices are in whole USDC or ETH per million tokens, such as 10 or 0x…=12.5"


class DetailRefused(InputRefused):
    code = "REG-107"


class NothingAsked(InputRefused):
    code = "REG-108"
    advice = "name what changes, such as --api-url; `registration-status` shows what is registered"


class ConfirmationNeeded(InputRefused):
    code = "REG-109"
    advice = "look at it with --dry-run, then send it with --yes"


class RegistrationRefused(RegistrationError):
    """The chain's state forbids it; nothing was sent, unless the message says so."""

    code = "REG-200"
    outcome = "rejected"
    exit_status = 1


class AlreadyRegistered(RegistrationRefused):
    code = "REG-201"
    advice = "`fabstir-llm-node update-registration` changes a registration"


class NotRegistered(RegistrationRefused):
    code = "REG-202"
    advice = "`fabstir-llm-node register-node` registers the host"


class ModelsNotApproved(RegistrationRefused):
    code = "REG-203"
    advice = "leave these models out, or wait until ModelRegistry approves them"


class NotEnoughFab(RegistrationRefused):
    code = "REG-204"
    advice = "send FAB to the host's account"


class NotEnoughEth(RegistrationRefused):
    code = "REG-205"
    advice = "send ETH to the host's account"


class Declined(RegistrationRefused):
    code = "REG-206"


class StepRefused(RegistrationRefused):
    code = "REG-207"
    advice = "when the reason is gone, run the same command again: what is done is not sent again"


class RegistrationUnfinished(RegistrationError):
    """Not all is done. Nothing is sent twice when the same command is run again."""

    code = "REG-300"


class StepUnderWay(RegistrationUnfinished):
    code = "REG-301"
    advice = "run the same command again: it waits for this transaction and goes on"


class PlanChanged(RegistrationUnfinished):
    code = "REG-302"
    advice = "nothing was sent: look at what is needed now by running the command again"


class AlreadyRunning(RegistrationUnfinished):
    code = "REG-303"
    advice = "wait for it to end"
