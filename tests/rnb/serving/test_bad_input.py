"""What clients get wrong, over both protocols: an error for that request, and nothing else is disturbed."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from rnb.serving.over_http.infer_body import HEADER_LENGTH
from rnb.serving.tensors import join
from tests.support.serving import ANSWER_S, Served

INFER = "/v2/models/scripted/infer"
Tensor = dict[str, Any]
Ask = Callable[..., str]
"""Sends a request that is refused as the client's fault; returns the reason."""


def tensor(**changes: Any) -> Tensor:
    return {"name": "DATA", "datatype": "BYTES", "shape": [1, 1], "data": [b"x"], **changes}


def over_http(served: Served) -> Ask:
    def ask(
        *tensors: Tensor,
        parameters: Mapping[str, Any] | None = None,
        outputs: Any = (),
        model: str = "scripted",
    ) -> str:
        raws = [join(one["data"]) for one in tensors]
        inputs = [
            {
                "parameters": {"binary_data_size": len(raw)},
                **{name: one[name] for name in one if name != "data"},
            }
            for one, raw in zip(tensors, raws, strict=True)
        ]
        body = {"inputs": inputs, "parameters": parameters or {}}
        if outputs:
            body["outputs"] = [{"name": name, "parameters": told} for name, told in outputs]
        text = json.dumps(body).encode()
        headers = {HEADER_LENGTH: str(len(text))}
        behind = b"".join(raw for one, raw in zip(tensors, raws, strict=True) if "parameters" not in one)
        reply = served.ask("POST", f"/v2/models/{model}/infer", text + behind, headers)
        assert reply.status in (400, 404, 413), reply
        return reply.error

    return ask


def over_grpc(stub: GRPCInferenceServiceStub) -> Ask:
    def ask(
        *tensors: Tensor,
        parameters: Mapping[str, Any] | None = None,
        outputs: Any = (),
        model: str = "scripted",
    ) -> str:
        request = pb.ModelInferRequest(model_name=model)
        for one in tensors:
            put = request.inputs.add(name=one["name"], datatype=one["datatype"], shape=one["shape"])
            put.contents.bytes_contents.extend(one["data"])
            fill(put.parameters, one.get("parameters", {}))
        fill(request.parameters, parameters or {})
        for name, told in outputs:
            fill(request.outputs.add(name=name).parameters, told)
        with pytest.raises(grpc.RpcError) as caught:
            stub.ModelInfer(request, timeout=ANSWER_S)
        assert caught.value.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)
        return str(caught.value.details())

    return ask


def fill(parameters: Any, told: Mapping[str, Any]) -> None:
    kinds = {bool: "bool_param", int: "int64_param", str: "string_param", float: "double_param"}
    for name, value in told.items():
        setattr(parameters[name], kinds[type(value)], value)


@pytest.fixture(scope="module", params=["http", "grpc"])
def ask(served: Served, request: pytest.FixtureRequest) -> Iterator[Ask]:
    if request.param == "http":
        yield over_http(served)
    else:
        with grpc.insecure_channel(served.grpc) as channel:
            yield over_grpc(GRPCInferenceServiceStub(channel))


@pytest.fixture(autouse=True)
def _others_are_served(served: Served) -> Iterator[None]:
    """After each of these, the next request is served as if nothing had been."""
    yield
    assert served.infer("x").status == 200


@pytest.mark.parametrize(
    "shape",
    [[], [0], [0, 1], [-1, 1], [2, 1], [1, 2], [1, 1, 1], [1 << 40, 1], [65, 1], [-(1 << 62)]],
    ids=str,
)
def test_shapes(ask: Ask, shape: list[int]) -> None:
    assert "DATA" in ask(tensor(shape=shape))


@pytest.mark.parametrize("datatype", ["", "FP32", "bytes", "INT64", "x" * 1000])
def test_types(ask: Ask, datatype: str) -> None:
    assert "is BYTES, not" in ask(tensor(datatype=datatype))


@pytest.mark.parametrize("name", ["", "data", "LABEL", "x" * 1000])
def test_names(ask: Ask, name: str) -> None:
    assert "there are PATH, DATA" in ask(tensor(name=name))


def test_numbers_of_inputs(ask: Ask) -> None:
    assert ask().startswith("0 inputs")
    assert ask(tensor(), tensor()).startswith("2 inputs")
    assert ask(tensor(), tensor(name="PATH")).startswith("2 inputs")


def test_numbers_of_elements(ask: Ask) -> None:
    assert "its shape has 1 elements" in ask(tensor(data=[]))
    assert "its shape has 1 elements" in ask(tensor(data=[b"x", b"y"]))
    assert "empty" in ask(tensor(data=[b""]))


def test_outputs(ask: Ask) -> None:
    assert "no output 'OTHER'" in ask(tensor(), outputs=[("OTHER", {})])
    assert "asked for twice" in ask(tensor(), outputs=[("RESULT", {}), ("RESULT", {})])
    assert "is no class" in ask(tensor(), outputs=[("RESULT", {"classification": 2})])
    assert "classification" in ask(tensor(), outputs=[("RESULT", {"classification": -2})])
    assert "classification" in ask(tensor(), outputs=[("RESULT", {"classification": "x"})])


def test_models(ask: Ask) -> None:
    assert "there are scripted, Decode-0, Net-1" in ask(tensor(), model="other")
    assert "is a step" in ask(tensor(), model="Net-1")


@pytest.mark.parametrize(
    "name",
    [b"../secret.mp4", b"/etc/passwd", b"outside", b"label/../../secret.mp4", b"label", b".", b"nope.mp4",
     b"label/film.mp4\0", b"a" * 5000, b"label/film.mp4/x"],
)  # fmt: skip
def test_paths_that_lead_nowhere_or_outside(ask: Ask, name: bytes) -> None:
    assert "in the data folder" in ask(tensor(name="PATH", data=[name]))


@pytest.mark.parametrize(
    "parameters",
    [
        {"sequence_id": -1},
        {"sequence_id": True},
        {"sequence_id": 1.5},
        {"sequence_id": "x" * 200},
        {"sequence_id": 1, "sequence_start": 1},
        {"sequence_id": 1, "sequence_end": "yes"},
        {"sequence_id": 1, "sequence_start": True, "sequence_position": -1},
        {"sequence_start": True},
        {"sequence_id": 0, "sequence_end": True},
        {"sequence_id": 77},
    ],
    ids=str,
)
def test_sequences(ask: Ask, parameters: dict[str, Any]) -> None:
    assert "sequence" in ask(tensor(), parameters=parameters)


def test_a_batch_in_a_sequence(ask: Ask) -> None:
    both = tensor(shape=[2, 1], data=[b"x", b"y"])
    assert "2 rows" in ask(both, parameters={"sequence_id": 1, "sequence_start": True})


def test_a_sequence_without_its_id(stateful: Served) -> None:
    assert "sequence_id" in stateful.infer("x").error


@pytest.mark.parametrize("timeout", [-5, "soon", True, 1.5], ids=str)
def test_timeouts(ask: Ask, timeout: Any) -> None:
    assert "timeout" in ask(tensor(), parameters={"timeout": timeout})


def test_shared_memory(ask: Ask) -> None:
    place = {"shared_memory_region": "nope", "shared_memory_byte_size": 100}
    assert "no shared memory region 'nope'" in ask(tensor(parameters=place, data=[]))
    assert "no shared memory region 'nope'" in ask(tensor(), outputs=[("RESULT", place)])
    assert "shared_memory_byte_size" in ask(
        tensor(parameters={**place, "shared_memory_byte_size": -1}, data=[])
    )


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_bomb(ask: Ask, kind: str) -> None:
    """A small file of a picture with very many pixels."""
    if kind == "png":
        header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
        rows = b"IDAT" + zlib.compress(bytes(1 << 20), 9)
        chunks = [
            struct.pack(">I", len(one) - 4) + one + struct.pack(">I", zlib.crc32(one))
            for one in (header, rows)
        ]
        data = b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
    else:
        data = (
            b"\xff\xd8\xff\xe0\x00\x04JF\xff\xc0\x00\x11\x08" + struct.pack(">HH", 60_000, 60_000) + bytes(12)
        )
    assert "60000 × 60000" in ask(tensor(data=[data]))


BAD_JSON = {
    "nothing": b"",
    "cut short": b'{"inputs":[{"name":"DATA"',
    "no object": b"[1]",
    "a number": b"7",
    "not text": b"\xff\xfe",
    "deep": b"[" * 100_000,
    "NaN": b'{"inputs":[],"parameters":{"timeout":NaN}}',
    "infinite": b'{"inputs":[],"parameters":{"timeout":-Infinity}}',
    "inputs no list": b'{"inputs":{}}',
    "input no object": b'{"inputs":[7]}',
    "no name": b'{"inputs":[{"datatype":"BYTES","shape":[1],"data":["x"]}]}',
    "name no text": b'{"inputs":[{"name":7,"datatype":"BYTES","shape":[1],"data":["x"]}]}',
    "shape no numbers": b'{"inputs":[{"name":"DATA","datatype":"BYTES","shape":["1"],"data":["x"]}]}',
    "shape of truths": b'{"inputs":[{"name":"DATA","datatype":"BYTES","shape":[true],"data":["x"]}]}',
    "shape beyond": b'{"inputs":[{"name":"DATA","datatype":"BYTES","shape":[1e400],"data":["x"]}]}',
    "data no texts": b'{"inputs":[{"name":"DATA","datatype":"BYTES","shape":[1],"data":[7]}]}',
    "half a character": b'{"inputs":[{"name":"DATA","datatype":"BYTES","shape":[1],"data":["\\ud800"]}]}',
    "id no text": b'{"id":7,"inputs":[]}',
    "parameters no object": b'{"parameters":[],"inputs":[]}',
}


@pytest.mark.parametrize("body", BAD_JSON.values(), ids=BAD_JSON)
def test_json(served: Served, body: bytes) -> None:
    reply = served.ask("POST", INFER, body)
    assert reply.status == 400
    assert reply.error


@pytest.mark.parametrize("length", ["-1", "", "x", "9" * 30, "100000", "1.5", "0", "٣"])
def test_lengths_of_the_json(served: Served, length: str) -> None:
    headers = {HEADER_LENGTH: length.encode().decode("latin-1")}
    assert served.ask("POST", INFER, b'{"inputs":[]}', headers).status == 400


@pytest.mark.parametrize("size", [-1, 0, 5, 1 << 62, "9", None, True], ids=str)
def test_sizes_of_binary_data(served: Served, size: Any) -> None:
    raw = join([b"hello"])
    told = {"inputs": [{**tensor(), "data": [], "parameters": {"binary_data_size": size}}]}
    text = json.dumps(told).encode()
    assert served.ask("POST", INFER, text + raw, {HEADER_LENGTH: str(len(text))}).status == 400


def test_lengths_of_elements(served: Served) -> None:
    for raw in (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7fabc", b"\1\0\0", join([b"a"]) + b"\0", b""):
        told = {"inputs": [{**tensor(), "data": [], "parameters": {"binary_data_size": len(raw)}}]}
        text = json.dumps(told).encode()
        assert "DATA" in served.ask("POST", INFER, text + raw, {HEADER_LENGTH: str(len(text))}).error


@pytest.mark.parametrize("value", ["-1", "0", "nan", "inf", "x", ""])
def test_timeouts_in_the_header(served: Served, value: str) -> None:
    assert served.infer("x", headers={"X-Request-Timeout-Ms": value}).status == 400


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"key": "/nope", "byte_size": 10},
        {"key": "../../etc/passwd", "byte_size": 10},
        {"key": "/a/b", "byte_size": 10},
        {"key": "", "byte_size": 10},
        {"key": "/..", "byte_size": 10},
        {"key": 7, "byte_size": 10},
        {"key": "/rnb-front", "byte_size": -1},
        {"key": "/rnb-front", "byte_size": 0},
        {"key": "/rnb-front", "byte_size": 101},
        {"key": "/rnb-front", "byte_size": 10, "offset": 91},
        {"key": "/rnb-front", "byte_size": 10, "offset": -1},
        {"key": "/rnb-front", "byte_size": 1 << 63, "offset": 1 << 63},
        {"key": "/rnb-front", "byte_size": True},
    ],
    ids=str,
)
def test_regions_that_cannot_be(served: Served, told: dict[str, Any]) -> None:
    path = Path("/dev/shm/rnb-front")
    path.write_bytes(bytes(100))
    try:
        reply = served.ask("POST", "/v2/systemsharedmemory/region/bad/register", json.dumps(told))
    finally:
        path.unlink()
    assert reply.status == 400
    assert reply.error
    assert served.ask("GET", "/v2/systemsharedmemory/region/bad/status").status == 404


def test_a_region_that_is_shortened(served: Served) -> None:
    path = Path(f"/dev/shm/rnb-short-{served.http_port}")
    path.write_bytes(join([b"hello"]) + bytes(4096))
    try:
        told = {"key": f"/{path.name}", "byte_size": 4000}
        assert (
            served.ask("POST", "/v2/systemsharedmemory/region/short/register", json.dumps(told)).status == 200
        )
        path.write_bytes(b"")
        place = {"shared_memory_region": "short", "shared_memory_byte_size": 9}
        for body in (
            {"inputs": [{**tensor(), "data": [], "parameters": place}]},
            {"inputs": [{**tensor(), "data": ["x"]}], "outputs": [{"name": "RESULT", "parameters": place}]},
        ):
            reply = served.ask("POST", INFER, json.dumps(body))
            assert reply.status == 400
    finally:
        path.unlink()
        served.ask("POST", "/v2/systemsharedmemory/unregister")


def test_shared_memory_is_off_unless_asked_for(stateful: Served) -> None:
    told = json.dumps({"key": "/x", "byte_size": 9})
    reply = stateful.ask("POST", "/v2/systemsharedmemory/region/x/register", told)
    assert (reply.status, "--shared-memory" in reply.error) == (400, True)


def test_gpu_memory_that_is_none(served: Served) -> None:
    for handle in ("", "AAAA", "no base64!", "A" * 88):
        told = json.dumps({"raw_handle": {"b64": handle}, "device_id": 0, "byte_size": 10})
        reply = served.ask("POST", "/v2/cudasharedmemory/region/x/register", told)
        assert reply.status == 400
        assert reply.error


@pytest.mark.parametrize(
    "sent",
    [b"\0" * 100, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100, b"GET / HTTP/1.1\r\n\r\n"],
)
def test_what_is_no_grpc(served: Served, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", served.grpc_port), timeout=ANSWER_S) as connection:
        connection.sendall(sent)
        with contextlib.suppress(ConnectionError):
            while connection.recv(1 << 16):
                pass


def test_memory_stays_flat(served: Served) -> None:
    """After thousands of requests that are refused, or end half-way."""
    big = json.dumps({"inputs": [{"name": "DATA", "data": ["x" * 900_000]}]})
    with grpc.insecure_channel(served.grpc) as channel:
        send = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")

        def trouble(count: int) -> None:
            for number in range(count):
                with contextlib.suppress(grpc.RpcError):
                    send(b"\xff" * 500_000, timeout=ANSWER_S)
                assert served.ask("POST", INFER, big).status == 400
                with socket.create_connection(("127.0.0.1", served.http_port)) as connection:
                    connection.sendall(
                        b"POST /predict HTTP/1.1\r\ncontent-length: 900000\r\n\r\n" + bytes(500_000)
                    )
                assert served.infer("x" * (number % 7 + 1)).status == 200

        trouble(100)
        before_kb = served.memory_kb()
        trouble(200)
        assert served.memory_kb() - before_kb < 30_000
