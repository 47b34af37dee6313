"""Why a config is as fast as it is, as text."""

from __future__ import annotations

from rnb.planner.explanation import Explanation
from rnb.planner.system import LOAD
from rnb.show.page.wording import number
from rnb.show.text.table import align


def explanation_lines(found: Explanation) -> list[str]:
    now = found.predicted
    uses = [["while all requests come at once (simulated)", "busy", "waits for a slot", "other"]]
    for use in found.uses:
        shares = (use.busy, use.waiting_for_slot, use.other)
        uses.append([f"  {use.name}", *("" if not share else f"{share:.0%}" for share in shares)])
    ceilings = [["ceiling of each alone", "requests/s"]]
    ceilings += [[f"  {one.name}", f"{number(one.per_s)}"] for one in found.ceilings]
    gains = [
        ["what more would give (simulated)", "requests/s", "", f"p99 ms at {number(now.rate_per_s)}/s", ""]
    ]
    gains.append(["  the config as it is", f"{number(now.per_s)}", "", f"{number(now.p99_ms)}", ""])
    for one in found.gains:
        then = one.predicted
        gains.append(
            [
                f"  {one.what}",
                f"{number(then.per_s)}",
                f"{then.per_s / now.per_s - 1:+.1%}",
                f"{number(then.p99_ms)}",
                f"{then.p99_ms / now.p99_ms - 1:+.1%}",
            ]
        )
    return [
        f"all requests at once: {number(now.per_s)} requests/s;"
        f" at {LOAD:.0%} of that a p99 of {number(now.p99_ms)} ms (simulated)",
        f"held up by {found.in_words}",
        *align(uses),
        *align(ceilings),
        *align(gains),
    ]
