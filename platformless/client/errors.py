"""Errors of the client.

ClientError                     CLT-000
├── HostUnusable                CLT-100
│   ├── NoHost                  CLT-101   no host offers this model for this token
│   ├── HostUnreachable         CLT-102   the host's HTTP or WebSocket server does not answer
│   ├── HostKeyForeign          CLT-103   the host's key is not that of its account
│   ├── ChallengeForeign        CLT-104   a wallet challenge that is not about this session
│   └── HostUnproven            CLT-105   the host shows no transcript that could be checked
├── ConnectionProblem           CLT-200
│   ├── NotConnected            CLT-201   `connect` was not called, or the connection is closed
│   ├── ConnectionLost          CLT-202   connect again: the session goes on
│   ├── HostTooSlow             CLT-203   no reply in time
│   ├── AnswerUnderWay          CLT-204   one answer at a time
│   └── HostFloods              CLT-205   the host sends more than anyone reads
├── HostRefused                 CLT-300   an `error` frame; `wire_code` is the host's
│   └── AnswerFailed            CLT-301   the answer ended by a failure of the host
├── HostLied                    CLT-400   what the host says cannot be true; `rejected`
│   ├── ChunkOutOfOrder         CLT-401   a chunk is missing, repeated or in another place
│   ├── AnswerUnreadable        CLT-402   a part of an answer cannot be opened or read
│   ├── UpdateMissing           CLT-403   an answer ended without its transcript
│   ├── TermsChanged            CLT-404   the header names other terms than the chain
│   ├── HeaderChanged           CLT-405   another header than before
│   ├── SeedForeign             CLT-406   the seed is not made of both sides' parts
│   ├── CommitmentChanged       CLT-407   another commitment to the host's part of the seed
│   ├── EntriesBroken           CLT-408   the entries do not lead where the host says
│   ├── EntriesUnknown          CLT-409   entries for what the client did not ask
│   ├── PromptChanged           CLT-410   another prompt than was sent
│   ├── TextChanged             CLT-411   another text than was received
│   ├── TokensMiscounted        CLT-412   more or fewer tokens than there are
│   ├── HostForgot              CLT-413   fewer entries than the client has verified
│   ├── StateChanged            CLT-414   another state after the same entries
│   ├── ContextChanged          CLT-415   the model was told more or less than it was to know
│   └── SamplerChanged          CLT-416   tokens were drawn in another way than was asked for
└── SessionUnusable             CLT-500
    ├── NotYourSession          CLT-501   another account opened the session
    ├── SavedStateBroken        CLT-502   a saved session that cannot be read, or was changed
    ├── OpeningUnclear          CLT-503   the session was opened, but its id cannot be read yet
    ├── HostDistrusted          CLT-504   the host lied in this session: nothing more is asked
    └── RequestInvalid          CLT-505   a request that no host could serve
"""

from __future__ import annotations

from ..errors import PlatformlessError


class ClientError(PlatformlessError):
    """The client cannot do what it was asked."""

    code = "CLT-000"


class HostUnusable(ClientError):
    """A session with this host cannot begin."""

    code = "CLT-100"


class NoHost(HostUnusable):
    code = "CLT-101"
    advice = "choose another model or another token to pay with"


class HostUnreachable(HostUnusable):
    code = "CLT-102"
    advice = "try again later, or choose another host"


class HostKeyForeign(HostUnusable):
    code = "CLT-103"
    outcome = "rejected"
    exit_status = 1
    advice = "do not send this host anything: someone else may be answering in its place"


class ChallengeForeign(HostUnusable):
    code = "CLT-104"
    outcome = "rejected"
    exit_status = 1


class HostUnproven(HostUnusable):
    code = "CLT-105"
    advice = "the host's node is of a kind that proves nothing to its clients"


class ConnectionProblem(ClientError):
    """Something about one connection. The session and its verified history stay."""

    code = "CLT-200"


class NotConnected(ConnectionProblem):
    code = "CLT-201"
    advice = "call `connect`"


class ConnectionLost(ConnectionProblem):
    code = "CLT-202"
    advice = "call `connect`, then ask again"


class HostTooSlow(ConnectionProblem):
    code = "CLT-203"
    advice = "call `connect`, then ask again"


class AnswerUnderWay(ConnectionProblem):
    code = "CLT-204"
    advice = "read the answer to its end, or close it"


class HostFloods(ConnectionProblem):
    code = "CLT-205"


class HostRefused(ClientError):
    """The host said no. `wire_code` is the code of its frame, such as `TOKEN_LIMIT_EXCEEDED`."""

    code = "CLT-300"

    def __init__(self, wire_code: str, message: str) -> None:
        super().__init__(f"the host refused: {message}", got=wire_code)
        self.wire_code = wire_code


class AnswerFailed(HostRefused):
    """What came before the failure is verified and in the history, if the host accounted for it.
    `wire_code` is the reason that the answer ended with."""

    code = "CLT-301"


class HostLied(ClientError):
    """What the host says cannot be true. The client acknowledges none of it."""

    code = "CLT-400"
    outcome = "rejected"
    exit_status = 1
    advice = "keep the saved session: with the proofs on chain it shows what the host did"


class ChunkOutOfOrder(HostLied):
    code = "CLT-401"


class AnswerUnreadable(HostLied):
    code = "CLT-402"


class UpdateMissing(HostLied):
    code = "CLT-403"


class TermsChanged(HostLied):
    code = "CLT-404"


class HeaderChanged(HostLied):
    code = "CLT-405"


class SeedForeign(HostLied):
    code = "CLT-406"


class CommitmentChanged(HostLied):
    code = "CLT-407"


class EntriesBroken(HostLied):
    code = "CLT-408"


class EntriesUnknown(HostLied):
    code = "CLT-409"


class PromptChanged(HostLied):
    code = "CLT-410"


class TextChanged(HostLied):
    code = "CLT-411"


class TokensMiscounted(HostLied):
    code = "CLT-412"


class HostForgot(HostLied):
    code = "CLT-413"


class StateChanged(HostLied):
    code = "CLT-414"


class ContextChanged(HostLied):
    code = "CLT-415"


class SamplerChanged(HostLied):
    code = "CLT-416"


class SessionUnusable(ClientError):
    """This session cannot be used, or not in this way."""

    code = "CLT-500"
    outcome = "invalid"
    exit_status = 2


class NotYourSession(SessionUnusable):
    code = "CLT-501"


class SavedStateBroken(SessionUnusable):
    code = "CLT-502"


class OpeningUnclear(SessionUnusable):
    code = "CLT-503"
    outcome = "failed"
    exit_status = 3
    advice = "open again with the same key: nothing is paid twice"


class HostDistrusted(SessionUnusable):
    code = "CLT-504"
    advice = "end the session and open one with another host"


class RequestInvalid(SessionUnusable):
    code = "CLT-505"
