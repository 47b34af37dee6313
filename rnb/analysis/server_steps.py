"""What a server said of each of its models: means over the whole run, its warm-up too."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rnb.record.run import Run
from rnb.record.tables import SERVER_STEPS


@dataclass(frozen=True, kw_only=True)
class ServerStep:
    """One model: that which was asked comes first, then those that it is made of."""

    model: str
    requests: int
    """That it served, also for others than this run."""
    failed: int
    inferences: int
    """Elements of batches."""
    calls: int
    """Batches."""
    total_ms: float | None
    """Of a request in the server; this and what follows None where it served none."""
    queue_ms: float | None
    compute_input_ms: float | None
    compute_infer_ms: float | None
    compute_output_ms: float | None


def server_steps(run: Run) -> list[ServerStep]:
    """Empty where the server told nothing, or there was none."""
    table = run.tables.get(SERVER_STEPS)
    if table is None:
        return []
    return [
        ServerStep(
            model=str(model),
            requests=int(table["requests"][row]),
            failed=int(table["failed"][row]),
            inferences=int(table["inferences"][row]),
            calls=int(table["calls"][row]),
            total_ms=_known(table["total_ms"][row]),
            queue_ms=_known(table["queue_ms"][row]),
            compute_input_ms=_known(table["compute_input_ms"][row]),
            compute_infer_ms=_known(table["compute_infer_ms"][row]),
            compute_output_ms=_known(table["compute_output_ms"][row]),
        )
        for row, model in enumerate(table["model"])
    ]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
