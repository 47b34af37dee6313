"""Finds out what goes into a pipeline and what comes out, which a front end must know beforehand."""

from __future__ import annotations

from rnb.contract.result import ClassResult
from rnb.pipeline.config import ConfigError
from rnb.pipeline.importer import import_class
from rnb.pipeline.plan import Plan
from rnb.serving.model import Interface
from rnb.spec import RunSpec


def interface_of(spec: RunSpec, plan: Plan) -> Interface:
    """As the config says. Raises ConfigError for an iterator that is none."""
    pipeline = spec.config.pipeline(per_gpu_queue=spec.placement.per_gpu_queue)
    try:
        iterator = import_class(pipeline.video_path_iterator)
    except ValueError as error:
        raise ConfigError("video_path_iterator", str(error)) from None
    return Interface(
        gives_classes=issubclass(plan.step_types[-1].result_kind, ClassResult),
        extensions=getattr(iterator, "extensions", None),
    )
