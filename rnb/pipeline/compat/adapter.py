"""Wraps a step, or a selector, of before in one of today.

Today's batch becomes tensors, a value (for several requests a list) and a time card (for several a
TimeCardList); what comes back is taken apart again, by the rules of the interface of before, all of which are
here.
"""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import ConfigDict, create_model

from rnb.contract import options
from rnb.contract.device import Device
from rnb.contract.request import Batch, Layout, OutputError, Rows, TensorSpec
from rnb.contract.result import NO_CLASS, ClassAndScore, ClassResult
from rnb.contract.step import Context, Step
from rnb.contract.top1 import top1_of_each
from rnb.pipeline.compat.time_card import TimeCard, TimeCardList, cards_of, request_of
from rnb.pipeline.importer import accepted, parameters, takes_any_option

FROM_CONTEXT = ("device", "input_shapes", "batch_size", "sample_videos", "seed", "checkpoint")
"""Constructor arguments that the run gives; of them, seed and checkpoint may be set in a config too."""


def adapt(former: type[Any], path: str) -> type[Step]:
    """A class of today around the class `former`. Raises ValueError when that is no step."""
    for name in ("output_shape", "__call__"):
        if not callable(getattr(former, name, None)):
            raise ValueError(f"'{path}' is not a step: it has no {name}")
    body = {
        "__doc__": former.__doc__,
        "former": former,
        "Options": _options(former),
        "batches_requests": getattr(former, "batches_requests", False),
        "reads_in_place": getattr(former, "reads_in_place", False),
        "writes_in_place": getattr(former, "writes_in_place", False),
        "takes_turns": getattr(former, "takes_turns", False),
        "joins_segments": _joins_segments(former),
    }
    return type(former.__name__, (FormerStep,), body)


def _joins_segments(former: type[Any]) -> bool:
    """What the class says; one of snuspl/rnb only tells by an option for how many it joins."""
    return bool(getattr(former, "joins_segments", None) or "aggregate" in parameters(former.__init__))


def _options(former: type[Any]) -> type[options.Options]:
    """The named parameters of the constructor, of any type, as it checks them itself."""
    named = parameters(former.__init__)
    fields: dict[str, Any] = {
        name: (Any, ... if parameter.default is inspect.Parameter.empty else parameter.default)
        for name, parameter in named.items()
        if parameter.kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        and (name not in FROM_CONTEXT or name in ("seed", "checkpoint"))
    }
    extra: Literal["allow", "forbid"] = "allow" if takes_any_option(former.__init__) else "forbid"
    config = ConfigDict(extra=extra, frozen=True, protected_namespaces=(), arbitrary_types_allowed=True)
    return create_model(f"{former.__name__}Options", __base__=_base(config), **fields)


def _base(config: ConfigDict) -> type[options.Options]:
    return type("FormerOptions", (options.Options,), {"model_config": config})


class FormerStep(Step):
    """A step of before under today's contract."""

    former: ClassVar[type[Any]]
    regroups = True
    result_kind = ClassResult

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        given = _given(options)
        told = {
            "input_shapes": _shapes(context.inputs),
            "batch_size": context.batch_size,
            "sample_videos": list(context.samples),
        }
        told = accepted(self.former.__init__, told)
        self._step = self.former(context.device, **{**told, **given})
        self._dtype = self._output_dtype(_given(options))

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        offered = {**_given(options), "input_shapes": _shapes(inputs)}
        shapes = cls.former.output_shape(**accepted(cls.former.output_shape, offered))
        name = str(cls._output_dtype(offered)).removeprefix("torch.")
        return tuple(TensorSpec(tuple(shape), name) for shape in shapes or ())

    @classmethod
    def _output_dtype(cls, offered: Mapping[str, Any]) -> torch.dtype:
        """Of all tensors that it puts out."""
        tell = getattr(cls.former, "output_dtype", None)
        dtype: torch.dtype = tell(**accepted(tell, offered)) if tell else torch.float32
        return dtype

    @classmethod
    def num_segments_joined(cls, options: Any) -> int | None:
        return getattr(options, "aggregate", None)

    @classmethod
    def default_workers(cls, options: Any, device: Device) -> int:
        suggest = getattr(cls.former, "default_workers", None)
        return suggest(device.torch()) if suggest else 1

    def __call__(self, batch: Batch, out: Any = None) -> Sequence[Batch] | None:
        cards = [TimeCard(one, rows) for one, rows in zip(batch.requests, _rows_or_none(batch), strict=True)]
        more = {} if out is None else {"out": out}
        tensors = batch.tensors or None
        if len(cards) == 1:
            returned = self._step(tensors, batch.requests[0].payload, cards[0], **more)
        else:
            returned = self._step(tensors, batch.payloads, TimeCardList(cards), **more)
        output = self._output(*returned)
        # An answer to the whole call goes on in the messages that it came in, what was held back in one.
        return None if output is None else output.cut(batch.messages if output.ids == batch.ids else ())

    def _output(self, tensors: Any, values: Any, card: Any) -> Batch | None:
        """What the step returned, in the number types that it announces: of before, slots converted them."""
        output = _output(tensors, values, card)
        if output is None:
            return None
        tensors = tuple(tensor.to(self._dtype) for tensor in output.tensors)
        return Batch(output.requests, tensors, output.rows)

    def results(self, output: Batch) -> Sequence[ClassAndScore]:
        """(label, score), or a label, or rows of logits; else none."""
        told = [_told(payload) for payload in output.payloads]
        if None in told and output.tensors and output.tensors[0].ndim == 2:
            found = top1_of_each(output.tensors[0], output.num_rows())
            return [one or computed for one, computed in zip(told, found, strict=True)]
        return [one or NO_CLASS for one in told]

    def warm_up(self, row_counts: Sequence[int]) -> None:
        if hasattr(self._step, "warm_up"):
            self._step.warm_up(row_counts)

    def flush(self) -> Sequence[Batch] | None:
        returned = self._step.flush() if hasattr(self._step, "flush") else None
        output = None if returned is None else self._output(*returned)
        return None if output is None else [output]

    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = self._step.facts() if hasattr(self._step, "facts") else {}
        return facts

    def close(self) -> None:
        if hasattr(self._step, "close"):
            self._step.close()


def _given(options: Any) -> dict[str, Any]:
    """The options by name, with those that a step of any options takes."""
    named = {name: getattr(options, name) for name in type(options).model_fields}
    return {**named, **(options.__pydantic_extra__ or {})}


def _shapes(layout: Layout) -> tuple[tuple[int, ...], ...] | None:
    return tuple(spec.shape for spec in layout) or None


def _rows_or_none(batch: Batch) -> Sequence[Rows]:
    return batch.rows or ((),) * len(batch)


def _output(tensors: Any, values: Any, card: Any) -> Batch | None:
    """What a step of before returned; None where it has nothing to give yet."""
    cards = cards_of(card)
    if not cards:
        return None
    payloads = _payloads(values, len(cards), of_several=hasattr(card, "time_cards"))
    requests = tuple(map(request_of, cards, payloads))
    if tensors is None:
        return Batch(requests)
    counts = [_rows_of(len(tensor), cards) for tensor in tensors]
    return Batch(requests, tuple(tensors), tuple(zip(*counts, strict=True)))


def _payloads(values: Any, num_requests: int, *, of_several: bool) -> list[Any]:
    """A list beside a list of cards has a value for each request; anything else is each one's."""
    if num_requests == 1 and not (of_several and isinstance(values, list) and len(values) == 1):
        return [values]
    if not isinstance(values, list):
        return [values] * num_requests
    if len(values) != num_requests:
        raise OutputError(f"{len(values)} values for {num_requests} requests")
    return values


def _rows_of(total: int, cards: Sequence[Any]) -> list[int]:
    """How the rows of an output belong to its requests: all, as many as each brought, or one each."""
    if len(cards) == 1:
        return [total]
    brought = [card.num_rows[0] for card in cards if getattr(card, "num_rows", ())]
    if sum(brought) == total and len(brought) == len(cards):
        return brought
    if total == len(cards):
        return [1] * total
    raise OutputError(f"the step returned {total} rows for {len(cards)} requests that brought {brought}")


def _told(value: Any) -> ClassAndScore | None:
    if isinstance(value, tuple) and len(value) == 2:
        label, score = value
        is_told = isinstance(label, numbers.Integral) and isinstance(score, numbers.Real)
        return ClassAndScore(int(label), float(score)) if is_told else None
    if isinstance(value, numbers.Integral):
        return ClassAndScore(int(value), math.nan)
    return None


def adapt_select(selector: Any) -> Callable[[Batch], int]:
    """A selector of before, as a function of the batch.

    The card that it sees has an attribute `num_clips`, as snuspl/rnb's loader sets it.
    """

    def select(batch: Batch) -> int:
        rows = _rows_or_none(batch)
        cards = [TimeCard(one, count) for one, count in zip(batch.requests, rows, strict=True)]
        sizes = batch.sizes or [count[0] if count else 0 for count in rows]
        for card, size in zip(cards, sizes, strict=True):
            vars(card).setdefault("num_clips", size)
        all_cards = cards[0] if len(cards) == 1 else TimeCardList(cards)
        value = batch.requests[0].payload if len(cards) == 1 else batch.payloads
        return int(selector.select(batch.tensors or None, value, all_cards))

    return select
