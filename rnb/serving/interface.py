"""Finds out what goes into a pipeline and what comes out, which a front end must know beforehand."""

from __future__ import annotations

from rnb.contract.result import ClassResult
from rnb.pipeline.importer import import_class
from rnb.serving.model import Interface
from rnb.spec import RunSpec, serving_plan_of


def interface_of(spec: RunSpec) -> Interface:
    """As the config says. Raises UsageError for what cannot run."""
    plan = serving_plan_of(spec, most_pending=1)
    pipeline = spec.config.pipeline(per_gpu_queue=spec.placement.per_gpu_queue)
    iterator = import_class(pipeline.video_path_iterator)
    return Interface(
        gives_classes=issubclass(plan.step_types[-1].result_kind, ClassResult),
        extensions=getattr(iterator, "extensions", None),
    )
