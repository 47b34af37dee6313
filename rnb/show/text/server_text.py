"""What the server says of its own models, as text."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.analysis.server_steps import ServerStep
from rnb.show.text.table import align

HEADER = (
    "the server's own means", "requests", "per call", "total ms", "queue", "input", "infer", "output"
)  # fmt: skip


def server_text(steps: Sequence[ServerStep]) -> str:
    """A row for each model: that which was asked, then those that it is made of."""
    return "\n".join(align([list(HEADER), *map(cells, steps)]))


def cells(step: ServerStep) -> list[str]:
    """Of a row, in the order of HEADER."""
    times_ms = (
        step.total_ms,
        step.queue_ms,
        step.compute_input_ms,
        step.compute_infer_ms,
        step.compute_output_ms,
    )
    per_call = f"{step.inferences / step.calls:.2f}" if step.calls else "-"
    return [
        step.model,
        str(step.requests),
        per_call,
        *("-" if one is None else f"{one:.3f}" for one in times_ms),
    ]
