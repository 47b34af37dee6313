"""Requests and responses of infer as messages of gRPC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tritonclient.grpc import service_pb2 as pb

from rnb.serving.inference import InferRequest
from rnb.serving.model import VERSION, Model
from rnb.serving.refusal import Refusal
from rnb.serving.tensors import Input, Output, Place, Wanted


def request_of(message: pb.ModelInferRequest) -> InferRequest:
    """Raises Refusal for what is no request."""
    raws = message.raw_input_contents
    tensors = [(one, _place(one)) for one in message.inputs]
    num_raw = sum(place is None for _, place in tensors)
    if raws and len(raws) != num_raw:
        raise Refusal(f"{len(raws)} raw_input_contents for {num_raw} inputs")
    contents = iter(raws)
    inputs = [
        Input(
            name=one.name,
            datatype=one.datatype,
            shape=list(one.shape),
            elements=list(one.contents.bytes_contents) if place is None and not raws else None,
            raw=next(contents) if place is None and raws else None,
            place=place,
        )
        for one, place in tensors
    ]
    return InferRequest(
        model=message.model_name,
        version=message.model_version,
        id=message.id,
        parameters=parameters_of(message.parameters),
        inputs=inputs,
        outputs=[_wanted(one) for one in message.outputs],
    )


def parameters_of(parameters: Mapping[str, pb.InferParameter]) -> dict[str, Any]:
    """Their values; one without a value is None."""
    kinds = ((name, one, one.WhichOneof("parameter_choice")) for name, one in parameters.items())
    return {name: getattr(one, kind) if kind else None for name, one, kind in kinds}


def _place(tensor: Any) -> Place | None:
    parameters = tensor.parameters
    if not parameters or "shared_memory_region" not in parameters:
        return None
    return Place(
        region=parameters["shared_memory_region"].string_param,
        num_bytes=_number(parameters, "shared_memory_byte_size"),
        offset=_number(parameters, "shared_memory_offset"),
    )


def _wanted(output: Any) -> Wanted:
    return Wanted(
        name=output.name,
        num_classes=_number(output.parameters, "classification"),
        place=_place(output),
        is_binary=True,
    )


def _number(parameters: Mapping[str, pb.InferParameter], name: str) -> int:
    """0 where it is not there. Raises Refusal for one that is no number."""
    if name not in parameters:
        return 0
    value = parameters_of({name: parameters[name]})[name]
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Refusal(f"'{name}' must be a whole number of at least 0, and is {value!r:.80}")
    return value


def response_of(
    request: InferRequest, outputs: Sequence[tuple[Wanted, Output]], model: Model
) -> pb.ModelInferResponse:
    """Each output has raw contents, empty for one in shared memory: clients in C++ count on that."""
    return pb.ModelInferResponse(
        model_name=model.name,
        model_version=VERSION,
        id=request.id,
        outputs=[
            pb.ModelInferResponse.InferOutputTensor(name=one.name, datatype=one.datatype, shape=one.shape)
            for _, one in outputs
        ],
        raw_output_contents=[b"" if wanted.place else one.raw() for wanted, one in outputs],
    )
