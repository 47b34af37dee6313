"""A part of what a pipeline has served, as a run: what read, compare.py and the page know."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rnb.contract.events import DUE
from rnb.contract.result import decode
from rnb.contract.termination import Termination
from rnb.live.ledger import Ledger
from rnb.live.table import Outcome
from rnb.pipeline.plan import Plan
from rnb.record.meta import RunMeta
from rnb.record.run import SEQUENCE, Run, Table, class_columns, size_columns
from rnb.record.seed_format import namespace_text
from rnb.spec import RunSpec
from rnb.transport.fabric import FAILED, FINISHED, STATUS_NAMES
from rnb.transport.local.request_table import served_by_columns

TRACE = "trace_id"
"""The column with the trace that a request belongs to, where any does."""
T = TypeVar("T")


@dataclass(frozen=True)
class Origin:
    """What all parts have in common."""

    meta: RunMeta
    """Of a part without a request."""
    class_names: Sequence[str]


def origin_of(spec: RunSpec, plan: Plan, *, mps: str, replicas: Sequence[dict[str, Any]]) -> Origin:
    """`replicas`: as run.json has them, at the start."""
    flags = replace(spec, observe=()).with_load(arrivals="trace").flags()
    reason = Termination.TARGET_NUM_VIDEOS_REACHED
    kind = plan.step_types[-1].result_kind
    meta = RunMeta(
        argv=sys.argv,
        args=flags,
        args_line="",
        config_name=spec.config.name,
        config=spec.config.data,
        start_epoch_ns=0,
        end_epoch_ns=0,
        termination_flag=reason,
        termination=reason.name,
        is_success=True,
        message="",
        device_mode="cuda" if plan.gpus else "cpu",
        mps=mps,
        events=list(plan.events),
        step_names=list(plan.step_names),
        replicas=list(replicas),
        provenance={},
        result_kind=f"{kind.__module__}.{kind.__qualname__}",
    )
    return Origin(meta, plan.class_names)


def run_of(ledgers: Sequence[Ledger], origin: Origin, *, epoch_offset_ns: int) -> Run:
    """The requests of some ledgers, of which there is one at least, in the order in which they came."""
    due = origin.meta.events.index(DUE)
    times = np.concatenate([ledger.times[: ledger.num_requests] for ledger in ledgers])
    order = np.argsort(times[:, due], kind="stable")
    times = np.where(times, times + epoch_offset_ns, 0)[order]
    start_ns, end_ns = int(times[:, due].min()), int(times.max())
    return Run(
        meta=_meta(origin.meta, len(order), start_ns, end_ns),
        times={event: times[:, column] for column, event in enumerate(origin.meta.events)},
        requests=_requests(ledgers, order, times[:, due] - start_ns, origin),
        results={
            number: decode(result)
            for number, result in enumerate(_ordered(ledgers, order, "results"))
            if result is not None
        },
    )


def _meta(common: RunMeta, num_requests: int, start_ns: int, end_ns: int) -> RunMeta:
    mean_interval_ms = float(f"{(end_ns - start_ns) / num_requests / 1e6:.4g}")
    args = {**common.args, "videos": num_requests, "mean_interval_ms": mean_interval_ms}
    changes = {"start_epoch_ns": start_ns, "end_epoch_ns": end_ns}
    return common.model_copy(update={**changes, "args": args, "args_line": namespace_text(args)})


def _requests(
    ledgers: Sequence[Ledger], order: NDArray[Any], arrivals_ns: NDArray[np.int64], origin: Origin
) -> Table:
    outcomes = np.concatenate([one.outcomes[: one.num_requests] for one in ledgers])[order]
    served_by = np.concatenate([one.served_by[: one.num_requests] for one in ledgers])[order]
    payloads = [payload for one in ledgers for payload in one.payloads]
    status = np.where(outcomes["outcome"] <= Outcome.RESULT, FINISHED, FAILED)
    columns = {
        "request_id": np.arange(len(order)),
        "video": np.array([payloads[place] for place in order.tolist()], dtype=object),
        "arrival_ns": arrivals_ns,
        "is_warmup": np.zeros(len(order), dtype=bool),
        "status": np.array(STATUS_NAMES, dtype=object)[status],
        "reason": _texts(_ordered(ledgers, order, "reasons")),
        "num_clips": outcomes["num_clips"].copy(),
        **size_columns(outcomes),
        "label": outcomes["label"].copy(),
        "score": outcomes["score"].copy(),
        **class_columns(outcomes["label"], origin.class_names),
        **served_by_columns(origin.meta.events, served_by),
    }
    if any(one.traces for one in ledgers):
        columns[TRACE] = _texts(_ordered(ledgers, order, "traces"))
    sequences = list(_ordered(ledgers, order, "sequences"))
    if None not in sequences:
        columns[SEQUENCE] = _numbered(sequences)
    return columns


def _ordered(ledgers: Sequence[Ledger], order: NDArray[Any], name: str) -> Iterator[Any]:
    """What each request has in the dictionaries of this name; None: nothing."""
    found: dict[int, Any] = {}
    first = 0
    for ledger in ledgers:
        told: Mapping[int, Any] = getattr(ledger, name)
        found |= {first + place: value for place, value in told.items()}
        first += ledger.num_requests
    return map(found.get, order.tolist())


def _texts(values: Iterator[str | None]) -> NDArray[Any]:
    return np.array([value or "" for value in values], dtype=object)


def _numbered(sequences: Sequence[int | str]) -> NDArray[np.int64]:
    """Sequences by number, in the order in which they began."""
    numbers = {sequence: number for number, sequence in enumerate(dict.fromkeys(sequences))}
    return np.array([numbers[sequence] for sequence in sequences], dtype=np.int64)
