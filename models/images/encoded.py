"""The bytes of an image, from a file or from a record of a TFRecord file."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from models.images.errors import ImageError
from utils.tf_example import ExampleError, first_values
from utils.tfrecord import Place, RecordError, read_record

ENCODED, LABEL, TEXT = "image/encoded", "image/class/label", "image/class/text"
"""The features of an Example that holds an image, as TensorFlow's scripts for data sets name them."""
MAX_FILE_BYTES = 1 << 28


class Encoded(NamedTuple):
    """An image as it is stored."""

    name: str
    """The payload of the request."""
    data: bytes
    label: int | None = None
    text: str | None = None
    """Of a record: its class by number and by name, where it says."""


def read_encoded(payload: str) -> Encoded:
    """The image of a request: a file's path, or a place in a TFRecord file. Raises ImageError."""
    place = Place.parse(payload)
    try:
        return Encoded(payload, _read_file(payload)) if place is None else _of_record(payload, place)
    except OSError as error:
        raise ImageError(f"{payload}: cannot be read: {error.strerror}") from None
    except RecordError as error:  # it names the record
        raise ImageError(str(error)) from None


def _read_file(path: str) -> bytes:
    # Reading from a FIFO would wait for ever.
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
        raise ImageError(f"{path}: not a file of up to {MAX_FILE_BYTES >> 20} MiB")
    with open(path, "rb") as file:
        return file.read()


def _of_record(payload: str, place: Place) -> Encoded:
    if place.size > MAX_FILE_BYTES:
        raise ImageError(f"{payload}: not a record of up to {MAX_FILE_BYTES >> 20} MiB")
    try:
        values = first_values(read_record(place), (ENCODED, LABEL, TEXT))
    except ExampleError as error:
        raise ImageError(f"{payload}: not a tf.train.Example: {error}") from None
    data, label, text = values.get(ENCODED), values.get(LABEL), values.get(TEXT)
    if not isinstance(data, bytes):
        raise ImageError(f"{payload}: the tf.train.Example has no {ENCODED}")
    return Encoded(
        payload,
        data,
        label if isinstance(label, int) else None,
        text.decode(errors="replace") if isinstance(text, bytes) else None,
    )
