"""The R(2+1)D steps: what they can do, what they hand on, and what --check refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from models.r2p1d.model import (
    LargeSmallSelector,
    R2P1DAggregator,
    R2P1DLoader,
    R2P1DRunner,
    R2P1DSingleStep,
    R2P1DSyntheticLoader,
    R2P1DVideoPathIterator,
)
from models.r2p1d.presets import KINETICS_CLASSES
from models.r2p1d.weights import build_part
from nvvl import engines
from rnb.command_line import benchmark
from rnb.contract import (
    NO_CLASS,
    Batch,
    ClassAndScore,
    ClassResult,
    Context,
    Device,
    Request,
    RequestError,
    TensorSpec,
)
from rnb.contract.step import Step
from tests.support import numbered_videos
from tests.support.videos import write_video

SMALL: dict[str, Any] = {"num_classes": 7, "layer_sizes": [1, 1, 1, 1]}
TINY_CLIPS: dict[str, Any] = {
    "width": 32,
    "height": 24,
    "consecutive_frames": 4,
    "num_clips": 2,
    "num_clips_population": None,
}
CLIPS = TensorSpec((2, 3, 4, 24, 32), "uint8")
GPU = Device("cuda", 0)


def make(step: type[Step], *inputs: TensorSpec, samples: Sequence[str] = (), **options: Any) -> Any:
    return step(step.Options.model_validate(options), Context(inputs=inputs, samples=samples, batch_size=4))


def request(number: int, *rows: int, payload: Any = None, segment: int = 0, segments: int = 1) -> Batch:
    """One request, with random logits as its rows."""
    one = Request(number, payload, segment, segments)
    if not rows:
        return Batch((one,))
    return Batch((one,), (torch.randn(*rows, 7),), rows=((rows[0],),))


@pytest.fixture
def video(tmp_path: Path) -> str:
    return str(write_video(tmp_path / "video.mp4"))


@pytest.fixture
def broken(tmp_path: Path) -> str:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"no video")
    return str(path)


def test_a_loader_remarks_that_a_video_ends_early(tmp_path: Path) -> None:
    whole = numbered_videos.encode(tmp_path / "whole.avi", numbered_videos.MPEG4["b0"])
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 4])
    remarks: dict[int, str] = {}
    sizes: dict[int, tuple[int, ...]] = {}
    codecs: dict[int, str] = {}
    told = Context(
        note=remarks.__setitem__,
        note_size=lambda number, *size: sizes.__setitem__(number, size),
        note_codec=codecs.__setitem__,
        samples=[str(cut)],
    )
    loader = R2P1DLoader(R2P1DLoader.Options(**TINY_CLIPS), told)
    loader.warm_up(())
    assert (remarks, sizes, codecs) == ({}, {}, {})
    for number, video in enumerate((whole, cut)):
        loader(request(number, payload=str(video)))
    assert list(remarks) == [1]
    assert sizes == {0: (128, 96), 1: (128, 96)}
    assert codecs == {0: "mpeg4", 1: "mpeg4"}
    assert re.fullmatch(rf"{cut}: has \d+ of the 48 frames that its header declares", remarks[1])


def test_concealing_is_an_option() -> None:
    assert not R2P1DLoader.Options().conceal
    assert R2P1DLoader.Options(conceal=True).conceal


def abilities(step: type[Step]) -> set[str]:
    names = ("batches_requests", "writes_in_place", "takes_turns", "joins_segments", "regroups")
    return {name for name in names if getattr(step, name)}


def test_what_the_steps_can_do() -> None:
    assert abilities(R2P1DLoader) == abilities(R2P1DSyntheticLoader) == {"writes_in_place"}
    assert abilities(R2P1DRunner) == {"batches_requests", "takes_turns"}
    assert abilities(R2P1DSingleStep) == {"batches_requests"}
    assert abilities(R2P1DAggregator) == {"joins_segments", "regroups"}
    results = {step.result_kind for step in (R2P1DRunner, R2P1DSingleStep, R2P1DAggregator)}
    assert results == {ClassResult}


def test_a_loader_on_a_gpu_has_several_decoders() -> None:
    assert R2P1DLoader.default_workers(R2P1DLoader.Options(), Device()) == 1
    assert R2P1DLoader.default_workers(R2P1DLoader.Options(), GPU) == 4
    assert R2P1DRunner.default_workers(R2P1DRunner.Options(), GPU) == 1


def outputs(step: type[Step], *inputs: TensorSpec, **options: Any) -> tuple[TensorSpec, ...]:
    return step.output(step.Options.model_validate(options), inputs)


def test_what_the_steps_hand_on() -> None:
    assert outputs(R2P1DLoader) == (TensorSpec((15, 3, 8, 112, 112)),)
    assert outputs(R2P1DLoader, dtype="uint8", **TINY_CLIPS) == (CLIPS,)
    assert outputs(R2P1DSyntheticLoader, num_clips_weights=None, dtype="uint8") == (
        TensorSpec((10, 3, 8, 112, 112), "uint8"),
    )
    assert outputs(R2P1DRunner, CLIPS, **SMALL) == (TensorSpec((2, 7)),)
    (features,) = outputs(R2P1DRunner, CLIPS, end_index=2, **SMALL)
    assert (features.most_rows, features.dtype) == (2, "float32")
    assert outputs(R2P1DRunner, features, start_index=3, **SMALL) == (TensorSpec((2, 7)),)
    assert outputs(R2P1DSingleStep, **TINY_CLIPS, **SMALL) == (TensorSpec((2, 7)),)
    assert outputs(R2P1DAggregator, TensorSpec((2, 7))) == ()


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ((), {}, "R2P1DRunner takes clips of frames or features, so a loader or a part must come before"),
        ((TensorSpec((2, 7)),), {}, "R2P1DRunner takes clips of frames or features"),
        ((CLIPS,), {"start_index": 3}, "start_index: 3, does not take an input of (3, 4, 24, 32)"),
        ((CLIPS,), {"checkpoint": "none.pt"}, "none.pt"),
    ],
)
def test_inputs_that_do_not_fit(inputs: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        outputs(R2P1DRunner, *inputs, **SMALL, **options)
    assert "\n" not in str(caught.value)


def test_a_loader_gives_the_clips_that_the_seed_draws(video: str) -> None:
    drawn = {**TINY_CLIPS, "num_clips_population": [1, 2]}
    drawn["num_clips_weights"] = [1, 1]
    del drawn["num_clips"]
    first, again, other = (make(R2P1DLoader, seed=seed, **drawn) for seed in (1, 1, 2))
    many = [request(number, payload=video) for number in range(6)]
    clips = [[step(one).tensors[0].clone() for one in many] for step in (first, again, other)]
    assert all(torch.equal(one, same) for one, same in zip(clips[0], clips[1], strict=True))
    assert {len(one) for one in clips[0]} == {1, 2}
    assert [one.shape for one in clips[0]] != [one.shape for one in clips[2]] or any(
        not torch.equal(one, another) for one, another in zip(clips[0], clips[2], strict=True)
    )


def test_a_loader_writes_into_the_slot(video: str) -> None:
    step = make(R2P1DLoader, dtype="uint8", **TINY_CLIPS)
    slot = torch.zeros(CLIPS.shape, dtype=torch.uint8)
    output = step(request(0, payload=video), out=(slot,))
    assert output.tensors[0].data_ptr() == slot.data_ptr()
    assert output.num_rows() == [2]
    assert slot.float().std() > 5
    assert torch.equal(slot, step(request(0, payload=video)).tensors[0])
    assert step.facts() == {"decoder": "pyav"}
    step.close()


def test_a_video_that_cannot_be_decoded_fails_its_request(video: str, broken: str) -> None:
    loader = make(R2P1DLoader, samples=[broken, video], **TINY_CLIPS)
    loader.warm_up(())
    with pytest.raises(RequestError, match=r"broken\.mp4") as caught:
        loader(request(4, payload=broken))
    assert caught.value.request_ids == [4]
    single = make(R2P1DSingleStep, **TINY_CLIPS, **SMALL)
    with pytest.raises(RequestError) as caught:
        single(Batch((Request(0, video), Request(1, broken), Request(2, video), Request(3, broken))))
    assert caught.value.request_ids == [1, 3]


def test_the_synthetic_loader_has_as_many_clips_as_the_real_one(tmp_path: Path) -> None:
    video = str(write_video(tmp_path / "long.mp4", num_frames=300))
    options: dict[str, Any] = {"num_clips_population": [1, 3], "num_clips_weights": [1, 1], "seed": 4}
    real = make(R2P1DLoader, width=16, height=16, **options)
    synthetic = make(R2P1DSyntheticLoader, **options)
    counts = [
        [step(request(number, payload=video)).num_rows()[0] for number in range(8)]
        for step in (real, synthetic)
    ]
    assert counts[0] == counts[1]
    assert set(counts[0]) == {1, 3}


def test_parts_in_a_row_are_the_whole_network() -> None:
    frames = torch.randint(0, 256, CLIPS.shape, dtype=torch.uint8)
    whole = make(R2P1DRunner, CLIPS, **SMALL, seed=3)
    first = make(R2P1DRunner, CLIPS, end_index=2, **SMALL, seed=3)
    second = make(
        R2P1DRunner, *outputs(R2P1DRunner, CLIPS, end_index=2, **SMALL), start_index=3, **SMALL, seed=3
    )
    with torch.inference_mode():
        torch.testing.assert_close(second.infer(first.infer(frames)), whole.infer(frames))


def test_a_runner_gives_each_request_the_class_of_its_own_clips() -> None:
    step = make(R2P1DRunner, CLIPS, **SMALL)
    frames = torch.randint(0, 256, (3, *CLIPS.row), dtype=torch.uint8)
    both = Batch((Request(0), Request(1)), (frames,), rows=((1,), (2,)))
    with torch.inference_mode():
        output = step(both)
        logits = step.infer(frames)
    assert output.num_rows() == [1, 2]
    labels = [int(logits[:1].mean(0).argmax()), int(logits[1:].mean(0).argmax())]
    assert [result.label for result in step.results(output)] == labels


def test_features_have_no_class() -> None:
    step = make(R2P1DRunner, CLIPS, end_index=2, **SMALL)
    frames = torch.zeros(2, *CLIPS.row, dtype=torch.uint8)
    with torch.inference_mode():
        output = step(Batch((Request(0),), (frames,), rows=((2,),)))
    assert step.results(output) == [NO_CLASS]


def test_one_step_finds_what_two_find(video: str) -> None:
    loader, runner = make(R2P1DLoader, **TINY_CLIPS), make(R2P1DRunner, CLIPS, **SMALL)
    single = make(R2P1DSingleStep, **TINY_CLIPS, **SMALL)
    batch = Batch(tuple(Request(number, video) for number in range(3)))
    with torch.inference_mode():
        together = single.results(single(batch))
        apart = [runner.results(runner(loader(request(number, payload=video))))[0] for number in range(3)]
    assert [one.label for one in together] == [one.label for one in apart]
    assert single.facts() == {"decoder": "pyav"}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_segments_are_joined_whatever_their_order(order: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    step = make(R2P1DAggregator, TensorSpec((2, 7)), aggregate=3)
    segments = [request(9, 2, segment=number, segments=3) for number in range(3)]
    outputs = [step(segments[number]) for number in order]
    assert outputs[:2] == [None, None]
    (joined,) = outputs[2].requests
    logits = torch.cat([segment.tensors[0] for segment in segments]).double()
    assert (joined.id, joined.num_segments) == (9, 1)
    assert isinstance(joined.payload, ClassAndScore)
    assert joined.payload.label == int(logits.mean(0).argmax())


def test_requests_are_joined_each_by_itself() -> None:
    step = make(R2P1DAggregator, TensorSpec((2, 7)), aggregate=2)
    assert step(request(0, 1, segments=2)) is None
    assert step(request(1, 1, segments=2)) is None
    assert step(request(1, 1, segment=1, segments=2)).ids == [1]
    assert step(request(0, 1, segment=1, segments=2)).ids == [0]


def test_the_names_that_configs_of_the_seed_use() -> None:
    selector = LargeSmallSelector(2)
    batches = [Batch((Request(0),), (torch.zeros(rows, 1),), rows=((rows,),)) for rows in (1, 15)]
    assert [selector.select(batch) for batch in batches] == [0, 1]
    with pytest.raises(ValueError, match="not a folder of videos"):
        R2P1DVideoPathIterator("nowhere")


LOADER = {"model": "models.r2p1d.model.R2P1DLoader", "gpus": [0]}
RUNNER = {"model": "models.r2p1d.model.R2P1DRunner", "gpus": [0]}
SINGLE = {"model": "models.r2p1d.model.R2P1DSingleStep", "gpus": [0]}
AGGREGATOR = {"model": "models.r2p1d.model.R2P1DAggregator", "gpus": [0]}
KINETICS = "torchvision-kinetics400"


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([{**LOADER, "dtype": "float16"}, RUNNER], 'pipeline[0].dtype: "float16": input should be'),
        ([{**LOADER, "dtype": "float64"}, RUNNER], 'pipeline[0].dtype: "float64": input should be'),
        ([{**SINGLE, "precision": "float64"}], 'pipeline[0].precision: "float64": input should be'),
        ([{**LOADER, "backend": "dali"}, RUNNER], "pipeline[0].backend: \"dali\": input should be 'auto'"),
        (
            [{**LOADER, "backend": "nvdec"}, RUNNER],
            "pipeline[0].queue_groups[0]: backend 'nvdec' needs a GPU, but the device is the CPU; choose",
        ),
        ([{**SINGLE, "backend": "nvvl"}], "pipeline[0].queue_groups[0]: backend 'nvvl' needs a GPU"),
        (
            [{**LOADER, "resize": [171, 100]}, RUNNER],
            "pipeline[0]: resize: 171 x 100, must be at least the output's 112 x 112",
        ),
        ([{**LOADER, "frame_step": 2, "preset": KINETICS}, RUNNER], "pipeline[0]: frame_step: 2, does not"),
        ([{**SINGLE, "preset": "kinetics"}], 'pipeline[0].preset: "kinetics": input should be'),
        (
            [{**SINGLE, "preset": KINETICS, "num_classes": 20}],
            f"pipeline[0].queue_groups[0]: class_names: {KINETICS_CLASSES}: 400 names, but num_classes is 20",
        ),
        (
            [LOADER, RUNNER, {**AGGREGATOR, "class_names": "none.txt"}],
            "pipeline[2].queue_groups[0]: class_names: none.txt: cannot be read: No such file or directory",
        ),
        ([{**LOADER, "num_clip": 3}, RUNNER], "pipeline[0].num_clip: unknown key; did you mean 'num_clips'?"),
        ([{**LOADER, "num_clips_weights": [1]}, RUNNER], "pipeline[0]: "),
        ([LOADER, {**RUNNER, "precision": "fp8"}], 'pipeline[1].precision: "fp8": input should be'),
        ([LOADER, {**RUNNER, "fuse": True, "compile": True}], "pipeline[1]: compile: true, but fuse"),
        (
            [LOADER, {**RUNNER, "start_index": 3}],
            "pipeline[1].queue_groups[0]: start_index: 3, does not take an input of (3, 8, 112, 112)",
        ),
        ([RUNNER], "pipeline[0].queue_groups[0]: R2P1DRunner takes clips of frames or features"),
        ([LOADER, {**RUNNER, "start_index": 3, "end_index": 2}], "pipeline[1]: start_index: 3, must be at"),
    ],
)
def test_what_check_refuses_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], steps: list[Any], message: str
) -> None:
    assert checked(tmp_path, capsys, steps).startswith(message)


def checked(folder: Path, capsys: pytest.CaptureFixture[str], steps: list[Any]) -> str:
    """The line with which --check refuses these steps."""
    path = folder / "config.json"
    path.write_text(json.dumps(steps))
    assert benchmark.main(["-c", str(path), "--device", "cpu", "--check"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err.removeprefix("benchmark.py: error: ")


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """A small network's, in RnB's own layout."""
    return dict(build_part(num_classes=7, layer_sizes=(1, 1, 1, 1)).state_dict())


@pytest.mark.parametrize(
    "pipeline",
    [
        [SINGLE],
        [LOADER, RUNNER],
        [LOADER, {**RUNNER, "end_index": 2}, {**RUNNER, "start_index": 3}],
    ],
    ids=["single", "whole", "parts"],
)
def test_a_checkpoint_that_does_not_fit_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    weights: dict[str, torch.Tensor],
    pipeline: list[dict[str, Any]],
) -> None:
    checkpoint = tmp_path / "weights.pth"
    steps: list[Any] = [
        step if step is LOADER else {**step, **SMALL, "checkpoint": str(checkpoint)} for step in pipeline
    ]

    def refusal(**changes: torch.Tensor | None) -> str:
        changed = {**weights, **{name.replace("__", "."): tensor for name, tensor in changes.items()}}
        torch.save({name: tensor for name, tensor in changed.items() if tensor is not None}, checkpoint)
        place = f"pipeline[{len(steps) - 1}].queue_groups[0]: checkpoint {checkpoint}: "
        line = checked(tmp_path, capsys, steps)
        assert line.startswith(place)
        return line.removeprefix(place).strip()

    assert refusal(linear__bias=None).startswith("1 missing key: linear.bias")
    assert refusal(linear__bias=torch.zeros(9)).startswith("linear.bias is (9,) instead of (7,)")
    assert refusal(linear__bias=torch.full((7,), torch.nan)) == "NaN or infinite values in linear.bias"
    checkpoint.write_text("no weights")
    first = 0 if len(steps) == 1 else 1
    assert checked(tmp_path, capsys, steps).startswith(f"pipeline[{first}].queue_groups[0]: checkpoint")


@pytest.mark.parametrize(
    ("backend", "lacking"),
    [
        ("nvdec", "needs NVIDIA's driver, and the package PyNvVideoCodec"),
        ("nvvl", "original nvvl package is not installed"),
    ],
)
def test_a_backend_that_this_machine_lacks(
    backend: str, lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "is_available", lambda: False)
    for step in (R2P1DLoader, R2P1DSingleStep):
        options = step.Options.model_validate({"backend": backend})
        with pytest.raises(ValueError, match=lacking):
            step.check_machine(options, GPU)
        step.check_machine(step.Options(), GPU)


def test_frames_may_be_small() -> None:
    """16x16 pixels are one value per channel in the end, which is enough to infer."""
    clips = TensorSpec((2, 3, 8, 16, 16), "uint8")
    assert outputs(R2P1DRunner, clips, **SMALL) == (TensorSpec((2, 7)),)
    logits = make(R2P1DRunner, clips, **SMALL).infer(torch.randint(0, 256, clips.shape).byte())
    assert logits.shape == (2, 7)
    assert logits.isfinite().all()


def test_a_preset_reaches_the_clips_and_the_network(video: str) -> None:
    one_clip: dict[str, Any] = {"num_clips": 1, "num_clips_population": None, "seed": 0}
    drawn = make(R2P1DLoader, preset=KINETICS, **one_clip)(request(0, payload=video)).tensors[0]
    assert drawn.shape == (1, 3, 16, 112, 112)
    loader = make(R2P1DLoader, preset="res2plus1d", **one_clip)
    whole = make(R2P1DLoader, width=171, height=128, **one_clip)
    middle, around = (step(request(0, payload=video)).tensors[0] for step in (loader, whole))
    torch.testing.assert_close(middle, around[..., 8:120, 30:142])
    raw, scaled = (
        make(R2P1DRunner, TensorSpec((1, 3, 8, 16, 16)), end_index=1, preset=preset, **SMALL)
        for preset in ("snuspl", "res2plus1d")
    )
    frames = torch.rand(1, 3, 8, 16, 16) * 255
    torch.testing.assert_close(scaled.infer(frames), raw.infer((frames - 128) / 128), atol=1e-4, rtol=1e-4)


def test_the_results_of_a_preset_have_names() -> None:
    single = R2P1DSingleStep.Options.model_validate({"preset": KINETICS})
    runner = R2P1DRunner.Options.model_validate({"preset": KINETICS})
    names = R2P1DSingleStep.class_names(single)
    assert names == R2P1DRunner.class_names(runner)
    assert (len(names), names[-1]) == (400, "zumba")
    aggregator = R2P1DAggregator.Options(class_names=KINETICS_CLASSES)
    assert R2P1DAggregator.class_names(aggregator) == names
    assert R2P1DRunner.class_names(R2P1DRunner.Options()) == ()


def test_a_loader_only_decodes_and_a_single_step_does_more() -> None:
    assert R2P1DLoader.decodes
    assert not R2P1DSingleStep.decodes
