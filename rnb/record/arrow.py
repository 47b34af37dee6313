"""Columns of NumPy as Arrow's, with their memory as it is.

`pyarrow.array` would do, but it imports pandas where that is installed: half a second at the end of each run.

PyArrow is imported where it is needed, as in run_folder.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def arrow_column(values: ArrayLike, *, is_null: NDArray[np.bool_] | None = None) -> Any:
    """Numbers, booleans or texts, one-dimensional, as a `pyarrow.Array`; null where `is_null` is set.

    Raises TypeError for other objects than texts, and `pyarrow.ArrowInvalid` for texts of more than 2 GiB.
    """
    import pyarrow as pa

    values = np.asarray(values)
    if values.dtype.kind in "OU":
        return _texts(values)
    kind = pa.from_numpy_dtype(values.dtype)
    data = _bits(values) if values.dtype == bool else np.ascontiguousarray(values)
    validity = None if is_null is None else pa.py_buffer(_bits(~is_null))
    return pa.Array.from_buffers(kind, len(values), [validity, pa.py_buffer(data)])


def _bits(values: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.packbits(values, bitorder="little")


def _texts(values: NDArray[Any]) -> Any:
    """The path of a video may hold any bytes: what is no valid UTF-8 is written as escapes."""
    import pyarrow as pa

    texts = [str.encode(value, "utf-8", "backslashreplace") for value in values.tolist()]
    offsets = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(texts))]
    return pa.Array.from_buffers(pa.large_string(), len(texts), buffers).cast(pa.string())
