"""Where the figures come from: the command, the profile's runs and machine, what the harness was measured to
cost."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from typing import Any

from rnb.planner.screening import Simulator
from rnb.show.page.markup import Content, Markup, tag
from rnb.show.page.tables import details, facts


def section(simulator: Simulator, config: Mapping[str, Any], more: Mapping[str, str]) -> Markup:
    """`more`: what else there is to say, by name."""
    profile, harness = simulator.profile, simulator.harness
    origin = profile.origin
    entries: list[tuple[str, Content]] = [
        ("command", tag("code", shlex.join(sys.argv))),
        *more.items(),
        ("cores", f"{simulator.cores:g}"),
        ("machine of the profile", _machine(origin)),
        ("code of the profile", str(origin.get("commit") or "")),
        ("samples of the profile", f"{sum(map(len, profile.durations.values())):,} durations"),
    ]
    if harness.send_ns:
        costs = (
            f"a client sends one in {harness.send_ns / 1e3:.3g} µs, a message holds its queue for"
            f" {max(harness.put_ns, harness.take_ns) / 1e3:.3g} µs, measured here"
        )
        entries.append(("costs of the harness", costs))
    return tag(
        "section",
        tag("h2", "Provenance"),
        facts([(name, value) for name, value in entries if value]),
        details("Runs of the profile", tag("ul", [tag("li", run) for run in profile.runs])),
        details("Config", _json(config)),
        details("All that the profile compares", _json(origin)),
        id="provenance",
    )


def _machine(origin: Mapping[str, Any]) -> str:
    gpus = origin.get("gpus") or []
    parts = [origin.get("cpu"), f"{origin['num_cpus']} cores" if origin.get("num_cpus") else "", *gpus]
    return ", ".join(str(part) for part in parts if part)


def _json(value: Any) -> Markup:
    text = json.dumps(value, indent=2, default=str, ensure_ascii=False)
    return tag("div", tag("pre", tag("code", text)), class_="scroll", tabindex=0)
