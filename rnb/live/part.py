"""A part of what a pipeline has served, as a run: what read, compare.py and the page know."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.contract.events import DUE
from rnb.contract.result import decode
from rnb.contract.termination import Termination
from rnb.live.ledger import Ledger
from rnb.live.table import Outcome
from rnb.pipeline.plan import Plan
from rnb.record.meta import RunMeta
from rnb.record.run import SEQUENCE, Run, Table, class_columns
from rnb.record.seed_format import namespace_text
from rnb.spec import RunSpec
from rnb.transport.fabric import FAILED, FINISHED, STATUS_NAMES

TRACE = "trace_id"
"""The column with the trace that a request belongs to, where any does."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What all parts have in common."""

    spec: RunSpec
    plan: Plan
    mps: str
    replicas: Sequence[dict[str, Any]]
    """As run.json has them, as they were at the start."""
    provenance: Mapping[str, Any]


def run_of(ledger: Ledger, origin: Origin, *, epoch_offset_ns: int) -> Run:
    """The requests of a ledger, of which there is one at least, in the order in which they came."""
    plan, due = origin.plan, origin.plan.events.index(DUE)
    num_requests = ledger.num_requests
    order = np.argsort(ledger.times[:num_requests, due], kind="stable")
    times = ledger.times[:num_requests][order]
    times = np.where(times, times + epoch_offset_ns, 0)
    start_ns, end_ns = int(times[:, due].min()), int(times.max())
    return Run(
        meta=_meta(origin, num_requests, start_ns, end_ns),
        times={event: times[:, column] for column, event in enumerate(plan.events)},
        requests=_requests(ledger, order, times[:, due] - start_ns, plan),
        results=_results(ledger, order),
    )


def _meta(origin: Origin, num_requests: int, start_ns: int, end_ns: int) -> RunMeta:
    mean_interval_ms = float(f"{(end_ns - start_ns) / num_requests / 1e6:.4g}")
    spec = replace(origin.spec, observe=())
    flags = spec.with_load(arrivals="trace", mean_interval_ms=mean_interval_ms, videos=num_requests).flags()
    reason = Termination.TARGET_NUM_VIDEOS_REACHED
    kind = origin.plan.step_types[-1].result_kind
    return RunMeta(
        argv=sys.argv,
        args=flags,
        args_line=namespace_text(flags),
        config_name=spec.config.name,
        config=spec.config.data,
        start_epoch_ns=start_ns,
        end_epoch_ns=end_ns,
        termination_flag=reason,
        termination=reason.name,
        is_success=True,
        message="",
        device_mode="cuda" if origin.plan.gpus else "cpu",
        mps=origin.mps,
        events=list(origin.plan.events),
        step_names=list(origin.plan.step_names),
        replicas=list(origin.replicas),
        provenance=dict(origin.provenance),
        result_kind=f"{kind.__module__}.{kind.__qualname__}",
    )


def _requests(ledger: Ledger, order: NDArray[Any], arrivals_ns: NDArray[np.int64], plan: Plan) -> Table:
    outcomes = ledger.outcomes[: ledger.num_requests][order]
    is_served = outcomes["outcome"] <= Outcome.RESULT
    status = np.where(is_served, FINISHED, FAILED)
    served_by = ledger.served_by[: ledger.num_requests][order]
    places = order.tolist()
    columns = {
        "request_id": np.arange(len(order)),
        "video": np.array([ledger.payloads[place] for place in places], dtype=object),
        "arrival_ns": arrivals_ns,
        "is_warmup": np.zeros(len(order), dtype=bool),
        "status": np.array(STATUS_NAMES, dtype=object)[status],
        "reason": np.array([ledger.reasons.get(place, "") for place in places], dtype=object),
        "num_clips": outcomes["num_clips"].copy(),
        "label": outcomes["label"].copy(),
        "score": outcomes["score"].copy(),
        **class_columns(outcomes["label"], plan.class_names),
        **ledger.served_by_columns(served_by),
    }
    if ledger.traces:
        columns[TRACE] = np.array([ledger.traces.get(place, "") for place in places], dtype=object)
    if len(ledger.sequences) == len(places):
        columns[SEQUENCE] = _numbered([ledger.sequences[place] for place in places])
    return columns


def _numbered(sequences: Sequence[int | str]) -> NDArray[np.int64]:
    """Sequences by number, in the order in which they began."""
    numbers = {sequence: number for number, sequence in enumerate(dict.fromkeys(sequences))}
    return np.array([numbers[sequence] for sequence in sequences], dtype=np.int64)


def _results(ledger: Ledger, order: NDArray[Any]) -> dict[int, Any]:
    found = enumerate(order.tolist())
    return {number: decode(ledger.results[place]) for number, place in found if place in ledger.results}
