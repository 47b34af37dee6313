"""What a server is asked before and after a run: who it is, what its model takes, what it counts.

The answers are those of the Open Inference Protocol v2 with Triton's extensions for configuration and
statistics, as JSON has them. With gRPC, whole numbers of 64 bits come as texts, as protobuf's JSON has them.
"""

from __future__ import annotations

import importlib
from typing import Any, Protocol

from rnb.contract.termination import UsageError
from rnb.remote.address import Address

ASK_TIMEOUT_S = 10.0

Json = dict[str, Any]


class NotKnown(Exception):
    """The server answers, but does not have what it was asked for: its own words."""


class Asker(Protocol):
    """Each call raises NotKnown for an error of the server, and UsageError where there is none to talk to."""

    def server(self) -> Json:
        """name, version, extensions."""

    def model(self, name: str) -> Json:
        """name, versions, platform, inputs and outputs (name, datatype, shape)."""

    def config(self, name: str) -> Json:
        """Triton's ModelConfig."""

    def statistics(self, name: str) -> list[Json]:
        """Triton's ModelStatistics, of each version of a model."""


def asker(address: Address) -> Asker:
    """Who asks by the address's protocol. Raises UsageError where a package is missing."""
    if address.protocol == "http":
        from rnb.remote.http_asker import HttpAsker

        return HttpAsker(address)
    try:
        importlib.import_module("rnb.remote.grpc_transport")  # which the client processes need
        from rnb.remote.grpc_asker import GrpcAsker
    except ImportError as error:
        raise UsageError(f"--url {address}: gRPC needs more packages ({error.name}): {ADVICE}") from None
    return GrpcAsker(address)


ADVICE = "pip install '.[serve]'"
