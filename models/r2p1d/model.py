"""R(2+1)D as steps: loading a video's clips, running the network or a part of it, joining segments.

What needs PyTorch is imported where a step is constructed: a pipeline can be checked without it, in a second.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import StrictInt

from models.class_names import read_class_names
from models.kept_figures import kept
from models.r2p1d.execution_options import ExecutionOptions
from models.r2p1d.options import (
    ClassNameOptions,
    ClipCountOptions,
    ClipOptions,
    DtypeOptions,
    NetworkOptions,
    RunnerOptions,
)
from models.r2p1d.parts import DEFAULT_LAYER_SIZES, NUM_PARTS, check_layer_sizes, output_shape
from nvvl import VideoError, backend_names
from rnb.contract import (
    NO_CLASS,
    Batch,
    ClassAndScore,
    ClassResult,
    Context,
    Count,
    Device,
    Layout,
    Part,
    RequestError,
    Step,
    TensorSpec,
)
from rnb.contract.top1 import top1, top1_of_each
from rnb.load.videos import VideoPathIterator
from rnb.pipeline.selectors import ClipCountSelector

if TYPE_CHECKING:
    import torch

    from models.r2p1d.execution import Execution

    Out = tuple[torch.Tensor, ...] | None

_SYNTHETIC_FRAMES = 300
"""Length of the video that R2P1DSyntheticLoader makes up: a Kinetics clip."""

NUM_WARM_UP_VIDEOS = 3
DEFAULT_DECODERS = 4
"""Threads of a loader on a GPU, each with a decoder: one alone leaves the GPU's video engines idle."""


class R2P1DVideoPathIterator(VideoPathIterator):
    """The videos to play, as root/label/video like Kinetics, or flat."""


class LargeSmallSelector(ClipCountSelector):
    """Requests of few clips to queue 0, of many to queue 1."""


class R2P1DLoader(Step):
    """Decodes the sampled clips of a video: (num_clips, 3, consecutive_frames, height, width), RGB 0 to 255.

    How many clips there are, and where, is drawn from the seed and the request's id alone.
    """

    class Options(ClipOptions, DtypeOptions):
        seed: StrictInt = 0

    writes_in_place = True
    decodes = True
    needs_torch = True

    def __init__(self, options: Any, context: Context) -> None:
        import torch

        from nvvl import RnBLoader

        super().__init__(options, context)
        self._sampler = options.sampler(options.consecutive_frames)
        device = context.device
        self._loader = RnBLoader(
            width=options.width,
            height=options.height,
            consecutive_frames=options.consecutive_frames,
            device_id=device.index if device.type == "cuda" else -1,
            sampler=self._sampler,
            backend=options.backend,
            conceal=options.conceal,
            resize=options.resize,
            frame_step=options.frame_step,
            frame_rate=options.frame_rate,
            max_pixels=options.max_pixels,
            index_cache=options.index_cache,
        )
        (clips,) = self.output(options, ())
        self._frames = torch.empty(clips.shape, dtype=getattr(torch, clips.dtype), device=device)

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        return options.clips(options.dtype)  # type: ignore[no-any-return]

    @classmethod
    def check_machine(cls, options: Any, device: Device) -> None:
        try:
            backend_names.check(options.backend, device.type)
        except ImportError as error:
            raise ValueError(str(error)) from None
        if options.index_cache is not None:
            from nvvl.index_cache import IndexFolder

            IndexFolder(options.index_cache)

    @classmethod
    def default_workers(cls, options: Any, device: Device) -> int:
        return DEFAULT_DECODERS if device.is_gpu else 1

    @classmethod
    def joined(
        cls, options: Mapping[str, Any], following: type[Step], its_options: Mapping[str, Any]
    ) -> Part | None:
        """With the whole network: a step that does both."""
        if following is not R2P1DRunner or _parts_of(its_options) != (1, NUM_PARTS):
            return None
        if any(its_options.get(name, value) != value for name, value in options.items()):
            return None
        both = {**options, **its_options}
        fields = R2P1DSingleStep.Options.model_fields
        return R2P1DSingleStep, {name: value for name, value in both.items() if name in fields}

    def __call__(self, batch: Batch, out: Out = None) -> Batch:
        (request,) = batch.requests
        clips = self.load(request.payload, request.id, out[0] if out else self._frames)
        return batch.give(tensors=[clips], rows=[len(clips)])

    def load(self, video: str, request_id: int, out: torch.Tensor) -> torch.Tensor:
        """The request's clips, which are the first rows of `out`. Raises RequestError."""
        clips = self._decode(video, request_id, out)
        self.context.note_size(request_id, *self._loader.size)
        self.context.note_codec(request_id, self._loader.codec)
        if self._loader.notes:
            self.context.note(request_id, f"{video}: {'; '.join(self._loader.notes)}")
        return clips

    def _decode(self, video: str, request_id: int, out: torch.Tensor) -> torch.Tensor:
        self._sampler.seed(self.options.seed, request_id)
        try:
            num_clips = self._loader.decode_into(video, out)
        except VideoError as error:
            raise RequestError(str(error), [request_id]) from error
        return out[:num_clips]

    def warm_up(self, row_counts: Sequence[int]) -> None:
        for number, video in enumerate(self.context.samples[:NUM_WARM_UP_VIDEOS]):
            with self.context.phase(f"video {number}"), contextlib.suppress(RequestError):
                self._decode(video, 0, self._frames)  # what fails does so again, and is counted, in its turn

    def facts(self) -> dict[str, Any]:
        return {"decoder": self._loader.decoder}

    def close(self) -> None:
        self._loader.close()


class R2P1DSyntheticLoader(Step):
    """Hands on random frames without decoding anything, as many clips as R2P1DLoader would."""

    class Options(ClipCountOptions, DtypeOptions):
        seed: StrictInt = 0

    writes_in_place = True
    needs_torch = True

    def __init__(self, options: Any, context: Context) -> None:
        import torch

        super().__init__(options, context)
        (clips,) = self.output(options, ())
        self._sampler = options.sampler(clips.shape[2])
        dtype = getattr(torch, clips.dtype)
        self._frames = torch.randint(0, 256, clips.shape, device=context.device).to(dtype)
        self._filled: set[int] = set()

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        (usual,) = ClipOptions().clips(options.dtype)
        return (usual.with_rows(options.most_clips),)

    def __call__(self, batch: Batch, out: Out = None) -> Batch:
        frames = self._frames if out is None else out[0]
        if out is not None and frames.data_ptr() not in self._filled:  # each slot is written once
            frames.copy_(self._frames)
            self._filled.add(frames.data_ptr())
        self._sampler.seed(self.options.seed, batch.ids[0])
        num_clips = len(self._sampler.sample(_SYNTHETIC_FRAMES))
        return batch.give(tensors=[frames[:num_clips]], rows=[num_clips])


class R2P1DRunner(Step):
    """Parts `start_index` to `end_index` (1 to 5) of R(2+1)D-18.

    Part 1 takes frames from 0 to 255 of any number type and normalizes them; part 5 gives the logits of each
    clip, and the class of a request is that of the mean over its clips.
    """

    class Options(RunnerOptions):
        pass

    batches_requests = True
    takes_turns = True
    needs_torch = True
    result_kind = ClassResult

    def __init__(self, options: Any, context: Context) -> None:
        from models.r2p1d.checkpoint import read_checkpoint
        from models.r2p1d.weights import build_part

        super().__init__(options, context)
        self._row = context.inputs[0].row
        self._build_part = partial(
            build_part,
            options.start_index,
            options.end_index,
            num_classes=options.num_classes,
            layer_sizes=options.layer_sizes or DEFAULT_LAYER_SIZES,
            checkpoint=read_checkpoint(options.checkpoint) if options.checkpoint else None,
            seed=options.seed,
            device=context.device,
        )
        self._is_whole = (options.start_index, options.end_index) == (1, NUM_PARTS)
        self._output_row = output_shape(
            self._row, options.start_index, options.end_index, num_classes=options.num_classes
        )
        # A graph serves any thread, but those that only have cuDNN's plans have them per thread.
        has_graphs = options.cuda_graphs and context.where.is_gpu
        make = partial(self._execute, options)
        self._execution = context.share(make) if has_graphs else make()

    def _execute(self, options: ExecutionOptions) -> Execution:
        from models.r2p1d.execution import Execution

        with self.context.phase("weights"):
            part = self._build_part()
        return Execution(
            part,
            row=self._row,
            mean=self.options.mean,
            std=self.options.std,
            device=self.context.device,
            options=options,
            phase=self.context.phase,
        )

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        if not inputs or len(inputs[0].shape) != 5:
            raise ValueError(
                "R2P1DRunner takes clips of frames or features, so a loader or a part must come before"
            )
        layer_sizes = options.layer_sizes or DEFAULT_LAYER_SIZES
        check_layer_sizes(layer_sizes)
        if options.checkpoint:
            _check_checkpoint(options, layer_sizes)
        row = output_shape(
            inputs[0].row, options.start_index, options.end_index, num_classes=options.num_classes
        )
        return (TensorSpec((inputs[0].most_rows, *row)),)

    @classmethod
    def class_names(cls, options: Any) -> Sequence[str]:
        return read_class_names(options.class_names, options.num_classes) if options.class_names else ()

    @classmethod
    def divided(cls, options: Mapping[str, Any]) -> Sequence[tuple[Part, Part]]:
        """At the borders between its parts of the network."""
        first, last = _parts_of(options)
        return [
            (
                (cls, {**options, "start_index": first, "end_index": border}),
                (cls, {**options, "start_index": border + 1, "end_index": last}),
            )
            for border in range(first, last)
        ]

    @classmethod
    def joined(
        cls, options: Mapping[str, Any], following: type[Step], its_options: Mapping[str, Any]
    ) -> Part | None:
        """With the parts that follow."""
        own, its = _parts_of(options), _parts_of(its_options)
        if following is not cls or own[1] + 1 != its[0] or _but_parts(options) != _but_parts(its_options):
            return None
        return cls, {**options, "start_index": own[0], "end_index": its[1]}

    def __call__(self, batch: Batch) -> Batch:
        return batch.give(tensors=[self.infer(batch.tensors[0])], rows=batch.num_rows())

    def infer(self, rows: torch.Tensor) -> torch.Tensor:
        """The network's output for these rows, float32; the tensor is the caller's."""
        if not len(rows):  # an empty segment, of a request with fewer clips than segments
            return rows.new_zeros((0, *self._output_row)).float()
        return self._execution(rows)

    def results(self, output: Batch) -> Sequence[ClassAndScore]:
        (outputs,) = output.tensors
        if outputs.ndim != 2:  # features: the network is not run to its end
            return [NO_CLASS] * len(output)
        return top1_of_each(outputs, output.num_rows())

    def warm_up(self, row_counts: Sequence[int]) -> None:
        self._execution.warm_up(row_counts)

    def facts(self) -> dict[str, Any]:
        """Of a network that is not exact: how often it finds the class of the exact one."""
        if self.options.precision == "fp32" or not self._is_whole:
            return {}
        from models.r2p1d.agreement import conditions

        samples, device = self.context.samples, self.context.device
        figures: dict[str, Any] = kept(conditions(self.options, samples, self._row, device), self._agreement)
        return figures

    def _agreement(self) -> dict[str, Any]:
        import torch

        from models.r2p1d.agreement import sample_clips, top1_agreement

        device = self.context.device
        clips = sample_clips(self.context.samples, self._row, device)
        if not len(clips):
            return {"top1_agreement_with_fp32": None, "num_clips_compared": 0}
        agreement = top1_agreement(self._execute(ExecutionOptions()), self.infer, clips)
        if device.type == "cuda":
            torch.cuda.empty_cache()  # the exact network is not needed any more
        return {"top1_agreement_with_fp32": agreement, "num_clips_compared": len(clips)}


class R2P1DSingleStep(Step):
    """Loading and the whole network in one step, without a pipeline between them."""

    class Options(ClipOptions, NetworkOptions, ExecutionOptions):
        pass

    batches_requests = True
    needs_torch = True
    result_kind = ClassResult

    def __init__(self, options: Any, context: Context) -> None:
        import torch

        super().__init__(options, context)
        self._loader = R2P1DLoader(_part_of(options, R2P1DLoader), context)
        (clips,) = R2P1DLoader.output(self._loader.options, ())
        within = Context(**{**vars(context), "inputs": (clips,)})
        self._runner = R2P1DRunner(_part_of(options, R2P1DRunner), within)
        most_clips = context.batch_size * clips.most_rows
        self._frames = torch.empty((most_clips, *clips.row), device=context.device)

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        clips = R2P1DLoader.output(_part_of(options, R2P1DLoader), ())
        return R2P1DRunner.output(_part_of(options, R2P1DRunner), clips)

    @classmethod
    def check_machine(cls, options: Any, device: Device) -> None:
        R2P1DLoader.check_machine(options, device)

    @classmethod
    def class_names(cls, options: Any) -> Sequence[str]:
        return R2P1DRunner.class_names(options)

    @classmethod
    def divided(cls, options: Mapping[str, Any]) -> Sequence[tuple[Part, Part]]:
        """Loading, and the network."""
        loading, network = (
            (step, {name: value for name, value in options.items() if name in step.Options.model_fields})
            for step in (R2P1DLoader, R2P1DRunner)
        )
        return [(loading, network)]

    def __call__(self, batch: Batch) -> Batch:
        num_clips: list[int] = []
        failed: dict[int, str] = {}
        for request in batch.requests:
            try:
                clips = self._loader.load(request.payload, request.id, self._frames[sum(num_clips) :])
                num_clips.append(len(clips))
            except RequestError as error:
                failed[request.id] = str(error)
        if failed:
            raise RequestError("; ".join(failed.values()), list(failed))
        return batch.give(tensors=[self._runner.infer(self._frames[: sum(num_clips)])], rows=num_clips)

    def results(self, output: Batch) -> Sequence[ClassAndScore]:
        return self._runner.results(output)

    def warm_up(self, row_counts: Sequence[int]) -> None:
        self._loader.warm_up(())
        self._runner.warm_up(range(1, len(self._frames) + 1))

    def facts(self) -> dict[str, Any]:
        return {**self._loader.facts(), **self._runner.facts()}

    def close(self) -> None:
        self._loader.close()


def _check_checkpoint(options: Any, layer_sizes: Sequence[int]) -> None:
    """Raises CheckpointError for one that does not fit, ValueError for parts that do not exist."""
    from models.r2p1d.checkpoint import read_checkpoint, select_weights
    from models.r2p1d.weights import bare_part

    checkpoint = read_checkpoint(options.checkpoint)
    part = bare_part(
        options.start_index,
        options.end_index,
        num_classes=options.num_classes,
        layer_sizes=layer_sizes,
        checkpoint=checkpoint,
    )
    select_weights(checkpoint, part)


def _parts_of(options: Mapping[str, Any]) -> tuple[int, int]:
    """The first and the last part of the network that a config asks a runner for."""
    return options.get("start_index", 1), options.get("end_index", NUM_PARTS)


def _but_parts(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in ("start_index", "end_index")}


def _part_of(options: Any, step: type[Step]) -> Any:
    """Those of the options that a step within another takes."""
    given = {name: value for name, value in options if name in step.Options.model_fields}
    return step.Options.model_validate(given)


class R2P1DAggregator(Step):
    """Joins the `aggregate` segments of each request: its result is the top-1 class over all their clips."""

    class Options(ClassNameOptions):
        aggregate: Count = 1

    joins_segments = True
    regroups = True
    needs_torch = True
    result_kind = ClassResult

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self._waiting: dict[int, list[tuple[int, torch.Tensor]]] = {}

    @classmethod
    def class_names(cls, options: Any) -> Sequence[str]:
        return read_class_names(options.class_names) if options.class_names else ()

    @classmethod
    def num_segments_joined(cls, options: Any) -> int:
        return int(options.aggregate)

    def __call__(self, batch: Batch) -> Batch | None:
        import torch

        (request,) = batch.requests
        segments = self._waiting.setdefault(request.id, [])
        segments.append((request.segment, batch.tensors[0].double().cpu()))
        if len(segments) < self.options.aggregate:
            return None
        del self._waiting[request.id]
        # In the order of the segments, not of their arrival, so that the sum is always the same.
        segments.sort(key=lambda segment: segment[0])
        logits = torch.cat([logits for _, logits in segments])
        return Batch((request.whole.with_payload(top1(logits)),))
