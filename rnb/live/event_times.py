"""When a request reached each event, as a mapping that costs little to make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rnb.contract.events import Event


class EventTimes(Mapping[Event, int]):
    """Has the events that the request reached."""

    def __init__(self, places: Mapping[Event, int], times_ns: Sequence[int]) -> None:
        """`places`: of each event in `times_ns`, which has 0 for one that was not reached."""
        self._places, self._times_ns = places, times_ns

    def __getitem__(self, event: Event) -> int:
        if time_ns := self._times_ns[self._places[event]]:
            return time_ns
        raise KeyError(event)

    def __iter__(self) -> Iterator[Event]:
        return (event for event, place in self._places.items() if self._times_ns[place])

    def __len__(self) -> int:
        return sum(map(bool, self._times_ns))
