"""The package dlib, as it is built here: for the CPU, or with CUDA."""

from __future__ import annotations

from typing import Any

from rnb.contract import Device


def _load() -> Any:
    """The package. Raises ValueError where it is not installed."""
    try:
        import dlib
    except ImportError:
        raise ValueError("dlib is not installed: pip install 'rnb[faces]', or pip install dlib-bin") from None
    return dlib


def check_dlib(device: Device) -> None:
    """Whether dlib is there, and can use this device. Raises ValueError."""
    dlib = _load()
    if device.is_gpu and not dlib.DLIB_USE_CUDA:
        raise ValueError(
            "this build of dlib has no CUDA; place the step on the CPU (gpus: [-1]), or build one"
            " where nvcc is: pip uninstall dlib-bin, then pip install dlib"
        )


def dlib_on(device: Device) -> Any:
    """The package, for the calling thread to use on a device."""
    dlib = _load()
    if device.is_gpu:
        dlib.cuda.set_device(device.index)
    return dlib


def dlib_facts(dlib: Any) -> dict[str, Any]:
    """Which build it is: one with CUDA computes on a GPU wherever it is placed."""
    return {"dlib": dlib.__version__, "dlib_uses_cuda": bool(dlib.DLIB_USE_CUDA)}
