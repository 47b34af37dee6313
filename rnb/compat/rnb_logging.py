"""snuspl/rnb's `rnb_logging` module, as far as steps use it."""

from rnb.time_card import TimeCard, TimeCardList

__all__ = ["TimeCard", "TimeCardList"]
