"""snuspl/rnb's `batcher` module."""

from rnb.pipeline.batcher import Batcher

__all__ = ["Batcher"]
