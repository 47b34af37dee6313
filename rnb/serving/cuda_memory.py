"""A region of a GPU's memory that another process has, by its CUDA IPC handle.

The driver's own library does all of it, so that the front end needs no torch. A handle of the runtime's
(cudaIpcMemHandle_t) is one of the driver's. Source: NVIDIA, "CUDA Driver API", memory management.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from rnb.serving.refusal import Refusal

HANDLE_BYTES = 64
_LAZY_PEER_ACCESS = 1


class _Handle(ctypes.Structure):
    _fields_ = (("reserved", ctypes.c_char * HANDLE_BYTES),)


class CudaRegion:
    """Raises Refusal for a handle that cannot be opened."""

    def __init__(self, handle: bytes, *, device: int, num_bytes: int) -> None:
        if len(handle) != HANDLE_BYTES:
            raise Refusal(f"raw_handle: {len(handle)} bytes; it must have {HANDLE_BYTES}")
        self.device, self.num_bytes = device, num_bytes
        self._driver, self._context = _driver(), _context(device)
        self._address = ctypes.c_uint64()
        self._call(
            "cuIpcOpenMemHandle_v2",
            ctypes.byref(self._address),
            _Handle.from_buffer_copy(handle),
            ctypes.c_uint(_LAZY_PEER_ACCESS),
        )

    def describe(self) -> dict[str, Any]:
        return {"device_id": self.device, "byte_size": self.num_bytes}

    def read(self, position: int, num_bytes: int) -> bytes:
        buffer = ctypes.create_string_buffer(num_bytes)
        source = ctypes.c_uint64(self._address.value + position)
        self._call("cuMemcpyDtoH_v2", buffer, source, ctypes.c_size_t(num_bytes))
        return buffer.raw

    def write(self, position: int, data: bytes) -> None:
        target = ctypes.c_uint64(self._address.value + position)
        self._call("cuMemcpyHtoD_v2", target, data, ctypes.c_size_t(len(data)))

    def close(self) -> None:
        self._call("cuIpcCloseMemHandle", self._address)

    def _call(self, function: str, *arguments: Any) -> None:
        _check("cuCtxSetCurrent", self._driver.cuCtxSetCurrent(self._context))
        _check(function, getattr(self._driver, function)(*arguments))


@functools.cache
def _driver() -> ctypes.CDLL:
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        raise Refusal("CUDA shared memory: there is no NVIDIA driver here") from None
    _check("cuInit", driver.cuInit(0))
    return driver


@functools.cache
def _context(device: int) -> ctypes.c_void_p:
    """The primary context of a GPU; it stays."""
    driver, number, context = _driver(), ctypes.c_int(), ctypes.c_void_p()
    _check("cuDeviceGet", driver.cuDeviceGet(ctypes.byref(number), ctypes.c_int(device)))
    _check("cuDevicePrimaryCtxRetain", driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), number))
    return context


def _check(function: str, result: int) -> None:
    if result != 0:
        raise Refusal(f"CUDA shared memory: {function} failed with error {result}")
