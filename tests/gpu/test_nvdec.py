"""The GPU's video engine gives the frames and colours that the CPU gives, in whatever order files come."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nvvl import RnBLoader, Sampler, VideoError
from nvvl.convert import Surfaces, coefficients
from nvvl.convert import convert as convert_with_torch
from nvvl.picture import Color, Orientation
from nvvl.window import Window
from tests.support import odd_videos
from tests.support.torchvision_inputs import CROP, RESIZE, as_rgb, cropped, mean_difference
from utils.sample_videos import prepare

pytestmark = pytest.mark.gpu

CLIP_LENGTH = 4
SIZE = 112
REPOSITORY = Path(__file__).parents[2]
# The video engine has lower limits on size, up to 144x144 pixels or so.
LARGE = {"width": 256, "height": 160}
ENGINE_KINDS = {
    name: odd_videos.RECIPES[name]
    for name in (
        "b_frames",
        "no_b_frames",
        "one_keyframe",
        "all_intra",
        "open_gop",
        "intra_refresh",
        "four_slices",
        "variable_rate",
        "late_start_mkv",
        "fragmented",
        "edit_list",
        "transport_stream",
        "hevc",
        "hevc_layers",
        "hevc_10bit",
        "raw_stream",
        "vp9_odd_size",
        "vp9_hidden_frames",
        "bt709_full",
        "bt2020",
        "rotated_90",
        "rotated_270",
        "mirrored",
    )
}
FALLBACK_KINDS = ["vp8", "mpeg4_avi", "interlaced", "yuv422", "mjpeg_odd_size", "rgb", "av1"]


class FixedSampler(Sampler):
    def __init__(self, starts: Sequence[int]) -> None:
        self.starts = starts

    def sample(self, length: int) -> Sequence[int]:
        return self.starts


class RandomSampler(Sampler):
    """RnB's mix: one clip ten times as often as fifteen."""

    def __init__(self, seed: int, clip_length: int = CLIP_LENGTH) -> None:
        self.rng, self.clip_length = random.Random(seed), clip_length

    def sample(self, length: int) -> Sequence[int]:
        count = self.rng.choices((1, 15), (10, 1))[0]
        return [self.rng.randrange(length - self.clip_length + 1) for _ in range(count)]


def psnr_db(one: torch.Tensor, other: torch.Tensor) -> float:
    error = torch.mean((one.cpu().double() - other.cpu().double()) ** 2)
    return float(10 * torch.log10(255**2 / error.clamp(min=1e-9)))


def clips_of(path: Path, starts: Sequence[int], device_id: int | None, **options: str) -> torch.Tensor:
    with RnBLoader(SIZE, SIZE, CLIP_LENGTH, device_id, FixedSampler(starts), **options) as loader:  # type: ignore[arg-type]
        loader.loadfile(path)
        return next(loader)


@pytest.fixture(scope="module")
def samples() -> list[Path]:
    return prepare(REPOSITORY / "data/videos", REPOSITORY / "data/cache")


@pytest.fixture(scope="module")
def large_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("large")
    return {
        name: odd_videos.make(folder, name, replace(recipe, **LARGE))  # type: ignore[arg-type]
        for name, recipe in ENGINE_KINDS.items()
    }


def test_every_sample_video_looks_as_on_the_cpu(samples: list[Path]) -> None:
    starts = [0, 17, 101, 246, 249, 296]
    for path in samples:
        on_gpu = clips_of(path, starts, 0, backend="nvdec")
        on_cpu = clips_of(path, starts, None)
        assert on_gpu.device.type == "cuda"
        assert psnr_db(on_gpu, on_cpu) >= 38, path.name
        worst = min(psnr_db(a, b) for a, b in zip(on_gpu.flatten(0, 1), on_cpu.flatten(0, 1), strict=True))
        assert worst >= 38, path.name


@pytest.mark.parametrize("backend", ["nvdec", "pyav"])
def test_torchvisions_inputs_come_out(samples: list[Path], backend: str) -> None:
    for path in samples:
        frames = odd_videos.sequential(path)[20:52:2]
        expected = cropped(as_rgb(frames))
        with RnBLoader(
            *CROP, 16, 0, FixedSampler([10]), backend=backend, resize=RESIZE, frame_rate=15
        ) as loader:
            loader.loadfile(path)
            (clip,) = next(loader)
        assert clip.device.type == "cuda"
        assert mean_difference(clip.cpu(), expected) <= 2, path.name


@pytest.mark.parametrize("kind", ENGINE_KINDS)
def test_every_index_is_the_right_frame(large_files: dict[str, Path], kind: str) -> None:
    """All frames, one by one: no other frame of the video is nearer to the one that came."""
    path = large_files[kind]
    num_frames = len(odd_videos.sequential(path))
    every = list(range(0, num_frames - CLIP_LENGTH + 1, CLIP_LENGTH))
    truth = clips_of(path, every, None).flatten(0, 1)
    for start in range(0, num_frames - CLIP_LENGTH + 1, 3):
        got = clips_of_one_loader(path, start)
        for place in range(CLIP_LENGTH):
            number = start + place
            if number < len(truth):
                assert psnr_db(got[place], truth[number]) >= 38, f"frame {number}"
                others = [
                    psnr_db(got[place], truth[other])
                    for other in (number - 1, number + 1)
                    if -1 < other < len(truth)
                ]
                assert max(others) < 38, "neighbours are told apart"


_LOADERS: dict[str, RnBLoader] = {}


def clips_of_one_loader(path: Path, start: int) -> torch.Tensor:
    """From one loader for all tests, so that it is re-pointed from codec to codec and size to size."""
    loader = _LOADERS.get("one") or RnBLoader(SIZE, SIZE, CLIP_LENGTH, 0, FixedSampler([0]), backend="nvdec")
    _LOADERS["one"] = loader
    loader.sampler = FixedSampler([start])
    loader.loadfile(path)
    return next(loader)[0]


@pytest.mark.parametrize("kind", FALLBACK_KINDS)
def test_what_the_engine_cannot_decode_comes_from_the_cpu(odd_files: dict[str, Path], kind: str) -> None:
    on_gpu = clips_of(odd_files[kind], [3, 20], 0)
    assert on_gpu.device.type == "cuda"
    torch.testing.assert_close(on_gpu.cpu(), clips_of(odd_files[kind], [3, 20], None))
    with pytest.raises(VideoError, match="is not for the GPU's video engine"):
        clips_of(odd_files[kind], [3], 0, backend="nvdec")


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_decode_into_strided_memory(samples: list[Path], dtype: torch.dtype) -> None:
    frames_first = torch.full((7, CLIP_LENGTH, 3, SIZE, SIZE), 77, dtype=dtype, device="cuda")
    out = frames_first[::2].transpose(1, 2)
    with RnBLoader(SIZE, SIZE, CLIP_LENGTH, 0, FixedSampler([200, 5, 6])) as loader:
        assert loader.decode_into(samples[0], out) == 3
    plain = clips_of(samples[0], [200, 5, 6], 0)
    tolerance = 0.51 if dtype == torch.uint8 else 1e-4
    torch.testing.assert_close(frames_first[:6:2].float(), plain, atol=tolerance, rtol=0)
    assert bool((frames_first[1::2] == 77).all())
    assert bool((frames_first[6] == 77).all())


def test_work_is_ordered_with_the_callers_stream(samples: list[Path]) -> None:
    """What the caller queued before decoding runs before it, and what it queues after sees the frames."""
    expected = clips_of(samples[1], [30], 0).transpose(1, 2)
    out = torch.zeros((1, 3, CLIP_LENGTH, SIZE, SIZE), device="cuda")
    stream = torch.cuda.Stream()
    with RnBLoader(SIZE, SIZE, CLIP_LENGTH, 0, FixedSampler([30])) as loader, torch.cuda.stream(stream):
        for _ in range(10):
            torch.cuda._sleep(20_000_000)
            out.fill_(-1)
            loader.decode_into(samples[1], out)
            seen = out.clone()
            out.zero_()
            torch.testing.assert_close(seen, expected)


def test_threads_decode_side_by_side(samples: list[Path]) -> None:
    expected = {path: clips_of(path, [11, 180], 0) for path in samples}
    wrong: list[str] = []

    def work(seed: int) -> None:
        order = random.Random(seed).choices(samples, k=12)
        with RnBLoader(SIZE, SIZE, CLIP_LENGTH, 0, FixedSampler([11, 180])) as loader:
            for path in order:
                loader.loadfile(path)
                if not torch.equal(next(loader), expected[path]):
                    wrong.append(f"thread {seed}: {path.name}")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_broken_file_does_not_spoil_the_next(samples: list[Path], tmp_path: Path) -> None:
    garbled = tmp_path / "garbled.mp4"
    content = bytearray(samples[0].read_bytes())
    start, end = content.index(b"mdat") + 20_000, content.index(b"mdat") + 120_000
    content[start:end] = random.Random(1).randbytes(end - start)
    garbled.write_bytes(content)
    (tmp_path / "half.mp4").write_bytes(samples[0].read_bytes()[:100_000])
    expected = clips_of(samples[2], [140], 0)
    with RnBLoader(SIZE, SIZE, CLIP_LENGTH, 0, FixedSampler([140])) as loader:
        for name in ("garbled.mp4", "half.mp4", "missing.mp4", "garbled.mp4"):
            with suppress(VideoError):  # The garbled one may decode, as it does on the CPU.
                loader.loadfile(tmp_path / name)
                next(loader)
            loader.flush()
            loader.loadfile(samples[2])
            assert torch.equal(next(loader), expected), name


def test_random_requests_agree_with_the_cpu(samples: list[Path]) -> None:
    gpu = RnBLoader(SIZE, SIZE, CLIP_LENGTH, 0, RandomSampler(3), backend="nvdec")
    cpu = RnBLoader(SIZE, SIZE, CLIP_LENGTH, None, RandomSampler(3))
    with gpu, cpu:
        for path in samples * 3:
            gpu.loadfile(path)
            cpu.loadfile(path)
            assert psnr_db(next(gpu), next(cpu)) >= 38


@pytest.mark.parametrize("resize", [None, (75, 57), (171, 128)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize(
    "flags", [(False, False, False), (True, True, False), (False, True, True), (True, False, True)]
)
def test_the_kernel_agrees_with_pytorch(
    dtype: torch.dtype, depth: int, flags: tuple[bool, bool, bool], resize: tuple[int, int] | None
) -> None:
    from nvvl import convert_triton

    torch.manual_seed(0)
    rows, columns = 130, 178
    codes = torch.randint(0, 1 << depth, (6, rows + rows // 2, columns), device="cuda")
    data = (codes << 6).to(torch.uint16) if depth == 10 else codes.to(torch.uint8)
    surfaces = Surfaces(data, columns, rows, chroma_row=rows)
    coeffs = coefficients(Color(0.2126, 0.0722, False), depth, 64 if depth == 10 else 1)
    outputs = [torch.zeros((3, 2, 3, 50, 70), dtype=dtype, device="cuda").transpose(1, 2) for _ in range(2)]
    window = Window.centred(70, 50, resize)
    convert_with_torch(surfaces, outputs[0], coeffs, Orientation(*flags), window)
    convert_triton.convert(surfaces, outputs[1], coeffs, Orientation(*flags), window)
    torch.testing.assert_close(outputs[1], outputs[0], atol=1 if dtype == torch.uint8 else 0.02, rtol=0)
    assert psnr_db(outputs[1], outputs[0]) > 55
