"""Reads a trace strictly: what Perfetto would drop, or show wrongly, fails."""

from __future__ import annotations

import gzip
import json
import math
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

Event = dict[str, Any]
Track = tuple[int, int]

FIELDS = {
    "M": {"name", "pid", "args"},
    "X": {"name", "pid", "tid", "ts", "dur"},
    "i": {"name", "pid", "tid", "ts", "s"},
    "b": {"name", "pid", "id2", "cat", "ts"},
    "e": {"name", "pid", "id2", "cat", "ts"},
    "s": {"name", "pid", "tid", "id", "cat", "ts"},
    "f": {"name", "pid", "tid", "id", "cat", "ts", "bp"},
    "C": {"name", "pid", "ts", "args"},
}
"""What an event of each phase must have; 'args' and, of metadata, 'tid' may be there beside it."""


class Trace:
    """The events of a trace, checked."""

    def __init__(self, path: Path) -> None:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            content = json.load(file, parse_float=Fraction, parse_constant=_refuse)
        self.other_data: dict[str, str] = content["otherData"]
        self.events: list[Event] = content["traceEvents"]
        for event in self.events:
            _check_fields(event)
        self.slices = _nested({track: list(self._slices(track)) for track in self._tracks("X")})
        self.spans = self._spans()
        self.arrows = self._arrows()

    def of(self, phase: str) -> list[Event]:
        return [event for event in self.events if event["ph"] == phase]

    def names(self, metadata: str) -> dict[Any, str]:
        """The names of the processes by pid, or of the threads by (pid, tid)."""
        named = [event for event in self.of("M") if event["name"] == metadata]
        return {
            (event["pid"], event["tid"]) if "tid" in event else event["pid"]: event["args"]["name"]
            for event in named
        }

    def counter(self, name: str, pid: int = 1) -> list[tuple[Fraction, float]]:
        found = [event for event in self.of("C") if (event["name"], event["pid"]) == (name, pid)]
        return [(event["ts"], float(*event["args"].values())) for event in found]

    def _tracks(self, phase: str) -> set[Track]:
        return {(event["pid"], event["tid"]) for event in self.of(phase)}

    def _slices(self, track: Track) -> Iterator[Event]:
        named = self.names("thread_name")
        assert track in named, f"the track {track} has no name"
        assert track[0] in self.names("process_name")
        for event in self.of("X"):
            if (event["pid"], event["tid"]) == track:
                yield {**event, "end": event["ts"] + event["dur"]}

    def _spans(self) -> dict[Any, list[Event]]:
        """Under each id, in order of their start: an 'e' ends the 'b' that is open and began last."""
        both = [event for event in self.events if event["ph"] in "be"]
        spans: dict[Any, list[Event]] = defaultdict(list)
        are_open: dict[Any, list[Event]] = defaultdict(list)
        for event in sorted(both, key=lambda event: event["ts"]):
            key = (event["pid"], event["cat"], event["id2"]["local"])
            if event["ph"] == "b":
                event["depth"] = len(are_open[key])
                are_open[key].append(event)
                spans[key].append(event)
            else:
                start = are_open[key].pop()
                assert start["name"] == event["name"], f"{start['name']} ends as {event['name']}"
                start["end"] = event["ts"]
        assert not any(are_open.values()), "a span does not end"
        return spans

    def _arrows(self) -> list[tuple[Event, Event]]:
        """The slices that each arrow joins."""
        starts = {event["id"]: event for event in self.of("s")}
        ends = {event["id"]: event for event in self.of("f")}
        assert len(starts) == len(self.of("s"))
        assert starts.keys() == ends.keys()
        at = defaultdict(list)
        for event in (*(e for slices in self.slices.values() for e in slices), *self.of("i")):
            at[event["pid"], event["tid"]].append(event)
        return [(_slice_at(starts[id], at), _slice_at(ends[id], at)) for id in starts]


def _refuse(text: str) -> Any:
    raise AssertionError(f"{text} is not JSON")


def _check_fields(event: Event) -> None:
    required = FIELDS[event["ph"]]
    allowed = required | {"ph", "args"} | ({"tid"} if event["ph"] == "M" else set())
    assert required <= event.keys() <= allowed, event
    for time in ("ts", "dur"):
        if time in event:
            assert isinstance(event[time], (int, Fraction))
            assert event[time] >= 0, event
    if event["ph"] == "C":
        assert all(math.isfinite(value) for value in event["args"].values()), event


def _nested(tracks: dict[Any, list[Event]]) -> dict[Any, list[Event]]:
    """Each track in order of time, with the depth of each slice: it may lie in another, but not overlap."""
    for slices in tracks.values():
        slices.sort(key=lambda event: (event["ts"], -event["end"]))
        around: list[Event] = []
        for event in slices:
            while around and around[-1]["end"] <= event["ts"] and around[-1]["end"] != event["end"]:
                around.pop()
            assert not around or event["end"] <= around[-1]["end"], f"{around[-1]} overlaps {event}"
            event["depth"] = len(around)
            around.append(event)
    return tracks


def _slice_at(event: Event, at: dict[Track, list[Event]]) -> Event:
    """The slice, or the instant, that the end of an arrow belongs to: the one that began last."""
    found = [
        slice_
        for slice_ in at[event["pid"], event["tid"]]
        if slice_["ts"] <= event["ts"] <= slice_.get("end", slice_["ts"])
    ]
    assert found, f"an arrow ends nowhere: {event}"
    return max(found, key=lambda slice_: slice_["ts"])
