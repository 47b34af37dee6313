"""Tiny steps for pipelines that tests run on the CPU."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import torch

from models.nothing.model import Nothing
from rnb.step import RequestError, Shapes, Step, StepOutput, Tensors
from rnb.time_card import TimeCard, TimeCardList, cards_of

NUM_CLASSES = 50


def clips_of(request_id: int) -> int:
    """Mostly one, sometimes eleven, as RnB's sampler draws them."""
    return 11 if request_id % 5 == 2 else 1


def expected_label(request_id: int) -> int:
    """What a pipeline of these steps must find for a request, however it is placed."""
    return int(hashlib.sha256(str(request_id).encode()).hexdigest(), 16) % NUM_CLASSES


class Load(Step):
    """Makes rows that hold the request's id and the row's number: (clips, 2)."""

    def __init__(self, device: torch.device, fail_every: int = 0) -> None:
        super().__init__(device)
        self._fail_every = fail_every

    def input_shape(self) -> None:
        return None

    @staticmethod
    def output_shape() -> Shapes:
        return ((11, 2),)

    def __call__(self, tensors: Tensors, non_tensors: Any, time_card: TimeCard) -> StepOutput:
        if self._fail_every and time_card.id % self._fail_every == 0:
            raise RequestError(f"{non_tensors}: cannot be decoded")
        num_clips = clips_of(time_card.id)
        rows = torch.stack([torch.full((num_clips,), float(time_card.id)), torch.arange(float(num_clips))], 1)
        return (rows,), None, time_card


class LoadInPlace(Load):
    """The same, written straight into the slot."""

    writes_in_place = True

    def __call__(
        self, tensors: Tensors, non_tensors: Any, time_card: TimeCard, out: Tensors = None
    ) -> StepOutput:
        rows, value, card = super().__call__(tensors, non_tensors, time_card)
        assert rows is not None
        if out is None:
            return rows, value, card
        out[0][: len(rows[0])] = rows[0]
        return (out[0][: len(rows[0])],), value, card


class Pass(Step):
    """Hands its input on as it is, a view of the slot, and checks that it belongs to its requests."""

    batches_requests = True

    def __init__(self, device: torch.device, busy_ms: float = 0) -> None:
        super().__init__(device)
        self._busy_ms = busy_ms

    def input_shape(self) -> Shapes:
        return ((11, 2),)

    @staticmethod
    def output_shape(input_shapes: Shapes) -> Shapes:
        return input_shapes

    def __call__(self, tensors: Tensors, non_tensors: Any, time_card: Any) -> StepOutput:
        assert tensors is not None
        check_rows(tensors[0], time_card)
        if self._busy_ms:
            time.sleep(self._busy_ms / 1e3)
            check_rows(tensors[0], time_card)
        return tensors, non_tensors, time_card


class Classify(Pass):
    """Logits whose top-1 class is the request's expected label: (rows, classes)."""

    @staticmethod
    def output_shape(input_shapes: Shapes) -> Shapes:
        return tuple((shape[0], NUM_CLASSES) for shape in input_shapes)

    def __call__(self, tensors: Tensors, non_tensors: Any, time_card: Any) -> StepOutput:
        super().__call__(tensors, non_tensors, time_card)
        assert tensors is not None
        logits = torch.zeros(len(tensors[0]), NUM_CLASSES)
        for row, request_id in enumerate(tensors[0][:, 0].tolist()):
            logits[row, expected_label(int(request_id))] = 1 + float(tensors[0][row, 1])
        return (logits,), None, time_card


class Join(Step):
    """Joins segments: adds up their logits, and checks that no row is missing or comes twice."""

    joins_segments = True

    def __init__(self, device: torch.device, aggregate: int = 1) -> None:
        super().__init__(device)
        self._num_segments = aggregate
        self._waiting: dict[int, list[tuple[torch.Tensor, TimeCard]]] = {}

    def input_shape(self) -> Shapes:
        return ((11, NUM_CLASSES),)

    @staticmethod
    def output_shape() -> None:
        return None

    def __call__(self, tensors: Tensors, non_tensors: Any, time_card: TimeCard) -> StepOutput:
        assert tensors is not None
        segments = self._waiting.setdefault(time_card.id, [])
        segments.append((tensors[0].clone(), time_card))
        if len(segments) < self._num_segments:
            return None, None, None
        logits = torch.cat([rows for rows, _ in self._waiting.pop(time_card.id)])
        assert sorted(logits.amax(1).tolist()) == [1 + row for row in range(clips_of(time_card.id))]
        return None, int(logits.sum(0).argmax()), TimeCard.merge([card for _, card in segments])


class TakesAnything(Nothing):
    """Does nothing, with any options."""

    def __init__(self, device: torch.device, **options: Any) -> None:
        super().__init__(device)


class Misbehave(Nothing):
    """Fails in the way that the config says, at the request that it says (-1: in the constructor)."""

    def __init__(self, device: torch.device, how: str = "raise", at_request: int = -1) -> None:
        super().__init__(device)
        self._how, self._at_request = how, at_request
        if at_request < 0:
            self._misbehave()

    def __call__(self, tensors: Tensors, non_tensors: Any, time_card: TimeCard) -> StepOutput:
        if time_card.id == self._at_request:
            self._misbehave()
        return super().__call__(tensors, non_tensors, time_card)

    def _misbehave(self) -> None:
        if self._how == "raise":
            raise ArithmeticError("this step fails on purpose")
        if self._how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._how == "use up the GPU's memory":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has none")
        if self._how == "hang":
            time.sleep(3600)


class Greedy(Pass):
    """Asks for so much of its device's memory with each call."""

    def __init__(self, device: torch.device, num_bytes: int = 0) -> None:
        super().__init__(device)
        self._num_bytes = num_bytes

    def __call__(self, tensors: Tensors, non_tensors: Any, time_card: Any) -> StepOutput:
        torch.empty(self._num_bytes, dtype=torch.uint8, device=self.device)
        return None, 0, time_card


def check_rows(rows: torch.Tensor, time_card: Any) -> None:
    """Each request's rows must be where its card says, with numbers that ascend by one."""
    cards = cards_of(time_card)
    assert isinstance(time_card, TimeCardList if len(cards) > 1 else TimeCard)
    start = 0
    for card in cards:
        mine = rows[start : start + card.num_rows[0]]
        assert mine[:, 0].eq(card.id).all(), f"rows of {mine[:, 0].tolist()} for request {card.id}"
        assert mine[:, 1].diff().eq(1).all()
        start += len(mine)
    assert start == len(rows)


class HugePaths:
    """A video whose path is larger than a queue."""

    def __iter__(self) -> Iterator[str]:
        return itertools.repeat("x" * 2_000_000)
