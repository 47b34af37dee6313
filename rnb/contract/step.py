"""What a step is: the interface between RnB and the code it benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from rnb.contract import options
from rnb.contract.device import CPU, Device
from rnb.contract.request import Batch, Layout
from rnb.contract.result import JsonResult, ResultKind

if TYPE_CHECKING:
    import torch


def _ignore(request_id: int, *what: Any) -> None:
    """Outside of a run nobody asks."""


def _own(make: Callable[[], Any]) -> Any:
    return make()


def _untimed(what: str) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True, kw_only=True)
class Context:
    """What the run says to a step that it makes."""

    where: Device = CPU
    inputs: Layout = ()
    """What the step before puts out, at most; empty: no tensors."""
    batch_size: int = 1
    """Most requests in a call."""
    seed: int = 0
    checkpoint: str | None = None
    samples: Sequence[Any] = ()
    """The first few payloads of the run, to warm up with."""
    num_sequences: int = 0
    """How many sequences at once this worker is to expect; 0 where that is not known."""
    note: Callable[[int, str], None] = _ignore
    """Say what is odd about a request, by its id, though it is served: the column `reason` keeps it."""
    note_size: Callable[[int, int, int], None] = _ignore
    """Say the width and height in pixels of what a request came with, by its id: columns keep them."""
    note_codec: Callable[[int, str], None] = _ignore
    """Say how what a request came with is encoded ('h264'), by its id: the column `codec` keeps it."""
    share: Callable[[Callable[[], Any]], Any] = _own
    """In the constructor: what the argument makes, once for all workers of a replica that take turns, as only
    one of them uses it at a time; of others, each gets its own."""
    phase: Callable[[str], AbstractContextManager[None]] = _untimed
    """Before the start: what is done inside is told of the start-up, with how long it took, by this name."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.where.torch()


Part = tuple[type["Step"], dict[str, Any]]
"""A step's class, and its options as a config has them."""


class Step:
    """One stage of a pipeline.

    A subclass declares its options and what it can do, once, in its body; RnB reads that before anything
    starts (rnb/pipeline/step_type.py), and `--check` refuses what does not fit. Work is done on the current
    stream of its device and need not be waited for; RnB waits before it hands anything on.
    """

    class Options(options.Options):
        """The keys of the config that are the step's own."""

    batches_requests: ClassVar[bool] = False
    """Whether a call takes several requests at once, as `-b` and Batcher make them."""
    reads_in_place: ClassVar[bool] = True
    """Whether the input may be the slot itself. Its memory is reused after the call, so a step that keeps a
    tensor must copy it. When False, each call gets tensors of its own."""
    writes_in_place: ClassVar[bool] = False
    """Whether a call takes `out`, a free slot's tensors; what it returns may be their first rows."""
    takes_turns: ClassVar[bool] = False
    """Whether the workers of a replica on a GPU call it one after the other: where a call fills the GPU, two
    at once take longer than one after the other, and the host's part still overlaps."""
    joins_segments: ClassVar[bool] = False
    """Whether the step puts the segments of a request together again."""
    regroups: ClassVar[bool] = False
    """Whether it makes messages of its own: each batch that it gives is one, and it may hold requests back
    until a later call or `flush`. Other steps answer each call for all of its requests, which go on in the
    messages that they came in."""
    stateful: ClassVar[bool] = False
    """Whether it keeps something from one request of a sequence to the next; see rnb/contract/sequence.py."""
    decodes: ClassVar[bool] = False
    """Whether its calls decode files and do little else, so that a decoder twice as fast halves them."""
    passes_on: ClassVar[bool] = False
    """Whether it hands each request's payload on as it came, so that what it is about, a file say, is worked
    on by a step after it."""
    needs_torch: ClassVar[bool] = False
    """Whether it uses PyTorch, though its module imports that only where a step is constructed or called: a
    plan is looked at in less than a second then, and its processes are forked with PyTorch all the same."""
    result_kind: ClassVar[type[ResultKind]] = JsonResult
    """What its results are, where it is the last step."""

    def __init__(self, options: Any, context: Context) -> None:
        """`options` is of the class's own `Options`. Load weights and open what is needed here."""
        self.options, self.context = options, context

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        """The tensors that it puts out for one request at most; empty where there are none.

        It runs before any process starts. A ValueError names what is wrong with an option or the input.
        """
        return ()

    @classmethod
    def check_machine(cls, options: Any, device: Device) -> None:
        """Look whether this machine has what these options need on this device, without starting any of it.

        It runs before any process starts. A ValueError names what is missing.
        """

    @classmethod
    def check_following(cls, options: Any, its_options: Any) -> None:
        """Look whether these options fit those of the step that takes what it puts out.

        It runs before any process starts. A ValueError names what does not fit.
        """

    @classmethod
    def class_names(cls, options: Any) -> Sequence[str]:
        """What the classes of its results are called, by label; empty: they have no names.

        It runs before any process starts. A ValueError names what is wrong with an option.
        """
        return ()

    @classmethod
    def num_segments_joined(cls, options: Any) -> int | None:
        """Of a step that joins segments: how many its options say a request comes in; None: any number."""
        return None

    @classmethod
    def divided(cls, options: Mapping[str, Any]) -> Sequence[tuple[Part, Part]]:
        """Each way in which two steps in a row could do its work, with the same results; `options` as the
        config has them. optimize.py tries them."""
        return ()

    @classmethod
    def joined(
        cls, options: Mapping[str, Any], following: type[Step], its_options: Mapping[str, Any]
    ) -> Part | None:
        """The one step that does the work of this one and of that which follows it, with the same results;
        None: there is none."""
        return None

    @classmethod
    def default_workers(cls, options: Any, device: Device) -> int:
        """How many threads a replica on this device uses where the config does not say."""
        return 1

    def __call__(self, batch: Batch) -> Batch | Sequence[Batch] | None:
        """Process one request, or several with `batches_requests`.

        Give back `batch.give(…)`. A step that regroups may give back several batches, or None for none yet. A
        RequestError fails requests of the call; any other exception ends the run. With `writes_in_place` it
        is also given `out`, a free slot's tensors, where there is one.
        """
        raise NotImplementedError

    def results(self, output: Batch) -> Sequence[Any]:
        """The result of each request of an output, where this is the last step: bytes, or what JSON knows."""
        return output.payloads

    def warm_up(self, row_counts: Sequence[int]) -> None:
        """Get ready before the timed part starts: run every batch of these numbers of input rows once.

        `row_counts` is empty for a step that takes no tensors.
        """

    def flush(self) -> Batch | Sequence[Batch] | None:
        """Give out what is held back: the batch timeout has passed, or the stream has ended. None: nothing
        is."""
        return None

    def facts(self) -> dict[str, Any]:
        """What run.json should say that the config leaves open, say the decoder that was chosen, as JSON."""
        return {}

    def close(self) -> None:
        """Let go of what the step holds."""
