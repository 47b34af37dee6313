"""Answers of the pipeline as tensors, and as JSON."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rnb.contract.result import ClassAndScore
from rnb.live.asking import Answer
from rnb.serving.tensors import LABEL, OUTPUT_TYPES, RESULT, SCORE, Output, Wanted


def outputs_of(answers: Sequence[Answer], wanted: Sequence[Wanted]) -> list[Output]:
    """The outputs that are wanted, in this order."""
    return [_output(answers, one) for one in wanted]


def _output(answers: Sequence[Answer], wanted: Wanted) -> Output:
    if wanted.num_classes:
        return Output(name=wanted.name, datatype="BYTES", elements=[_classified(one) for one in answers])
    element = _ELEMENTS[wanted.name]
    return Output(
        name=wanted.name, datatype=OUTPUT_TYPES[wanted.name], elements=[element(one) for one in answers]
    )


_ELEMENTS: Mapping[str, Callable[[Answer], Any]] = {
    LABEL: lambda answer: answer.result.label,
    SCORE: lambda answer: answer.result.score,
    RESULT: lambda answer: json_of(answer),
}


def _classified(answer: Answer) -> bytes:
    """'score:index:name', the form of the protocol's classification extension."""
    name = "" if answer.class_name is None else f":{answer.class_name}"
    return f"{answer.result.score:f}:{answer.result.label}{name}".encode()


def json_of(answer: Answer) -> bytes:
    """A result as JSON text. Bytes, which JSON has not, are {"base64": …}."""
    result = answer.result
    if isinstance(result, ClassAndScore):
        score = None if math.isnan(result.score) else result.score
        result = {"label": result.label, "class": answer.class_name, "score": score}
    elif isinstance(result, bytes):
        result = {"base64": base64.b64encode(result).decode()}
    return json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode()
