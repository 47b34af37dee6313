"""The end of a run: what it prints, and its folder."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb import perfetto_trace, provenance
from rnb.analysis.occupancy_text import occupancy_text
from rnb.analysis.statistics import average_lines
from rnb.analysis.summary import Summary, summarize
from rnb.analysis.summary_text import table
from rnb.analysis.tail import attribute_tail, tail_table
from rnb.analysis.verdict import Verdict, judge, verdict_text
from rnb.clock import epoch_offset_ns, now_ns
from rnb.console import conclude, is_quiet, say, warn
from rnb.input_set import describe_inputs
from rnb.occupancy_tables import Tables
from rnb.page.destination import FILE_NAME
from rnb.page.page import PageError, write_page
from rnb.page.subject import Findings, findings_of, subject_alone
from rnb.plan import Plan
from rnb.request_table import STATUS_NAMES, RequestTable
from rnb.run_folder import SEED_EVENT, Run, RunFolderError, RunMeta, write
from rnb.stop import Termination


@dataclass(kw_only=True)
class Ending:
    """How a run ended, and what it was."""

    args: argparse.Namespace
    plan: Plan
    device_mode: str
    mps: str
    videos: list[str]
    arrivals_ns: NDArray[np.int64]
    num_warmup: int
    """How many requests, the first ones, do not count."""
    requests: RequestTable
    start_ns: int | None
    """None when the start barrier was never passed."""
    end_ns: int
    reason: Termination
    failure: str | None
    """Which process failed and how, in one line."""
    traceback: str
    full_queue: str | None
    pids: dict[str, int]
    """By the name of the process."""
    facts: dict[str, dict[str, Any]]
    """What the step of a replica told of itself, by the name of its process."""
    telemetry: dict[str, NDArray[Any]] | None
    """The columns of telemetry.parquet."""
    seen: Tables
    """By --occupancy."""
    notes: list[str]
    """What was asked for and could not be had, a line each."""
    gpu_states: dict[str, list[dict[str, Any]]]
    """What each GPU said 'at_start' and 'at_end' of the timed part."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run gave."""

    run: Run
    summary: Summary
    verdict: Verdict
    problem: str
    """What went wrong, in one line; empty when nothing did."""

    @property
    def is_success(self) -> bool:
        return not self.problem

    def to_json(self) -> dict[str, Any]:
        """What --json prints: summary.json, and where the rest is."""
        outcome = {"folder": str(self.run.folder), "is_success": self.is_success, "message": self.problem}
        return {**self.summary.to_json(), "verdict": self.verdict.to_json(), **outcome}


def announce_end(table: RequestTable, start_ns: int, *, is_complete: bool) -> int:
    """Print the seed's lines about the end of the timed part; returns that time.

    It is when the last request was done, or now when the run was stopped before that.
    """
    end_ns = int(table.times.max()) if is_complete else now_ns()
    if is_complete:
        say(f"Finished processing {table.num_requests} videos")
    say(f"FINISH! {(end_ns + epoch_offset_ns()) / 1e9:f}")
    say(f"That took {(end_ns - start_ns) / 1e9:f} seconds")
    say("Waiting for child processes to return...")
    return end_ns


def report(ending: Ending, folder: Path) -> Result:
    """Print the figures, write the run folder, say what went wrong."""
    run = _run(ending, folder, _problem(ending))
    summary = summarize(run)
    verdict = judge(run, summary.steady_state)
    problem = run.meta.message if run.meta else ""
    try:
        write(run, {**summary.to_json(), "verdict": verdict.to_json()})
    except RunFolderError as error:
        problem = problem or f"the run folder is not complete: {error}"
    if ending.start_ns is not None:
        _print_figures(run, summary)
        if is_quiet():  # else the table says so
            conclude(f"{summary.videos_per_s:.2f} videos/s over {summary.seconds:.2f} s")
        conclude(verdict_text(verdict))
        if ending.args.trace:
            problem = _write_trace(run, ending.args.trace) or problem
        if ending.args.html is not None:
            path = Path(ending.args.html or folder / FILE_NAME)
            problem = _write_page(path, findings_of(run, summary, verdict)) or problem
    conclude(f"run folder: {folder}")
    if problem:
        if ending.traceback:
            warn(ending.traceback)
        warn(f"benchmark.py: {problem}")
    return Result(run=run, summary=summary, verdict=verdict, problem=problem)


def _write_trace(run: Run, most_requests: int) -> str:
    """Returns the problem, if there was one."""
    try:
        say(perfetto_trace.write(run, run.folder / perfetto_trace.FILE_NAME, most_requests=most_requests))
    except OSError as error:
        return f"{run.folder / perfetto_trace.FILE_NAME}: cannot be written: {error.strerror or error}"
    return ""


def _write_page(path: Path, findings: Findings) -> str:
    """Returns the problem, if there was one."""
    try:
        write_page(path, [subject_alone(findings)])
    except PageError as error:
        return str(error)
    say(f"page: {path}")
    return ""


def _problem(ending: Ending) -> str:
    if ending.failure is not None:
        return ending.failure
    if ending.full_queue is not None:
        return f"{ending.full_queue} is full: the current placement cannot handle the input stream"
    if ending.reason is Termination.INTERRUPTED:
        return "interrupted"
    if ending.reason is not Termination.TARGET_NUM_VIDEOS_REACHED:
        return "the processes ended, but some requests were lost"
    num_failed = ending.requests.count(STATUS_NAMES.index("failed"))
    if num_failed > ending.args.max_failures:
        return _failed_requests(ending, num_failed)
    return ""


def _failed_requests(ending: Ending, num_failed: int) -> str:
    outcomes = ending.requests.outcomes
    first = outcomes["reason"][outcomes["status"] == STATUS_NAMES.index("failed")][0].decode(errors="replace")
    return (
        f"{num_failed} of {ending.requests.num_requests} requests failed, more than --max-failures"
        f" {ending.args.max_failures}; the first: {first}"
    )


def _print_figures(run: Run, summary: Summary) -> None:
    counts = run.is_measured & (run.requests["status"] == "finished")
    events = [event for event in run.events if SEED_EVENT.fullmatch(event)]
    averages = average_lines(events, {event: run.times[event][counts] for event in events})
    say("\n".join([*averages, "", table(summary)]))
    if tail := attribute_tail(run):
        say("\n" + tail_table(tail) + "\n")
    if summary.occupancy:
        say(occupancy_text(summary.occupancy, summary.step_names) + "\n")


def _run(ending: Ending, folder: Path, problem: str) -> Run:
    offset_ns = epoch_offset_ns()
    times = np.where(ending.requests.times, ending.requests.times + offset_ns, 0)
    meta = _meta(ending, offset_ns, problem)
    return Run.described(
        meta,
        folder=folder,
        times={event: times[:, index] for index, event in enumerate(meta.events)},
        requests=_request_columns(ending),
        telemetry=ending.telemetry,
        occupancy=ending.seen.occupancy,
        kernel_windows=ending.seen.kernel_windows,
        kernels=ending.seen.kernels,
    )


def _meta(ending: Ending, offset_ns: int, problem: str) -> RunMeta:
    config_path = ending.args.config_file_path
    return RunMeta(
        argv=sys.argv,
        args=vars(ending.args),
        args_line=str(ending.args),
        config_name=os.path.basename(config_path),
        config=json.loads(Path(config_path).read_text()),
        start_epoch_ns=None if ending.start_ns is None else ending.start_ns + offset_ns,
        end_epoch_ns=ending.end_ns + offset_ns,
        termination_flag=ending.reason,
        termination=ending.reason.name,
        is_success=not problem,
        message=problem,
        device_mode=ending.device_mode,
        mps=ending.mps,
        events=list(ending.plan.events),
        step_names=list(ending.plan.step_names),
        replicas=[
            {
                "step": replica.step,
                "replica": replica.replica,
                "gpu": replica.gpu,
                "replica_on_gpu": replica.replica_on_gpu,
                "device": str(replica.device),
                "workers": replica.workers,
                "pid": ending.pids.get(replica.name),
                "facts": ending.facts.get(replica.name, {}),
            }
            for replica in ending.plan.replicas
        ],
        notes=ending.notes,
        provenance={
            **provenance.collect(ending.gpu_states),
            "inputs": describe_inputs(ending.videos, ending.args.data),
        },
    )


def _request_columns(ending: Ending) -> dict[str, Any]:
    outcomes = ending.requests.outcomes
    return {
        "request_id": np.arange(len(outcomes)),
        "video": np.array(ending.videos, dtype=object),
        "arrival_ns": ending.arrivals_ns,
        "is_warmup": np.arange(len(outcomes)) < ending.num_warmup,
        "status": np.array(STATUS_NAMES, dtype=object)[outcomes["status"]],
        "reason": np.array(
            [reason.decode(errors="replace") for reason in outcomes["reason"].tolist()], dtype=object
        ),
        "num_clips": outcomes["num_clips"].copy(),
        "label": outcomes["label"].copy(),
        "score": outcomes["score"].copy(),
        **{name: column.copy() for name, column in ending.requests.served_by_columns().items()},
    }
