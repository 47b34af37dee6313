"""The Open Inference Protocol over gRPC: what test_clients.py, beside this folder, does not ask."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from rnb.serving.over_grpc.service import NAME
from rnb.serving.tensors import join
from tests.support.serving import ANSWER_S, Served, serving

INFER = f"/{NAME}/ModelInfer"
CANCELLED = 'nv_inference_request_failure{model="scripted",version="1",reason="CANCELED"}'


@pytest.fixture(scope="module")
def channel(served: Served) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(served.grpc) as opened:
        yield opened


@pytest.fixture
def stub(channel: grpc.Channel) -> GRPCInferenceServiceStub:
    return GRPCInferenceServiceStub(channel)


def asked(*payloads: str, **others: Any) -> pb.ModelInferRequest:
    tensor = pb.ModelInferRequest.InferInputTensor(name="DATA", datatype="BYTES", shape=[len(payloads), 1])
    raw = join([one.encode() for one in payloads])
    return pb.ModelInferRequest(model_name="scripted", inputs=[tensor], raw_input_contents=[raw], **others)


def refusal(call: Any, *arguments: Any, **others: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, timeout=others.pop("timeout", ANSWER_S), **others)
    return caught.value


def test_contents_may_be_typed(stub: GRPCInferenceServiceStub) -> None:
    request = asked("x")
    del request.raw_input_contents[:]
    request.inputs[0].contents.bytes_contents.append(b"four")
    assert b'"size":4' in stub.ModelInfer(request).raw_output_contents[0]


def test_what_cannot_be_parsed(channel: grpc.Channel, stub: GRPCInferenceServiceStub) -> None:
    whole = asked("x").SerializeToString()
    for data in (whole[:-3], b"\xff\xff", b"\x0a\xff\xff\xff\xff\x0f"):
        error = refusal(channel.unary_unary(INFER), data)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert error.details() == "the message cannot be parsed"
    assert stub.ModelInfer(asked("x")).model_name == "scripted"


def test_a_method_that_is_not_there(channel: grpc.Channel) -> None:
    for name in (f"/{NAME}/RepositoryModelLoad", "/nothing/Here"):
        assert refusal(channel.unary_unary(name), b"").code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("word", "code"),
    [("bad", "INVALID_ARGUMENT"), ("busy", "UNAVAILABLE"), ("failed", "INTERNAL")],
)
def test_why_there_is_no_answer(stub: GRPCInferenceServiceStub, word: str, code: str) -> None:
    error = refusal(stub.ModelInfer, asked(word))
    assert (error.code().name, error.details()) == (code, f"it was asked for: {word}")
    told = dict(error.trailing_metadata())
    assert ("retry-after" in told) == (word == "busy")


def test_a_deadline_of_the_call(stub: GRPCInferenceServiceStub) -> None:
    assert (
        refusal(stub.ModelInfer, asked("sleep 50"), timeout=0.2).code() is grpc.StatusCode.DEADLINE_EXCEEDED
    )


def test_a_deadline_as_a_parameter(stub: GRPCInferenceServiceStub) -> None:
    request = asked("sleep 50")
    request.parameters["timeout"].int64_param = 50_000
    error = refusal(stub.ModelInfer, request)
    assert (error.code(), error.details()) == (grpc.StatusCode.DEADLINE_EXCEEDED, "its deadline passed")


def test_a_call_that_is_cancelled(served: Served, stub: GRPCInferenceServiceStub) -> None:
    before = served.metric(CANCELLED)
    call = stub.ModelInfer.future(asked("sleep 500"))
    served.wait_for_pending(1)
    call.cancel()
    ends_s = time.monotonic() + ANSWER_S
    while served.metric(CANCELLED) == before:
        assert time.monotonic() < ends_s
        time.sleep(0.05)


def test_a_trace_goes_on(stub: GRPCInferenceServiceStub) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    metadata = (("traceparent", f"00-{trace_id}-b7ad6b7169203331-01"),)
    response, call = stub.ModelInfer.with_call(asked("x"), metadata=metadata)
    assert dict(call.trailing_metadata())["traceparent"].startswith(f"00-{trace_id}-")
    assert trace_id.encode() in response.raw_output_contents[0]


def test_a_stream_answers_in_order_and_outlives_errors(stub: GRPCInferenceServiceStub) -> None:
    requests = [asked("sleep 0.3", id="a"), asked("bad", id="b"), asked("xyz", id="c")]
    first, second, third = stub.ModelStreamInfer(iter(requests), timeout=ANSWER_S)
    assert (first.error_message, first.infer_response.id) == ("", "a")
    assert first.infer_response.parameters["triton_final_response"].bool_param
    assert (second.error_message, second.infer_response.id) == ("it was asked for: bad", "b")
    assert b'"size":3' in third.infer_response.raw_output_contents[0]


def test_a_malformed_message_in_a_stream(channel: grpc.Channel) -> None:
    whole = asked("x").SerializeToString()
    call = channel.stream_stream(f"/{NAME}/ModelStreamInfer")
    told = [pb.ModelStreamInferResponse.FromString(one) for one in call(iter([b"\xff", whole]))]
    assert [one.error_message for one in told] == ["the message cannot be parsed", ""]


def test_requests_of_a_stream_are_served_at_once(stub: GRPCInferenceServiceStub) -> None:
    began_s = time.monotonic()
    requests = [asked("sleep 1") for _ in range(30)]
    assert sum(not one.error_message for one in stub.ModelStreamInfer(iter(requests))) == 30
    assert time.monotonic() - began_s < 20


def test_a_larger_message_is_refused(stub: GRPCInferenceServiceStub) -> None:
    error = refusal(stub.ModelInfer, asked("x" * (2 << 20)))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_compressed_messages_are_refused(stub: GRPCInferenceServiceStub) -> None:
    error = refusal(stub.ModelInfer, asked("x" * 1000), compression=grpc.Compression.Gzip)
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


def test_silent_connections_are_closed_and_disturb_nobody() -> None:
    with serving(send_timeout=3.0) as server, contextlib.ExitStack() as stack:
        before_kb = server.memory_kb()
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.grpc_port), timeout=ANSWER_S))
            for _ in range(500)
        ]
        with grpc.insecure_channel(server.grpc) as channel:
            stub = GRPCInferenceServiceStub(channel)
            assert stub.ModelInfer(asked("x", id="a"), timeout=ANSWER_S).id == "a"
        assert (server.memory_kb() - before_kb) / len(silent) < 100
        for connection in silent:
            with contextlib.suppress(ConnectionError):
                while connection.recv(1 << 16):
                    pass


def test_without_the_key_nothing_but_health_is_told() -> None:
    with serving(api_key="sesame", request_log="-") as server:
        with grpc.insecure_channel(server.grpc) as channel:
            stub = GRPCInferenceServiceStub(channel)
            assert stub.ServerReady(pb.ServerReadyRequest()).ready
            for metadata in ((), (("authorization", "Bearer no"),)):
                error = refusal(stub.ModelInfer, asked("x"), metadata=metadata)
                assert error.code() is grpc.StatusCode.UNAUTHENTICATED
                error = refusal(
                    lambda *args, **more: list(stub.ModelStreamInfer(*args, **more)),
                    iter([]),
                    metadata=metadata,
                )
                assert error.code() is grpc.StatusCode.UNAUTHENTICATED
            for metadata in ((("authorization", "Bearer sesame"),), (("triton-access-token", "sesame"),)):
                stub.ModelInfer(asked("x", id="one"), metadata=metadata)
        lines = server.lines()
    assert [one["status"] for one in lines] == ["UNAUTHENTICATED"] * 4 + ["OK"] * 2
    assert (lines[-1]["protocol"], lines[-1]["request"], lines[-1]["id"]) == ("grpc", "ModelInfer", "one")
