"""Sets up FFmpeg's decoder without a container, for packets that RnB cuts out of the file itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import av


@dataclass(frozen=True)
class DecoderSetup:
    """What a decoder has to know before the first packet of a stream.

    `codec` is FFmpeg's name, `configuration` the content of 'avcC' or 'hvcC' (ISO/IEC 14496-15), and
    `reorder_depth` how many packets at most come before one that is displayed before them: where a stream
    does not tell, a decoder would give out pictures too early, and leave out those that are then late.
    """

    codec: str
    configuration: bytes
    reorder_depth: int

    def decoder(self, options: Mapping[str, str]) -> Any:
        """A fresh codec context of PyAV, of one thread, with more options of FFmpeg."""
        decoder: Any = av.CodecContext.create(self.codec, "r")
        decoder.extradata = self.configuration
        decoder.thread_count = 1
        decoder.options = {**options, "has_b_frames": str(self.reorder_depth)}
        return decoder
