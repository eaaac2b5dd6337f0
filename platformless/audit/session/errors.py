"""What an audit may find that no narrower check has a code for.

AuditProblem                 AUD-000
├── AuditorFailed            AUD-001   the check itself broke; nothing is accepted
├── TooManyProofs            AUD-002   more proofs than an audit looks at
├── NodesDisagree            AUD-101   two RPC nodes tell the session differently
├── ProofOfAnotherHost       AUD-102   an event of this session names another host
├── OpeningDiffers           AUD-103   the event that opened the session tells it differently
├── TokensNotAddUp           AUD-201   the contract's count is not the sum of its proofs
├── PaymentNotFollowing      AUD-202   what was paid does not follow from the tokens
├── FeeUnclear               AUD-203   the split between host and treasury is not today's
├── OverDeposit              AUD-204   the proven tokens cost more than the deposit
├── IndexDiffers             AUD-301   the host's index names other files than the chain
├── IndexStale               AUD-302   the index ends before the chain does
├── IndexForeign             AUD-303   the index is not signed by the session's host
├── IndexUnavailable         AUD-304   no index was had
├── HostUnregistered         AUD-311   the registry does not know the host (any more)
├── HostKeyForeign           AUD-312   the host's published key is not its account's
├── ModelUnregistered        AUD-313   the registry does not know the model, or not for this host
├── HeaderDiffers            AUD-321   the transcript is of another session
├── StateDiffers             AUD-322   the client's transcript leads to another state
├── TranscriptShort          AUD-323   the host billed tokens that are not in the transcript
├── TextDiffers              AUD-324   the delta tells another text than the transcript
├── TranscriptLonger         AUD-325   the transcript goes on where no proof does
├── NothingToReplay          AUD-326   a model was given, and no transcript
├── BrokeOff                 AUD-327   the client lost the connection before an answer's end
├── AnswerPadded             AUD-328   an answer has more tokens than its text can have
├── SampleMissing            AUD-341   a drawn checkpoint whose proof of sampled cells was not had
├── BeaconNotYet             AUD-342   the block that draws the cells does not exist yet
├── FactsUnchecked           AUD-343   neither a model file nor a trusted digest of its facts
├── SampleUnmatched          AUD-344   a file that is a sample proof of no checkpoint here
├── ContextsUnchecked        AUD-345   no transcript tells where the contexts begin
├── RootNotSubmitted         AUD-346   a trace root that the submitted bundle does not have
├── ModelFileForeign         AUD-401   the model file is not the one the session names
├── PromptTokensForeign      AUD-402   a prompt's tokens are not those of its text
├── TextNotOfTokens          AUD-403   an answer's tokens do not spell its text
├── ReplayMismatch           AUD-410   a bit-exact replay chooses another token
├── NotThisModel             AUD-411   the tokens are not this model's, statistically
├── TokenOutOfReach          AUD-412   a single token is too far off
├── AnswerPastItsEnd         AUD-413   the answer goes on where the model ended it, or bills its end
├── TooFewTokens             AUD-420   too few tokens for a verdict
├── NotReplayedExactly       AUD-421   replayed statistically, and why
├── PromptUnchecked          AUD-422   a prompt whose tokens were not compared with its text
├── DeltaSealed              AUD-501   the delta is sealed: its text was not compared
├── PartsNotFetched          AUD-502   one proof for all checkpoints, theirs were not looked at
├── SessionActive            AUD-503   the session goes on: nothing is settled yet
├── NothingToAggregate       AUD-505   a session without proofs has none to join
├── WatchStateBroken         AUD-504   the file in which a watch keeps its place is damaged
└── PolicyBroken             AUD-600
    ├── AssuranceTooLow      AUD-601   less than the policy's minimum assurance
    ├── TooManyUnproven      AUD-602   more unproven tokens than the policy allows
    ├── NotAcknowledged      AUD-603   fewer tokens acknowledged than the policy asks for
    ├── DeltasNotRead        AUD-604   the policy asks for readable deltas
    ├── IndexRequired        AUD-605   the policy asks for the host's index
    ├── NotSettled           AUD-606   the policy asks for a session that is over
    ├── NotExact             AUD-607   the policy asks for a replay that is bit for bit
    ├── SamplesRequired      AUD-608   the policy asks for proofs of sampled cells
    └── PolicyUnreadable     AUD-610   the policy file is none
"""

from __future__ import annotations

from ...errors import PlatformlessError


class AuditProblem(PlatformlessError):
    """Something that keeps a session from being accepted, or is worth knowing."""

    code = "AUD-000"


class AuditorFailed(AuditProblem):
    code = "AUD-001"


class TooManyProofs(AuditProblem):
    code = "AUD-002"


class NodesDisagree(AuditProblem):
    code = "AUD-101"


class ProofOfAnotherHost(AuditProblem):
    code = "AUD-102"


class OpeningDiffers(AuditProblem):
    code = "AUD-103"


class TokensNotAddUp(AuditProblem):
    code = "AUD-201"


class PaymentNotFollowing(AuditProblem):
    code = "AUD-202"


class FeeUnclear(AuditProblem):
    code = "AUD-203"


class OverDeposit(AuditProblem):
    code = "AUD-204"


class IndexDiffers(AuditProblem):
    code = "AUD-301"


class IndexStale(AuditProblem):
    code = "AUD-302"


class IndexForeign(AuditProblem):
    code = "AUD-303"


class IndexUnavailable(AuditProblem):
    code = "AUD-304"


class HostUnregistered(AuditProblem):
    code = "AUD-311"


class HostKeyForeign(AuditProblem):
    code = "AUD-312"


class ModelUnregistered(AuditProblem):
    code = "AUD-313"


class HeaderDiffers(AuditProblem):
    code = "AUD-321"


class StateDiffers(AuditProblem):
    code = "AUD-322"


class TranscriptShort(AuditProblem):
    code = "AUD-323"


class TextDiffers(AuditProblem):
    code = "AUD-324"


class TranscriptLonger(AuditProblem):
    code = "AUD-325"


class NothingToReplay(AuditProblem):
    code = "AUD-326"


class BrokeOff(AuditProblem):
    code = "AUD-327"


class AnswerPadded(AuditProblem):
    code = "AUD-328"


class SampleMissing(AuditProblem):
    code = "AUD-341"


class BeaconNotYet(AuditProblem):
    code = "AUD-342"


class FactsUnchecked(AuditProblem):
    code = "AUD-343"


class SampleUnmatched(AuditProblem):
    code = "AUD-344"


class ContextsUnchecked(AuditProblem):
    code = "AUD-345"


class RootNotSubmitted(AuditProblem):
    code = "AUD-346"


class ModelFileForeign(AuditProblem):
    code = "AUD-401"


class DeltaSealed(AuditProblem):
    code = "AUD-501"


class PartsNotFetched(AuditProblem):
    code = "AUD-502"


class SessionActive(AuditProblem):
    code = "AUD-503"


class NothingToAggregate(AuditProblem):
    code = "AUD-505"


class WatchStateBroken(AuditProblem):
    code = "AUD-504"
    advice = "move it away; the watch begins at --from-block then"


class PolicyBroken(AuditProblem):
    """The session does not give what the policy insists on."""

    code = "AUD-600"


class AssuranceTooLow(PolicyBroken):
    code = "AUD-601"


class TooManyUnproven(PolicyBroken):
    code = "AUD-602"


class NotAcknowledged(PolicyBroken):
    code = "AUD-603"


class DeltasNotRead(PolicyBroken):
    code = "AUD-604"


class IndexRequired(PolicyBroken):
    code = "AUD-605"


class NotSettled(PolicyBroken):
    code = "AUD-606"


class NotExact(PolicyBroken):
    code = "AUD-607"


class SamplesRequired(PolicyBroken):
    code = "AUD-608"


class PolicyUnreadable(PolicyBroken):
    code = "AUD-610"
    outcome = "invalid"
    exit_status = 2
