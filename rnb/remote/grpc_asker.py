"""Asks a server over gRPC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from tritonclient.grpc import service_pb2, service_pb2_grpc

from rnb.contract.termination import UsageError
from rnb.remote.address import Address
from rnb.remote.asking import ASK_TIMEOUT_S, Json, NotKnown
from rnb.remote.grpc_errors import is_unreachable, one_line


class GrpcAsker:
    """See Asker."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def server(self) -> Json:
        return self._ask(lambda stub: stub.ServerMetadata, service_pb2.ServerMetadataRequest())

    def model(self, name: str) -> Json:
        told = self._ask(lambda stub: stub.ModelMetadata, service_pb2.ModelMetadataRequest(name=name))
        for tensor in (*told.get("inputs", ()), *told.get("outputs", ())):
            tensor["shape"] = [int(size) for size in tensor.get("shape", ())]
        return told

    def config(self, name: str) -> Json:
        asked = service_pb2.ModelConfigRequest(name=name)
        return dict(self._ask(lambda stub: stub.ModelConfig, asked).get("config", {}))

    def statistics(self, name: str) -> list[Json]:
        asked = service_pb2.ModelStatisticsRequest(name=name)
        return list(self._ask(lambda stub: stub.ModelStatistics, asked).get("model_stats", []))

    def _ask(self, method: Callable[[Any], Any], asked: Any) -> Json:
        with grpc.insecure_channel(self._address.netloc) as channel:
            call = method(service_pb2_grpc.GRPCInferenceServiceStub(channel))
            try:
                told = call(asked, timeout=ASK_TIMEOUT_S)
            except grpc.RpcError as error:
                raise self._explain(error) from None
        return dict(MessageToDict(told, preserving_proto_field_name=True))

    def _explain(self, error: Any) -> Exception:
        code, details = error.code(), one_line(error.details())
        if code is grpc.StatusCode.DEADLINE_EXCEEDED or is_unreachable(code, details):
            return UsageError(f"--url {self._address}: nobody to talk to over gRPC: {details}")
        return NotKnown(f"{code.name}: {details}")
