"""The client: pays a host on chain, talks with it encrypted, and believes only what it can verify.

    settings = ClientSettings(network=BASE_SEPOLIA, private_key=key, folder=Path("client"))
    async with Client(settings) as client:
        session = await client.open(model_id, network.usdc.amount("0.5"))
        async with session:
            answer = await session.ask("What is a lighthouse?", max_tokens=200)
            async for piece in answer:
                print(piece, end="")
            print(answer.report.tokens, answer.report.state)
            await session.end()

Every answer is verified when it ends: the host's transcript must say what was sent and received,
in a session on the chain's terms, and continue what was verified before; then the client signs an
acknowledgement, which the host's proofs carry. What does not add up is a `HostLied`.

A connection that breaks, or a process that dies, loses nothing: `session.connect()`, or
`client.resume(session_id)` from the folder, goes on. Opening sessions needs the `node` extra; a
session that is there already can be used without it.
"""

from .answer import Answer, Report
from .channel import Ended
from .client import Client, ClientSettings
from .connection import ConnectionLimits
from .errors import (
    AnswerFailed,
    ClientError,
    ConnectionProblem,
    HostLied,
    HostRefused,
    HostUnusable,
    SessionUnusable,
)
from .hosts import HostDirectory, HostOffer
from .opening import open_on_chain
from .requests import Sampling
from .saved import SavedSession
from .session import ClientSession
from .turns import Exchange, Turn
from .verifying import Agreed, VerifiedTranscript
from .wallet import Wallet

__all__ = [
    "Agreed",
    "Answer",
    "AnswerFailed",
    "Client",
    "ClientError",
    "ClientSession",
    "ClientSettings",
    "ConnectionLimits",
    "ConnectionProblem",
    "Ended",
    "Exchange",
    "HostDirectory",
    "HostLied",
    "HostOffer",
    "HostRefused",
    "HostUnusable",
    "Report",
    "Sampling",
    "SavedSession",
    "SessionUnusable",
    "Turn",
    "VerifiedTranscript",
    "Wallet",
    "open_on_chain",
]
