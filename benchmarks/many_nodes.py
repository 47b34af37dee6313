"""What saturates first with many nodes: the sender, the head node, its network, or the start.

    python -m benchmarks.many_nodes

What the head node does is measured here, piece by piece; the rest is taken from the flags. The planner's
simulator then plays requests through the sender, the bridges of the head node, its network and the nodes.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Pipe
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.measuring import run_pipeline, show, spread
from rnb.analysis.utilization import mean_shares, worker_utilizations
from rnb.contract.request import Request
from rnb.load.load import Load
from rnb.pipeline.config import ConfigFile
from rnb.pipeline.parts import part_of
from rnb.pipeline.plan import Plan, ReplicaPlan
from rnb.processes.gathering import Reporter, merge, note_outcomes
from rnb.processes.supervisor import Supervisor
from rnb.record.over_nodes import by_node
from rnb.simulation.simulate import Surroundings, simulate
from rnb.spec import Placement, RunSpec, plan_of, schedule_of
from rnb.transport.backlog import BacklogQueue
from rnb.transport.clock_sync import Exchange, fit
from rnb.transport.local.fabric import LocalFabric
from rnb.transport.message import Message
from rnb.transport.spread_queue import Way
from rnb.transport.tcp.handshake import TOKEN_BYTES, accept, connect, listen

NOTHING = "models.nothing.model.Nothing"
NUM_NODES = (10, 30, 100, 300, 1000)
REPLICAS, PER_REPLICA = 4, 20
HEAD, NETWORK, NODES = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class HeadCosts:
    """Of the head node, in us; each as it was measured here, CPU time but for `spawn`."""

    send: float
    """The sender's, for a request that goes to another node over its lane there."""
    choose: float
    """The same, for choosing among many nodes."""
    head: float
    """Of all other processes of the head node, for such a request."""
    outcome: float
    """Taking what a node tells of a request that has ended."""
    merge: float
    """After the run, for a request."""
    fit: float
    """Working a node's clock out, after the run."""
    handshake: float
    spawn: float
    """A bridge process, as in a run that uses GPUs."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--service-ms", type=float, default=10.0, help="of a replica (default %(default)s)")
    parser.add_argument("--cores", type=int, default=16, help="of the head node (default %(default)s)")
    parser.add_argument("--gbit", type=float, default=25.0, help="of its network (default %(default)s)")
    parser.add_argument(
        "--bytes", type=int, default=500, help="that cross for a request (default %(default)s)"
    )
    parser.add_argument("--clients", type=int, default=1, help="that send (default %(default)s)")
    parser.add_argument("-v", "--videos", type=int, default=60_000, help="of the run that is measured")
    parser.add_argument("--data", default="data/videos", help="any folder of videos; none is opened")
    args = parser.parse_args()
    costs = measured(args)
    rows = [at(number, costs, args) for number in NUM_NODES]
    shown = "; ".join(
        f"{row['nodes']} nodes: {row['served_per_s']:,.0f} of {row['offered_per_s']:,.0f}/s"
        f" ({row['first']} at {row['use'][row['first']]:.0%}), {row['start_s']:.1f} s to start"
        for row in rows
    )
    show("many_nodes", shown, {"costs_us": vars(costs), "rows": rows, "load": os.getloadavg()[0]})


# ---------------------------------------------------------------- what the head node does


def measured(args: argparse.Namespace) -> HeadCosts:
    outcome, merged = gathering_us()
    send, head = crossing_us(args)
    return HeadCosts(
        send=send,
        choose=choose_us(),
        head=head,
        outcome=outcome,
        merge=merged,
        fit=fit_us(),
        handshake=handshake_us(),
        spawn=spawn_us(),
    )


def each_us(do: Callable[[int], Any], count: int) -> float:
    """CPU time, which other work hardly changes; the median of five series."""
    taken = []
    for _ in range(5):
        began = time.process_time()
        for number in range(count):
            do(number)
        taken.append((time.process_time() - began) / count * 1e6)
    return spread(taken)["median"]


def choose_us() -> float:
    """Among 200 nodes; what is put there comes back at once."""
    fabric = LocalFabric(())
    loads = fabric.numbers(np.zeros(200, np.int64))
    ends: Any = [SimpleNamespace(put=lambda message: None, depth=lambda: 0) for _ in range(200)]
    ways = [Way(queue=one, num_readers=REPLICAS, loads=loads, place=at) for at, one in enumerate(ends)]
    first = BacklogQueue(ways, capacity=1, stop=fabric.stop)
    message = Message(None, (Request(0, "a.mp4"),), ((),))
    return each_us(lambda _: first.put(message), 2000)


def crossing_us(args: argparse.Namespace) -> tuple[float, float]:
    """Of the sender, and of the head node's other processes: by telemetry, in a run that sends all to another
    node as fast as it can."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
        json.dump([{"model": NOTHING, "gpus": ["1:-1"]}], config)
        config.flush()
        flags = ("--data", args.data, "--device", "cpu", "-mi", "0", "-v", str(args.videos))
        run = run_pipeline(config.name, "--cluster", "local:2", *flags)
    table = by_node(run.tables["telemetry"])[0]
    inside = table["time_ns"][1:] > run.start_ns
    used_us = {
        name: np.nansum((values[1:] / 100 * np.diff(table["time_ns"]))[inside]) / 1e3 / run.num_requests
        for name, values in table.items()
        if name.endswith(".cpu_percent")
    }
    sender = float(used_us["process.client.cpu_percent"])
    return sender, float(sum(used_us.values())) - sender


def gathering_us() -> tuple[float, float]:
    """While the run plays, and after it; of requests that are told a thousand at a time."""
    plan, count = plan_over(2), 1000
    table, theirs = (LocalFabric(()).table(num_requests=count, events=plan.events) for _ in range(2))
    theirs.times[:] = 1
    for request in range(count):
        theirs.finish(request, None)
    data = pickle.dumps(Reporter(theirs).news())
    clock = fit([Exchange(0, 50, 100)])
    outcome = each_us(lambda _: note_outcomes(table, pickle.loads(data)), 20)
    rows = pickle.loads(data)
    return outcome / count, each_us(lambda _: merge(table, rows, clock, 1), 20) / count


def fit_us() -> float:
    draw = np.random.default_rng(0)
    times = [(at, at + int(draw.integers(20_000, 90_000))) for at in range(0, 10_000_000, 1_000_000)]
    exchanges = [Exchange(sent, (sent + received) // 2, received) for sent, received in times]
    return each_us(lambda _: fit(exchanges), 10)


def handshake_us() -> float:
    """With an agent, from its connection to its acceptance."""
    token = os.urandom(TOKEN_BYTES)
    with listen("127.0.0.1") as listening:
        address, stop = listening.getsockname(), LocalFabric(()).stop

        def shake(number: int) -> None:
            agent = threading.Thread(target=lambda: connect(address[:2], token, number).close())
            agent.start()
            accept(listening, token, stop)[0].close()
            agent.join()

        return each_us(shake, 50)


def spawn_us() -> float:
    supervisor = Supervisor(LocalFabric(()))
    try:
        supervisor.spawn("first", wait_for_exit, lambda line: line)
        began = time.perf_counter()
        for number in range(20):
            supervisor.spawn(str(number), wait_for_exit, lambda line: line)
        return (time.perf_counter() - began) / 20 * 1e6
    finally:
        supervisor.end()


def wait_for_exit(line: Any) -> None:
    line.tell("finished")
    line.wait_for("exit")


def tick_ms(num_nodes: int) -> float:
    """How long the driver takes to look at all its lines, when none has anything to tell."""
    supervisor, kept = Supervisor(LocalFabric(())), list[tuple[Any, ...]]()
    for number in range(num_nodes):
        ours, theirs = Pipe()
        reading, writing = os.pipe()
        process: Any = SimpleNamespace(sentinel=reading, pid=None, exitcode=None)
        supervisor.adopt(str(number), process, ours, rank=0, where="there")
        kept.append((ours, theirs, reading, writing))
    taken_us = each_us(lambda _: supervisor.tick(), 2)
    for ours, theirs, reading, writing in kept:
        ours.close()
        theirs.close()
        os.close(reading)
        os.close(writing)
    return taken_us / 1e3


# ---------------------------------------------------------------- many nodes


def plan_over(num_nodes: int) -> Plan:
    """The same replicas on each, of one step."""
    step = {"model": NOTHING, "gpus": [-1] * REPLICAS, "spread": True}
    spec = spec_of([step], num_nodes=num_nodes)
    return plan_of(spec, num_requests=1)


def spec_of(steps: list[dict[str, Any]], *, num_nodes: int = 1, videos: int = 1, clients: int = 1) -> RunSpec:
    data = {"video_path_iterator": "models.queueing.model.Requests", "pipeline": steps}
    placement = Placement(device="cpu", queue_size=10_000_000, cluster="auto")
    return RunSpec(
        config=ConfigFile(path="nodes.json", data=data),
        load=Load(mean_interval_ms=0, videos=videos, clients=clients),
        placement=placement,
        observe=(),
        num_nodes=num_nodes,
    )


@dataclass(frozen=True)
class Services:
    """Of the bridges, the network and the nodes, by step, in ns."""

    call: tuple[float, float, float]

    def rows_of(self, request: int) -> int:
        return 1

    def call_ns(self, replica: ReplicaPlan, rows: int, request: int) -> int:
        return round(self.call[replica.step])


def at(num_nodes: int, costs: HeadCosts, args: argparse.Namespace) -> dict[str, Any]:
    """What so many nodes serve, when all requests are there at once."""
    num_bridges, network_us = num_nodes - 1, args.bytes * 8 / args.gbit / 1e3
    head_us, send_us = costs.head + costs.outcome, costs.send + costs.choose
    counts = (min(args.cores, num_bridges), 1, num_nodes * REPLICAS)
    steps = [{"model": NOTHING, "gpus": [-1] * count} for count in counts]
    spec = spec_of(steps, videos=num_nodes * REPLICAS * PER_REPLICA, clients=args.clients)
    spec, schedule = schedule_of(spec)
    services = Services((head_us * 1e3, network_us * 1e3, args.service_ms * 1e6))
    run = simulate(spec, schedule, services, around=Surroundings(send_ns=round(send_us * 1e3)))
    served = run.num_requests / run.seconds
    workers = worker_utilizations(run)
    busy = {
        step: mean_shares([one for one in workers if one.step == step])["busy"]
        for step in (HEAD, NETWORK, NODES)
    }
    use = {
        "sender": served * send_us / 1e6 / args.clients,
        "head node": busy[HEAD],
        "network": busy[NETWORK],
        "nodes": busy[NODES],
    }
    return {
        "nodes": num_nodes,
        "offered_per_s": num_nodes * REPLICAS * 1e3 / args.service_ms,
        "served_per_s": served,
        "first": max(use, key=lambda name: use[name]),
        "use": use,
        "start_s": start_s(num_nodes, costs),
        "tick_ms": tick_ms(min(num_nodes, 400)) * max(1.0, num_nodes / 400),
        "after_a_minute_s": (served * 60 * costs.merge + num_bridges * costs.fit) / 1e6,
    }


def start_s(num_nodes: int, costs: HeadCosts) -> float:
    """What the driver does one node after the other, before the timed part; agents start at the same time."""
    plan, num_looked = plan_over(num_nodes), min(num_nodes, 50) - 1
    began = time.process_time()
    for node in range(1, 1 + num_looked):
        pickle.dumps(part_of(plan, node))
    parts = (time.process_time() - began) * (num_nodes - 1) / num_looked
    return parts + (costs.handshake + costs.spawn) / 1e6 * (num_nodes - 1)


if __name__ == "__main__":
    main()
