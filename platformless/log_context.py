"""What a piece of work is about, for every log line that is written during it.

    with about(session=17): ...

Follows tasks that are begun inside, as context variables do. What is said here is shown: ids and
numbers, never what somebody wrote.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar

Id = int | str
_NOTHING: Mapping[str, Id] = {}
_ABOUT: ContextVar[Mapping[str, Id]] = ContextVar("about", default=_NOTHING)


@contextlib.contextmanager
def about(**ids: Id | None) -> Iterator[None]:
    """Adds to what is known; a None adds nothing."""
    known = {name: value for name, value in ids.items() if value is not None}
    token = _ABOUT.set({**_ABOUT.get(), **known})
    try:
        yield
    finally:
        _ABOUT.reset(token)


def context() -> Mapping[str, Id]:
    """What is known at this place."""
    return _ABOUT.get()
