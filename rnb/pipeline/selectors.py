"""Which output queue a message goes to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from rnb.contract.request import Batch
from rnb.pipeline.importer import accepted, import_class, parameters


class HasDepth(Protocol):
    """A queue, as far as a selector may look at it."""

    def depth(self) -> int:
        """How many messages wait now."""


class Selector:
    """Chooses among the output queues of a replica, of which there are `num_queues`.

    A subclass whose constructor also names `queues` gets the queues themselves, to look at their depth.
    """

    def __init__(self, num_queues: int) -> None:
        self.num_queues = num_queues

    def select(self, batch: Batch) -> int:
        """The index of the queue for this output, from 0 to num_queues - 1."""
        raise NotImplementedError


class RoundRobinSelector(Selector):
    """Each queue in turn."""

    def __init__(self, num_queues: int) -> None:
        super().__init__(num_queues)
        self._next = num_queues - 1

    def select(self, batch: Batch) -> int:
        self._next = (self._next + 1) % self.num_queues
        return self._next


class LeastLoadedSelector(Selector):
    """The queue with the fewest waiting messages; the first of them when several have as few."""

    def __init__(self, num_queues: int, queues: Sequence[HasDepth]) -> None:
        super().__init__(num_queues)
        self._queues = queues

    def select(self, batch: Batch) -> int:
        return min(range(self.num_queues), key=lambda index: self._queues[index].depth())


class ClipCountSelector(Selector):
    """Small requests (fewer than `min_large_clips` clips) to queue 0, large ones to queue 1.

    RnB's sampler makes requests of 1 and of 15 clips; the bound lies half way.
    """

    min_large_clips = 8

    def __init__(self, num_queues: int) -> None:
        if num_queues != 2:
            raise ValueError(
                f"{type(self).__name__} needs two output queues, one small and one large; not {num_queues}"
            )
        super().__init__(num_queues)

    def select(self, batch: Batch) -> int:
        return int(batch.size >= self.min_large_clips)


def make_selector(path: str, num_queues: int, queues: Sequence[HasDepth]) -> Callable[[Batch], int]:
    """A function that chooses the queue of each output. Raises ValueError for a class that cannot."""
    cls = import_class(path)
    if not callable(getattr(cls, "select", None)):
        raise ValueError(f"'{path}' is not a selector: it has no select")
    try:
        selector = cls(num_queues, **accepted(cls.__init__, {"queues": queues}))
    except (TypeError, AssertionError) as error:
        raise ValueError(f"'{path}' cannot choose among {num_queues} queues: {error!r}") from None
    if len(parameters(cls.select)) > 1:
        from rnb.pipeline.compat.adapter import adapt_select

        return adapt_select(selector)
    select: Callable[[Batch], int] = selector.select
    return select


def check_selector(path: str, num_queues: int) -> None:
    """Raises ValueError for a selector that cannot choose among so many queues."""
    make_selector(path, num_queues, _FakeQueues(num_queues))


class _FakeQueues(list[Any]):
    """What a selector is checked with before there are queues."""

    def __init__(self, num_queues: int) -> None:
        super().__init__([_Empty()] * num_queues)


class _Empty:
    def depth(self) -> int:
        return 0
