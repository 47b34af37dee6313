"""Images as steps: loading them, one request's damage, and finding classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from models.images.model import ImageClassifier, ImageLoader
from rnb.contract import Batch, ClassResult, Context, Device, Request, RequestError, TensorSpec
from rnb.record.run_folder import read
from tests.end_to_end.conftest import bench
from tests.support.images import encode, picture, with_frame, write_images, write_tfrecord
from tests.support.running import ENDED_WELL, Bench
from utils.tfrecord import find_records

__all__ = ["bench"]

SMALL: dict[str, Any] = {"resize": 64, "crop": (56, 48)}
ROW = (3, 48, 56)


def loader(batch_size: int = 4, **options: Any) -> ImageLoader:
    made = ImageLoader.Options.model_validate({**SMALL, **options})
    return ImageLoader(made, Context(batch_size=batch_size))


def batch(*payloads: object) -> Batch:
    return Batch(tuple(Request(number, str(payload)) for number, payload in enumerate(payloads)))


def test_each_image_becomes_a_row(tmp_path: Path) -> None:
    paths = write_images(tmp_path, 3)
    step = loader()
    output = step(batch(*paths))
    assert step.output(step.options, ()) == (TensorSpec((1, *ROW), "float32"),)
    assert (output.tensors[0].shape, output.rows) == ((3, *ROW), ((1,), (1,), (1,)))
    assert len({row.sum().item() for row in output.tensors[0]}) == 3
    assert output.payloads[0] == {
        "size": [120, 90],
        "resized": [85, 64],
        "crop": [14, 8, 56, 48],
        "mirrored": False,
    }
    json.dumps(output.payloads)


def test_it_computes_in_one_thread() -> None:
    """With two on a busy machine of two cores it took five times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    loader()
    assert torch.get_num_threads() == 1
    torch.set_num_threads(before)


def test_a_request_is_the_same_alone_and_in_a_batch(tmp_path: Path) -> None:
    paths = write_images(tmp_path, 3)
    step = loader(crop_position="random", mirror=0.5, seed=3)
    together = step(batch(*paths))
    rows, payloads = together.tensors[0].clone(), together.payloads
    for number, path in enumerate(paths):
        alone = step(Batch((Request(number, str(path)),)))
        assert torch.equal(alone.tensors[0][0], rows[number])
        assert alone.payloads == [payloads[number]]


def test_a_record_says_its_class(tmp_path: Path) -> None:
    file = write_tfrecord(tmp_path / "a.tfrecord", [encode(picture(seed=seed)) for seed in range(2)])
    output = loader()(batch(*find_records(str(file))))
    assert [(told["label"], told["text"]) for told in output.payloads] == [(0, "class 0"), (1, "class 1")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"text", "bad.jpg: neither JPEG nor PNG nor WebP"),
        (encode(picture())[:-900], "bad.jpg: cut short: a JPEG without its end"),
        (with_frame(encode(picture()), num_components=4), "bad.jpg: a JPEG in CMYK"),
        (b"\xff\xd8\xff" + encode(picture(), ".png")[3:], "bad.jpg: damaged"),
        (
            encode(picture(), ".png")[:3000] + bytes(50) + encode(picture(), ".png")[3050:],
            "bad.jpg: damaged: it can",
        ),
        (encode(picture(1200, 1000)), "bad.jpg: 1200x1000 pixels"),
    ],
)
def test_one_bad_image_fails_alone(tmp_path: Path, data: bytes, reason: str) -> None:
    (good,) = write_images(tmp_path, 1)
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(data)
    step = loader(max_pixels=1_000_000)
    with pytest.raises(RequestError) as failure:
        step(batch(good, bad))
    assert failure.value.request_ids == [1]
    assert str(failure.value).startswith(f"{tmp_path}/{reason}")
    assert len(step(batch(good)).tensors[0]) == 1


def test_a_warm_up_runs_a_whole_batch_and_leaves_bad_images_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (good,) = write_images(tmp_path, 1)
    options = ImageLoader.Options.model_validate(SMALL)
    step = ImageLoader(options, Context(batch_size=3, samples=["none.jpg", str(good)]))
    sizes: list[int] = []
    monkeypatch.setattr(step._loading, "load", lambda images, cuts: sizes.append(len(images)))
    step.warm_up(())
    assert sizes == [3]
    assert step.facts() == {"decoder": "opencv"}
    step.close()


def classifier(layout: TensorSpec, **options: Any) -> ImageClassifier:
    made = ImageClassifier.Options.model_validate({"num_classes": 20, **options})
    return ImageClassifier(made, Context(inputs=(layout,)))


def test_the_classifier_gives_each_request_a_class() -> None:
    layout = TensorSpec((1, 3, 32, 32))
    step = classifier(layout)
    assert step.output(step.options, (layout,)) == (TensorSpec((1, 20)),)
    assert ImageClassifier.result_kind is ClassResult
    step.warm_up([1, 2, 3])
    pictures = torch.randn(3, 3, 32, 32)
    output = step(Batch((Request(0), Request(1), Request(2)), (pictures,), ((1,), (1,), (1,))))
    results = step.results(output)
    assert [result.label for result in results] == output.tensors[0].argmax(1).tolist()
    assert all(0 < result.score <= 1 for result in results)


def test_bytes_are_normalized_by_the_classifier() -> None:
    levels = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    mean, std = (
        torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    of_floats = classifier(TensorSpec((1, 3, 32, 32))).infer((levels / 255 - mean) / std)
    of_bytes = classifier(TensorSpec((1, 3, 32, 32), "uint8")).infer(levels)
    torch.testing.assert_close(of_bytes, of_floats, rtol=1e-3, atol=1e-3)
    of_halves = classifier(TensorSpec((1, 3, 32, 32), "uint8"), precision="bf16").infer(levels)
    assert of_halves.dtype == torch.float32
    assert 0 < (of_halves - of_bytes).abs().max() < 0.3


@pytest.mark.gpu
def test_on_a_gpu_classes_are_those_of_the_cpu() -> None:
    layout, pictures = TensorSpec((1, 3, 64, 64)), torch.randn(8, 3, 64, 64)
    on_cpu = classifier(layout).infer(pictures)
    options = ImageClassifier.Options(num_classes=20)
    on_gpu = ImageClassifier(options, Context(where=Device("cuda", 0), inputs=(layout,)))
    on_gpu.warm_up(range(1, 9))
    found = on_gpu.infer(pictures.cuda()).cpu()
    torch.testing.assert_close(found, on_cpu, rtol=1e-3, atol=1e-3)
    assert torch.equal(found.argmax(1), on_cpu.argmax(1))


@pytest.mark.parametrize("inputs", [(), (TensorSpec((1, 3, 8, 112, 112)),), (TensorSpec((1, 4, 64, 64)),)])
def test_the_classifier_says_what_it_takes(inputs: tuple[TensorSpec, ...]) -> None:
    with pytest.raises(
        ValueError, match=r"takes pictures \(rows, 3, height, width\), so a loader must come before"
    ):
        ImageClassifier.output(ImageClassifier.Options(), inputs)


def test_a_checkpoint_that_does_not_fit_is_found_before_the_start(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "a.pt")
    options = ImageClassifier.Options(checkpoint=str(tmp_path / "a.pt"))
    with pytest.raises(ValueError, match=r"checkpoint .*a.pt: \d+ missing keys: .*is it a ResNet-50"):
        ImageClassifier.output(options, (TensorSpec((1, 3, 64, 64)),))


def test_the_machine_is_checked_for_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("models.images.backends.check", asked.append)
    ImageLoader.check_machine(ImageLoader.Options(backend="dali"), Device())
    assert asked == ["dali"]


CONFIG: dict[str, Any] = {
    "video_path_iterator": "models.images.requests.ImageIterator",
    "pipeline": [
        {
            "model": "models.images.model.ImageLoader",
            "queue_groups": [{"gpus": [-1], "out_queues": [0]}],
            "crop_position": "random",
            "mirror": 0.5,
            **SMALL,
        },
        {
            "model": "models.images.model.ImageClassifier",
            "queue_groups": [{"gpus": [-1], "in_queue": 0}],
            "num_classes": 20,
        },
    ],
}


def test_a_pipeline_of_images_and_records_classifies_them(bench: Bench, tmp_path: Path) -> None:
    images = tmp_path / "images"
    paths = write_images(images / "label", 3)
    write_tfrecord(images / "b.tfrecord", [path.read_bytes() for path in paths])
    (images / "label" / "9.png").write_bytes(b"damaged")
    flags = ("-v", "14", "-mi", "0", "-b", "4", "--data", str(images), "--max-failures", "2")
    run = bench.call(CONFIG, *flags)
    assert run.status in ENDED_WELL, run.err
    assert run.folder is not None
    kept = read(run.folder).requests
    assert (kept["status"] == "failed").sum() == 2
    assert "9.png: neither JPEG nor PNG nor WebP" in next(reason for reason in kept["reason"] if reason)
    assert set(kept["label"][kept["status"] != "failed"].tolist()) <= set(range(20))


def test_a_loader_alone_says_what_it_took(bench: Bench, tmp_path: Path) -> None:
    write_images(tmp_path / "images", 3)
    alone = [{"model": "models.images.model.ImageLoader", "gpus": [-1], **SMALL}]
    config = {"video_path_iterator": CONFIG["video_path_iterator"], "pipeline": alone}
    run = bench.call(config, "-v", "6", "-mi", "0", "-b", "2", "--data", str(tmp_path / "images"))
    assert run.status in ENDED_WELL, run.err
    assert run.folder is not None
    told = {"size": [120, 90], "resized": [85, 64], "crop": [14, 8, 56, 48], "mirrored": False}
    kept = read(run.folder)
    assert kept.results == dict.fromkeys(range(6), told)
    assert kept.requests["width"].tolist() == [120] * 6
    assert kept.requests["height"].tolist() == [90] * 6
