"""Replicas on a GPU that die or wear out, limits of its memory, and leaks in it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from rnb.analysis.reasons import Reason
from rnb.analysis.verdict import judge
from rnb.cluster.launching import LocalLauncher
from rnb.contract import Batch, Context, Layout, Step, TensorSpec
from rnb.contract import Options as AnyOptions
from rnb.record.run import Run
from tests.robustness.deaths import rows_of
from tests.support.played import played, spec_for

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(400)]

NUM_REQUESTS = 300
ROWS, MIB = 1000, 1 << 20


class Make(Step):
    """A tensor that holds the request's id; at some request its process does something else."""

    class Options(AnyOptions):
        at_request: int = -1
        how: Literal["die", "take too much"] = "die"
        keeps_bytes: int = 0

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self._kept: list[torch.Tensor] = []

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        return (TensorSpec((ROWS, 2)),)

    def __call__(self, batch: Batch) -> Batch:
        (request_id,), options = batch.ids, self.options
        device = self.context.device
        if request_id == options.at_request:
            if options.how == "take too much":
                torch.empty(2000 * MIB, dtype=torch.uint8, device=device)
            elif not _has_been(request_id, batch.payloads[0]):
                raise ArithmeticError("on purpose")
        if options.keeps_bytes:
            self._kept.append(torch.empty(options.keeps_bytes, dtype=torch.uint8, device=device))
        rows = torch.full((ROWS, 2), float(request_id), device=device)
        return batch.give(tensors=[rows], rows=[ROWS], payloads=batch.payloads)


def _has_been(request_id: int, video: str) -> bool:
    """Whether it was asked before, by any process of the run."""
    mark = Path(video).parent / f"asked-{request_id}"
    if mark.exists():
        return True
    mark.touch()
    return False


class Check(Step):
    """The result is the id that the tensor holds."""

    batches_requests = True

    def __call__(self, batch: Batch) -> Batch:
        for request, rows in zip(batch.requests, batch.split(), strict=True):
            assert rows.eq(request.id).all()
        return batch.give(payloads=[int(rows[0, 0]) for rows in batch.split()])


def step(name: str, **options: Any) -> dict[str, Any]:
    return {"model": f"tests.gpu.test_jobs_gpu.{name}", "gpus": [0], **options}


def run_of(
    folder: Path, *steps: dict[str, Any], memory: bool = False, num_nodes: int = 1, **limits: Any
) -> Run:
    spec = spec_for(folder, steps, videos=NUM_REQUESTS)
    return played(
        dataclasses.replace(
            spec,
            placement=dataclasses.replace(spec.placement, device="cuda", mps="off"),
            limits=dataclasses.replace(spec.limits, **limits),
            memory=memory,
            num_nodes=num_nodes,
        ),
        cluster=LocalLauncher(num_nodes),
    )


def all_right(run: Run) -> None:
    assert run.meta.is_success, run.meta.message + run.traceback
    assert run.results == {number: number for number in range(NUM_REQUESTS)}


@pytest.mark.parametrize("num_makers", [1, 2])
def test_slots_that_go_with_their_producer_are_made_anew(tmp_path: Path, num_makers: int) -> None:
    run = run_of(tmp_path, step("Make", at_request=100, gpus=[0] * num_makers), step("Check"), restart=1)
    all_right(run)
    assert [row["event"] for row in rows_of(run.tables["events"])].count("died") == 1


def test_slots_that_a_bridge_was_to_send_are_made_anew(tmp_path: Path) -> None:
    """What it had taken of a producer that died is lost, and begins again."""
    maker = step("Make", at_request=100, gpus=["1:0"], num_shared_tensors=4)
    run = run_of(tmp_path, maker, step("Check", gpus=["0:0"]), num_nodes=2, restart=1)
    all_right(run)
    assert [row["event"] for row in rows_of(run.tables["events"])].count("died") == 1


def test_a_reader_of_slots_on_a_gpu_is_replaced(tmp_path: Path) -> None:
    run = run_of(tmp_path, step("Make"), step("Make", at_request=100), step("Check"), restart=1)
    all_right(run)
    assert [row["replica"] for row in rows_of(run.tables["events"]) if row["event"] == "died"] == ["step 1.0"]


def test_a_producer_of_slots_on_a_gpu_is_recycled(tmp_path: Path) -> None:
    run = run_of(tmp_path, step("Make", recycle_after=100), step("Check"))
    all_right(run)
    assert run.requests["attempts"].tolist() == [1] * NUM_REQUESTS
    assert run.meta.jobs is not None
    assert run.meta.jobs.num_recycled >= 2


def test_a_call_over_the_limit_fails_its_requests_and_no_others(tmp_path: Path) -> None:
    maker = step("Make", at_request=100, how="take too much", memory_limit_mb=1500)
    run = run_of(tmp_path, maker, step("Check"), max_failures=1)
    assert run.meta.is_success, run.meta.message + run.traceback
    assert run.requests["status"].tolist().count("finished") == NUM_REQUESTS - 1
    assert run.requests["reason"][100].startswith("more than its memory_limit_mb of 1500: out of GPU memory")


def test_a_leak_on_a_gpu_is_found(tmp_path: Path) -> None:
    run = run_of(tmp_path, step("Make", keeps_bytes=64 * 1024), step("Check"), memory=True)
    all_right(run)
    (finding,) = [one for one in judge(run).findings if one.reason is Reason.MEMORY_GROWS]
    kept = re.match(r"step 0\.0 keeps ([\d.]+) KiB of each request", finding.seen)
    assert kept is not None, finding.seen
    assert float(kept[1]) == pytest.approx(64, abs=1)
