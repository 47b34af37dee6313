"""Every backend makes the same rows of the same images, those that a plain computation gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import cv2
import numpy as np
import pytest
import torch

from models.images import backends
from models.images.backends import Backend, Loading
from models.images.cut import cut_of
from models.images.encoded import Encoded
from models.images.errors import ImageError
from models.images.header import read_header
from models.images.options import LoaderOptions
from tests.support.images import Pixels, decoded, encode, exif, picture, turned, upright, with_palette

BACKENDS: tuple[Backend, ...] = get_args(Backend)
TOLERANCE = {"mean": 0.6, "most": 3.0}
"""How far levels (0 to 255) may be from the plain computation, which rounds nothing; see docs/images.md."""
MEAN, STD = LoaderOptions().mean, LoaderOptions().std
BATCH_SIZE = 16


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each that this machine has; `opencv` it must have."""
    name: Backend = request.param
    try:
        backends.check(name)
    except ValueError as error:
        if name == "opencv":
            raise
        pytest.skip(str(error))
    return name


def loading(options: LoaderOptions, device: str = "cpu") -> Loading:
    return backends.choose(options, torch.device(device), BATCH_SIZE)


def load(
    options: LoaderOptions, images: Sequence[bytes], device: str = "cpu"
) -> tuple[torch.Tensor, list[np.ndarray[Any, Any]]]:
    """The rows of a backend, and what they should be, as levels."""
    encoded = [Encoded(f"image {number}", data) for number, data in enumerate(images)]
    cuts = [
        cut_of(image.name, read_header(image.name, image.data), options, number)
        for number, image in enumerate(encoded)
    ]
    made = loading(options, device)
    rows = made.load(encoded, cuts).cpu().clone()
    made.close()
    expected = []
    for data, cut in zip(images, cuts, strict=True):
        header = read_header("", data)
        whole = resized(upright(decoded(data), header.orientation), *cut.resized)
        part = whole[cut.top : cut.top + cut.size[1], cut.left : cut.left + cut.size[0]]
        expected.append((part[:, ::-1] if cut.is_mirrored else part).transpose(2, 0, 1))
    return rows, expected


def resized(pixels: Pixels, width: int, height: int) -> np.ndarray[Any, Any]:
    """Each new pixel is a mean of those under a triangle as wide as two new pixels, or two old ones."""
    down, across = triangles(pixels.shape[0], height), triangles(pixels.shape[1], width)
    found: np.ndarray[Any, Any] = np.einsum(
        "yh,hwc,xw->yxc", down, pixels.astype(float), across, optimize=True
    )
    return found


def triangles(num_old: int, num_new: int) -> np.ndarray[Any, Any]:
    scale = num_old / num_new
    distances = (np.arange(num_old) + 0.5) - (np.arange(num_new)[:, None] + 0.5) * scale
    weights = np.clip(1 - np.abs(distances) / max(scale, 1), 0, None)
    found: np.ndarray[Any, Any] = weights / weights.sum(axis=1, keepdims=True)
    return found


def levels(rows: torch.Tensor) -> np.ndarray[Any, Any]:
    """Normalized rows as levels from 0 to 255."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (255 * (rows.float() * std + mean)).numpy()


def assert_agree(found: np.ndarray[Any, Any], expected: Sequence[np.ndarray[Any, Any]]) -> None:
    for one, other in zip(found, expected, strict=True):
        difference = np.abs(one - other)
        assert difference.mean() <= TOLERANCE["mean"]
        assert difference.max() <= TOLERANCE["most"]


RANDOM = LoaderOptions(resize=64, crop=(50, 40), crop_position="random", mirror=0.5)
IMAGES = {
    "photos": [encode(picture(120 + 7 * seed, 90 + 5 * seed, seed)) for seed in range(BATCH_SIZE)],
    "larger than they are": [encode(picture(40, 30))],
    "progressive": [encode(picture(), ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)],
    "grey": [encode(picture()[..., 0]), encode(picture()[..., 0], ".png")],
    "with a palette": [with_palette(120, 90)],
    "PNG": [encode(picture(), ".png")],
    "PNG with alpha": [encode(np.dstack([picture(), np.full((90, 120), 255, np.uint8)]), ".png")],
    "WebP": [encode(picture(), ".webp", 64, 90), encode(picture(), ".webp")],
    "of all formats": [encode(picture(), suffix) for suffix in (".jpg", ".png", ".webp")],
}


@pytest.mark.parametrize("images", IMAGES.values(), ids=IMAGES)
def test_rows_are_those_of_the_plain_computation(backend: Backend, images: list[bytes]) -> None:
    rows, expected = load(RANDOM.model_copy(update={"backend": backend}), images)
    assert rows.shape == (len(images), 3, 40, 50)
    assert_agree(levels(rows), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_a_jpeg(backend: Backend, orientation: int) -> None:
    options = RANDOM.model_copy(update={"backend": backend})
    assert_agree(*_levels(load(options, [turned(encode(picture()), exif(orientation))])))


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_exif_turns_other_formats_or_they_fail(backend: Backend, suffix: str) -> None:
    """Never is a wrong part taken in silence."""
    options = RANDOM.model_copy(update={"backend": backend})
    try:
        loaded = load(options, [turned(encode(picture(), suffix), exif(6))])
    except ImageError:
        assert backend != "opencv"
    else:
        assert_agree(*_levels(loaded))


def _levels(loaded: tuple[torch.Tensor, list[Any]]) -> tuple[Any, list[Any]]:
    return levels(loaded[0]), loaded[1]


@pytest.mark.parametrize(
    "options", [{"resize": (60, 50)}, {"resize": 50, "crop_position": "centre"}, {"mirror": 1.0}]
)
def test_options_say_what_is_cut(backend: Backend, options: dict[str, Any]) -> None:
    images = IMAGES["photos"][:3]
    assert_agree(*_levels(load(RANDOM.model_copy(update={"backend": backend, **options}), images)))


def test_number_types_hold_the_same_picture(backend: Backend) -> None:
    images = IMAGES["photos"][:3]
    rows = {
        dtype: load(RANDOM.model_copy(update={"backend": backend, "dtype": dtype}), images)[0]
        for dtype in ("float32", "float16", "uint8")
    }
    assert [str(found.dtype) for found in rows.values()] == ["torch.float32", "torch.float16", "torch.uint8"]
    np.testing.assert_allclose(rows["uint8"].numpy(), levels(rows["float32"]), atol=0.51)
    np.testing.assert_allclose(rows["float16"].numpy(), rows["float32"].numpy(), atol=2e-3)


@pytest.mark.parametrize("kind", ["of a wrong size", "of nothing"])
def test_a_damaged_image_is_an_error_and_the_next_call_works(backend: Backend, kind: str) -> None:
    options = RANDOM.model_copy(update={"backend": backend})
    good = encode(picture())
    start = good.index(b"\xff\xda")
    bad = good[: start + 2] + b"\xff\xd9" if kind == "of nothing" else encode(picture(60, 40))
    cut = cut_of("a.jpg", read_header("a.jpg", good), options, 0)
    made = loading(options)
    for images in ([bad], [good, bad]):
        encoded = [Encoded("a.jpg", data) for data in images]
        with pytest.raises(ImageError, match=r"^a\.jpg: damaged: it cannot be decoded"):
            made.load(encoded, [cut] * len(images))
    assert len(made.load([Encoded("a.jpg", good)], [cut])) == 1
    made.close()


@pytest.mark.parametrize("name", BACKENDS)
def test_a_missing_package_is_a_line_with_the_command(name: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str) -> None:
        raise ModuleNotFoundError(f"No module named '{module}'", name=module)

    monkeypatch.setattr("models.images.backends.importlib.import_module", missing)
    extra = "dali" if name == "dali" else "images"
    with pytest.raises(
        ValueError,
        match=rf"backend '{name}' needs {backends.MODULES[name]} \(No .*\): pip install -e '\.\[{extra}\]'",
    ):
        backends.check(name)


def test_a_package_that_does_not_load_is_a_line_with_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(module: str) -> None:
        try:
            raise OSError("libnvrtc.so.13: cannot open shared object file")
        except OSError as error:
            raise OSError(f"Could not load {module}\nwith a long story") from error

    monkeypatch.setattr("models.images.backends.importlib.import_module", broken)
    with pytest.raises(ValueError, match=r"^backend 'dali' cannot be loaded: libnvrtc.so.13: [\w ]+$"):
        backends.check("dali")
    with pytest.raises(
        ValueError, match=r"object file; the package on PyPI goes with PyTorch's CUDA build alone$"
    ):
        backends.check("torchcodec")


@pytest.mark.gpu
@pytest.mark.parametrize("images", IMAGES.values(), ids=IMAGES)
def test_on_a_gpu_rows_are_near_those_of_the_cpu(backend: Backend, images: list[bytes]) -> None:
    """nvJPEG's IDCT and its upsampling of colours round otherwise than libjpeg's."""
    options = RANDOM.model_copy(update={"backend": backend})
    rows, expected = load(options, images, "cuda:0")
    for one, other in zip(levels(rows), expected, strict=True):
        assert np.abs(one - other).mean() <= 2


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_without_antialias_a_pixel_is_blended_of_the_nearest_four(dtype: Literal["float32", "uint8"]) -> None:
    options = LoaderOptions(
        resize=(30, 20), crop=(30, 20), antialias=False, dtype=dtype, mean=(0, 0, 0), std=(1 / 255,) * 3
    )
    data = encode(picture(100, 70), ".png")
    image = Encoded("a", data)
    loading = backends.choose(options, torch.device("cpu"), 1)
    row = loading.load([image], [cut_of("a", read_header("a", data), options, 0)])[0].numpy()
    pixels = decoded(data).astype(float)
    down, across = (np.arange(20) + 0.5) * 3.5 - 0.5, (np.arange(30) + 0.5) * 100 / 30 - 0.5
    top, left = np.floor(down).astype(int), np.floor(across).astype(int)
    lower, right = (down - top)[:, None, None], (across - left)[None, :, None]
    upper_row = pixels[top][:, left] * (1 - right) + pixels[top][:, left + 1] * right
    lower_row = pixels[top + 1][:, left] * (1 - right) + pixels[top + 1][:, left + 1] * right
    expected = (upper_row * (1 - lower) + lower_row * lower).transpose(2, 0, 1)
    np.testing.assert_allclose(row, expected, atol=0.501 if dtype == "uint8" else 1e-3)
