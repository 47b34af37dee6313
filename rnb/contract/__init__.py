"""What RnB and the code around it agree on: steps, requests, results, events. It imports nothing else of RnB,
and no torch, so that every process and every tool can read it.

A step's author needs this page alone: `from rnb.contract import Batch, Context, Options, Step`.
"""

from rnb.contract.device import CPU, Device
from rnb.contract.options import Count, Options
from rnb.contract.request import Batch, Layout, OutputError, Request, RequestError, TensorSpec
from rnb.contract.result import NO_CLASS, ClassAndScore, ClassResult, JsonResult, ToleranceResult
from rnb.contract.sequence import SequencePoint, StatefulStep, point_of
from rnb.contract.step import Context, Part, Step

__all__ = [
    "CPU",
    "NO_CLASS",
    "Batch",
    "ClassAndScore",
    "ClassResult",
    "Context",
    "Count",
    "Device",
    "JsonResult",
    "Layout",
    "Options",
    "OutputError",
    "Part",
    "Request",
    "RequestError",
    "SequencePoint",
    "StatefulStep",
    "Step",
    "TensorSpec",
    "ToleranceResult",
    "point_of",
]
