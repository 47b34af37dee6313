"""snuspl/rnb's `batcher` module."""

from rnb.batcher import Batcher

__all__ = ["Batcher"]
