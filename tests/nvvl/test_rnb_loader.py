"""The loader's two interfaces: that of RnB's NVVL fork, and decoding into a caller's tensor."""

from __future__ import annotations

import pickle
import re
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nvvl
from nvvl import AllSampler, RnBLoader, Sampler, VideoError
from nvvl.pyav_backend import PictureScaler, PyavBackend
from nvvl.window import Window
from tests.support import odd_videos

CLIP_LENGTH = 4
SIZE = 24


class FixedSampler(Sampler):
    def __init__(self, *starts: int) -> None:
        self.starts = starts

    def sample(self, length: int) -> Sequence[int] | None:
        return self.starts or None


def make_loader(*starts: int, **options: object) -> RnBLoader:
    return RnBLoader(SIZE, SIZE, CLIP_LENGTH, None, FixedSampler(*starts), **options)  # type: ignore[arg-type]


def expected_clips(path: Path, starts: Sequence[int]) -> torch.Tensor:
    """(num_clips, frames, 3, height, width) by decoding everything."""
    frames, scaler = odd_videos.sequential(path), PictureScaler(Window.centred(SIZE, SIZE))
    clips = [[scaler.convert(frames[start + i], "") for i in range(CLIP_LENGTH)] for start in starts]
    return torch.from_numpy(np.array(clips))


def test_code_written_for_the_fork(odd_files: dict[str, Path]) -> None:
    loader = RnBLoader(
        width=SIZE, height=SIZE, consecutive_frames=CLIP_LENGTH, device_id=-1, sampler=FixedSampler(3, 20)
    )
    loader.loadfile(str(odd_files["b_frames"]))
    for frames in loader:  # noqa: B007  # So it stands in the fork's users.
        pass
    loader.flush()
    assert frames.shape == (2, CLIP_LENGTH, 3, SIZE, SIZE)
    assert frames.dtype == torch.float32
    assert frames.float().permute(0, 2, 1, 3, 4).shape == (2, 3, CLIP_LENGTH, SIZE, SIZE)
    torch.testing.assert_close(frames, expected_clips(odd_files["b_frames"], [3, 20]))
    loader.close()
    loader.close()


def test_the_forks_defaults(odd_files: dict[str, Path]) -> None:
    loader = RnBLoader(64, 48, 1, -1)
    assert isinstance(loader.sampler, AllSampler)
    loader.loadfile(odd_files["b_frames"])
    (clips,) = loader
    assert clips.shape == (odd_videos.NUM_FRAMES, 1, 3, 48, 64)


@pytest.mark.parametrize("name", ["VideoLoader", "VideoDataset", "ProcessDesc"])
def test_what_nvvl_has_for_training_is_refused_by_name(name: str) -> None:
    with pytest.raises(ImportError, match=rf"^nvvl\.{name} is not supported: nvvl\.RnBLoader reads videos"):
        nvvl.__getattr__(name)


def test_iteration_gives_the_files_in_order_and_then_stops(odd_files: dict[str, Path]) -> None:
    names = ["b_frames", "hevc", "vp9_odd_size"]
    with make_loader(7) as loader:
        for name in names:
            loader.loadfile(odd_files[name])
        for name, frames in zip(names, loader, strict=True):
            torch.testing.assert_close(frames, expected_clips(odd_files[name], [7]))
        assert list(loader) == []
        loader.loadfile(odd_files["hevc"])
        assert len(list(loader)) == 1


def test_flush_forgets_what_was_loaded(odd_files: dict[str, Path]) -> None:
    with make_loader(7) as loader:
        loader.loadfile(odd_files["b_frames"])
        loader.flush()
        assert list(loader) == []


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_decode_into_fills_the_first_rows(odd_files: dict[str, Path], dtype: torch.dtype) -> None:
    out = torch.full((5, 3, CLIP_LENGTH, SIZE, SIZE), 77, dtype=dtype)
    with make_loader(30, 0, 2) as loader:
        assert loader.decode_into(odd_files["b_frames"], out) == 3
    expected = expected_clips(odd_files["b_frames"], [30, 0, 2]).transpose(1, 2)
    torch.testing.assert_close(out[:3].float(), expected, atol=0.51 if dtype == torch.uint8 else 1e-4, rtol=0)
    assert bool((out[3:] == 77).all())


def test_decode_into_strided_memory(odd_files: dict[str, Path]) -> None:
    whole = torch.zeros((4, CLIP_LENGTH, SIZE, 2 * SIZE, 3))
    out = whole[::2, :, :, SIZE:].permute(0, 4, 1, 2, 3)
    with make_loader(1, 11) as loader:
        loader.decode_into(odd_files["open_gop"], out)
    torch.testing.assert_close(out, expected_clips(odd_files["open_gop"], [1, 11]).transpose(1, 2))
    assert not whole[1::2].any()
    assert not whole[:, :, :, :SIZE].any()


def test_frames_far_from_their_keyframe_are_exact(odd_files: dict[str, Path]) -> None:
    with make_loader(2, 19) as loader:
        loader.loadfile(odd_files["one_keyframe"])
        torch.testing.assert_close(next(loader), expected_clips(odd_files["one_keyframe"], [2, 19]))


def test_rotated_video_is_scaled_after_turning(odd_files: dict[str, Path]) -> None:
    with RnBLoader(30, 50, CLIP_LENGTH, None, FixedSampler(4)) as loader:
        loader.loadfile(odd_files["rotated_90"])
        loader.loadfile(odd_files["b_frames"])
        turned = next(loader)
    with RnBLoader(50, 30, CLIP_LENGTH, None, FixedSampler(4)) as loader:
        loader.loadfile(odd_files["b_frames"])
        plain = next(loader)
    torch.testing.assert_close(turned, plain.rot90(1, (3, 4)))


@pytest.mark.parametrize("name", ["b_frames", "hevc", "rotated_90"])
def test_the_middle_of_a_larger_picture(odd_files: dict[str, Path], name: str) -> None:
    with make_loader(3, 20, resize=(35, 30)) as loader:
        loader.loadfile(odd_files[name])
        middle = next(loader)
    with RnBLoader(35, 30, CLIP_LENGTH, None, FixedSampler(3, 20)) as loader:
        loader.loadfile(odd_files[name])
        whole = next(loader)
    torch.testing.assert_close(middle, whole[..., 3 : 3 + SIZE, 6 : 6 + SIZE])


@pytest.mark.parametrize(
    ("options", "frames"),
    [
        ({"frame_step": 3}, [[3, 6, 9, 12], [15, 18, 21, 24]]),
        ({"frame_rate": 12.0}, [[2, 5, 7, 10], [12, 15, 17, 20]]),
        ({"frame_rate": 45.0}, [[0, 1, 2, 2], [3, 4, 4, 5]]),
    ],
)
def test_clips_of_the_frames_that_count(
    odd_files: dict[str, Path], options: dict[str, Any], frames: list[list[int]]
) -> None:
    seen: list[int] = []

    class Noting(FixedSampler):
        def sample(self, length: int) -> Sequence[int]:
            seen.append(length)
            return self.starts

    path = odd_files["b_frames"]
    with RnBLoader(SIZE, SIZE, CLIP_LENGTH, None, Noting(1, 5), **options) as loader:
        loader.loadfile(path)
        clips = next(loader)
    pictures, scaler = odd_videos.sequential(path), PictureScaler(Window.centred(SIZE, SIZE))
    expected = np.array([[scaler.convert(pictures[frame], "") for frame in clip] for clip in frames])
    torch.testing.assert_close(clips, torch.from_numpy(expected))
    assert seen == [{3: 14, 12.0: 16, 45.0: 60}[next(iter(options.values()))]]


def test_a_video_with_too_few_frames_that_count(odd_files: dict[str, Path]) -> None:
    with (
        make_loader(0, frame_step=14) as loader,
        pytest.raises(VideoError, match="has 40 frames, of which 3 count, fewer than the 4 of a clip"),
    ):
        loader.loadfile(odd_files["b_frames"])


def broken_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """By kind: a path, and what the message must say."""
    video = odd_videos.make(folder, "good", odd_videos.Recipe(options=odd_videos.B_FRAMES))
    faststart = odd_videos.Recipe(
        options=odd_videos.B_FRAMES, container_options={"movflags": "faststart"}, patch=odd_videos.cut_in_half
    )
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("no video at all\n" * 400)
    (folder / "no_end.mp4").write_bytes(odd_videos.cut_in_half(video.read_bytes()))
    return {
        "missing": (folder / "missing.mp4", "cannot be opened: No such file or directory"),
        "folder": (folder, "cannot be opened"),
        "empty": (folder / "empty.mp4", "is empty"),
        "not a video": (folder / "text.mp4", "no video"),
        "truncated": (folder / "no_end.mp4", "truncated"),
        "truncated behind the header": (odd_videos.make(folder, "half", faststart), "truncated"),
        "too short": (
            odd_videos.make(folder, "short", odd_videos.Recipe(num_frames=3)),
            "has 3 frames, fewer than",
        ),
        "sound only": (make_sound(folder / "sound.mp4"), "has no video stream"),
        "undecodable": (make_undecodable(folder / "noise.mp4", video), "cannot be decoded"),
    }


def make_sound(path: Path) -> Path:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 44100, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def make_undecodable(path: Path, video: Path) -> Path:
    content = bytearray(video.read_bytes())
    start = content.index(b"mdat") + 4
    end = content.index(b"moov") - 4
    content[start:end] = bytes(end - start)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("interface", ["loadfile", "decode_into"])
def test_each_broken_file_is_one_clear_line_and_the_next_file_works(
    tmp_path: Path, odd_files: dict[str, Path], interface: str
) -> None:
    out = torch.zeros((1, 3, CLIP_LENGTH, SIZE, SIZE))
    with make_loader(5) as loader:
        for kind, (path, reason) in broken_files(tmp_path).items():
            read = loader.loadfile if interface == "loadfile" else partial(loader.decode_into, out=out)
            with pytest.raises(VideoError) as caught:
                read(path)
            assert str(caught.value).startswith(f"{path}: "), kind
            assert reason in str(caught.value), kind
            assert "\n" not in str(caught.value), kind
        loader.decode_into(odd_files["b_frames"], out)
        torch.testing.assert_close(out.transpose(1, 2), expected_clips(odd_files["b_frames"], [5]))


def test_a_file_that_vanishes_between_loading_and_iterating(
    tmp_path: Path, odd_files: dict[str, Path]
) -> None:
    path = odd_videos.make(tmp_path, "gone", odd_videos.RECIPES["b_frames"])
    with make_loader(5) as loader:
        loader.loadfile(path)
        loader.loadfile(odd_files["b_frames"])
        path.unlink()
        with pytest.raises(VideoError, match=r"gone\.mp4: cannot be opened"):
            next(loader)
        assert len(list(loader)) == 1


def test_errors_cross_process_borders() -> None:
    error = pickle.loads(pickle.dumps(VideoError("a.mp4", "is\nempty")))
    assert isinstance(error, ValueError)
    assert str(error) == "a.mp4: is empty"


def test_a_sampler_that_finds_the_video_too_short(odd_files: dict[str, Path]) -> None:
    with (
        make_loader() as loader,
        pytest.raises(VideoError, match="has 40 frames: too short for FixedSampler"),
    ):
        loader.loadfile(odd_files["b_frames"])


def test_a_sampler_that_leaves_the_video(odd_files: dict[str, Path]) -> None:
    with make_loader(37) as loader, pytest.raises(ValueError, match=r"FixedSampler picked .* in 40 frames"):
        loader.loadfile(odd_files["b_frames"])


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        (torch.zeros((2, 3, CLIP_LENGTH, SIZE, SIZE + 1)), "must be (max_clips, 3, 4, 24, 24)"),
        (torch.zeros((3, CLIP_LENGTH, SIZE, SIZE)), "must be (max_clips, 3, 4, 24, 24)"),
        (torch.zeros((2, 3, CLIP_LENGTH, SIZE, SIZE), dtype=torch.int32), "torch.uint8"),
        (torch.zeros((2, 3, CLIP_LENGTH, SIZE, SIZE), device="meta"), "must be on cpu"),
        (torch.zeros((1, 3, CLIP_LENGTH, SIZE, SIZE)), "picked 2 clips, but out has room for 1"),
    ],
)
def test_outputs_that_do_not_fit(odd_files: dict[str, Path], out: torch.Tensor, reason: str) -> None:
    with make_loader(1, 2) as loader, pytest.raises(ValueError, match="out ") as caught:
        loader.decode_into(odd_files["b_frames"], out)
    assert reason in str(caught.value)


def test_backends_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="choose one of auto, nvdec, pyav, nvvl"):
        make_loader(1, backend="dali")
    with pytest.raises(ValueError, match="needs a GPU"):
        make_loader(1, backend="nvdec")


def test_pictures_larger_than_allowed_are_refused(odd_files: dict[str, Path]) -> None:
    path = str(odd_files["b_frames"])
    frame = odd_videos.sequential(odd_files["b_frames"])[0]
    pixels = frame.width * frame.height
    out = torch.zeros(1, 3, CLIP_LENGTH, SIZE, SIZE)
    with make_loader(3, max_pixels=pixels) as loader:
        assert loader.decode_into(path, out) == 1
    told = rf"^{re.escape(path)}: has pictures of {frame.width}x{frame.height}, {pixels:,} pixels; max_pixels"
    with make_loader(3, max_pixels=pixels - 1) as loader:
        with pytest.raises(VideoError, match=told):
            loader.decode_into(path, out)
        with pytest.raises(VideoError, match=told):
            loader.loadfile(path)


def test_a_file_that_changes_while_its_frames_are_decoded(
    odd_files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mkv"
    shutil.copy(odd_files["late_start_mkv"], path)
    loader, out = make_loader(3), torch.empty(1, 3, CLIP_LENGTH, SIZE, SIZE)
    decode = PyavBackend.decode

    def changing(backend: PyavBackend, *args: Any) -> int:
        num_concealed = decode(backend, *args)
        path.write_bytes(path.read_bytes())
        return num_concealed

    with monkeypatch.context() as patch:
        patch.setattr(PyavBackend, "decode", changing)
        with pytest.raises(VideoError, match="was changed while it was played"):
            loader.decode_into(path, out)
    assert loader.decode_into(path, out) == 1
    torch.testing.assert_close(out.transpose(1, 2), expected_clips(path, [3]))
