"""A plan as text, for --check."""

from __future__ import annotations

from rnb.contract.slot import slot_bytes
from rnb.pipeline.parts import crossings
from rnb.pipeline.plan import Plan, PoolPlan, ReplicaPlan


def describe(plan: Plan, *, sends_files: bool = False) -> str:
    """Processes, queues, slots and their bytes.

    `sends_files`: whether the files that requests name go along to other nodes.
    """
    num_clients = plan.queues[0].num_writers
    clients = "1 client" if num_clients == 1 else f"{num_clients} clients"
    queues = [
        f"  {queue.name}: {queue.capacity} messages, {queue.num_writers} writers, {queue.num_readers} readers"
        for queue in plan.queues
    ]
    total = sum(pool.num_slots * slot_bytes(pool.layout) for pool in plan.pools)
    return "\n".join(
        [
            f"processes: 1 driver, {clients}, {len(plan.replicas)} runners",
            *(_replica(plan, replica) for replica in plan.replicas),
            "queues:",
            *queues,
            "slots:",
            *map(_pool, plan.pools),
            f"  in all: {total:,} bytes",
            *_crossings(plan, sends_files=sends_files),
        ]
    )


def _crossings(plan: Plan, *, sends_files: bool) -> list[str]:
    """What goes from one node to another; nothing where all is on one."""
    files = "no tensors; the file of each request" if sends_files else "no tensors"
    lines = [
        f"  {plan.queues[one.queue].name}, node {one.writer} to node {one.reader}: up to {one.num_bytes:,}"
        f" bytes a message, {one.num_slots} slots there"
        if one.layout
        else f"  {plan.queues[one.queue].name}, node {one.writer} to node {one.reader}:"
        f" {'no tensors' if one.queue else files}"
        for one in crossings(plan)
    ]
    return ["between nodes:", *lines, *_bytes_a_request(plan)] if lines else []


def _bytes_a_request(plan: Plan) -> list[str]:
    """The most that crosses for one request: each step's largest messages to a reader that is away."""
    most = dict.fromkeys(range(plan.num_steps), 0)
    for replica in plan.replicas:
        for one in crossings(plan):
            if one.queue in replica.out_queues and one.writer == replica.node:
                most[replica.step] = max(most[replica.step], one.num_bytes * replica.num_segments)
    return [f"  in all: up to {sum(most.values()):,} bytes a request"]


def _replica(plan: Plan, replica: ReplicaPlan) -> str:
    gpu = "CPU" if replica.gpu < 0 else f"GPU {replica.gpu}"
    where = gpu if replica.device.is_gpu or replica.gpu < 0 else f"{gpu} (mapped to the CPU)"
    if plan.num_nodes > 1:
        where = f"node {replica.node}, {where}"
    workers = f", {replica.workers} workers" if replica.workers > 1 else ""
    batch = f", batches of {replica.batch_size}" if replica.batch_size > 1 else ""
    if replica.max_clips:
        batch = f", batches of {replica.max_clips} clips"
    out = ", ".join(plan.queues[queue].name for queue in replica.out_queues) or "run folder"
    return (
        f"  {replica.name}: {plan.step_names[replica.step]} on {where}{workers}{batch}:"
        f" {', else '.join(plan.queues[queue].name for queue in replica.in_queues)} -> {out}"
    )


def _pool(pool: PoolPlan) -> str:
    tensors = " + ".join(f"{'x'.join(map(str, spec.shape))} {spec.dtype}" for spec in pool.layout)
    total = pool.num_slots * slot_bytes(pool.layout)
    return f"  {pool.name}: {pool.num_slots} of {tensors} on {pool.device}, {total:,} bytes"
