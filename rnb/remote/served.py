"""A server and its model, as they tell of themselves before a run: what a config is to a pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rnb.contract.termination import UsageError
from rnb.pipeline.config import ConfigFile
from rnb.remote.address import Address
from rnb.remote.asking import Asker, Json, NotKnown, asker
from rnb.remote.inputs import Input, inputs_of
from rnb.spec import RunSpec, Server

BINARY, STATISTICS, SEQUENCE_EXTENSIONS = (
    "binary_tensor_data",
    "statistics",
    ("sequence", "sequence(string_id)"),
)
"""Names of extensions."""


def read_server(server: Server) -> ConfigFile:
    """Ask the server about itself and its model; it is asked once, when the run is specified.

    Raises UsageError: nobody answers, or by another protocol; it has no such model; the inputs do not fit.
    """
    address = Address.parse(server.url)
    asking = asker(address)
    told = _asked(asking.server, f"--url {address}")
    model = _asked(lambda: asking.model(server.model), f"--model {server.model}: {address}")
    config = _config(asking, server.model)
    inputs_of(model, config, server)
    versions = model.get("versions") or [""]
    about = {
        "url": str(address),
        "model": server.model,
        "model_version": str(versions[-1]),
        "name": str(told.get("name", "")),
        "version": str(told.get("version", "")),
        "extensions": [str(one) for one in told.get("extensions") or []],
    }
    data = {"server": about, "model": model, "config": config, "composing": _composing(asking, config)}
    return ConfigFile(path=f"{server.model.replace('/', '_')}.json", data=data)


def _asked(question: Any, place: str) -> Json:
    try:
        found: Json = question()
    except NotKnown as error:
        raise UsageError(f"{place}: {error}") from None
    return found


def _config(asking: Asker, model: str) -> Json:
    """Empty where the server has no such extension."""
    try:
        return asking.config(model)
    except NotKnown:
        return {}


def _composing(asking: Asker, config: Json) -> list[str]:
    """The models that an ensemble is made of, in the order of its steps, those of ensembles in it too."""
    found: list[str] = []
    for step in (config.get("ensemble_scheduling") or {}).get("step") or []:
        name = str(step["model_name"])
        found += [name, *_composing(asking, _config(asking, name))]
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Served:
    """What a run's config says of the server."""

    spec: RunSpec

    @property
    def flags(self) -> Server:
        assert self.spec.server is not None
        return self.spec.server

    @property
    def address(self) -> Address:
        return Address.parse(self.flags.url)

    @property
    def has_binary(self) -> bool:
        """Whether tensors may go as they are over HTTP, not as JSON."""
        return BINARY in self.extensions

    @property
    def has_statistics(self) -> bool:
        return STATISTICS in self.extensions

    @property
    def extensions(self) -> list[str]:
        return list(self.spec.config.data["server"]["extensions"])

    @property
    def inputs(self) -> list[Input]:
        return inputs_of(self.spec.config.data["model"], self.spec.config.data["config"], self.flags)

    @property
    def outputs(self) -> list[str]:
        return [str(one["name"]) for one in self.spec.config.data["model"].get("outputs", [])]

    @property
    def models(self) -> list[str]:
        """That which is asked, then those that it is made of."""
        return [self.flags.model, *self.spec.config.data["composing"]]
