"""Where the figures come from: command, code, machine and config of each run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rnb.show.page.markup import Content, Markup, tag
from rnb.show.page.subject import Subject
from rnb.show.page.tables import details, facts

MAX_OPEN = 4


def section(runs: Sequence[Subject]) -> Markup | None:
    shown = [run for run in runs if not run.findings.meta.is_seed_format]
    if not shown:
        return None
    entries = [_details(run, is_alone=len(runs) == 1) for run in shown]
    shown_entries = entries if len(entries) <= MAX_OPEN else details(f"{len(entries)} runs", entries)
    return tag("section", tag("h2", "Provenance"), shown_entries)


def _details(run: Subject, *, is_alone: bool) -> Markup:
    meta = run.findings.meta
    everything = {**meta.provenance, "replicas": meta.replicas, "nodes": meta.nodes}
    return details(
        run.name if is_alone else [run.badge, f" {run.name}"],
        facts([(name, value) for name, value in _facts(run) if value]),
        details("Config", _json(meta.config)),
        details("All that was recorded of code and machine", _json(everything)),
    )


def _facts(run: Subject) -> list[tuple[str, Content]]:
    meta = run.findings.meta
    known: Mapping[str, Any] = meta.provenance
    started = datetime.fromtimestamp(meta.began_epoch_ns / 1e9, UTC)
    return [
        ("folder", str(run.findings.folder)),
        ("command", tag("code", shlex.join(meta.argv))),
        ("started", f"{started:%Y-%m-%d %H:%M:%S} UTC"),
        ("ended", meta.termination if meta.is_success else f"{meta.termination}: {meta.message}"),
        ("commit", _commit(known)),
        (
            "machine",
            ", ".join(str(known[name]) for name in ("hostname", "cpu", "platform") if known.get(name)),
        ),
        ("CPUs", str(known.get("num_cpus") or "")),
        ("GPUs", ", ".join(str(gpu.get("name")) for gpu in known.get("gpus") or [])),
        ("driver", str(known.get("driver") or "")),
        ("devices, MPS", f"{meta.device_mode}, MPS {meta.mps}"),
        ("versions", _versions(known)),
    ]


def _commit(known: Mapping[str, Any]) -> str:
    if not known.get("commit"):
        return ""
    return f"{known['commit']}{' with changes' if known.get('is_dirty') else ''}"


def _versions(known: Mapping[str, Any]) -> str:
    packages = {"python": known.get("python"), **(known.get("packages") or {})}
    return ", ".join(f"{name} {version}" for name, version in packages.items() if version)


def _json(value: Any) -> Markup:
    text = json.dumps(value, indent=2, default=str, ensure_ascii=False)
    return tag("div", tag("pre", tag("code", text)), class_="scroll", tabindex=0)
