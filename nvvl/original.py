"""The original NVVL package (RnB's fork of it), where the user has installed it beside this one."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from nvvl.clips import Clips
from nvvl.errors import VideoError
from nvvl.index import VideoIndex
from nvvl.video_file import VideoFile
from nvvl.window import Window

ALIAS = "nvvl_original"


class OriginalBackend:
    """Lets the original decode: its loader, told by a sampler of ours where the clips begin.

    Raises:
        ImportError: it is not installed, or cannot be imported.
    """

    name = "nvvl"

    def __init__(self, device: torch.device, window: Window) -> None:
        self._window = window
        self._sampler = _GivenStarts()
        self._make_loader = partial(
            import_original().RnBLoader,
            width=window.scaled_width,
            height=window.scaled_height,
            device_id=device.index,
            sampler=self._sampler,
        )
        self._loaders: dict[int, Any] = {}

    def decode(self, file: VideoFile, index: VideoIndex, clips: Clips, out: Tensor) -> int:
        """Fill `out` (num_clips, 3, frames, height, width) with these frames.

        Returns:
            0: it does not tell what it conceals.

        Raises:
            VideoError: the original cannot decode the file.
        """
        # It reads frames in a row; others it has to look for one by one.
        length = out.shape[2] if all(map(_is_row, clips)) else 1
        self._sampler.starts = [start for clip in clips for start in clip[::length]]
        loader = self._loader(length)
        try:
            loader.loadfile(file.filename)
            pictures = list(loader)[-1]
            loader.flush()
        except (RuntimeError, IndexError) as error:
            raise VideoError(file.filename, f"cannot be decoded by the original nvvl: {error}") from error
        cropped = pictures[..., self._window.rows, self._window.columns]
        out.copy_(cropped.reshape(out.transpose(1, 2).shape).transpose(1, 2))
        return 0

    def close(self) -> None:
        for loader in self._loaders.values():
            loader.close()
        self._loaders.clear()

    def _loader(self, length: int) -> Any:
        """The original's loader of clips of so many frames, made when first needed."""
        if length not in self._loaders:
            self._loaders[length] = self._make_loader(consecutive_frames=length)
        return self._loaders[length]


def _is_row(clip: Sequence[int]) -> bool:
    return list(clip) == list(range(clip[0], clip[0] + len(clip)))


class _GivenStarts:
    """A sampler in the original's eyes."""

    def __init__(self) -> None:
        self.starts: list[int] = []

    def sample(self, length: int) -> list[int]:
        return self.starts


def import_original() -> ModuleType:
    """The installed package that this one hides, under another name.

    Raises:
        ImportError: there is none on sys.path, or it cannot be imported.
    """
    if ALIAS in sys.modules:
        return sys.modules[ALIAS]
    module = _under_alias(find_original())
    try:
        sys.modules[ALIAS] = module
        assert module.__spec__ is not None
        assert module.__spec__.loader is not None
        module.__spec__.loader.exec_module(module)
    except Exception as error:
        del sys.modules[ALIAS]
        raise ImportError(f"backend 'nvvl': {module.__file__} cannot be imported: {error}") from error
    return module


def find_original() -> importlib.machinery.ModuleSpec:
    """Where it is installed.

    Raises:
        ImportError: there is none on sys.path.
    """
    ours = Path(__file__).resolve().parent
    for entry in sys.path:
        spec = importlib.machinery.PathFinder.find_spec("nvvl", [entry])
        if spec is None or spec.origin is None or spec.loader is None:
            continue
        if Path(spec.origin).resolve().parent != ours:
            return spec
    raise ImportError("backend 'nvvl': the original nvvl package is not installed; choose 'auto'")


def _under_alias(spec: importlib.machinery.ModuleSpec) -> ModuleType:
    assert spec.origin is not None
    renamed = importlib.util.spec_from_file_location(
        ALIAS, spec.origin, submodule_search_locations=spec.submodule_search_locations
    )
    assert renamed is not None
    return importlib.util.module_from_spec(renamed)
