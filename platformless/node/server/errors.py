"""Requests that are refused before anything is done for them, and answers that failed.

HttpError              NOD-800
├── BadBody            NOD-801   a body that is not the JSON that was asked for
├── BodyTooLarge       NOD-802   more bytes than the call takes
├── BodyStalled        NOD-803   the body did not come in time
├── BadParameter       NOD-804   a part of the path or of the query that cannot be read
├── NoSuchEndpoint     NOD-805   not a call of this node
├── MethodNotAllowed   NOD-806   a call of this node with another method
├── TooManyRequests    NOD-807   more than this call is answered for
└── AnswerFailed       NOD-810   this node failed; the client hears no more than that
"""

from __future__ import annotations

from ..errors import NodeError


class HttpError(NodeError):
    """A request that gets no answer of its own."""

    code = "NOD-800"


class BadBody(HttpError):
    code = "NOD-801"


class BodyTooLarge(HttpError):
    code = "NOD-802"


class BodyStalled(HttpError):
    code = "NOD-803"


class BadParameter(HttpError):
    code = "NOD-804"


class NoSuchEndpoint(HttpError):
    code = "NOD-805"


class MethodNotAllowed(HttpError):
    code = "NOD-806"


class TooManyRequests(HttpError):
    """`retry_after` is in seconds."""

    code = "NOD-807"
    advice = "try again later"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message, expected=f"a pause of {retry_after} s")
        self.retry_after = retry_after


class AnswerFailed(HttpError):
    """Raised from what went wrong, which the log shows."""

    code = "NOD-810"
