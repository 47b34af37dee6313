"""NVIDIA's tritonclient, as it comes, over both protocols: synchronous, asynchronous, streaming."""

from __future__ import annotations

import asyncio
import json
import queue
from collections.abc import Iterator
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as over_grpc
import tritonclient.grpc.aio as over_grpc_aio
import tritonclient.http as over_http
import tritonclient.http.aio as over_http_aio
from tritonclient.utils import InferenceServerException

from rnb.serving.tensors import join
from tests.support.serving import ANSWER_S, Served

KINDS = {"http": over_http, "grpc": over_grpc}


def address(served: Served, kind: str) -> str:
    return served.http if kind == "http" else served.grpc


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(served: Served, kind: str) -> Iterator[Any]:
    with KINDS[kind].InferenceServerClient(address(served, kind)) as opened:
        yield opened


def data(kind: str, *payloads: str) -> Any:
    tensor = KINDS[kind].InferInput("DATA", [len(payloads), 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[one.encode()] for one in payloads], dtype=object))
    return tensor


def sizes(response: Any) -> list[int]:
    return [json.loads(text)["size"] for (text,) in response.as_numpy("RESULT").tolist()]


def test_what_it_asks_of_the_server(client: Any, kind: str) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("scripted")
    as_dict = {} if kind == "http" else {"as_json": True}
    assert client.get_server_metadata(**as_dict)["name"] == "rnb"
    assert client.get_model_metadata("scripted", **as_dict)["platform"] == "ensemble"
    config = client.get_model_config("scripted", **as_dict)
    config = config.get("config", config)
    assert [one["model_name"] for one in config["ensemble_scheduling"]["step"]] == ["Decode-0", "Net-1"]
    index = client.get_model_repository_index(**as_dict)
    index = index.get("models", index) if isinstance(index, dict) else index
    assert [one["state"] for one in index] == ["READY"] * 3
    told = client.get_inference_statistics("", **as_dict)["model_stats"]
    assert [one["name"] for one in told] == ["scripted", "Decode-0", "Net-1"]


def test_it_infers(client: Any, kind: str) -> None:
    response = client.infer("scripted", [data(kind, "a", "bcd")], request_id="seven")
    assert sizes(response) == [1, 3]
    told = response.get_response()
    assert (told["id"] if kind == "http" else told.id) == "seven"


def test_classes(classifying: Served, kind: str) -> None:
    library = KINDS[kind]
    with library.InferenceServerClient(address(classifying, kind)) as client:
        outputs = [
            library.InferRequestedOutput("LABEL"),
            library.InferRequestedOutput("SCORE", class_count=1),
        ]
        response = client.infer("scripted", [data(kind, "class 7")], outputs=outputs)
        assert response.as_numpy("LABEL").tolist() == [[7]]
        assert response.as_numpy("SCORE").tolist() == [[b"0.500000:7:name7"]]
        assert client.infer("scripted", [data(kind, "class 2")]).as_numpy("SCORE").tolist() == [[0.5]]


def test_a_sequence(stateful: Served, kind: str) -> None:
    with KINDS[kind].InferenceServerClient(address(stateful, kind)) as client:
        for before in range(3):
            response = client.infer(
                "scripted",
                [data(kind, "x")],
                sequence_id=9,
                sequence_start=before == 0,
                sequence_end=before == 2,
            )
            assert json.loads(response.as_numpy("RESULT")[0, 0])["before"] == before
        with pytest.raises(InferenceServerException, match="sequence 9 has not begun"):
            client.infer("scripted", [data(kind, "x")], sequence_id=9)


def test_an_error_is_told(client: Any, kind: str) -> None:
    with pytest.raises(InferenceServerException, match="it was asked for: bad"):
        client.infer("scripted", [data(kind, "bad")])
    with pytest.raises(InferenceServerException, match="no model 'other'"):
        client.infer("other", [data(kind, "x")])


@pytest.mark.parametrize("library", [over_http_aio, over_grpc_aio], ids=list(KINDS))
def test_it_infers_asynchronously(served: Served, library: Any) -> None:
    kind = "http" if library is over_http_aio else "grpc"

    async def ask() -> list[Any]:
        async with library.InferenceServerClient(address(served, kind)) as client:
            asked = (client.infer("scripted", [data(kind, "x" * number)]) for number in range(1, 20))
            return await asyncio.gather(*asked)

    assert [sizes(one) for one in asyncio.run(ask())] == [[number] for number in range(1, 20)]


def test_a_stream(served: Served) -> None:
    told: queue.Queue[tuple[Any, Any]] = queue.Queue()
    with over_grpc.InferenceServerClient(served.grpc) as client:
        client.start_stream(lambda result, error: told.put((result, error)))
        for size in range(1, 6):
            client.async_stream_infer("scripted", [data("grpc", "x" * size)])
        client.async_stream_infer("scripted", [data("grpc", "busy")])
        answers = [told.get(timeout=ANSWER_S) for _ in range(6)]
        client.stop_stream()
    assert [sizes(result) for result, _ in answers[:5]] == [[size] for size in range(1, 6)]
    assert "it was asked for: busy" in str(answers[5][1])


def test_shared_memory(client: Any, kind: str) -> None:
    library, raw = KINDS[kind], join([b"hello", b"you"])
    memory = SharedMemory(create=True, size=4096)
    contents = memory.buf
    assert contents is not None
    try:
        contents[: len(raw)] = raw
        client.register_system_shared_memory("region", f"/{memory.name}", 4096)
        status = client.get_system_shared_memory_status()
        assert "region" in str(status)
        tensor = library.InferInput("DATA", [2, 1], "BYTES")
        tensor.set_shared_memory("region", len(raw))
        output = library.InferRequestedOutput("RESULT")
        output.set_shared_memory("region", 2048, 2048)
        response = client.infer("scripted", [tensor], outputs=[output])
        assert list(
            response.get_output("RESULT")["shape"] if kind == "http" else response.get_output("RESULT").shape
        ) == [2, 1]
        length = int.from_bytes(contents[2048:2052], "little")
        assert json.loads(bytes(contents[2052 : 2052 + length]))["size"] == 5
        client.unregister_system_shared_memory("region")
        with pytest.raises(InferenceServerException, match="no shared memory region 'region'"):
            client.infer("scripted", [tensor])
    finally:
        contents.release()
        memory.close()
        memory.unlink()
