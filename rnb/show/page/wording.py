"""Figures as people read them: three digits and a unit."""

from __future__ import annotations

import math

NONE = "-"
_DURATIONS = ((1e-3, "ns", 1e6), (1.0, "µs", 1e3), (1e3, "ms", 1.0), (math.inf, "s", 1e-3))
"""Below how many ms, the unit, and how many of it a ms has."""
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")


def number(value: float | None) -> str:
    """Three significant digits, all digits of what is larger: 0.0123, 1.50, 12,345; counts as they are."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    if isinstance(value, int) and abs(value) < 1000:
        return str(value)
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def round_number(value: float) -> str:
    """As on an axis: no zeros at the end."""
    text = number(float(value))
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration(value_ms: float | None) -> str:
    """12.3 ms, 45.6 µs, 7.80 s."""
    if value_ms is None or not math.isfinite(value_ms):
        return NONE
    factor, unit = _unit(value_ms)
    return f"{number(value_ms * factor)} {unit}"


def _unit(value_ms: float) -> tuple[float, str]:
    """How many of the unit a ms has, and its name."""
    if value_ms == 0:
        return 1.0, "ms"
    return next((factor, unit) for below, unit, factor in _DURATIONS if abs(value_ms) < below)


def milliseconds(value_ms: float | None) -> str:
    """For a column of a table: all with the same digits."""
    return NONE if value_ms is None or not math.isfinite(value_ms) else f"{value_ms:,.3f}"


def share(fraction: float | None) -> str:
    """Of a whole: 12.3 %."""
    if fraction is None or not math.isfinite(fraction):
        return NONE
    return f"{round(100 * fraction, 1) + 0.0:.1f} %"  # + 0.0: no -0.0


def size(value_bytes: float | None) -> str:
    """1.5 GiB."""
    if value_bytes is None or not math.isfinite(value_bytes):
        return NONE
    power = min(len(_SIZES) - 1, int(math.log(max(1.0, abs(value_bytes)), 1024)))
    return f"{number(value_bytes / 1024**power)} {_SIZES[power]}"


def in_unit(value: float, unit: str) -> str:
    """A figure on an axis: `unit` is ms, s, %, or a suffix such as /s."""
    if value == 0:
        return "0"
    if unit in ("ms", "s"):
        value_ms = value if unit == "ms" else 1e3 * value
        factor, unit = _unit(value_ms)
        return f"{round_number(value_ms * factor)} {unit}"
    return f"{round_number(value)} %" if unit == "%" else f"{round_number(value)}{unit}"
