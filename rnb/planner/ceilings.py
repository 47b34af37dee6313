"""What a placement cannot exceed, whatever the load: the ceiling of each step alone, of the cores and GPUs
that steps share, and of the harness where its costs are given."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from rnb.contract.events import Event, EventKind
from rnb.pipeline.batcher import Batcher
from rnb.pipeline.plan import Plan, ReplicaPlan
from rnb.simulation.service_times import SampledTimes, Samples
from rnb.simulation.shared_resource import shared_by
from rnb.simulation.simulate import Surroundings

SLACK = 1.05
"""Samples are few: a ceiling is raised by so much before a candidate is ruled out by it."""


class Ceiling(NamedTuple):
    """Of a step, or of what all share."""

    name: str
    per_s: float
    """Requests/s."""


def ceilings(plan: Plan, services: SampledTimes, around: Surroundings) -> list[Ceiling]:
    """All of them, the lowest first."""
    mean_rows = float(np.mean(services.rows))
    found = []
    cores_s, of_gpus_s = 0.0, {"cuda": 0.0, "nvdec": 0.0}
    for step, step_type in enumerate(plan.step_types):
        replicas = [one for one in plan.replicas if one.step == step]
        if step_type.regroups and not step_type.joins_segments:
            continue  # it packs, and calls nothing
        pieces = _pieces(plan, step)
        per_s, on_cpu_s, on_gpu_s = 0.0, [], []
        for replica in replicas:
            of_rows = services.samples[step, replica.device.is_gpu]
            request_ns = _request_ns(of_rows, mean_rows / pieces, replica) * pieces
            takes_turns = replica.device.is_gpu and step_type.takes_turns
            locked = around.lock.get((step, replica.device.is_gpu), 0.0)
            num_at_once = 1.0 if takes_turns else 1 / max(1 / replica.workers, locked)
            per_s += num_at_once * 1e9 / max(1.0, request_ns)
            taken_s = around.demand.get((step, replica.device.is_gpu), 1.0) * request_ns / 1e9
            host_s = around.host.get(step, 0.0) * request_ns / 1e9
            on_cpu_s.append(host_s if replica.device.is_gpu else taken_s)
            on_gpu_s.append(taken_s if replica.device.is_gpu else 0.0)
        cores_s += min(on_cpu_s)  # the others may serve most
        of_gpus_s[shared_by("cuda", decodes=step_type.decodes)] += min(on_gpu_s)
        found.append(Ceiling(f"step {step} {step_type.name}", per_s))
    found += _of_devices(plan, around, cores_s, of_gpus_s)
    found += _of_harness(plan, around)
    return sorted(found, key=lambda one: one.per_s)


def _of_devices(
    plan: Plan, around: Surroundings, cores_s: float, of_gpus_s: Mapping[str, float]
) -> Iterator[Ceiling]:
    """Of what steps share, by how much of it a request takes at least."""
    if cores_s and "cpu" in around.capacity:
        yield Ceiling("the CPU's cores", around.capacity["cpu"] / cores_s)
    gpus = "the GPU" if len(plan.gpus) == 1 else f"the {len(plan.gpus)} GPUs"
    for of, name in (("cuda", gpus), ("nvdec", f"the video engines of {gpus}")):
        capacity = sum(around.capacity.get(f"{of}:{gpu}", math.inf) for gpu in plan.gpus)
        if of_gpus_s[of] and capacity < math.inf:
            yield Ceiling(name, capacity / of_gpus_s[of])


def _of_harness(plan: Plan, around: Surroundings) -> Iterator[Ceiling]:
    """Of the clients, and of the queues before each step."""
    num_clients, message_ns = plan.queues[0].num_writers, max(around.put_ns, around.take_ns)
    if around.send_ns:
        name = "the client" if num_clients == 1 else f"the {num_clients} clients"
        yield Ceiling(name, num_clients * 1e9 / around.send_ns)
    together = 1
    for step, step_type in enumerate(plan.step_types if message_ns else ()):
        name = "the filename queue" if step == 0 else f"the frame queue before step {step}"
        messages = max(1, _pieces(plan, step)) / together
        yield Ceiling(name, len(plan.queues_before(step)) * 1e9 / message_ns / messages)
        if issubclass(step_type.cls, Batcher):
            together = max(one.options["batch"] for one in plan.replicas if one.step == step)


def _pieces(plan: Plan, step: int) -> int:
    """In how many segments a request comes to a step."""
    return sum(event.whole == Event(EventKind.TAKEN, step) for event in plan.events)


def _request_ns(of_rows: Mapping[int, Samples], mean_rows: float, replica: ReplicaPlan) -> float:
    """What a request costs in the largest call that can be gathered, or in the cheapest that was seen."""
    most = replica.batch_size * mean_rows if replica.max_clips is None else replica.max_clips
    sizes, means = zip(*sorted((rows, one.mean) for rows, one in of_rows.items()), strict=True)
    costs = [
        mean / max(1, rows) for rows, mean in zip(sizes, means, strict=True) if rows <= max(most, sizes[0])
    ]
    at_most = (
        float(np.interp(most, sizes, means)) / max(1.0, most) if most <= sizes[-1] else means[-1] / sizes[-1]
    )
    return float(min([*costs, at_most]) * mean_rows)
