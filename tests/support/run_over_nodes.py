"""A run over several nodes, in memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnb.record.over_nodes import joined
from rnb.record.run import Run, Table
from tests.support.timed_runs import NUM_CPUS, quiet_cpus, timed_run

NUM_REQUESTS = 1000


def run_over(*bounds_us: float, wait_ms: float = 0.3) -> Run:
    """Step 0 on node 0, step 1 on each in turn; the clock of each node but the first is known so well."""
    draw = np.random.default_rng(5)
    each = np.full(NUM_REQUESTS, wait_ms)
    stages = {
        "enqueue_filename": np.full(NUM_REQUESTS, 0.1),
        "runner0_start": each,
        "inference0_start": np.zeros(NUM_REQUESTS),
        "inference0_finish": draw.uniform(1, 2, NUM_REQUESTS),
        "handoff0_finish": np.zeros(NUM_REQUESTS),
        "runner1_start": each,
        "inference1_start": np.zeros(NUM_REQUESTS),
        "inference1_finish": draw.uniform(3, 4, NUM_REQUESTS),
    }
    run = timed_run(
        stages, arrivals_ms=np.cumsum(draw.uniform(8, 12, NUM_REQUESTS)), args={"mean_interval_ms": 10}
    )
    clocks: list[Any] = [None, *({"bound_ns": round(bound * 1000)} for bound in bounds_us)]
    run.meta.nodes = [
        {"node": node, "host": f"host{node}", "clock": clock, "provenance": machine(node)}
        for node, clock in enumerate(clocks)
    ]
    run.meta.provenance |= machine(0)
    run.meta.step_names = ["Load", "Classify"]
    run.meta.replicas = [
        {
            "step": step,
            "replica": replica,
            "gpu": -1,
            "device": "cpu",
            "replica_on_gpu": 0,
            "node": replica,
            "pid": 500 + step,
        }
        for step, count in ((0, 1), (1, len(clocks)))
        for replica in range(count)
    ]
    whole = dict.fromkeys(("num_clips", "label"), np.ones(NUM_REQUESTS, np.int32))
    texts = {"video": "0.mp4", "reason": ""}
    run.requests |= {name: np.full(NUM_REQUESTS, text, dtype=object) for name, text in texts.items()}
    run.requests |= {**whole, "score": np.full(NUM_REQUESTS, 0.5, np.float32)}
    for step, count in ((0, 1), (1, len(clocks))):
        run.requests[f"replica{step}"] = np.arange(NUM_REQUESTS, dtype=np.int32) % count
        run.requests[f"worker{step}"] = np.zeros(NUM_REQUESTS, np.int32)
    watch(run, {node: quiet_cpus(run.end_ns) for node in range(len(clocks))})
    return run


def machine(node: int) -> dict[str, Any]:
    """Of each node another one."""
    return {
        "num_cpus": NUM_CPUS,
        "hostname": f"host{node}",
        "boot_id": f"boot {node}",
        "cpu_affinity": list(range(NUM_CPUS)),
        "other_processes": [{"name": f"hog{node}", "pid": 70 + node}],
    }


def watch(run: Run, telemetry: dict[int, Table]) -> None:
    """This is what the nodes saw, by node."""
    run.tables["telemetry"] = joined(telemetry)
