"""Events and stages, and the texts that stand for them in files and for people."""

from __future__ import annotations

import pytest

from rnb.contract.events import DUE, END_TO_END, LATENESS, SENT, Event, EventKind, Stage, StageKind

EVENTS = {
    "scheduled": DUE,
    "enqueue_filename": SENT,
    "runner0_start": Event(EventKind.TAKEN, 0),
    "slot12_start": Event(EventKind.WAITS_FOR_SLOT, 12),
    "inference1_start": Event(EventKind.STARTED, 1),
    "inference1_finish-3": Event(EventKind.FINISHED, 1, 3),
    "slot0_finish-0": Event(EventKind.HAS_SLOT, 0, 0),
    "handoff0_finish": Event(EventKind.HANDED_ON, 0),
}


@pytest.mark.parametrize(("name", "event"), EVENTS.items())
def test_an_event_and_its_name(name: str, event: Event) -> None:
    assert Event.parse(name) == Event.parse_any(name) == event
    assert event.name == name


@pytest.mark.parametrize(
    "name", ["", "runner_start", "runner0_stop", "inference1_start-", "scheduled0", "{}"]
)
def test_another_text_is_no_event(name: str) -> None:
    with pytest.raises(ValueError, match="is no event of a run"):
        Event.parse(name)


@pytest.mark.parametrize(("name", "segment"), [("aggregator_start", None), ("decoded-2", 2)])
def test_a_step_of_the_seed_may_tell_of_events_of_its_own(name: str, segment: int | None) -> None:
    event = Event.parse_any(name)
    assert (event.kind, event.name, event.segment) == (EventKind.OTHER, name, segment)
    assert Event.parse_any(event.whole.name) == event.whole


def test_the_stage_between_two_events() -> None:
    taken, started = Event(EventKind.TAKEN, 1), Event(EventKind.STARTED, 1)
    waits = Event(EventKind.WAITS_FOR_SLOT, 1)
    other = Event.parse_any("merged-1")
    found = [Stage.between(*pair) for pair in ((DUE, SENT), (SENT, taken), (taken, waits), (waits, started))]
    assert found == [
        LATENESS, Stage(StageKind.WAIT, 1), Stage(StageKind.GATHER, 1), Stage(StageKind.SLOT, 1)
    ]  # fmt: skip
    assert Stage.between(taken, started) == Stage(StageKind.GATHER, 1)
    assert Stage.between(taken, other).title() == "runner1_start to merged"


def test_only_a_call_goes_by_the_name_of_its_step() -> None:
    assert Stage(StageKind.CALL, 1).title(["A", "B"]) == "step 1 B"
    assert Stage(StageKind.CALL, 2).title(["A", "B"]) == "step 2"
    assert Stage(StageKind.WAIT, 1).title(["A", "B"]) == "wait for step 1"
    assert END_TO_END.title(["A"]) == "end to end"
