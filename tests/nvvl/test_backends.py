"""Choosing a backend, and finding the original package that this one hides."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from nvvl import RnBLoader, Sampler, backends, engines, original
from nvvl.pyav_backend import PyavBackend
from nvvl.window import Window
from tests.support import odd_videos

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
WINDOW = Window.centred(8, 8)
ORIGINAL = """
import torch
from .parts import paint
made = []

class RnBLoader:
    def __init__(self, width, height, consecutive_frames, device_id, sampler):
        self.shape = (consecutive_frames, 3, height, width)
        made.append(self.shape)
        self.sampler, self.loaded, self.device_id = sampler, [], device_id
    def loadfile(self, filename):
        self.loaded.append(self.sampler.sample(0))
    def __iter__(self):
        return self
    def __next__(self):
        if not self.loaded:
            raise StopIteration
        return torch.stack([paint(start, self.shape) for start in self.loaded.pop(0)])
    def flush(self):
        pass
    def close(self):
        pass
"""


class FixedSampler(Sampler):
    def sample(self, length: int) -> Sequence[int]:
        return [4, 9]


@pytest.fixture
def installed_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "nvvl"
    folder.mkdir()
    (folder / "__init__.py").write_text(ORIGINAL)
    (folder / "parts.py").write_text(
        "import torch\ndef paint(value, shape): return value + torch.arange(shape[3]).expand(shape) / 100\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.startswith(original.ALIAS)]:
        del sys.modules[name]


def test_names_and_devices() -> None:
    with pytest.raises(ValueError, match="'dali': choose one of auto, nvdec, pyav, nvvl"):
        backends.choose("dali", CPU, WINDOW)
    for name in ("nvdec", "nvvl"):
        with pytest.raises(ValueError, match=f"'{name}' needs a GPU"):
            backends.choose(name, CPU, WINDOW)


def test_without_a_video_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "is_available", lambda: False)
    chosen = backends.choose("auto", GPU, WINDOW)
    assert isinstance(chosen, backends.UploadingBackend)
    assert chosen.name == "pyav"
    with pytest.raises(ImportError, match="needs NVIDIA's driver, and the package PyNvVideoCodec"):
        backends.choose("nvdec", GPU, WINDOW)


def test_the_original_that_is_not_installed() -> None:
    with pytest.raises(ImportError, match="original nvvl package is not installed"):
        backends.choose("nvvl", GPU, WINDOW)


def test_the_original_that_is_installed(installed_original: Path, odd_files: dict[str, Path]) -> None:
    backend = backends.choose("nvvl", GPU, Window.centred(6, 5))
    with RnBLoader(6, 5, 4, None, FixedSampler()) as loader:
        assert loader.decoder == "pyav"
        loader._backend = backend
        assert loader.decoder == "nvvl"
        out = torch.zeros((3, 3, 4, 5, 6))
        assert loader.decode_into(odd_files["b_frames"], out) == 2
    assert out[:, 0, 0, 0, 0].tolist() == [4, 9, 0]
    backend.close()


def test_the_original_is_asked_for_the_scaled_picture_and_for_frames_in_a_row(
    installed_original: Path, odd_files: dict[str, Path]
) -> None:
    backend = backends.choose("nvvl", GPU, Window.centred(6, 5, (10, 8)))
    out = torch.zeros((2, 3, 4, 5, 6))
    with RnBLoader(6, 5, 4, None, FixedSampler(), frame_step=2) as loader:
        loader._backend = backend
        loader.decode_into(odd_files["b_frames"], out)
    assert (out[:, 0, :, 0, 0] - 0.02).tolist() == [[8, 10, 12, 14], [18, 20, 22, 24]]
    with RnBLoader(6, 5, 4, None, FixedSampler()) as loader:
        loader._backend = backend
        loader.decode_into(odd_files["b_frames"], out)
    torch.testing.assert_close(out[:, 0, 0, 0, 5], torch.tensor([4.07, 9.07]))
    assert sys.modules[original.ALIAS].made == [(1, 3, 8, 10), (4, 3, 8, 10)]


def test_an_original_that_does_not_load(installed_original: Path) -> None:
    (installed_original / "parts.py").write_text("import a_library_that_is_not_there\n")
    with pytest.raises(ImportError, match=r"nvvl/__init__.py cannot be imported: No module named 'a_library"):
        original.import_original()
    assert original.ALIAS not in sys.modules


def test_a_cpu_backend_can_serve_a_gpu_tensor(odd_files: dict[str, Path]) -> None:
    """The copy that goes to a GPU is what the CPU decodes; here it goes to the CPU."""
    with RnBLoader(24, 16, 4, None, FixedSampler()) as loader:
        expected, out = torch.zeros((2, 3, 4, 16, 24)), torch.zeros((2, 3, 4, 16, 24))
        loader.decode_into(odd_files["hevc"], expected)
        loader._backend = backends.UploadingBackend(PyavBackend(Window.centred(24, 16)))
        loader.decode_into(odd_files["hevc"], out)
    assert torch.equal(out, expected)


@pytest.mark.processes
def test_importing_needs_no_gpu_software() -> None:
    code = "import sys; sys.modules.update(triton=None, PyNvVideoCodec=None); from nvvl import RnBLoader"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_a_clip_recipe_makes_distinct_frames() -> None:
    """The exactness tests rest on it: no two frames of the test videos are alike."""
    scenes = {odd_videos.scene(number).tobytes() for number in range(odd_videos.NUM_FRAMES)}
    assert len(scenes) == odd_videos.NUM_FRAMES
