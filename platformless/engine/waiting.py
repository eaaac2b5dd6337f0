"""The line of requests that wait for a sequence.

Requests of one owner keep their order; owners take turns, so that one who asks for much delays
himself and nobody else.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class WaitingLine(Generic[Item]):
    """Not safe for use by several threads at once."""

    def __init__(self) -> None:
        self._owners: OrderedDict[Hashable, deque[Item]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def join(self, owner: Hashable, item: Item) -> None:
        self._owners.setdefault(owner, deque()).append(item)
        self._length += 1

    def leave(self, owner: Hashable, item: Item) -> bool:
        """Whether the item was in line."""
        items = self._owners.get(owner)
        if items is None or item not in items:
            return False
        items.remove(item)
        self._length -= 1
        if not items:
            del self._owners[owner]
        return True

    def next(self) -> Item:
        """Takes the first out; its owner's next item queues behind the other owners."""
        owner, items = next(iter(self._owners.items()))
        item = items.popleft()
        self._length -= 1
        del self._owners[owner]
        if items:
            self._owners[owner] = items
        return item

    def in_order(self) -> list[Item]:
        """All items in the order of their service, if nobody else joins."""
        longest = max((len(items) for items in self._owners.values()), default=0)
        owners = list(self._owners.values())
        return [items[turn] for turn in range(longest) for items in owners if turn < len(items)]
