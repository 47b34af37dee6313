"""Changes to JSON and to bytes, drawn at random."""

from __future__ import annotations

import copy
import random
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 7, -(2**31), 2**31, 2**63, 10**30, 0.5, -0.0, 1e308, float("nan"),
    float("inf"), float("-inf"), "", " ", "0", "gpus", "pipeline", "é", "\u202e\x00\x1b[31m", "💥" * 50,
    "\ud800", "a" * 5000, "a.b.c", "..", ".", "os.system", "json.JSONDecoder", "batcher.Batcher",
    "models.r2p1d.model.R2P1DRunner", "models.nothing.model.Nothing", "models.r2p1d.model.Missing",
    "rnb.contract.Step", "rnb.pipeline.selectors.ClipCountSelector", [], {}, [[]], [{}], [None], {"": {}},
    [0, 0, 0], [-1], [[0]], [1.5], ["0"], list(range(40)), {"gpus": [0]}, {"model": 3}, {"pipeline": []},
)  # fmt: skip
ODD_KEYS = (
    "",
    "gpus",
    "model",
    "Model",
    "queue_groups",
    "in_queue",
    "num_segments",
    "seed",
    "__class__",
    "é",
    "\x00",
)

Place = tuple[Any, Any]
"""A list or an object, and a number or key of it."""


def mutated_json(value: Any, lots: random.Random, *, most: int = 4) -> Any:
    """A copy with up to `most` changes."""
    value = copy.deepcopy(value)
    for _ in range(lots.randint(1, most)):
        value = _changed(value, lots)
    return value


def _changed(value: Any, lots: random.Random) -> Any:
    places = _places(value)
    if not places or lots.random() < 0.02:
        return copy.deepcopy(lots.choice(ODD_VALUES))
    holder, key = lots.choice(places)
    lots.choice(CHANGES)(holder, key, places, lots)
    return value


def _places(value: Any) -> list[Place]:
    """All of them, at any depth."""
    found: list[Place] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        keys: Any = one if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        found += [(one, key) for key in keys]
        waiting += [one[key] for key in keys]
    return found


def _set_odd(holder: Any, key: Any, places: list[Place], lots: random.Random) -> None:
    holder[key] = copy.deepcopy(lots.choice(ODD_VALUES))


def _remove(holder: Any, key: Any, places: list[Place], lots: random.Random) -> None:
    del holder[key]


def _take_from_elsewhere(holder: Any, key: Any, places: list[Place], lots: random.Random) -> None:
    other, place = lots.choice(places)
    holder[key] = copy.deepcopy(other[place])


def _double(holder: Any, key: Any, places: list[Place], lots: random.Random) -> None:
    if isinstance(holder, list):
        holder[key:key] = [copy.deepcopy(holder[key])] * lots.randint(1, 3)
    else:
        holder[f"{key}{lots.choice(ODD_KEYS)}"] = copy.deepcopy(holder[key])


def _rename(holder: Any, key: Any, places: list[Place], lots: random.Random) -> None:
    if isinstance(holder, dict):
        holder[lots.choice(ODD_KEYS)] = holder.pop(key)
    else:
        lots.shuffle(holder)


def _wrap(holder: Any, key: Any, places: list[Place], lots: random.Random) -> None:
    for _ in range(lots.choice([1, 1, 2, 300])):
        holder[key] = [holder[key]] if lots.random() < 0.5 else {"x": holder[key]}


def _nudge(holder: Any, key: Any, places: list[Place], lots: random.Random) -> None:
    value = holder[key]
    if isinstance(value, int | float):
        holder[key] = lots.choice([value + 1, value - 1, -value, value * 1000, float(value), str(value)])
    elif isinstance(value, str) and value:
        place = lots.randrange(len(value))
        holder[key] = value[:place] + lots.choice(["", "x", ".", "é"]) + value[place + 1 :]


CHANGES = (_set_odd, _set_odd, _remove, _take_from_elsewhere, _double, _rename, _wrap, _nudge, _nudge)


def mutated_bytes(data: bytes, lots: random.Random, other: bytes = b"") -> bytes:
    """Flip bits, cut, zero, repeat, move, or splice with `other`; where, is often near the ends."""
    changed = bytearray(data)
    for _ in range(lots.choice([1, 1, 2, 5])):
        if not changed:
            break
        lots.choice(BYTE_CHANGES)(changed, lots, other)
    return bytes(changed)


def _place_in(data: bytearray, lots: random.Random) -> int:
    """Headers and indexes lie at the ends."""
    reach = lots.choice([len(data), len(data), min(len(data), 1500)])
    place = lots.randrange(reach)
    return place if lots.random() < 0.7 else len(data) - 1 - place


def _flip_bits(data: bytearray, lots: random.Random, other: bytes) -> None:
    for _ in range(lots.choice([1, 1, 3, 30])):
        data[_place_in(data, lots)] ^= 1 << lots.randrange(8)


def _set_bytes(data: bytearray, lots: random.Random, other: bytes) -> None:
    place = _place_in(data, lots)
    odd = (b"\0", b"\xff", b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0" * 8, b"\x80", bytes([lots.randrange(256)]))
    value = lots.choice(odd)
    data[place : place + len(value)] = value


def _truncate(data: bytearray, lots: random.Random, other: bytes) -> None:
    del data[_place_in(data, lots) :]


def _zero_block(data: bytearray, lots: random.Random, other: bytes) -> None:
    place, size = _place_in(data, lots), lots.choice([4, 64, 512, 4096])
    size = min(size, len(data) - place)
    data[place : place + size] = bytes(size)


def _cut_out(data: bytearray, lots: random.Random, other: bytes) -> None:
    place = _place_in(data, lots)
    del data[place : place + lots.choice([1, 4, 188, 1000])]


def _repeat(data: bytearray, lots: random.Random, other: bytes) -> None:
    place = _place_in(data, lots)
    data[place:place] = data[place : place + lots.choice([1, 4, 188, 1000])]


def _splice(data: bytearray, lots: random.Random, other: bytes) -> None:
    source = other or bytes(data)
    first = lots.randrange(len(source))
    place, size = _place_in(data, lots), lots.choice([16, 300, 3000])
    data[place : place + size] = source[first : first + size]


def _append(data: bytearray, lots: random.Random, other: bytes) -> None:
    data += other or lots.randbytes(lots.choice([1, 1000]))


BYTE_CHANGES = (
    _flip_bits, _flip_bits, _flip_bits, _set_bytes, _set_bytes, _truncate, _zero_block, _cut_out, _repeat,
    _splice, _append,
)  # fmt: skip
