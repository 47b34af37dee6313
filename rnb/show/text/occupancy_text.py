"""What --occupancy prints at the end of a run."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.analysis.occupancy import Counters, KernelUse, Occupancy, StepUse
from rnb.record.tables import COUNTERS
from rnb.show.text.table import align

_HEADINGS = ["occupancy", "SM busy", "SM", "tensor", "DRAM"]
_MOST_NAME = 60


def occupancy_text(occupancy: Occupancy, step_names: Sequence[str]) -> str:
    lines = align(
        [
            ["% of peak", *_HEADINGS],
            *([f"GPU {gpu.gpu}", *_shares(gpu.counters)] for gpu in occupancy.gpus),
            *([_title(step, step_names), *_shares(step.counters)] for step in occupancy.steps),
        ]
    )
    if any(step.counters["sm_busy_pct"] is None for step in occupancy.steps):
        lines.append("- : a GPU's counters are for all that runs there; this step hardly ran alone")
    if not occupancy.steps:
        lines.append("no kernels were traced in the measured phase")
    for step in occupancy.steps:
        lines += ["", *_kernel_lines(step, step_names)]
    return "\n".join(lines)


def _title(step: StepUse, step_names: Sequence[str]) -> str:
    return f"step {step.step} {step_names[step.step]}, GPU {step.gpu}"


def _shares(counters: Counters) -> list[str]:
    return [_number(counters[name]) for name in COUNTERS]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _kernel_lines(step: StepUse, step_names: Sequence[str]) -> list[str]:
    runners = "1 runner" if step.num_runners == 1 else f"{step.num_runners} runners"
    gaps = f"gaps p50 {_number(step.gap_p50_us)} µs, p99 {_number(step.gap_p99_us)} µs"
    title = (
        f"{_title(step, step_names)}: {step.kernels_per_s:.0f} kernels/s of {runners}, each has one running"
        f" {100 * step.busy:.1f}% of the time, {gaps} (traced for {step.traced_s:.1f} s)"
    )
    rows = [["kernel time, %", "launches/s", "mean µs", "theoretical occupancy"]]
    rows += [_kernel_row(kernel) for kernel in step.top]
    names = ["", *(_short(kernel.name) for kernel in step.top)]
    return [title, *(f"{line}  {name}" for line, name in zip(align(rows), names, strict=True))]


def _kernel_row(kernel: KernelUse) -> list[str]:
    return [
        f"{100 * kernel.share:.1f}",
        f"{kernel.launches_per_s:.0f}",
        f"{kernel.mean_us:.1f}",
        _number(kernel.theoretical_occupancy_pct),
    ]


def _short(name: str) -> str:
    return name if len(name) <= _MOST_NAME else name[: _MOST_NAME - 1] + "…"
