"""A step's class as RnB sees it before anything runs: what it can do, its options, the tensors it puts out.

This is the only place that looks at step classes. One that is not a `rnb.contract.Step` was written for RnB
0.1 or for snuspl/rnb, and is wrapped in one.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from rnb.contract.device import Device
from rnb.contract.request import ITEM_BYTES, Layout, TensorSpec
from rnb.contract.result import ResultKind
from rnb.contract.step import Context, Step
from rnb.pipeline.config import ConfigError, QueueGroup, StepConfig, first_problem, unknown_option
from rnb.pipeline.importer import import_class

_LAYOUTS: ContextVar[dict[Any, Layout] | None] = ContextVar("layouts", default=None)
FROM_RUN = ("seed", "checkpoint")
"""Options that are the run's where a config does not set them."""


@contextlib.contextmanager
def asking_once() -> Iterator[None]:
    """Inside, a step is asked for its output once for each options and inputs.

    A network is costly to ask, and a search plans thousands of pipelines. Files that options name must stay
    as they are meanwhile.
    """
    token = _LAYOUTS.set({})
    try:
        yield
    finally:
        _LAYOUTS.reset(token)


@dataclass(frozen=True, kw_only=True)
class StepType:
    """One step class."""

    path: str
    """Its import path, as the config has it."""
    cls: type[Step]

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def batches_requests(self) -> bool:
        return self.cls.batches_requests

    @property
    def reads_in_place(self) -> bool:
        return self.cls.reads_in_place

    @property
    def writes_in_place(self) -> bool:
        return self.cls.writes_in_place

    @property
    def takes_turns(self) -> bool:
        return self.cls.takes_turns

    @property
    def needs_torch(self) -> bool:
        return self.cls.needs_torch

    @property
    def joins_segments(self) -> bool:
        return self.cls.joins_segments

    @property
    def regroups(self) -> bool:
        return self.cls.regroups

    @property
    def decodes(self) -> bool:
        return self.cls.decodes

    @property
    def stateful(self) -> bool:
        return self.cls.stateful

    @property
    def result_kind(self) -> type[ResultKind]:
        return self.cls.result_kind

    def make(self, options: Mapping[str, Any], context: Context) -> Step:
        """An instance, in the process that will run it."""
        return self.cls(self.cls.Options.model_validate(dict(options)), context)

    def options(
        self, index: int, number: int, step: StepConfig, group: QueueGroup, run: Mapping[str, Any]
    ) -> Any:
        """The options of a queue group: its own, then its step's, then the run's. Raises ConfigError."""
        given = {**step.options, **group.options}
        fields = self.cls.Options.model_fields
        from_run = {
            name: run[name] for name in FROM_RUN if name in run and name in fields and name not in given
        }
        try:
            return self.cls.Options.model_validate({**from_run, **given})
        except ValidationError as error:
            place = f"pipeline[{index}]"
            raise self._explain(error, place, f"{place}.queue_groups[{number}]", group) from None

    def _explain(
        self, error: ValidationError, place: str, group_place: str, group: QueueGroup
    ) -> ConfigError:
        path, kind, message = first_problem(error)
        place = group_place if path.split(".")[0].split("[")[0] in group.options else place
        if kind == "extra_forbidden" and ("." in path or "[" in path):
            return ConfigError(f"{place}.{path}", "unknown key")  # of a model inside
        if kind == "extra_forbidden":
            reserved = set(QueueGroup.model_fields) | set(StepConfig.model_fields)
            choices = (set(self.cls.Options.model_fields) | reserved) - {"queue_groups", "gpus"}
            return unknown_option(place, path, choices)
        return ConfigError(f"{place}.{path}" if path else place, message)

    def output(self, index: int, number: int, options: Any, inputs: Layout) -> Layout:
        """The tensors that it puts out. Raises ConfigError."""
        kept = _LAYOUTS.get()
        known = {} if kept is None else kept
        asked = (self.cls, repr(options), inputs)
        if asked not in known:
            layout = self._ask(index, number, self.cls.output, options, inputs)
            for spec in layout if isinstance(layout, (tuple, list)) else [layout]:
                _check_spec(f"pipeline[{index}].model", self.name, spec)
            known[asked] = tuple(layout)
        return known[asked]

    def check_machine(self, index: int, number: int, options: Any, device: Device) -> None:
        """Whether it can run on this device of this machine. Raises ConfigError."""
        self._ask(index, number, self.cls.check_machine, options, device)

    def check_following(self, index: int, number: int, options: Any, its_options: Any) -> None:
        """Whether its options fit those of a step that takes what it puts out. Raises ConfigError."""
        self._ask(index, number, self.cls.check_following, options, its_options)

    def class_names(self, index: int, number: int, options: Any) -> tuple[str, ...]:
        """What the classes of its results are called, by label. Raises ConfigError."""
        return tuple(self._ask(index, number, self.cls.class_names, options))

    def _ask(self, index: int, number: int, question: Callable[..., Any], *details: Any) -> Any:
        """What the class answers. Raises ConfigError."""
        place = f"pipeline[{index}]"
        try:
            return question(*details)
        except ValueError as error:
            raise ConfigError(f"{place}.queue_groups[{number}]", str(error)) from None
        except (Exception, SystemExit) as error:
            problem = f"{self.name}.{question.__name__} failed: {type(error).__name__}: {error}"
            raise ConfigError(f"{place}.model", problem.splitlines()[0]) from error

    def num_workers(self, step: StepConfig, group: QueueGroup, options: Any, device: Device) -> int:
        return group.workers or step.workers or self.cls.default_workers(options, device)


def _check_spec(place: str, name: str, spec: Any) -> None:
    if not isinstance(spec, TensorSpec) or not spec.shape or min(spec.shape) < 1:
        raise ConfigError(
            place, f"{name}.output gave {spec!r}: must be TensorSpecs whose sizes are at least 1, rows first"
        )
    if spec.dtype not in ITEM_BYTES:
        raise ConfigError(place, f"dtype '{spec.dtype}': must be one of {', '.join(ITEM_BYTES)}")


@functools.cache
def resolve(path: str) -> StepType:
    """The step class at an import path. Raises ValueError with what is wrong with it."""
    cls = import_class(path)
    if not issubclass(cls, Step):
        from rnb.pipeline.compat.adapter import adapt

        cls = adapt(cls, path)
    if cls.__call__ is Step.__call__:
        raise ValueError(f"'{path}' is not a step: it has no __call__")
    return StepType(path=path, cls=cls)
