"""Reading tf.train.Example: what is in it comes out, and any bytes are read or refused."""

from __future__ import annotations

import random

import pytest

from utils.tf_example import ExampleError, first_values, serialize_example

NAMES = ("image/encoded", "image/class/label", "image/class/text")
EXAMPLE = serialize_example(
    {"image/encoded": bytes(range(256)) * 3, "image/class/label": 7, "image/class/text": "tulipé".encode()}
)


def field(number: int, data: bytes, kind: int = 2) -> bytes:
    return bytes([number << 3 | kind, len(data), *data]) if kind == 2 else bytes([number << 3 | kind, *data])


def example(feature: bytes, name: bytes = b"a") -> bytes:
    return field(1, field(1, field(1, name) + field(2, feature)))


def test_features_come_out_by_name() -> None:
    values = first_values(EXAMPLE, NAMES)
    assert values == {
        "image/encoded": bytes(range(256)) * 3,
        "image/class/label": 7,
        "image/class/text": "tulipé".encode(),
    }
    assert first_values(EXAMPLE, ("image/class/label", "other")) == {"image/class/label": 7}
    assert first_values(b"", NAMES) == {}


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**63 - 1, -1, -(2**63)])
def test_a_whole_number_keeps_its_value(value: int) -> None:
    assert first_values(serialize_example({"a": value}), "a") == {"a": value}


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        (field(3, field(1, b"\x05\x06")), 5),  # packed, as TensorFlow writes them
        (field(3, field(1, b"\x05", kind=0) + field(1, b"\x06", kind=0)), 5),
        (field(3, field(1, b"") + field(1, b"\x09")), 9),
        (field(1, field(1, b"first") + field(1, b"second")), b"first"),
        (field(1, field(9, b"other") + field(1, b"")), b""),
        (field(3, b""), None),
        (field(2, field(1, b"\0\0\x80?")), None),  # floats
        (b"", None),
    ],
)
def test_the_first_value_of_a_feature(feature: bytes, value: bytes | int | None) -> None:
    assert first_values(example(feature), "a") == ({} if value is None else {"a": value})


def test_what_other_fields_hold_is_passed_over() -> None:
    others = (
        field(9, b"x") + field(7, bytes(8), kind=1) + field(6, bytes(4), kind=5) + field(5, b"\x01", kind=0)
    )
    assert first_values(others + EXAMPLE + others, NAMES) == first_values(EXAMPLE, NAMES)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (EXAMPLE[:-1], r"a field of \d+ bytes, and \d+ are left"),
        (
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            "a field of 18446744073709551615 bytes, and 0 are left",
        ),
        (b"\xff" * 20, "a number is cut short, or longer than 64 bits"),
        (b"\x08\x01" * 100_001, "more than 100000 fields"),
        (b"\x0a\x00" * 100_001, "more than 100000 fields"),
        (b"\x0b", "wire type 3 is not one of an Example"),
    ],
)
def test_what_is_no_example_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(ExampleError, match=problem):
        first_values(data, NAMES)


def test_any_bytes_are_read_or_refused() -> None:
    draw, num_refused = random.Random(1), 0
    for _ in range(3000):
        data = bytearray(EXAMPLE)
        for _ in range(draw.randint(1, 4)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        try:
            values = first_values(bytes(data[: draw.randint(0, len(data))]), NAMES)
        except ExampleError:
            num_refused += 1
        else:
            assert all(isinstance(value, (bytes, int)) for value in values.values())
    assert 100 < num_refused < 3000
