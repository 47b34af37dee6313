"""Whether the machine was in good order while the run played."""

from __future__ import annotations

from rnb.analysis.checks.facts import Facts
from rnb.analysis.reasons import Finding, Reason

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


def power_note(facts: Facts) -> str | None:
    shares = {gpu: facts.throttled_share(gpu, POWER_CAP_BIT) for gpu in facts.throttle_masks}
    shown = [f"{gpu} in {share:.0%}" for gpu, share in shares.items() if share > MAX_THROTTLED_SHARE]
    return f"at its power cap: {', '.join(shown)} of the samples" if shown else None
