"""The original NVVL package (RnB's fork of it), where the user has installed it beside this one."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from nvvl.errors import VideoError
from nvvl.index import VideoIndex
from nvvl.video_file import VideoFile

ALIAS = "nvvl_original"


class OriginalBackend:
    """Lets the original decode: its loader, told by a sampler of ours where the clips begin.

    Raises:
        ImportError: it is not installed, or cannot be imported.
    """

    name = "nvvl"

    def __init__(self, device: torch.device, width: int, height: int, consecutive_frames: int) -> None:
        self._sampler = _GivenStarts()
        self._loader: Any = import_original().RnBLoader(
            width=width,
            height=height,
            consecutive_frames=consecutive_frames,
            device_id=device.index,
            sampler=self._sampler,
        )

    def decode(self, file: VideoFile, index: VideoIndex, starts: Sequence[int], out: Tensor) -> int:
        self._sampler.starts = list(starts)
        try:
            self._loader.loadfile(file.filename)
            clips = list(self._loader)[-1]
            self._loader.flush()
        except (RuntimeError, IndexError) as error:
            raise VideoError(file.filename, f"cannot be decoded by the original nvvl: {error}") from error
        out.copy_(clips.permute(0, 2, 1, 3, 4))
        return 0

    def close(self) -> None:
        if self._loader is not None:
            self._loader.close()
        self._loader = None


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
    spec = _find()
    if spec is None or spec.origin is None or spec.loader is None:
        raise ImportError("backend 'nvvl': the original nvvl package is not installed; choose 'auto'")
    module = _under_alias(spec)
    try:
        sys.modules[ALIAS] = module
        assert module.__spec__ is not None
        assert module.__spec__.loader is not None
        module.__spec__.loader.exec_module(module)
    except Exception as error:
        del sys.modules[ALIAS]
        raise ImportError(f"backend 'nvvl': {spec.origin} cannot be imported: {error}") from error
    return module


def _find() -> importlib.machinery.ModuleSpec | None:
    ours = Path(__file__).resolve().parent
    for entry in sys.path:
        spec = importlib.machinery.PathFinder.find_spec("nvvl", [entry])
        if spec is not None and spec.origin is not None and Path(spec.origin).resolve().parent != ours:
            return spec
    return None


def _under_alias(spec: importlib.machinery.ModuleSpec) -> ModuleType:
    assert spec.origin is not None
    renamed = importlib.util.spec_from_file_location(
        ALIAS, spec.origin, submodule_search_locations=spec.submodule_search_locations
    )
    assert renamed is not None
    return importlib.util.module_from_spec(renamed)
