"""tf.train.Example, what TFRecord files of images hold: named lists of bytes, whole numbers or floats.

Source: TensorFlow, core/example/example.proto and feature.proto; "Protocol Buffers: Encoding". A message is a
row of fields, each a key (number and wire type) and a value. The reader takes any bytes: it goes as deep as
the format does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""Wire types; the two others, of groups, are not used any more."""
_WIDTH = {_FIXED64: 8, _FIXED32: 4}
_BYTES_LIST, _INT64_LIST = 1, 3
_MAX_VARINT_BYTES = 10
MAX_FIELDS = 100_000
"""Of a message with all that it holds; more are no image, and would take long."""

Field = tuple[int, int | memoryview]
"""Its number and its value; a value with a length is a view of that many bytes."""


class ExampleError(ValueError):
    """Bytes that are no tf.train.Example."""


def first_values(data: bytes, names: Collection[str]) -> dict[str, bytes | int]:
    """Of a serialized Example: the first value of each feature of these names that has one.

    Features of floats count as having none. Raises ExampleError.
    """
    found: dict[str, bytes | int] = {}
    left = iter(range(MAX_FIELDS))
    for features in _messages(memoryview(data), 1, left):
        for entry in _messages(features, 1, left):
            name = b"".join(_messages(entry, 1, left)).decode(errors="replace")
            values = (_first(feature, left) for feature in _messages(entry, 2, left) if name in names)
            if (value := next(values, None)) is not None:
                found[name] = value
    return found


def serialize_example(features: Mapping[str, bytes | int]) -> bytes:
    """An Example with one value for each feature."""
    entries = b""
    for name, value in features.items():
        if isinstance(value, bytes):
            feature = _field(_BYTES_LIST, _field(1, value))
        else:
            feature = _field(_INT64_LIST, _field(1, _varint(value & (1 << 64) - 1)))
        entries += _field(1, _field(1, name.encode()) + _field(2, feature))
    return _field(1, entries)


def _first(feature: memoryview, left: Iterator[int]) -> bytes | int | None:
    for kind, values in _fields(feature, left):
        if kind not in (_BYTES_LIST, _INT64_LIST) or isinstance(values, int):
            continue
        for number, value in _fields(values, left):
            if number != 1:
                continue
            if kind == _BYTES_LIST and not isinstance(value, int):
                return bytes(value)
            if kind == _INT64_LIST and isinstance(value, int):
                return _signed(value)
            if (
                kind == _INT64_LIST and isinstance(value, memoryview) and len(value)
            ):  # packed: all in one field
                return _signed(_read_varint(value, 0)[0])
    return None


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _messages(data: memoryview, number: int, left: Iterator[int]) -> Iterator[memoryview]:
    """The values of all fields of this number that have a length."""
    return (
        value for found, value in _fields(data, left) if found == number and isinstance(value, memoryview)
    )


def _fields(data: memoryview, left: Iterator[int]) -> Iterator[Field]:
    """`left` has as many items as fields may still come."""
    position = 0
    while position < len(data):
        if next(left, None) is None:
            raise ExampleError(f"more than {MAX_FIELDS} fields")
        key, position = _read_varint(data, position)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, position = _read_varint(data, position)
            yield number, value
            continue
        if kind == _BYTES:
            length, position = _read_varint(data, position)
        elif kind in _WIDTH:
            length = _WIDTH[kind]
        else:
            raise ExampleError(f"wire type {kind} is not one of an Example")
        if length > len(data) - position:
            raise ExampleError(f"a field of {length} bytes, and {len(data) - position} are left")
        yield number, data[position : position + length]
        position += length


def _read_varint(data: memoryview, position: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the position behind it."""
    value = 0
    for count, byte in enumerate(data[position : position + _MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value & (1 << 64) - 1, position + count + 1
    raise ExampleError("a number is cut short, or longer than 64 bits")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value
