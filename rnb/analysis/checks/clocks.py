"""Whether the GPUs kept their clocks while the run played."""

from __future__ import annotations

import numpy as np

from rnb.analysis.checks.facts import Facts
from rnb.analysis.reasons import Finding, Reason
from rnb.analysis.sustained import highest_mean
from rnb.analysis.watched_nodes import watched_nodes
from rnb.record.run import Run, Table

THROTTLE_BITS = {
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
"""Bits of NVML's nvmlDeviceGetCurrentClocksThrottleReasons that a GPU in good order does not show."""
POWER_CAP_BIT = 0x04
"""Usual under full load, so it is only noted."""
MAX_THROTTLED_SHARE = 0.01
BUSY_PERCENT = 50
"""Clocks count while a kernel runs for so much of the time: an idle GPU lowers them to save power."""
NOTED_DROP, MAX_DROP = 0.05, 0.10
"""How far the SM clock may be under its own maximum of the run, over any stretch of the measured phase."""


def clocks_throttled(facts: Facts) -> Finding | None:
    shares = {
        (gpu, name): facts.throttled_share(gpu, bit)
        for gpu in facts.throttle_masks
        for bit, name in THROTTLE_BITS.items()
    }
    found = [
        f"{gpu} in {share:.0%} of the samples ({name})"
        for (gpu, name), share in shares.items()
        if share > MAX_THROTTLED_SHARE
    ]
    if not found:
        return None
    return Finding(
        reason=Reason.CLOCKS_THROTTLED,
        seen=f"the GPU slowed itself down: {', '.join(found)}",
        advice="see to its cooling and its power supply (nvidia-smi -q -d PERFORMANCE), then run again",
    )


def clocks_dropped(facts: Facts) -> Finding | None:
    found = {gpu: drop for gpu, drop in _drops(facts).items() if drop > MAX_DROP}
    if not found:
        return None
    return Finding(
        reason=Reason.CLOCKS_DROPPED,
        seen=f"{_told(found)}, though no throttle reason says why; {MAX_DROP:.0%} may be",
        advice="see who sets the clocks (nvidia-smi -q -d CLOCK), and fix them for the run (nvidia-smi -lgc)",
    )


def clock_note(facts: Facts) -> str | None:
    found = {gpu: drop for gpu, drop in _drops(facts).items() if NOTED_DROP < drop <= MAX_DROP}
    return _told(found) if found else None


def _drops(facts: Facts) -> dict[str, float]:
    """How far each GPU's SM clock was under its maximum, in its worst stretch.

    What counts is while the GPU was busy, and not at its power cap.
    """
    return {
        node.title(gpu): drop
        for node in watched_nodes(facts.run)
        for gpu, drop in _drops_of(facts.run, node.telemetry).items()
    }


def _drops_of(run: Run, telemetry: Table) -> dict[str, float]:
    gpus = [name.removesuffix(".sm_clock_mhz") for name in telemetry if name.endswith(".sm_clock_mhz")]
    drops = {}
    for gpu in gpus:
        masks, use = telemetry[f"{gpu}.throttle_reasons"], telemetry[f"{gpu}.sm_percent"]
        is_capped = np.nan_to_num(masks).astype(np.int64) & POWER_CAP_BIT > 0
        clocks = np.where((use >= BUSY_PERCENT) & ~is_capped, telemetry[f"{gpu}.sm_clock_mhz"], np.nan)
        if np.isfinite(clocks).any():
            drop = highest_mean(run, telemetry["time_ns"], 1 - clocks / np.nanmax(clocks))
            drops[gpu] = drop or 0.0
    return drops


def _told(drops: dict[str, float]) -> str:
    shown = ", ".join(f"{gpu} up to {drop:.0%} under its maximum of the run" for gpu, drop in drops.items())
    return f"SM clocks dropped while busy: {shown}"


def power_note(facts: Facts) -> str | None:
    shares = {gpu: facts.throttled_share(gpu, POWER_CAP_BIT) for gpu in facts.throttle_masks}
    shown = [f"{gpu} in {share:.0%}" for gpu, share in shares.items() if share > MAX_THROTTLED_SHARE]
    return f"at its power cap: {', '.join(shown)} of the samples" if shown else None
