"""How large a request is going to be, told before anything is decoded."""

from __future__ import annotations

from typing import Any

from pydantic import StrictInt

from models.r2p1d.options import ClipCountOptions
from rnb.contract import Batch, Context, Step


class R2P1DSizer(Step):
    """Hands each request on, and tells its selector how many clips R2P1DLoader is going to draw of it.

    That follows from the seed and the request's id alone, so its options must be those of the loader. Of a
    video that is too short for them the loader makes fewer.
    """

    class Options(ClipCountOptions):
        seed: StrictInt = 0

    passes_on = True

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self._sampler = options.sampler(1)

    def __call__(self, batch: Batch) -> Batch:
        self._sampler.seed(self.options.seed, batch.ids[0])
        return batch.give(payloads=batch.payloads, sizes=[self._sampler.draw_num_clips()])
