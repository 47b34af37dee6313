"""One run from its arguments to its end: prepare it, start its processes, wait, report."""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import client
import runner
from rnb.clock import epoch_offset_ns, now_ns
from rnb.config import ConfigError, PipelineConfig, load_config
from rnb.console import say
from rnb.control import Control
from rnb.devices import resolve_mode
from rnb.importer import accepted, import_class
from rnb.mps import shared_gpus
from rnb.observer import Observer
from rnb.occupancy_recorder import OccupancyRecorder
from rnb.occupancy_tables import NOTHING_SEEN
from rnb.plan import Plan, ReplicaPlan, make_plan, polling_s
from rnb.queues import MessageQueue
from rnb.replay import replay
from rnb.report import Ending, Result, announce_end, report
from rnb.request_table import FAILED, FINISHED, RequestTable
from rnb.run_folder import RunFolderError, create
from rnb.schedule import Schedule, ScheduleError, make_schedule, settle
from rnb.slots import SlotPool
from rnb.stop import StopFlag, Termination
from rnb.supervisor import Supervisor, stop_on_signals

START_LEAD_NS = 20_000_000
"""The start lies this far ahead when it is announced, so that every process is awake by then."""


NUM_SAMPLE_VIDEOS = 8
"""How many of the run's videos a step gets to warm up with."""


class UsageError(ValueError):
    """The run cannot start as asked: one line for the user."""


@dataclass(kw_only=True)
class Benchmark:
    """A run that has been checked and can start."""

    args: argparse.Namespace
    config: PipelineConfig
    plan: Plan
    mode: str
    schedule: Schedule
    videos: list[str]
    """The video of each request."""

    def run(self) -> Result:
        """Run it and write its folder. Raises UsageError before it starts."""
        processes = _Processes(self)
        start_ns = None
        try:
            with stop_on_signals(processes.stop), shared_gpus(self.plan, self.args.mps) as mps:
                folder = create(self.args.logs, self.args)
                self._announce()
                try:
                    start_ns = processes.start()
                    processes.say_facts()
                    if start_ns is not None:
                        say(f"START! {(start_ns + epoch_offset_ns()) / 1e9:f}")
                    end_ns = processes.wait(start_ns)
                finally:
                    processes.supervisor.end()
                    processes.occupancy.kill()
        except (ConfigError, RunFolderError) as error:
            raise UsageError(str(error)) from error
        return report(processes.ending(start_ns, end_ns, mps), folder)

    def _announce(self) -> None:
        say(f"Args: {self.args}")
        if self._has_random_weights():
            say(f"No --checkpoint: the network's weights are random, drawn from seed {self.args.seed}")

    def _has_random_weights(self) -> bool:
        asked = [replica.options for replica in self.plan.replicas if "checkpoint" in replica.options]
        return any(not options["checkpoint"] for options in asked)


def prepare(args: argparse.Namespace) -> Benchmark:
    """Check everything that can be checked before a process starts. Raises UsageError."""
    try:
        args, schedule = _schedule(args)
        config = load_config(args.config_file_path, per_gpu_queue=args.per_gpu_queue)
        mode = resolve_mode(args.device, config)
        iterator = _video_path_iterator(config)
        videos = [] if args.check else schedule.videos or _list_videos(iterator, args.data, len(schedule))
        plan = make_plan(
            config,
            mode=mode,
            batch_size=args.batch_size,
            queue_capacity=_queue_capacity(args, config, len(schedule)),
            num_clients=args.clients,
            context_options={
                "seed": args.seed,
                "checkpoint": args.checkpoint,
                "batch_size": args.batch_size,
                "sample_videos": list(dict.fromkeys(videos))[:NUM_SAMPLE_VIDEOS],
            },
        )
    except (ConfigError, ScheduleError, RunFolderError) as error:
        raise UsageError(str(error)) from error
    return Benchmark(args=args, config=config, plan=plan, mode=mode, schedule=schedule, videos=videos)


def _schedule(args: argparse.Namespace) -> tuple[argparse.Namespace, Schedule]:
    """The schedule, and the arguments with what it decided. Raises ScheduleError, RunFolderError."""
    args, schedule = replay(args) if args.replay is not None else (args, make_schedule(args))
    return settle(args, schedule), schedule


def _queue_capacity(args: argparse.Namespace, config: PipelineConfig, num_requests: int) -> int:
    if args.mean_interval_ms > 0:
        return int(args.queue_size)
    return num_requests * max(step.num_segments for step in config.pipeline)


def _video_path_iterator(config: PipelineConfig) -> type[Iterable[str]]:
    try:
        return import_class(config.video_path_iterator)
    except ValueError as error:
        raise ConfigError("video_path_iterator", str(error)) from None


def _list_videos(iterator: type[Iterable[str]], root: str, num_requests: int) -> list[str]:
    """A video for each request: the list of the config's iterator, repeated until there are enough."""
    try:
        paths = iterator(**accepted(iterator.__init__, {"root": root}))
        found = list(itertools.islice(paths, num_requests))
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    if not found:
        raise UsageError(f"{iterator.__module__}.{iterator.__qualname__} gives no videos")
    return list(itertools.islice(itertools.cycle(found), num_requests))


class _Processes:
    """The processes of a run and the memory that they share."""

    def __init__(self, benchmark: Benchmark) -> None:
        self._args, self._plan, self._mode, self._videos = (
            benchmark.args,
            benchmark.plan,
            benchmark.mode,
            benchmark.videos,
        )
        self._context = multiprocessing.get_context("spawn")
        self.stop = StopFlag()
        self.supervisor = Supervisor(self._context, self.stop)
        self.table = RequestTable(num_requests=len(self._videos), events=self._plan.events)
        self._schedule = benchmark.schedule
        num_cpus = len(os.sched_getaffinity(0))
        self._poll_s = polling_s(self._plan, num_clients=self._args.clients, num_cpus=num_cpus)
        self._queues = [
            MessageQueue(
                queue.name, capacity=queue.capacity, num_writers=queue.num_writers, context=self._context
            )
            for queue in self._plan.queues
        ]
        self._pools = [
            SlotPool(
                layout=pool.layout,
                num_slots=pool.num_slots,
                device=pool.device,
                context=self._context,
                stop=self.stop,
            )
            for pool in self._plan.pools
        ]
        self.observer = Observer(
            self._plan,
            self.table,
            self._queues,
            num_warmup=self._schedule.num_warmup,
            has_telemetry=self._args.telemetry,
        )
        self.occupancy = OccupancyRecorder(self._plan, is_asked=self._args.occupancy)
        self._seen = NOTHING_SEEN

    def start(self) -> int | None:
        """Start all processes and pass the start barrier; the start time, or None when that failed."""
        for number in range(self._args.clients):
            name = "client" if self._args.clients == 1 else f"client {number}"
            self.supervisor.spawn(name, client.run_client, partial(self._client_task, number))
        for replica in self._plan.replicas:
            make_task = partial(self._runner_task, replica)
            self.supervisor.spawn(replica.name, runner.run_replica, make_task, rank=replica.step + 1)
        self.observer.prepare()
        self.occupancy.prepare()
        if not self.supervisor.wait_for("prepared"):
            return None
        self.supervisor.send_all("handles", self._slot_handles())
        if not self.supervisor.wait_for("ready"):
            return None
        self.occupancy.start(self._told("kernels"))
        start_ns = now_ns() + START_LEAD_NS
        self.supervisor.send_all("start", start_ns)
        return start_ns

    def say_facts(self) -> None:
        """Say what the steps have told of themselves, once where replicas tell the same."""
        told = {
            f"step {replica.step}: " + ", ".join(f"{name} {value}" for name, value in facts.items())
            for replica in self._plan.replicas
            if (facts := self._facts().get(replica.name))
        }
        for line in sorted(told):
            say(line)

    def _facts(self) -> dict[str, dict[str, Any]]:
        return {name: told or {} for name, told in self._told("ready").items()}

    def _client_task(self, number: int, control: Control) -> client.ClientTask:
        share = slice(number, None, self._args.clients)
        return client.ClientTask(
            control=control,
            stop=self.stop,
            table=self.table,
            queue=self._queues[0],
            request_ids=range(len(self._videos))[share],
            videos=self._videos[share],
            arrivals_ns=self._schedule.arrivals_ns[share],
        )

    def _runner_task(self, replica: ReplicaPlan, control: Control) -> runner.RunnerTask:
        return runner.RunnerTask(
            plan=replica,
            control=control,
            stop=self.stop,
            table=self.table,
            in_queue=self._queues[replica.in_queue],
            out_queues=tuple(self._queues[queue] for queue in replica.out_queues),
            in_pools={pool: self._pools[pool] for pool in replica.in_pools},
            out_pool=None if replica.out_pool is None else self._pools[replica.out_pool],
            batch_timeout_ms=self._args.batch_timeout_ms,
            poll_s=self._poll_s,
            num_torch_threads=_threads_per_worker(self._plan),
            windowing=self.occupancy.windowing,
        )

    def _slot_handles(self) -> dict[int, bytes]:
        """What each replica told about its slots, by pool."""
        runners = self.supervisor.children[self._args.clients :]
        told = zip(self._plan.replicas, runners, strict=True)
        return {
            replica.out_pool: child.messages["prepared"]
            for replica, child in told
            if replica.out_pool is not None
        }

    def ending(self, start_ns: int | None, end_ns: int, mps: str) -> Ending:
        full = [
            child.messages["queue_full"]
            for child in self.supervisor.children
            if "queue_full" in child.messages
        ]
        return Ending(
            args=self._args,
            plan=self._plan,
            device_mode=self._mode,
            mps=mps,
            videos=self._videos,
            arrivals_ns=self._schedule.arrivals_ns,
            num_warmup=self._schedule.num_warmup,
            requests=self.table,
            start_ns=start_ns,
            end_ns=end_ns,
            reason=self.stop.reason,
            failure=self.supervisor.failure,
            traceback=self.supervisor.traceback,
            full_queue=full[0] if full else None,
            pids=self._pids(),
            facts=self._facts(),
            telemetry=self.observer.telemetry,
            seen=self._seen,
            notes=self.occupancy.notes,
            gpu_states=self.observer.gpu_states,
        )

    def _told(self, kind: str) -> dict[str, Any]:
        """What the children that have told it said, by their names."""
        children = self.supervisor.children
        return {child.name: child.messages[kind] for child in children if kind in child.messages}

    def _pids(self) -> dict[str, int]:
        return {child.name: child.process.pid or 0 for child in self.supervisor.children}

    def wait(self, start_ns: int | None) -> int:
        """Wait for the end of the stream, or of the run, and announce it; returns when it was."""
        if start_ns is None:
            self.supervisor.wait_until_over(lambda: None)
            return now_ns()
        with self.observer.watch(self._pids()) as update:
            self.supervisor.wait_until_over(update)
        self._seen = self.occupancy.stop(self._told("kernels"), epoch_offset_ns=epoch_offset_ns())
        is_complete = self.table.count(FINISHED) + self.table.count(FAILED) == self.table.num_requests
        if is_complete:
            self.stop.raise_flag(Termination.TARGET_NUM_VIDEOS_REACHED)
        return announce_end(self.table, start_ns, is_complete=is_complete)


def _threads_per_worker(plan: Plan) -> int:
    """Share the cores among the workers that compute on the CPU."""
    num_workers = sum(replica.workers for replica in plan.replicas if replica.device.type == "cpu")
    return max(1, len(os.sched_getaffinity(0)) // max(1, num_workers))
