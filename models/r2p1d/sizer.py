"""How large a request is going to be, told before anything is decoded."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import StrictInt

from models.r2p1d.options import ClipOptions
from nvvl import VideoError
from nvvl.pace import Pace
from rnb.contract import Batch, Context, Step
from rnb.pipeline.selectors import ClipCountSelector

MOST_HANDED_ON_BYTES = 16_000
"""Of a name with its index: about 300 frames. A queue has room for messages of 16 KiB; larger ones would take
the places of others."""


class ManyFramesSelector(ClipCountSelector):
    """Requests of few frames to queue 0, of many to queue 1, as R2P1DSizer counts them."""

    min_large_clips = 110
    """Of the sample videos, requests of one clip need 11 to 172 frames, those of fifteen 201 to 240. A CPU
    that shares its core takes 40 to 70 ms for 110."""


class R2P1DSizer(Step):
    """Hands each request on, and tells its selector how large it is going to be for R2P1DLoader.

    That follows from the seed, the request's id and the video's index, so the options by which it draws must
    be those of the loader. Of a video that is too short for them the loader makes fewer clips.
    """

    class Options(ClipOptions):
        seed: StrictInt = 0
        counts: Literal["clips", "frames"] = "clips"
        """How many clips the loader is going to draw; or how many frames it has to decode for them, for which
        the file is opened and indexed, and a small index goes along. A file that cannot be used has none."""

    passes_on = True

    def __init__(self, options: Any, context: Context) -> None:
        from nvvl.index_cache import IndexFolder

        super().__init__(options, context)
        self._sampler = options.sampler(options.consecutive_frames)
        self._pace = Pace(options.frame_step, options.frame_rate)
        self._folder = IndexFolder(options.index_cache) if options.index_cache is not None else None

    @classmethod
    def check_following(cls, options: Any, its_options: Any) -> None:
        theirs = vars(its_options)
        for name, value in _drawn_by(options).items():
            if name in theirs and theirs[name] != value:
                raise ValueError(
                    f"{name}: {value}, and {theirs[name]} in the step behind it: must be the same, or it"
                    " tells wrong sizes"
                )

    def __call__(self, batch: Batch) -> Batch:
        (request,) = batch.requests
        self._sampler.seed(self.options.seed, request.id)
        if self.options.counts == "clips":
            return batch.give(payloads=batch.payloads, sizes=[self._sampler.draw_num_clips()])
        video, num_frames = self._counted(request.payload)
        return batch.give(payloads=[video], sizes=[num_frames])

    def _counted(self, video: str) -> tuple[str, int]:
        """The video, with its index if that is small, which the loader then need not make again, and how many
        frames."""
        from nvvl.indexed_file import IndexedFile
        from nvvl.picked_clips import num_decoded, picked_clips

        try:
            file = IndexedFile.of(video, self._folder)
            clips = picked_clips(file.frames, self._sampler, self._pace, self.options.consecutive_frames)
        except VideoError:
            return video, 0  # the loader says why
        is_small = file.num_bytes <= MOST_HANDED_ON_BYTES
        return file if is_small else video, num_decoded(file.frames, clips)


def _drawn_by(options: Any) -> dict[str, Any]:
    """The options that what it counts depends on."""
    names = ["seed", "num_clips_population", "num_clips_weights"]
    if not options.is_drawn:
        names.append("num_clips")
    if options.counts == "frames":
        names += ["clip_positions", "consecutive_frames", "frame_step", "frame_rate"]
    return {name: getattr(options, name) for name in names}
