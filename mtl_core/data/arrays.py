"""Named arrays in one memory-mapped Arrow file: what is made once of a corpus, and read by many.

Each array is a record batch of bytes; the schema's metadata says its name, type and shape, and a
checksum. `cache.py` says where such a file is kept.
"""

import json
import math
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mtl_core.data.cache import keep

_KEY = b"branchpoint"
_BYTES = pa.field("bytes", pa.uint8())

Arrays = Mapping[str, NDArray[Any]]


def keep_arrays(name: str, make: Callable[[], Arrays], folder: Path | None) -> Arrays:
    """Return the arrays of the file of that name, made now where it is not there or damaged.

    Args:
        name: With all that they follow from, such as a hash of it.
        folder: Where it is kept; the usual cache when None.
    """
    return open_arrays(keep(name, lambda path: write_arrays(path, make()), _is_intact, folder))


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write the arrays to a file."""
    about = [
        (name, array.dtype.str, array.shape, zlib.crc32(_bytes(array).data))
        for name, array in arrays.items()
    ]
    schema = pa.schema([_BYTES], metadata={_KEY: json.dumps(about)})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as file:
        for array in arrays.values():
            file.write_batch(pa.record_batch([pa.array(_bytes(array))], schema=schema))


def open_arrays(path: Path) -> Arrays:
    """Return the arrays as read-only views of the mapped file."""
    return {name: array for name, array, _ in _read(path)}


def _read(path: Path) -> list[tuple[str, NDArray[Any], int]]:
    file = pa.ipc.open_file(pa.memory_map(str(path)))
    found = []
    for at, (name, dtype, shape, checksum) in enumerate(json.loads(file.schema.metadata[_KEY])):
        array = np.zeros(shape, dtype)  # of an empty batch Arrow keeps no buffer
        if math.prod(shape):
            array = file.get_batch(at).column(0).to_numpy().view(dtype).reshape(shape)
        found.append((name, array, checksum))
    return found


def _is_intact(path: Path) -> bool:
    try:
        return all(zlib.crc32(_bytes(array).data) == checksum for _, array, checksum in _read(path))
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
        return False


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
