"""The compiled functions of session.cpp, by ctypes, which gives up Python's lock for the time of a call."""

from __future__ import annotations

import ctypes
import hashlib
from ctypes import POINTER, c_char_p, c_int, c_int32, c_int64, c_uint32, c_void_p
from functools import cache
from pathlib import Path

from nvvl.errors import EngineError, UnsupportedVideo

LIBRARY = Path(__file__).with_name("libsession.so")
SOURCES = tuple(Path(__file__).with_name(name) for name in ("session.cpp", "driver.h"))
# FFmpeg's names, and the numbers of `cudaVideoCodec`. AV1 is left to the CPU: no GPU that this was tested on
# decodes it.
CODECS = {"h264": 4, "hevc": 8, "vp9": 10}
MESSAGE_BYTES = 200
OTHER_PICTURES = 2


class Packets(ctypes.Structure):
    """As in session.cpp."""

    _fields_ = (
        ("content", c_char_p),
        ("begins", c_void_p),
        ("sizes", c_void_p),
        ("stamps", c_void_p),
        ("count", c_int64),
        ("headers", c_char_p),
        ("headers_size", c_int64),
        ("length_size", c_int32),
        ("goes_on", c_int32),
        ("fed", c_int64),
    )


class Wanted(ctypes.Structure):
    """As in session.cpp."""

    _fields_ = (
        ("stamps", c_void_p),
        ("places", c_void_p),
        ("arrived", c_void_p),
        ("count", c_int64),
        ("surfaces", c_void_p),
        ("width", c_int32),
        ("height", c_int32),
    )


@cache
def is_available() -> bool:
    """Whether the session was built and finds NVIDIA's driver. It starts nothing of that."""
    try:
        call(functions().rnb_find_driver)
    except (OSError, AttributeError, EngineError):
        return False
    return True


@cache
def functions() -> ctypes.CDLL:
    """The library.

    Raises:
        OSError: it was not built, or from other sources. AttributeError: it is another one.
    """
    library = ctypes.CDLL(str(LIBRARY))
    library.rnb_source.restype = c_char_p
    if library.rnb_source().decode() != hash_of_sources():
        raise OSError(f"{LIBRARY}: was built from other sources; python -m nvvl.native.build")
    message = (c_char_p, c_int64)
    library.rnb_find_driver.argtypes = message
    library.rnb_capabilities.argtypes = (c_int, c_int, c_int, POINTER(c_int32 * 4), *message)
    library.rnb_open.argtypes = (
        *(c_int, c_int, c_int, c_uint32, c_uint32, c_uint32, c_void_p, POINTER(c_void_p)),
        *message,
    )
    library.rnb_decode.argtypes = (c_void_p, POINTER(Packets), POINTER(Wanted), *message)
    library.rnb_close.argtypes = (c_void_p,)
    library.rnb_close.restype = None
    return library


@cache
def hash_of_sources() -> str:
    """What the library says that was built from the sources as they are."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in SOURCES)).hexdigest()


@cache
def capabilities(device_index: int, codec: str, bit_depth: int) -> dict[str, int]:
    """The limits of 4:2:0 video of this codec; empty where the engine cannot decode it."""
    limits = (c_int32 * 4)()
    try:
        call(functions().rnb_capabilities, device_index, CODECS[codec], bit_depth, limits)
    except EngineError:
        return {}
    names = ("width_min", "height_min", "width_max", "height_max")
    return dict(zip(names, limits, strict=True)) if limits[2] else {}


def call(function: ctypes._NamedFuncPointer, *arguments: object) -> None:
    """Call one of the functions that return a status and write a message.

    Raises:
        EngineError: the driver refuses. UnsupportedVideo: the pictures are not what was announced.
    """
    message = ctypes.create_string_buffer(MESSAGE_BYTES)
    status = function(*arguments, message, MESSAGE_BYTES)
    if status == OTHER_PICTURES:
        raise UnsupportedVideo(message.value.decode())
    if status:
        raise EngineError(message.value.decode())
