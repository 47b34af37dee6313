"""Prometheus' text format. Source: Prometheus, "Exposition formats", text format 0.0.4.

Written here since the names are Triton's, and prometheus-client gives every counter a name that ends in
`_total`, which Triton's do not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = Mapping[str, str]


def family(name: str, kind: str, about: str, samples: Iterable[str]) -> list[str]:
    """The lines of a metric; none without samples."""
    lines = list(samples)
    return [f"# HELP {name} {about}", f"# TYPE {name} {kind}", *lines] if lines else []


def sample(name: str, labels: Labels, value: float) -> str:
    told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{told}}} {_number(value)}" if told else f"{name} {_number(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return "NaN" if math.isnan(value) else repr(value)
