"""snuspl/rnb's `rnb_logging` module, as far as steps use it."""

from rnb.pipeline.compat.time_card import TimeCard, TimeCardList

__all__ = ["TimeCard", "TimeCardList"]
