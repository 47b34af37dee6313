"""What a step is: the interface between RnB and the code it benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch

Shapes: TypeAlias = tuple[tuple[int, ...], ...]
Tensors: TypeAlias = tuple[torch.Tensor, ...] | None
StepOutput: TypeAlias = tuple[Tensors, Any, Any]


class RequestError(Exception):
    """A request cannot be served, say because its video cannot be decoded; the others go on.

    Raise it from a step's call. With several requests in the call, name the failed ones in `request_ids` and
    the call is made again without them; by default it stands for all of the call.
    """

    def __init__(self, reason: str, request_ids: Sequence[int] | None = None) -> None:
        super().__init__(reason)
        self.request_ids = request_ids


class Step:
    """One stage of a pipeline. Subclasses give a constructor, the shapes and a call.

    The constructor takes the device, then the config's options as keywords. If it names `seed`, `checkpoint`
    or `batch_size` and the config does not set it, it gets the command line's value; `sample_videos` gets the
    first few of the run's videos, to warm up with, and `input_shapes` what the step before puts out.
    """

    batches_requests = False
    """Whether `__call__` takes the rows of several requests at once, as `-b` and Batcher make them."""

    reads_in_place = True
    """Whether the input may be the slot itself. Its memory is reused after the call, so a step that keeps a
    tensor must copy it. When False, each call gets tensors of its own."""

    writes_in_place = False
    """Whether `__call__` takes `out`, a free slot's tensors; what it returns may be their first rows."""

    takes_turns = False
    """Whether the workers of a replica on a GPU call it one after the other: where a call fills the GPU, two
    at once take longer than one after the other, and the host's part still overlaps."""

    joins_segments = False
    """Whether the step puts the segments of a request together again."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def input_shape(self) -> Shapes | None:
        """The shapes of the input tensors with the most rows first, or None if the step takes no tensors."""
        raise NotImplementedError

    @staticmethod
    def output_shape(*args: Any, **kwargs: Any) -> Shapes | None:
        """The shapes of the output tensors with the most rows first, or None if there are none.

        It may name any of the step's options as parameters, and `input_shapes`, the output shapes of the step
        before. A ValueError names an option that is out of range.
        """
        raise NotImplementedError

    @staticmethod
    def output_dtype(*args: Any, **kwargs: Any) -> torch.dtype:
        """The number type of the output tensors. Like `output_shape` it may name options as parameters."""
        return torch.float32

    @staticmethod
    def default_workers(device: torch.device) -> int:
        """How many threads a replica on this device uses where the config does not say."""
        return 1

    def __call__(self, tensors: Tensors, non_tensors: Any, time_card: Any) -> StepOutput:
        """Process one request, or several when `batches_requests`.

        One request: its tensors (or None), its non-tensor value and its TimeCard. Several: tensors with all
        rows in the order of the requests, a list of their values, and a TimeCardList. Return the same three;
        None for the time card says that there is no output yet. Values returned for several requests are a
        list as long as the requests.
        """
        raise NotImplementedError

    def warm_up(self, row_counts: Sequence[int]) -> None:
        """Get ready before the timed part starts: run every batch of these numbers of input rows once.

        `row_counts` is empty for a step that takes no tensors.
        """

    def flush(self) -> StepOutput | None:
        """Give out what is held back: the batch timeout has passed, or the stream has ended."""
        return None

    def facts(self) -> dict[str, Any]:
        """What run.json should say that the config leaves open, say the decoder that was chosen, as JSON."""
        return {}

    def close(self) -> None:
        """Let go of what the step holds."""
