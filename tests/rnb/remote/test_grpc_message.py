"""Requests and answers of gRPC as bytes, read by the protocol's own messages."""

from __future__ import annotations

import pytest

from rnb.contract.request import Request
from rnb.remote.datatypes import pack_bytes
from rnb.remote.inputs import Input
from rnb.remote.payloads import Payloads

service_pb2 = pytest.importorskip("tritonclient.grpc.service_pb2", reason="needs the extra 'serve'")

INPUTS = [
    Input(name="A", datatype="FP32", shape=(1, 2), how="random"),
    Input(name="B", datatype="BYTES", shape=(1,), how="path"),
]


@pytest.mark.parametrize("inputs", [INPUTS, INPUTS[:1]])
def test_a_request_is_one_message(inputs: list[Input]) -> None:
    from rnb.remote.grpc_message import GrpcRequests

    payloads = Payloads(inputs, seed=0, data="data")
    requests = GrpcRequests(model="net", inputs=inputs, payloads=payloads)
    told = {"sequence_id": 3, "sequence_start": True, "sequence_end": False}
    read = service_pb2.ModelInferRequest.FromString(
        requests.make(Request(21, "data/x/1.mp4", parameters=told))
    )
    assert (read.model_name, read.id) == ("net", "21")
    assert [(one.name, one.datatype, list(one.shape)) for one in read.inputs] == [
        (one.name, one.datatype, list(one.shape)) for one in inputs
    ]
    assert list(read.raw_input_contents) == payloads.of(21, "data/x/1.mp4")
    assert read.parameters["sequence_id"].int64_param == 3
    assert read.parameters["sequence_start"].bool_param is True
    assert read.parameters["sequence_end"].WhichOneof("parameter_choice") == "bool_param"


def test_answers_come_raw_or_as_numbers() -> None:
    from rnb.remote.grpc_message import result_of_grpc

    raw = service_pb2.ModelInferResponse(raw_output_contents=[b"\0\0\x80?", pack_bytes([b"cat"])])
    for name, datatype in (("SUM", "FP32"), ("LABEL", "BYTES")):
        raw.outputs.add(name=name, datatype=datatype)
    assert result_of_grpc(raw.SerializeToString()) == ["cat"]
    plain = service_pb2.ModelInferResponse()
    plain.outputs.add(name="X", datatype="INT64").contents.int64_contents.extend([4, 5])
    assert result_of_grpc(plain.SerializeToString()) == [4, 5]
    for damaged in (b"\xff", b""):
        with pytest.raises(ValueError, match=r"."):
            result_of_grpc(damaged)
