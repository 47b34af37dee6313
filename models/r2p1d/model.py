"""R(2+1)D as steps: loading a video's clips, running the network or a part of it, joining segments."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from models.r2p1d.agreement import sample_clips, top1_agreement
from models.r2p1d.checkpoint import read_checkpoint
from models.r2p1d.execution import Execution, ExecutionOptions
from models.r2p1d.network import DEFAULT_LAYER_SIZES, NUM_PARTS, R2P1DPart
from models.r2p1d.sampler import R2P1DSampler
from models.r2p1d.weights import build_part
from nvvl import RnBLoader, VideoError
from rnb.results import top1
from rnb.selectors import ClipCountSelector
from rnb.step import RequestError, Shapes, Step, StepOutput, Tensors
from rnb.time_card import TimeCard, cards_of
from rnb.videos import VideoPathIterator

KINETICS_MEAN = (0.43216, 0.394666, 0.37645)
KINETICS_STD = (0.22803, 0.22145, 0.216989)
"""Per channel, of frames from 0 to 1: torchvision's Kinetics-400 preset, which its weights expect."""

_SYNTHETIC_FRAMES = 300
"""Length of the video that R2P1DSyntheticLoader makes up: a Kinetics clip."""

NUM_WARM_UP_VIDEOS = 3
DEFAULT_DECODERS = 4
"""Threads of a loader on a GPU, each with a decoder: one alone leaves the GPU's video engines idle."""
DTYPES = {"float32": torch.float32, "uint8": torch.uint8}


class R2P1DVideoPathIterator(VideoPathIterator):
    """The videos to play, as root/label/video like Kinetics, or flat."""


class LargeSmallSelector(ClipCountSelector):
    """Requests of few clips to queue 0, of many to queue 1."""


class R2P1DLoader(Step):
    """Decodes the sampled clips of a video: (num_clips, 3, consecutive_frames, height, width), RGB 0 to 255.

    How many clips is drawn per request from `num_clips_population` with `num_clips_weights`; when either is
    null, it is `num_clips`. The draw depends on the seed and the request's id alone.
    """

    writes_in_place = True

    def __init__(
        self,
        device: torch.device,
        *,
        width: int = 112,
        height: int = 112,
        consecutive_frames: int = 8,
        num_clips: int = 10,
        num_clips_population: Sequence[int] | None = (1, 15),
        num_clips_weights: Sequence[float] | None = (10, 1),
        dtype: str = "float32",
        backend: str = "auto",
        seed: int = 0,
        sample_videos: Sequence[str] = (),
    ) -> None:
        super().__init__(device)
        self._seed, self._sample_videos = seed, sample_videos
        self._sampler = R2P1DSampler(consecutive_frames, num_clips, num_clips_population, num_clips_weights)
        self._loader = RnBLoader(
            width=width,
            height=height,
            consecutive_frames=consecutive_frames,
            device_id=device.index if device.type == "cuda" else -1,
            sampler=self._sampler,
            backend=backend,
        )
        shapes = self.output_shape(
            width, height, consecutive_frames, num_clips, num_clips_population, num_clips_weights
        )
        self._frames = torch.empty(shapes[0], dtype=self.output_dtype(dtype), device=device)

    def input_shape(self) -> None:
        return None

    @staticmethod
    def output_shape(
        width: int = 112,
        height: int = 112,
        consecutive_frames: int = 8,
        num_clips: int = 10,
        num_clips_population: Sequence[int] | None = (1, 15),
        num_clips_weights: Sequence[float] | None = (10, 1),
    ) -> Shapes:
        R2P1DSampler(consecutive_frames, num_clips, num_clips_population, num_clips_weights)  # checks them
        drawn = num_clips_population is not None and num_clips_weights is not None
        most_clips = max(num_clips_population) if drawn and num_clips_population else num_clips
        return ((most_clips, 3, consecutive_frames, height, width),)

    @staticmethod
    def output_dtype(dtype: str = "float32") -> torch.dtype:
        if dtype not in DTYPES:
            raise ValueError(f"dtype: '{dtype}', must be one of {', '.join(DTYPES)}")
        return DTYPES[dtype]

    @staticmethod
    def default_workers(device: torch.device) -> int:
        return DEFAULT_DECODERS if device.type == "cuda" else 1

    def __call__(
        self, tensors: Tensors, non_tensors: Any, time_card: TimeCard, out: Tensors = None
    ) -> StepOutput:
        return (self.load(non_tensors, time_card.id, out[0] if out else None),), None, time_card

    def load(self, video: str, request_id: int, out: torch.Tensor | None = None) -> torch.Tensor:
        """The request's clips, in the first rows of `out` or of a buffer that the next call reuses."""
        target = self._frames if out is None else out
        self._sampler.seed(self._seed, request_id)
        try:
            num_clips = self._loader.decode_into(video, target)
        except VideoError as error:
            raise RequestError(str(error), [request_id]) from error
        return target[:num_clips]

    def warm_up(self, row_counts: Sequence[int]) -> None:
        for video in self._sample_videos[:NUM_WARM_UP_VIDEOS]:
            try:
                self.load(video, 0)
            except RequestError:
                continue  # it fails again, and is counted, when its turn comes

    def facts(self) -> dict[str, Any]:
        return {"decoder": self._loader.decoder}

    def close(self) -> None:
        self._loader.close()


class R2P1DSyntheticLoader(Step):
    """Hands on random frames without decoding anything, as many clips as R2P1DLoader would."""

    writes_in_place = True

    def __init__(
        self,
        device: torch.device,
        *,
        num_clips: int = 10,
        num_clips_population: Sequence[int] | None = (1, 15),
        num_clips_weights: Sequence[float] | None = (10, 1),
        dtype: str = "float32",
        seed: int = 0,
    ) -> None:
        super().__init__(device)
        self._seed = seed
        self._sampler = R2P1DSampler(8, num_clips, num_clips_population, num_clips_weights)
        shapes = self.output_shape(num_clips, num_clips_population, num_clips_weights)
        self._frames = torch.randint(0, 256, shapes[0], device=device).to(R2P1DLoader.output_dtype(dtype))
        self._filled: set[int] = set()

    def input_shape(self) -> None:
        return None

    @staticmethod
    def output_shape(
        num_clips: int = 10,
        num_clips_population: Sequence[int] | None = (1, 15),
        num_clips_weights: Sequence[float] | None = (10, 1),
    ) -> Shapes:
        return R2P1DLoader.output_shape(
            num_clips=num_clips,
            num_clips_population=num_clips_population,
            num_clips_weights=num_clips_weights,
        )

    @staticmethod
    def output_dtype(dtype: str = "float32") -> torch.dtype:
        return R2P1DLoader.output_dtype(dtype)

    def __call__(
        self, tensors: Tensors, non_tensors: Any, time_card: TimeCard, out: Tensors = None
    ) -> StepOutput:
        frames = self._frames if out is None else out[0]
        if out is not None and frames.data_ptr() not in self._filled:  # each slot is written once
            frames.copy_(self._frames)
            self._filled.add(frames.data_ptr())
        self._sampler.seed(self._seed, time_card.id)
        num_clips = len(self._sampler.sample(_SYNTHETIC_FRAMES))
        return (frames[:num_clips],), None, time_card


class R2P1DRunner(Step):
    """Parts `start_index` to `end_index` (1 to 5) of R(2+1)D-18.

    Part 1 takes frames from 0 to 255 of any number type and normalizes them; part 5 gives the logits of each
    clip. Without a checkpoint the weights are random, from the seed. `precision` to `row_buckets` are
    ExecutionOptions.
    """

    batches_requests = True
    takes_turns = True

    def __init__(
        self,
        device: torch.device,
        *,
        start_index: int = 1,
        end_index: int = NUM_PARTS,
        num_classes: int = 400,
        layer_sizes: Sequence[int] | None = None,
        checkpoint: str | None = None,
        seed: int = 0,
        input_shapes: Shapes | None = None,
        sample_videos: Sequence[str] = (),
        precision: str = "fp32",
        channels_last: bool = False,
        fuse: bool = False,
        compile: bool = False,
        cuda_graphs: bool = False,
        autotune: int | None = None,
        row_buckets: Sequence[int] | None = None,
    ) -> None:
        super().__init__(device)
        self._row = (input_shapes or R2P1DLoader.output_shape())[0][1:]
        self._build_part = partial(
            build_part,
            start_index,
            end_index,
            num_classes=num_classes,
            layer_sizes=layer_sizes or DEFAULT_LAYER_SIZES,
            checkpoint=read_checkpoint(checkpoint) if checkpoint else None,
            seed=seed,
            device=device,
        )
        self._is_whole = (start_index, end_index) == (1, NUM_PARTS)
        self._precision, self._sample_videos = precision, sample_videos
        shapes = self.output_shape(((1, *self._row),), start_index, end_index, num_classes, layer_sizes)
        self._output_row = shapes[0][1:]
        self._execution = self._execute(
            ExecutionOptions(
                precision=precision,
                channels_last=channels_last,
                fuse=fuse,
                compile=compile,
                cuda_graphs=cuda_graphs,
                autotune=autotune,
                row_buckets=row_buckets,
            )
        )

    def _execute(self, options: ExecutionOptions) -> Execution:
        return Execution(
            self._build_part(),
            row=self._row,
            mean=KINETICS_MEAN,
            std=KINETICS_STD,
            device=self.device,
            options=options,
        )

    def input_shape(self) -> Shapes:
        return ((1, *self._row),)

    @staticmethod
    def output_shape(
        input_shapes: Shapes | None = None,
        start_index: int = 1,
        end_index: int = NUM_PARTS,
        num_classes: int = 400,
        layer_sizes: Sequence[int] | None = None,
        checkpoint: str | None = None,
        precision: str = "fp32",
        channels_last: bool = False,
        fuse: bool = False,
        compile: bool = False,
        cuda_graphs: bool = False,
        autotune: int | None = None,
        row_buckets: Sequence[int] | None = None,
    ) -> Shapes:
        ExecutionOptions(
            precision=precision,
            channels_last=channels_last,
            fuse=fuse,
            compile=compile,
            cuda_graphs=cuda_graphs,
            autotune=autotune,
            row_buckets=row_buckets,
        )
        if not input_shapes or len(input_shapes[0]) != 5:
            raise ValueError(
                "R2P1DRunner takes clips of frames or features, so a loader or a part must come before"
            )
        if checkpoint:
            read_checkpoint(checkpoint)
        num_rows, *row = input_shapes[0]
        with torch.device("meta"):  # shapes only
            part = R2P1DPart(
                start_index,
                end_index,
                num_classes=num_classes,
                layer_sizes=layer_sizes or DEFAULT_LAYER_SIZES,
            )
            try:
                output = part(torch.empty(1, *row))
            except RuntimeError:
                raise ValueError(
                    f"start_index: {start_index}, does not take an input of {tuple(row)}"
                ) from None
        return ((num_rows, *output.shape[1:]),)

    def __call__(self, tensors: Tensors, non_tensors: Any, time_card: Any) -> StepOutput:
        assert tensors is not None
        return (self.infer(tensors[0]),), None, time_card

    def infer(self, rows: torch.Tensor) -> torch.Tensor:
        """The network's output for these rows, float32; the tensor is the caller's."""
        if not len(rows):  # an empty segment, of a request with fewer clips than segments
            return torch.zeros(0, *self._output_row, device=self.device)
        return self._execution(rows)

    def warm_up(self, row_counts: Sequence[int]) -> None:
        self._execution.warm_up(row_counts)

    def facts(self) -> dict[str, Any]:
        """Of a network that is not exact: how often it finds the class of the exact one."""
        if self._precision == "fp32" or not self._is_whole:
            return {}
        clips = sample_clips(self._sample_videos, self._row, self.device)
        if not len(clips):
            return {"top1_agreement_with_fp32": None, "num_clips_compared": 0}
        agreement = top1_agreement(self._execute(ExecutionOptions()), self.infer, clips)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()  # the exact network is not needed any more
        return {"top1_agreement_with_fp32": agreement, "num_clips_compared": len(clips)}


R2P1DLayerRunner = R2P1DRunner
"""The name that older configs of snuspl/rnb use."""


class R2P1DSingleStep(Step):
    """Loading and the whole network in one step, without a pipeline between them."""

    batches_requests = True

    def __init__(
        self,
        device: torch.device,
        *,
        width: int = 112,
        height: int = 112,
        consecutive_frames: int = 8,
        num_clips: int = 10,
        num_clips_population: Sequence[int] | None = (1, 15),
        num_clips_weights: Sequence[float] | None = (10, 1),
        num_classes: int = 400,
        layer_sizes: Sequence[int] | None = None,
        checkpoint: str | None = None,
        backend: str = "auto",
        seed: int = 0,
        sample_videos: Sequence[str] = (),
        batch_size: int = 1,
        precision: str = "fp32",
        channels_last: bool = False,
        fuse: bool = False,
        compile: bool = False,
        cuda_graphs: bool = False,
        autotune: int | None = None,
        row_buckets: Sequence[int] | None = None,
    ) -> None:
        super().__init__(device)
        clips: dict[str, Any] = {
            "width": width,
            "height": height,
            "consecutive_frames": consecutive_frames,
            "num_clips": num_clips,
            "num_clips_population": num_clips_population,
            "num_clips_weights": num_clips_weights,
        }
        self._loader = R2P1DLoader(device, **clips, backend=backend, seed=seed, sample_videos=sample_videos)
        shapes = R2P1DLoader.output_shape(**clips)
        self._runner = R2P1DRunner(
            device,
            num_classes=num_classes,
            layer_sizes=layer_sizes,
            checkpoint=checkpoint,
            seed=seed,
            input_shapes=shapes,
            sample_videos=sample_videos,
            precision=precision,
            channels_last=channels_last,
            fuse=fuse,
            compile=compile,
            cuda_graphs=cuda_graphs,
            autotune=autotune,
            row_buckets=row_buckets,
        )
        self._frames = torch.empty((batch_size * shapes[0][0], *shapes[0][1:]), device=device)

    def input_shape(self) -> None:
        return None

    @staticmethod
    def output_shape(
        num_clips: int = 10,
        num_clips_population: Sequence[int] | None = (1, 15),
        num_clips_weights: Sequence[float] | None = (10, 1),
        num_classes: int = 400,
        precision: str = "fp32",
        channels_last: bool = False,
        fuse: bool = False,
        compile: bool = False,
        cuda_graphs: bool = False,
        autotune: int | None = None,
        row_buckets: Sequence[int] | None = None,
    ) -> Shapes:
        ExecutionOptions(
            precision=precision,
            channels_last=channels_last,
            fuse=fuse,
            compile=compile,
            cuda_graphs=cuda_graphs,
            autotune=autotune,
            row_buckets=row_buckets,
        )
        clips = R2P1DLoader.output_shape(
            num_clips=num_clips,
            num_clips_population=num_clips_population,
            num_clips_weights=num_clips_weights,
        )
        return ((clips[0][0], num_classes),)

    def __call__(self, tensors: Tensors, non_tensors: Any, time_card: Any) -> StepOutput:
        cards = cards_of(time_card)
        videos = [non_tensors] if len(cards) == 1 else non_tensors
        num_rows: list[int] = []
        failed: dict[int, str] = {}
        for card, video in zip(cards, videos, strict=True):
            try:
                num_rows.append(len(self._loader.load(video, card.id, self._frames[sum(num_rows) :])))
            except RequestError as error:
                failed[card.id] = str(error)
        if failed:
            raise RequestError("; ".join(failed.values()), list(failed))
        for card, rows in zip(cards, num_rows, strict=True):
            card.num_rows = (rows,)
        return (self._runner.infer(self._frames[: sum(num_rows)]),), non_tensors, time_card

    def warm_up(self, row_counts: Sequence[int]) -> None:
        self._loader.warm_up(())
        self._runner.warm_up(range(1, len(self._frames) + 1))

    def facts(self) -> dict[str, Any]:
        return {**self._loader.facts(), **self._runner.facts()}

    def close(self) -> None:
        self._loader.close()


class R2P1DAggregator(Step):
    """Joins the `aggregate` segments of each request: its result is the top-1 class over all their clips."""

    joins_segments = True

    def __init__(self, device: torch.device, aggregate: int = 1) -> None:
        super().__init__(device)
        self._num_segments = aggregate
        self._waiting: dict[int, list[tuple[torch.Tensor, TimeCard]]] = {}

    def input_shape(self) -> Shapes:
        return ((1, 400),)

    @staticmethod
    def output_shape() -> None:
        return None

    def __call__(self, tensors: Tensors, non_tensors: Any, time_card: TimeCard) -> StepOutput:
        assert tensors is not None
        segments = self._waiting.setdefault(time_card.id, [])
        segments.append((tensors[0].double().cpu(), time_card))
        if len(segments) < self._num_segments:
            return None, None, None
        del self._waiting[time_card.id]
        # In the order of the segments, not of their arrival, so that the sum is always the same.
        segments.sort(key=lambda segment: segment[1].sub_id)
        logits = torch.cat([logits for logits, _ in segments])
        return None, top1(logits), TimeCard.merge([card for _, card in segments])
