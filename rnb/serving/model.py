"""A pipeline as clients of the Open Inference Protocol see it: an ensemble, and each step a model of its own.

What stands here is plain data in the names of the protocol. Numbers are numbers, since clients in C++ read
them as such (protobuf's own mapping to JSON writes 64-bit numbers as text).
Source: NVIDIA Triton, model_config.proto and the protocol's extensions.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from rnb.live.asking import LivePipeline, StepInfo, StepStatistics, Work
from rnb.serving.refusal import NOT_FOUND, Refusal
from rnb.serving.settings import Settings
from rnb.serving.tensors import DATA, INPUT_TYPES, LABEL, OUTPUT_TYPES, RESULT, SCORE

VERSION = "1"
SERVER_VERSION = "0.1.0"
EXTENSIONS = (
    "classification",
    "sequence",
    "sequence(string_id)",
    "model_repository",
    "model_configuration",
    "binary_tensor_data",
    "parameters",
    "statistics",
)
SHARED_MEMORY = ("system_shared_memory", "cuda_shared_memory")
_CONFIG_TYPES = {"BYTES": "TYPE_STRING", "INT64": "TYPE_INT64", "FP32": "TYPE_FP32"}
_ENDS = "rnb_step_{}"
"""Of what one step hands to the next, which no client sees."""


@dataclass(frozen=True, kw_only=True)
class Interface:
    """What goes into a pipeline, and what comes out."""

    gives_classes: bool = False
    """Whether a result is a class and its score."""
    extensions: Collection[str] | None = None
    """Of the files that it plays, such as '.mp4'; None: any."""


class Model:
    """The pipeline and its steps."""

    def __init__(self, pipeline: LivePipeline, interface: Interface, settings: Settings) -> None:
        self._pipeline = pipeline
        # perf_analyzer refuses shared memory for a model with optional inputs, and a path needs none.
        self._inputs = {DATA: INPUT_TYPES[DATA]} if settings.shared_memory else INPUT_TYPES
        self._extensions = (*EXTENSIONS, *(SHARED_MEMORY if settings.shared_memory else ()))
        self._steps = {step.name: step for step in pipeline.steps}
        self.is_stateful = any(step.is_stateful for step in pipeline.steps)
        self.max_batch_size = 1 if self.is_stateful else min(settings.max_request_batch, pipeline.max_pending)
        self.outputs = (LABEL, SCORE, RESULT) if interface.gives_classes else (RESULT,)

    @property
    def name(self) -> str:
        return self._pipeline.name

    @property
    def names(self) -> list[str]:
        """Of the pipeline, then of its steps."""
        return [self.name, *self._steps]

    def check(self, name: str, version: str = "") -> None:
        """Raises Refusal for a model that is not here."""
        if name != self.name and name not in self._steps:
            known = ", ".join(self.names)
            raise Refusal(f"no model '{name:.200}'; there are {known}", NOT_FOUND)
        if version not in ("", VERSION):
            raise Refusal(f"model '{name}' has no version '{version:.20}'; there is {VERSION}", NOT_FOUND)

    def check_asked(self, name: str, version: str) -> None:
        """Raises Refusal for a model that answers no requests."""
        self.check(name, version)
        if name != self.name:
            raise Refusal(f"'{name}' is a step of '{self.name}' and is not asked by itself")

    def server(self) -> dict[str, Any]:
        """Metadata of the server."""
        return {"name": "rnb", "version": SERVER_VERSION, "extensions": list(self._extensions)}

    def metadata(self, name: str, version: str = "") -> dict[str, Any]:
        self.check(name, version)
        if name != self.name:
            return {
                "name": name,
                "versions": [VERSION],
                "platform": "rnb",
                "inputs": [self._end(self._number(name), "BYTES")],
                "outputs": [self._end(self._number(name) + 1, "BYTES")],
            }
        return {
            "name": name,
            "versions": [VERSION],
            "platform": "ensemble",
            "inputs": _described(self._inputs),
            "outputs": _described({one: OUTPUT_TYPES[one] for one in self.outputs}),
        }

    def config(self, name: str, version: str = "") -> dict[str, Any]:
        self.check(name, version)
        return self._step_config(self._steps[name]) if name != self.name else self._pipeline_config()

    def _pipeline_config(self) -> dict[str, Any]:
        inputs = _configured(self._inputs)
        steps = [
            {
                "model_name": name,
                "model_version": -1,
                "input_map": {_ENDS.format(number): _ENDS.format(number) if number else DATA},
                "output_map": {
                    _ENDS.format(number + 1): _ENDS.format(number + 1)
                    if number + 1 < len(self._steps)
                    else RESULT
                },
            }
            for number, name in enumerate(self._steps)
        ]
        return {
            "name": self.name,
            "platform": "ensemble",
            "backend": "",
            "version_policy": {"latest": {"num_versions": 1}},
            "max_batch_size": self.max_batch_size,
            "input": [{**one, "optional": len(inputs) > 1} for one in inputs],
            "output": _configured({one: OUTPUT_TYPES[one] for one in self.outputs}),
            "model_transaction_policy": {"decoupled": False},
            "ensemble_scheduling": {"step": steps},
        }

    def _step_config(self, step: StepInfo) -> dict[str, Any]:
        number = self._number(step.name)
        config: dict[str, Any] = {
            "name": step.name,
            "platform": "rnb",
            "backend": "rnb",
            "version_policy": {"latest": {"num_versions": 1}},
            "max_batch_size": step.max_batch_size,
            "input": [{"name": _ENDS.format(number), "data_type": "TYPE_STRING", "dims": [1]}],
            "output": [{"name": _ENDS.format(number + 1), "data_type": "TYPE_STRING", "dims": [1]}],
            "instance_group": [_instances(step, device) for device in dict.fromkeys(step.devices)],
            "parameters": {"model": {"string_value": step.model}},
            "model_transaction_policy": {"decoupled": False},
        }
        if step.is_stateful:
            config["sequence_batching"] = {"direct": {}}
        return config

    def _number(self, name: str) -> int:
        return list(self._steps).index(name)

    @staticmethod
    def _end(number: int, datatype: str) -> dict[str, Any]:
        return {"name": _ENDS.format(number), "datatype": datatype, "shape": [-1, 1]}

    def statistics(self, name: str = "", version: str = "") -> dict[str, Any]:
        """Of one model, or of all with an empty name."""
        if name:
            self.check(name, version)
        told = self._pipeline.statistics()
        return {"model_stats": [_statistics(one, told[one]) for one in ([name] if name else self.names)]}

    def index(self, *, only_ready: bool) -> list[dict[str, str]]:
        """Of the repository, which holds nothing else."""
        is_ready = self._pipeline.is_ready
        if only_ready and not is_ready:
            return []
        state, reason = ("READY", "") if is_ready else ("UNAVAILABLE", "it is not ready, or ending")
        return [{"name": name, "version": VERSION, "state": state, "reason": reason} for name in self.names]


def _instances(step: StepInfo, device: str) -> dict[str, Any]:
    kind, _, index = device.partition(":")
    count = step.devices.count(device)
    if kind == "cpu":
        return {"name": f"{step.name}_cpu", "kind": "KIND_CPU", "count": count}
    gpus = [int(index)] if index.isdecimal() else []
    return {"name": f"{step.name}_{device}", "kind": "KIND_GPU", "count": count, "gpus": gpus}


def _described(types: dict[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "datatype": datatype, "shape": [-1, 1]} for name, datatype in types.items()]


def _configured(types: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "data_type": _CONFIG_TYPES[datatype], "dims": [1]} for name, datatype in types.items()
    ]


def _statistics(name: str, told: StepStatistics) -> dict[str, Any]:
    return {
        "name": name,
        "version": VERSION,
        "last_inference": told.last_inference_ms,
        "inference_count": told.inference_count,
        "execution_count": told.execution_count,
        "inference_stats": {
            "success": _duration(told.success),
            "fail": _duration(told.fail),
            "queue": _duration(told.queue),
            "compute_input": _duration(told.compute_input),
            "compute_infer": _duration(told.compute_infer),
            "compute_output": _duration(told.compute_output),
            "cache_hit": _duration(Work()),
            "cache_miss": _duration(Work()),
        },
        "batch_stats": [],
        "memory_usage": [],
    }


def _duration(work: Work) -> dict[str, int]:
    return {"count": work.count, "ns": work.ns}
