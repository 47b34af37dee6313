"""The real network on a GPU: graphs, number types, two threads at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from models.r2p1d.model import R2P1DRunner
from rnb.contract import Context, Device, TensorSpec

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(300)]

FAST: dict[str, Any] = {"precision": "fp16", "fuse": True, "cuda_graphs": True}
COUNTS = (1, 2, 3, 7)
ROW = (3, 8, 112, 112)


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """PyTorch's own are for the whole process."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = (cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark, cudnn.benchmark_limit)
    with torch.inference_mode():
        yield
    cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark, cudnn.benchmark_limit = before


def frames(num_rows: int, seed: int = 0) -> torch.Tensor:
    """Smooth random pictures, which drift: closer to videos than noise is."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(num_rows, 3, 3, 6, 6, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, size=(8, 112, 112), mode="trilinear")
    return (255 * fine).byte().cuda()


def make(where: Device, row: tuple[int, ...] = ROW, **options: Any) -> R2P1DRunner:
    context = Context(where=where, inputs=(TensorSpec((4, *row)),))
    return R2P1DRunner(R2P1DRunner.Options.model_validate(options), context)


def runner(row_counts: Sequence[int] = COUNTS, *, row: tuple[int, ...] = ROW, **options: Any) -> R2P1DRunner:
    made = make(Device("cuda", 0), row, **options)
    made.warm_up(row_counts)
    return made


def error(out: torch.Tensor, expected: torch.Tensor) -> float:
    return float((out - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize(
    "options", [{}, {"precision": "fp16"}, {"fuse": True}, {"precision": "fp16", "fuse": True}], ids=str
)
def test_graphs_give_what_eager_calls_give(options: dict[str, Any]) -> None:
    eager, graphs = runner(**options), runner(cuda_graphs=True, **options)
    for count in (7, 1, 3, 2, 7):
        rows = frames(count, seed=count)
        assert torch.equal(graphs.infer(rows), eager.infer(rows))


@pytest.mark.parametrize(("start", "end"), [(1, 2), (3, 4)])
def test_graphs_of_middle_parts(start: int, end: int) -> None:
    shape = {1: ROW, 3: (64, 8, 56, 56)}[start]
    options: dict[str, Any] = {"start_index": start, "end_index": end, "row": shape}
    rows = frames(3) if start == 1 else torch.randn(3, *shape, device="cuda")
    expected = runner([4], **options).infer(rows)
    out = runner([1, 2, 3, 4], **options, **FAST, row_buckets=[4]).infer(rows)
    assert out.is_contiguous()
    assert error(out, expected) < 1e-2


def test_a_bucket_hides_what_fills_it() -> None:
    run = runner(range(1, 9), **FAST, row_buckets=[8])
    few = frames(3)
    before = run.infer(few)
    run.infer(torch.full((8, 3, 8, 112, 112), torch.nan, device="cuda"))
    assert torch.equal(run.infer(few), before)
    assert before.isfinite().all()


def test_results_outlive_the_next_replay() -> None:
    run = runner(**FAST)
    first = run.infer(frames(2, seed=1))
    kept = first.clone()
    run.infer(frames(2, seed=2))
    assert torch.equal(first, kept)


def test_the_default_is_exact() -> None:
    rows = frames(2)
    runner(precision="tf32")  # leaves its setting behind in the process
    expected = make(Device()).infer(rows.cpu())
    assert error(runner().infer(rows).cpu(), expected) < 2e-5


@pytest.mark.parametrize(
    ("options", "tolerance", "agreement"),
    [
        ({"fuse": True}, 2e-5, 1.0),
        ({"precision": "tf32"}, 1e-2, 0.99),
        ({"precision": "tf32", "fuse": True, "cuda_graphs": True, "autotune": 10}, 1e-2, 0.99),
        ({**FAST, "autotune": 10}, 1e-2, 0.99),
        ({"precision": "bf16", "fuse": True, "cuda_graphs": True}, 8e-2, 0.9),
    ],
    ids=str,
)
def test_classes_agree_with_the_exact_network(
    options: dict[str, Any], tolerance: float, agreement: float
) -> None:
    exact, fast = runner([64]), runner([64], **options)
    num_same = 0
    for seed in range(16):
        rows = frames(64, seed=seed)
        expected, out = exact.infer(rows), fast.infer(rows)
        assert error(out, expected) < tolerance
        num_same += int((out.argmax(1) == expected.argmax(1)).sum())
    assert num_same >= agreement * 16 * 64


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # its compiler's own imports
def test_compiled_calls_agree() -> None:
    rows = frames(3)
    expected = runner([3]).infer(rows)
    run = runner([2, 3, 5], precision="fp16", channels_last=True, compile=True, cuda_graphs=True)
    assert error(run.infer(rows), expected) < 1e-2


def test_two_threads_warm_up_and_run_at_once() -> None:
    batches = [frames(count, seed=count) for count in (1, 5, 3, 5, 2) * 4]
    expected = [runner(range(1, 6), **FAST).infer(rows) for rows in batches[:5]] * 4
    start = threading.Barrier(2)

    def work(_: int) -> list[torch.Tensor]:
        with torch.inference_mode(), torch.cuda.stream(torch.cuda.Stream()):
            start.wait()
            mine = runner(range(1, 6), **FAST)
            outputs = [mine.infer(rows) for rows in batches]
            torch.cuda.current_stream().synchronize()
            return outputs

    torch.cuda.synchronize()
    with ThreadPoolExecutor(2) as threads:
        for outputs in threads.map(work, range(2)):
            assert all(torch.equal(out, one) for out, one in zip(outputs, expected, strict=True))


def test_nothing_is_allocated_after_the_warm_up() -> None:
    run = runner(**FAST)
    rows = frames(7)
    for _ in range(3):
        run.infer(rows)
    reserved, allocated = torch.cuda.memory_reserved(), torch.cuda.memory_allocated()
    for _ in range(50):
        run.infer(rows)
    assert (torch.cuda.memory_reserved(), torch.cuda.memory_allocated()) == (reserved, allocated)
