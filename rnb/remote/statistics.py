"""What the server itself counts: asked before and after a run, and the difference kept as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rnb.contract.termination import UsageError
from rnb.observe.observer import Columns, End, Observer, Seen, Start
from rnb.record.tables import SERVER_STEPS
from rnb.remote.asking import Asker, NotKnown, asker
from rnb.remote.served import Served

PARTS = ("queue", "compute_input", "compute_infer", "compute_output")
"""Of a request's time in a model, as Triton divides it; each has a count and ns."""
Counts = Mapping[str, int]


class StatisticsObserver(Observer):
    """Of a server with the extension for statistics."""

    name = "server statistics"

    def __init__(self, served: Served) -> None:
        self._served = served
        self._before: dict[str, Counts] = {}
        self._problem = ""

    def start(self, start: Start) -> None:
        self._before = self._counts()

    def stop(self, end: End) -> Seen:
        after = self._counts()
        if self._problem:
            return Seen(notes=[f"the server's statistics: {self._problem}"])
        return Seen(tables={SERVER_STEPS: table_of(self._before, after)} if after else {})

    def _counts(self) -> dict[str, Counts]:
        """By model, that which is asked first."""
        if not self._served.has_statistics or self._problem:
            return {}
        try:
            asking = asker(self._served.address)
            return {model: _counts_of(asking, model) for model in self._served.models}
        except (NotKnown, UsageError, KeyError, TypeError, ValueError) as error:
            self._problem = str(error)
            return {}


def _counts_of(asking: Asker, model: str) -> Counts:
    """Over all versions of a model."""
    found: dict[str, int] = {}
    for version in asking.statistics(model):
        inference = version.get("inference_stats", {})
        told = {name: version.get(name, 0) for name in ("inference_count", "execution_count")}
        for name in ("success", "fail", *PARTS):
            one: Mapping[str, Any] = inference.get(name, {})
            told |= {f"{name}_count": one.get("count", 0), f"{name}_ns": one.get("ns", 0)}
        for name, value in told.items():
            found[name] = found.get(name, 0) + int(value)
    return found


def table_of(before: Mapping[str, Counts], after: Mapping[str, Counts]) -> Columns:
    """A row for each model: what it did between the two; times are means in ms, NaN where it did nothing."""
    grown = [
        {name: value - before.get(model, {}).get(name, 0) for name, value in counts.items()}
        for model, counts in after.items()
    ]
    columns: Columns = {"model": np.array(list(after), dtype=object)}
    columns["requests"] = np.array([one.get("success_count", 0) for one in grown])
    columns["failed"] = np.array([one.get("fail_count", 0) for one in grown])
    columns["inferences"] = np.array([one.get("inference_count", 0) for one in grown])
    columns["calls"] = np.array([one.get("execution_count", 0) for one in grown])
    for name in ("success", *PARTS):
        title = "total" if name == "success" else name
        columns[f"{title}_ms"] = np.array([_mean_ms(one, name) for one in grown])
    return columns


def _mean_ms(counts: Counts, name: str) -> float:
    count = counts.get(f"{name}_count", 0)
    return counts[f"{name}_ns"] / count / 1e6 if count > 0 else float("nan")
