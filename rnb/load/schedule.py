"""The schedule of a run: when each request arrives and what it asks for, known before the start."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rnb.contract.termination import UsageError
from rnb.load.arrivals import ArrivalProcess, Ramp, ScheduleError, read_trace, within
from rnb.load.load import Load
from rnb.load.replay import replay
from rnb.load.sequences import Sequences
from rnb.load.streams import Streams, check_streams


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The first `num_warmup` requests warm up, the others are measured."""

    arrivals_ns: NDArray[np.int64]
    """From the start, ascending."""
    num_warmup: int
    payloads: Sequence[str] = ()
    """The different ones: paths of videos, say."""
    payload_of: NDArray[np.int64]
    """Which of them each request is for."""
    sequences: Sequences | None = None

    def __len__(self) -> int:
        return len(self.arrivals_ns)

    def payload_of_each(self) -> list[str]:
        """The payload of every request."""
        return [self.payloads[number] for number in self.payload_of.tolist()]


def make_schedule(load: Load, payloads: Iterable[str]) -> tuple[Load, Schedule]:
    """The schedule that a load asks for, and the load with what was open.

    Args:
        payloads: what requests may ask for; taken in turn, from the first one again when there are no more.

    Raises:
        UsageError: ScheduleError or RunFolderError for a load that cannot be made; no payload.
    """
    if load.replay is not None:
        load, arrivals_ns, played = replay(load)
        different = list(dict.fromkeys(played))
        numbers = {payload: number for number, payload in enumerate(different)}
        payload_of = np.array([numbers[payload] for payload in played], dtype=np.int64)
    else:
        arrivals_ns = _arrivals_ns(load)
        different = _payloads(payloads, len(arrivals_ns))
        payload_of = np.arange(len(arrivals_ns), dtype=np.int64) % len(different)
    sequences = _sequences(load, len(arrivals_ns))
    if sequences is not None and load.replay is None:
        payload_of = sequences.ids % len(different)
    schedule = Schedule(
        arrivals_ns=arrivals_ns,
        num_warmup=load.warmup,
        payloads=different,
        payload_of=payload_of,
        sequences=sequences,
    )
    return settle(load, schedule), schedule


def _sequences(load: Load, num_requests: int) -> Sequences | None:
    if load.live is not None:
        return _of_streams(load.live, load.clients, num_requests)
    if load.sequences is None:
        return None
    if load.sequences % load.clients:
        raise UsageError(
            f"--sequences {load.sequences}: {load.clients} clients send in turn, so it must be a multiple of"
            f" {load.clients}: else a sequence would have several senders, and no order"
        )
    return Sequences(num_at_once=load.sequences, length=load.sequence_length, num_requests=num_requests)


def _of_streams(streams: Streams, num_clients: int, num_requests: int) -> Sequences:
    """A sequence for each stream, as long as the run."""
    check_streams(streams.num, num_clients)
    return Sequences(
        num_at_once=streams.num,
        length=math.ceil(num_requests / streams.num),
        num_requests=num_requests,
        frame_step=streams.every,
    )


def _payloads(payloads: Iterable[str], num_requests: int) -> list[str]:
    found = []
    try:
        found = [str(payload) for payload in itertools.islice(payloads, num_requests)]
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    except (Exception, SystemExit) as error:  # of a class that the user wrote
        problem = f"the list of videos: {type(error).__name__}: {error}".splitlines()[0]
        raise UsageError(problem) from error
    if not found:
        raise UsageError(f"{type(payloads).__module__}.{type(payloads).__qualname__} gives no videos")
    # An iterator that goes round and round gives the first ones again.
    num_different = len(set(found))
    is_cycle = all(found[number] == found[number % num_different] for number in range(len(found)))
    return found[:num_different] if is_cycle else found


def _arrivals_ns(load: Load) -> NDArray[np.int64]:
    arrivals_ns = _traced(load) if load.arrivals == "trace" else _drawn(load)
    if len(arrivals_ns) <= load.warmup:
        inside = "" if load.duration is None else f" within --duration {load.duration} s"
        raise ScheduleError(
            f"no request to measure: {len(arrivals_ns)} arrive{inside}, and --warmup takes {load.warmup}"
        )
    return arrivals_ns


def settle(load: Load, schedule: Schedule) -> Load:
    """The load with the number of videos and the mean interval of the schedule where they were open."""
    mean_interval_ms = float(f"{schedule.arrivals_ns[-1] / len(schedule) / 1e6:.4g}")
    is_whole = mean_interval_ms.is_integer()
    if load.videos is None:
        load = replace(load, videos=len(schedule) - schedule.num_warmup)
    if load.mean_interval_ms is None:
        load = replace(load, mean_interval_ms=int(mean_interval_ms) if is_whole else mean_interval_ms)
    return load


def _drawn(load: Load) -> NDArray[np.int64]:
    if load.live is not None:
        return _streamed(load.live, load)
    process = ArrivalProcess(
        process=load.arrivals,
        mean_interval_ms=load.mean_interval_ms or 0,
        seed=load.seed,
        burstiness=load.burstiness or 1,
        ramp=Ramp.parse(load.ramp) if load.ramp else None,
    )
    if load.duration is None:
        return process.draw(load.warmup + (load.videos or 0))
    return process.draw_for(load.duration, num_warmup=load.warmup)


def _streamed(streams: Streams, load: Load) -> NDArray[np.int64]:
    if load.duration is None:
        return streams.arrivals_ns(load.warmup + (load.videos or 0), load.seed)
    num_requests = load.warmup + streams.num_within(load.duration) + streams.num
    return within(streams.arrivals_ns(num_requests, load.seed), load.duration, load.warmup)


def _traced(load: Load) -> NDArray[np.int64]:
    assert load.arrivals_file is not None
    arrivals_ns = read_trace(load.arrivals_file)
    if load.duration is not None:
        return within(arrivals_ns, load.duration, load.warmup)
    if load.videos is None:
        return arrivals_ns
    num_requests = load.warmup + load.videos
    if num_requests > len(arrivals_ns):
        raise ScheduleError(
            f"--arrivals-file {load.arrivals_file}: it has {len(arrivals_ns)} times; --warmup {load.warmup}"
            f" and -v {load.videos} need {num_requests}"
        )
    return arrivals_ns[:num_requests]
