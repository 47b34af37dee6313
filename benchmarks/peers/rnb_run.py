"""RnB itself: benchmark.py with the config, as its own documentation says, in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.measuring import run_pipeline
from benchmarks.peers.peer import Peer, Played
from benchmarks.peers.work import Arrival
from rnb.record.run import Run
from rnb.record.tables import TELEMETRY

BATCH_TIMEOUT_MS = "2"


class RnbRun(Peer):
    decoder = "nvvl"
    warms_up_itself = True

    def start(self) -> None:
        """Each run starts its own processes, before its schedule begins."""

    def play(self, arrivals: Sequence[Arrival]) -> Played:
        data, num = str(Path(self.work.videos[0]).parent), str(len(arrivals))
        flags = [
            "-v",
            num,
            "-qs",
            num,
            "--data",
            data,
            "--seed",
            str(self.work.seed),
            "-bt",
            BATCH_TIMEOUT_MS,
        ]
        flags += ["--device", "cpu"] if self.work.device == "cpu" else []
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as trace:
            trace.write("\n".join(f"{arrival.due_s:.9f}" for arrival in arrivals))
            trace.flush()
            at_rate = any(arrival.due_s for arrival in arrivals)
            load = ["--arrivals", "trace", "--arrivals-file", trace.name] if at_rate else ["-mi", "0"]
            return played(run_pipeline(self.work.config, *load, *flags), arrivals)


def played(run: Run, arrivals: Sequence[Arrival]) -> Played:
    """Of a run that played these, whose clock is another one."""
    finish_s = [
        arrival.due_s + latency_ms / 1000 if done else None
        for arrival, latency_ms, done in zip(
            arrivals, run.latency_ms.tolist(), run.finished.tolist(), strict=True
        )
    ]
    labels = [int(label) if label >= 0 else None for label in run.requests["label"].tolist()]
    return Played(finish_s=finish_s, labels=labels, cpu_s=_cpu_s(run))


def _cpu_s(run: Run) -> float | None:
    """Of its processes, between its first and last arrival or result."""
    telemetry = run.tables.get(TELEMETRY, {})
    names = [name for name in telemetry if name.startswith("process.") and name.endswith(".cpu_percent")]
    if not names:
        return None
    percent = sum(float(np.nanmean(telemetry[name])) for name in names)
    return percent / 100 * run.seconds
