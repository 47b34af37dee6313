"""What can be asked to decode, and whether this machine has it: known without PyTorch."""

from __future__ import annotations

NAMES = ("auto", "nvdec", "pyav", "nvvl")


def check(name: str, device_type: str) -> None:
    """Whether this machine has the backend for 'cpu' or 'cuda'; nothing of it is started.

    Raises:
        ValueError: the backend does not exist, or not for this device.
        ImportError: it needs a package that is not installed.
    """
    if name not in NAMES:
        raise ValueError(f"backend {name!r}: choose one of {', '.join(NAMES)}")
    if name in ("nvdec", "nvvl") and device_type == "cpu":
        raise ValueError(f"backend {name!r} needs a GPU, but the device is the CPU; choose 'auto' or 'pyav'")
    if name == "nvdec":
        from nvvl import engines

        if not engines.is_available():
            raise ImportError(
                "backend 'nvdec' needs NVIDIA's driver, and the package PyNvVideoCodec or the session that"
                " python -m nvvl.native.build makes; choose 'auto'"
            )
    if name == "nvvl":
        from nvvl.original import find_original

        find_original()
