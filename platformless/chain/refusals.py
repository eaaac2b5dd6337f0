"""Why a contract refuses: one class for each rule.

ContractRefused             CHN-200
├── NotTheHost              CHN-201   permanent
├── SessionNotActive        CHN-202   permanent
├── ClaimTooSmall           CHN-203   permanent
├── FirstClaimTooSmall      CHN-204   permanent
├── ClaimsTooFast           CHN-205   wait until the rate limit allows so many tokens
├── DepositExceeded         CHN-206   permanent
├── ProofHashUsed           CHN-207   permanent
├── DisputeWindowOpen       CHN-208   wait until the dispute window is over
├── NotAParty               CHN-209   permanent
├── SessionNotTimedOut      CHN-210   wait until its proof timeout or its longest duration
├── ContractPaused          CHN-211   retry later
├── HostNotAvailable        CHN-212   permanent
├── ModelNotAvailable       CHN-213   permanent
├── PriceRefused            CHN-214   permanent
├── DepositOutOfRange       CHN-215   permanent
├── TermsOutOfRange         CHN-216   permanent
├── TokenNotAccepted        CHN-217   permanent
├── BalanceTooLow           CHN-218   retry later
├── NotAuthorised           CHN-219   permanent
├── NoSuchProof             CHN-220   permanent
├── RegistrationRefused     CHN-221   permanent
├── ProposalRefused         CHN-222   permanent
├── SlashRefused            CHN-223   permanent
├── SettingRefused          CHN-224   permanent
└── TransferFailed          CHN-225   permanent
"""

from __future__ import annotations

from .errors import ContractRefused, Disposition


class NotTheHost(ContractRefused):
    code = "CHN-201"
    rule = "only the session's host may do this"


class SessionNotActive(ContractRefused):
    code = "CHN-202"
    rule = "the session is over"


class ClaimTooSmall(ContractRefused):
    code = "CHN-203"
    rule = "a proof must claim the marketplace's minimum of tokens"


class FirstClaimTooSmall(ContractRefused):
    code = "CHN-204"
    rule = "the first proof of a session must claim its proof interval"


class ClaimsTooFast(ContractRefused):
    code = "CHN-205"
    rule = "more tokens than the rate limit allows since the last proof"
    disposition = Disposition.WAIT_UNTIL


class DepositExceeded(ContractRefused):
    code = "CHN-206"
    rule = "more tokens than the deposit pays for"


class ProofHashUsed(ContractRefused):
    code = "CHN-207"
    rule = "the proof hash was used before"


class DisputeWindowOpen(ContractRefused):
    code = "CHN-208"
    rule = "the host must wait for the end of the dispute window"
    disposition = Disposition.WAIT_UNTIL


class NotAParty(ContractRefused):
    code = "CHN-209"
    rule = "only the session's client or host may do this"


class SessionNotTimedOut(ContractRefused):
    code = "CHN-210"
    rule = "the session has not timed out"
    disposition = Disposition.WAIT_UNTIL


class ContractPaused(ContractRefused):
    code = "CHN-211"
    rule = "the contract is paused"
    disposition = Disposition.RETRY_LATER


class HostNotAvailable(ContractRefused):
    code = "CHN-212"
    rule = "the host is not registered and active"


class ModelNotAvailable(ContractRefused):
    code = "CHN-213"
    rule = "the model is not approved, or not this host's"


class PriceRefused(ContractRefused):
    code = "CHN-214"
    rule = "the price is not one that the host or the registry allows"


class DepositOutOfRange(ContractRefused):
    code = "CHN-215"
    rule = "the deposit is too small or too large"


class TermsOutOfRange(ContractRefused):
    code = "CHN-216"
    rule = "duration, proof interval or proof timeout out of range"


class TokenNotAccepted(ContractRefused):
    code = "CHN-217"
    rule = "the marketplace does not take this token here"


class BalanceTooLow(ContractRefused):
    code = "CHN-218"
    rule = "not enough balance or allowance"
    disposition = Disposition.RETRY_LATER


class NotAuthorised(ContractRefused):
    code = "CHN-219"
    rule = "the account has not the right to do this"


class NoSuchProof(ContractRefused):
    code = "CHN-220"
    rule = "the session has no proof of this number"


class RegistrationRefused(ContractRefused):
    code = "CHN-221"
    rule = "the registry refuses the registration or its change"


class ProposalRefused(ContractRefused):
    code = "CHN-222"
    rule = "the registry refuses the model or the proposal"


class SlashRefused(ContractRefused):
    code = "CHN-223"
    rule = "the stake cannot be slashed so"


class SettingRefused(ContractRefused):
    code = "CHN-224"
    rule = "the contract does not take this setting"


class TransferFailed(ContractRefused):
    code = "CHN-225"
    rule = "money could not be moved"
