"""Tensors that clients leave in a GPU's memory, over both protocols."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from rnb.serving.tensors import join
from tests.support.running import ROOT
from tests.support.serving import ANSWER_S, Served, serving

pytestmark = pytest.mark.gpu
NUM_BYTES = 4096

OWNER = f"""
import ctypes, sys
driver = ctypes.CDLL("libcuda.so.1")
device, context, address = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
handle = ctypes.create_string_buffer(64)
def check(result):
    assert result == 0, result
check(driver.cuInit(0))
check(driver.cuDeviceGet(ctypes.byref(device), 0))
check(driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device))
check(driver.cuCtxSetCurrent(context))
check(driver.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t({NUM_BYTES})))
check(driver.cuIpcGetMemHandle(handle, address))
print(handle.raw.hex(), flush=True)
for line in sys.stdin:
    kind, _, told = line.strip().partition(" ")
    if kind == "write":
        data = bytes.fromhex(told)
        check(driver.cuMemcpyHtoD_v2(address, data, ctypes.c_size_t(len(data))))
        print("done", flush=True)
    else:
        data = ctypes.create_string_buffer({NUM_BYTES})
        check(driver.cuMemcpyDtoH_v2(data, address, ctypes.c_size_t({NUM_BYTES})))
        print(data.raw.hex(), flush=True)
"""
"""A process that has memory on GPU 0: handles are for others than the one that allocated it."""


class Owner:
    """That process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.handle = bytes.fromhex(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def _tell(self, line: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._line()

    def write(self, data: bytes) -> None:
        assert self._tell(f"write {data.hex()}") == "done"

    def read(self) -> bytes:
        return bytes.fromhex(self._tell("read"))


@pytest.fixture
def owner() -> Iterator[Owner]:
    command = [sys.executable, "-c", OWNER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        yield Owner(process)


@pytest.fixture(scope="module")
def sharing() -> Iterator[Served]:
    with serving(shared_memory=True) as server:
        yield server


def place(num_bytes: int, offset: int) -> dict[str, Any]:
    return {
        "shared_memory_region": "gpu",
        "shared_memory_byte_size": num_bytes,
        "shared_memory_offset": offset,
    }


def check_output(owner: Owner, size: int) -> None:
    told = owner.read()[2048:]
    assert json.loads(told[4 : 4 + int.from_bytes(told[:4], "little")])["size"] == size


def test_over_http(owner: Owner, sharing: Served) -> None:
    owner.write(raw := join([b"hello"]))
    told = {
        "raw_handle": {"b64": base64.b64encode(owner.handle).decode()},
        "device_id": 0,
        "byte_size": NUM_BYTES,
    }
    assert sharing.ask("POST", "/v2/cudasharedmemory/region/gpu/register", json.dumps(told)).status == 200
    assert sharing.ask("GET", "/v2/cudasharedmemory/status").json()[0]["byte_size"] == NUM_BYTES
    tensor = {"name": "DATA", "datatype": "BYTES", "shape": [1, 1], "parameters": place(len(raw), 0)}
    body = {"inputs": [tensor], "outputs": [{"name": "RESULT", "parameters": place(2048, 2048)}]}
    assert sharing.ask("POST", "/v2/models/scripted/infer", json.dumps(body)).status == 200
    check_output(owner, 5)
    assert sharing.ask("POST", "/v2/cudasharedmemory/unregister").status == 200
    assert sharing.ask("GET", "/v2/cudasharedmemory/status").json() == []


def test_over_grpc(owner: Owner, sharing: Served) -> None:
    owner.write(raw := join([b"hello, you"]))
    request = pb.ModelInferRequest(model_name="scripted")
    tensor, output = (
        request.inputs.add(name="DATA", datatype="BYTES", shape=[1, 1]),
        request.outputs.add(name="RESULT"),
    )
    for one, told in ((tensor, place(len(raw), 0)), (output, place(2048, 2048))):
        one.parameters["shared_memory_region"].string_param = told.pop("shared_memory_region")
        for name, value in told.items():
            one.parameters[name].int64_param = value
    with grpc.insecure_channel(sharing.grpc) as channel:
        stub = GRPCInferenceServiceStub(channel)
        stub.CudaSharedMemoryRegister(
            pb.CudaSharedMemoryRegisterRequest(
                name="gpu", raw_handle=owner.handle, device_id=0, byte_size=NUM_BYTES
            )
        )
        response = stub.ModelInfer(request, timeout=ANSWER_S)
        assert list(response.raw_output_contents) == [b""]
        stub.CudaSharedMemoryUnregister(pb.CudaSharedMemoryUnregisterRequest(name=""))
    check_output(owner, 10)
