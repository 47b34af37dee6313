"""What the faults of a run did, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.analysis.fault_effects import FaultEffect, Part
from rnb.show.text.table import align

PERCENTILES = ("p50", "p95")
HEADER = ["", "from s", "to s", "requests", "no result", "mean ms", *(f"{name} ms" for name in PERCENTILES)]


def fault_text(effects: Sequence[FaultEffect]) -> str:
    """For each fault latency before, during and after it, and how long recovery took."""
    lines = ["What the faults did:"]
    for effect in effects:
        lines.append(f"{effect.fault.fault}: {effect.fault.what}")
        if effect.parts:
            lines += [f"  {line}" for line in align([HEADER, *map(_row, effect.parts)])]
        lines.append(f"  {effect.fault.problem or effect.recovery}")
    return "\n".join(lines)


def _row(part: Part) -> list[str]:
    latency = part.latency
    figures = [latency.mean_ms, *(latency.percentiles_ms[name] for name in PERCENTILES)]
    return [
        part.name,
        f"{part.start_s:.3f}",
        f"{part.end_s:.3f}",
        str(part.num_requests),
        str(part.num_lost),
        *("-" if figure is None else f"{figure:.3f}" for figure in figures),
    ]
