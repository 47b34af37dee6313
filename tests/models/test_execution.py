"""All ways to run a part give what the plain one gives."""

from __future__ import annotations

import copy
import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from models.r2p1d.execution import Execution
from models.r2p1d.execution_options import ExecutionOptions
from models.r2p1d.model import R2P1DRunner
from models.r2p1d.network import RES2PLUS1D, TORCHVISION, R2P1DPart, Variant
from models.r2p1d.parts import input_shape
from models.r2p1d.presets import KINETICS_MEAN, KINETICS_STD
from rnb.contract import Context, TensorSpec
from rnb.pipeline.config import first_problem

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {"num_classes": 7, "layer_sizes": (1, 2, 1, 1)}
SIZE: dict[str, Any] = {"num_frames": 4, "height": 24, "width": 20}
VARIANTS = pytest.mark.parametrize("variant", [RES2PLUS1D, TORCHVISION], ids=lambda variant: variant.name)
# Largest error over largest value: 16-bit numbers are rounded once for each of about 20 convolutions.
TOLERANCES = {"fp32": 1e-5, "tf32": 1e-5, "fp16": 1e-2, "bf16": 8e-2}


def trained(start: int = 1, end: int = 5, variant: Variant = RES2PLUS1D) -> R2P1DPart:
    """A part whose batch norms and biases do something; the caller's own."""
    return copy.deepcopy(drawn(start, end, variant))


@functools.cache
def drawn(start: int, end: int, variant: Variant) -> R2P1DPart:
    torch.manual_seed(start)
    part = R2P1DPart(start, end, variant=variant, **SMALL).eval().requires_grad_(False)
    for module in part.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(std=0.2)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(std=0.2)
    return part


def execution(part: R2P1DPart, row: tuple[int, ...], **options: Any) -> Execution:
    return Execution(
        part,
        row=row,
        mean=KINETICS_MEAN,
        std=KINETICS_STD,
        device=CPU,
        options=ExecutionOptions.model_validate(options),
    )


def frames(num_rows: int, seed: int = 0, **size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (num_rows, *input_shape(**{**SIZE, **size}))
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def normalized(rows: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1, 1) for values in (KINETICS_MEAN, KINETICS_STD))
    return (rows / 255 - mean) / std


def error(out: torch.Tensor, expected: torch.Tensor) -> float:
    assert out.shape == expected.shape
    assert out.dtype == torch.float32
    assert out.is_contiguous()
    assert expected.abs().max() > 0
    return float((out - expected).abs().max() / expected.abs().max())


OPTIONS: list[dict[str, Any]] = [
    {},
    {"channels_last": True},
    {"compile": True, "cuda_graphs": True},
    {"row_buckets": [2, 8]},
    {"autotune": 0},
    *({"precision": precision} for precision in ("tf32", "fp16", "bf16")),
    *({"precision": precision, "fuse": True} for precision in TOLERANCES),
    {"precision": "fp16", "fuse": True, "cuda_graphs": True, "autotune": 10, "row_buckets": [2, 8]},
]


@VARIANTS
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_all_options_give_the_plain_logits(variant: Variant, options: dict[str, Any]) -> None:
    rows = frames(3)
    expected = trained(variant=variant)(normalized(rows))
    run = execution(trained(variant=variant), tuple(rows.shape[1:]), **options)
    tolerance = TOLERANCES[options.get("precision", "fp32")]
    assert error(run(rows), expected) < tolerance
    run.warm_up(range(1, 5))
    assert error(run(rows), expected) < tolerance


@VARIANTS
@pytest.mark.parametrize(("start", "end"), [(1, 1), (1, 3), (2, 2), (3, 4), (5, 5)])
def test_fused_parts_give_the_plain_features(variant: Variant, start: int, end: int) -> None:
    row = input_shape(start, **SIZE)
    rows = frames(2) if start == 1 else torch.randn(2, *row)
    expected = trained(start, end, variant)(normalized(rows) if start == 1 else rows)
    assert error(execution(trained(start, end, variant), row, fuse=True)(rows), expected) < 1e-5


@pytest.mark.parametrize(
    ("num_frames", "height", "width"), [(1, 1, 1), (2, 16, 16), (5, 23, 19), (3, 24, 17)]
)
def test_fusing_holds_for_odd_sizes(num_frames: int, height: int, width: int) -> None:
    rows = frames(2, num_frames=num_frames, height=height, width=width)
    expected = trained()(normalized(rows))
    assert error(execution(trained(), tuple(rows.shape[1:]), fuse=True)(rows), expected) < 1e-5


@pytest.mark.parametrize("fuse", [False, True])
def test_what_fills_a_bucket_never_shows(fuse: bool) -> None:
    row = input_shape(**SIZE)
    run = execution(trained(), row, fuse=fuse, row_buckets=[4])
    run.warm_up(range(1, 5))
    few = frames(2, seed=1)
    before = run(few)
    run(torch.full((4, *row), torch.nan))  # stays behind in the rows that the next call does not fill
    after = run(few)
    assert torch.equal(after, before)
    assert error(after, trained()(normalized(few))) < 1e-5


@pytest.mark.parametrize("options", [{}, {"fuse": True}, {"fuse": True, "row_buckets": [4]}], ids=str)
def test_bytes_and_floats_give_the_same(options: dict[str, Any]) -> None:
    rows = frames(3)
    run = execution(trained(), tuple(rows.shape[1:]), **options)
    assert torch.equal(run(rows), run(rows.float()))


@pytest.mark.parametrize("fuse", [False, True])
def test_results_outlive_the_next_call(fuse: bool) -> None:
    run = execution(trained(), input_shape(**SIZE), fuse=fuse, row_buckets=[4])
    run.warm_up([4])
    first = run(frames(3, seed=1))
    kept = first.clone()
    run(frames(4, seed=2))
    assert torch.equal(first, kept)


def test_more_rows_than_were_warmed_up_for() -> None:
    rows = frames(5)
    run = execution(trained(), tuple(rows.shape[1:]), fuse=True, row_buckets=[2])
    run.warm_up([1, 2])
    assert error(run(rows), trained()(normalized(rows))) < 1e-5


def test_buckets_round_up() -> None:
    options = ExecutionOptions(row_buckets=(8, 2))
    assert [options.bucket(rows) for rows in (1, 2, 3, 8, 9)] == [2, 2, 8, 8, 9]
    assert ExecutionOptions().bucket(3) == 3


@pytest.mark.parametrize(
    ("options", "place", "rule"),
    [
        ({"precision": "fp8"}, "precision", "should be 'fp32', 'tf32', 'bf16' or 'fp16'"),
        ({"fuse": True, "compile": True}, "", "compile: true, but fuse leaves nothing to compile"),
        ({"fuse": "yes"}, "fuse", "should be a valid boolean"),
        ({"autotune": -1}, "autotune", "greater than or equal to 0"),
        ({"row_buckets": []}, "row_buckets", "at least 1 item"),
        ({"row_buckets": [0, 4]}, "row_buckets[0]", "greater than or equal to 1"),
        ({"row_bucket": [4]}, "row_bucket", "not permitted"),
    ],
)
def test_options_are_checked_before_a_run(options: dict[str, Any], place: str, rule: str) -> None:
    for kind in (ExecutionOptions, R2P1DRunner.Options):
        with pytest.raises(ValidationError) as caught:
            kind.model_validate(options)
        where, _, message = first_problem(caught.value)
        assert where == place
        assert rule in message


def test_a_runner_passes_its_options_on() -> None:
    rows = frames(2)
    plain, fused, exact = (
        runner(tuple(rows.shape), **options)
        for options in ({}, {"precision": "bf16", "fuse": True}, {"fuse": True})
    )
    assert 1e-4 < error(fused.infer(rows), plain.infer(rows)) < TOLERANCES["bf16"]
    assert exact.infer(rows[:0]).shape == (0, 7)


def runner(shape: tuple[int, ...], **options: Any) -> R2P1DRunner:
    context = Context(inputs=(TensorSpec(shape, "uint8"),))
    return R2P1DRunner(R2P1DRunner.Options.model_validate({**SMALL, **options}), context)


def test_threads_that_share_graphs_warm_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU: what would run and be captured there is only noted."""
    execution: Any = runner((2, 3, 4, 24, 32), cuda_graphs=True, row_buckets=[2, 4])._execution
    ran: list[int] = []
    monkeypatch.setattr(execution, "_on_gpu", True)
    monkeypatch.setattr(execution, "_run_once", ran.append)
    graphs = execution._graphs
    monkeypatch.setattr(graphs, "capture", lambda sizes, call: graphs._graphs.update(dict.fromkeys(sizes)))
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(execution.warm_up, [range(1, 5)] * 2))
    assert ran == [4, 2]
