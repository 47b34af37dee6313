"""Types of flags that are numbers, each with the range that it may be in."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def whole_number(least: int, most: int = 1_000_000_000) -> Callable[[str], int]:
    """A type of argparse: a whole number from `least` to `most`."""

    def parse(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value}: must be at least {least}")
        if value > most:
            raise argparse.ArgumentTypeError(f"{value}: must be at most {most}")
        return value

    parse.__name__ = "whole number"
    return parse


def number(least: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = float(text)
        if not least <= value < math.inf:
            raise argparse.ArgumentTypeError(f"{text}: must be at least {least:g}, and finite")
        return int(value) if value.is_integer() else value

    parse.__name__ = "number"
    return parse


def more_than_0(text: str) -> float:
    value = number(0)(text)
    if not value:
        raise argparse.ArgumentTypeError(f"{text}: must be more than 0")
    return value


more_than_0.__name__ = "number"


def up_to(most: float) -> Callable[[str], float]:
    """A type of argparse: a number above 0, at most `most`."""

    def parse(text: str) -> float:
        value = more_than_0(text)
        if value > most:
            raise argparse.ArgumentTypeError(f"{text}: must be at most {most:g}")
        return value

    parse.__name__ = "number"
    return parse


def percentile(text: str) -> float:
    value = number(0)(text)
    if not 0 < value < 100:
        raise argparse.ArgumentTypeError(f"{text}: must be more than 0 and less than 100")
    return value


percentile.__name__ = "number"
