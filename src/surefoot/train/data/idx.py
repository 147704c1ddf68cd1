"""The IDX format of MNIST's files, plain or gzipped: header, then a dense array in big-endian order."""

from __future__ import annotations

import hashlib
import math
import re
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from surefoot.errors import InputError

__all__ = ["read"]

# the third byte of the header says what the elements are
_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"
_PADDING = re.compile(rb"\0*")
_FIRST = 256  # bytes of a gzip member that are decompressed first


def read(path: Path, sha256: str | None = None, of: str = "the published data") -> npt.NDArray[np.generic]:
    """Read one IDX file; whether it is gzipped is told by its contents, not by its name.

    Args:
        path: the file.
        sha256: what the decompressed file must hash to; None accepts any.
        of: whose checksum that is, for the message.

    Returns:
        The array, in the machine's byte order, writable.

    Raises:
        InputError: the file cannot be read, is cut off, corrupt, no IDX file, or not the one expected.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "labels-idx1-ubyte"
        >>> _ = file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
        >>> read(file)
        array([5, 0, 4], dtype=uint8)

    Source: the file format's description on the page of the MNIST database.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    whole = True
    if data.startswith(_GZIP):
        data, whole = _gunzip(path, data)
    array = _array(path, data)
    if not whole:
        raise InputError(f"{path} is cut off: its gzip stream ends before its checksum.")
    if sha256 is not None and (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise InputError(f"{path} is not the file of {of}: its SHA-256 is {found}, expected {sha256}.")
    return array


def _gunzip(path: Path, data: bytes) -> tuple[bytes, bool]:
    """Decompress as far as the stream goes, and whether it went to its end.

    A file that is cut off is better told by the sizes in its IDX header than by its stream.
    """
    parts, view, at, whole = [], memoryview(data), 0, True
    while at < len(data) and whole:  # a second member
        stream, size = zlib.decompressobj(wbits=31), _FIRST
        while at < len(data) and not stream.eof:
            part = view[at : at + size]
            try:
                parts.append(stream.decompress(part))
            except zlib.error as error:
                reason = str(error).rpartition(": ")[2]
                raise InputError(
                    f"{path} is corrupt: its gzip data cannot be decompressed ({reason})."
                ) from error
            # what is left of a part is copied: where members are small, parts are too
            at, size = at + len(part) - len(stream.unused_data), 2 * size
        whole = stream.eof
        at += len(_PADDING.match(data, at)[0])  # type: ignore[index]
    unpacked = parts[0] if len(parts) == 1 else b"".join(parts)
    if not whole and len(unpacked) < 4:
        raise InputError(f"{path} is cut off: its gzip stream ends after {len(data)} bytes.")
    return unpacked, whole


def _array(path: Path, data: bytes) -> npt.NDArray[np.generic]:
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _DTYPES or not 1 <= data[3] <= 8:
        start = f"it starts with {data[:4].hex(' ')}" if data else "it is empty"
        raise InputError(
            f"{path} is not an IDX file: {start}; expected a magic number"
            " such as 00 00 08 03 (images) or 00 00 08 01 (labels)."
        )
    dtype, header = np.dtype(_DTYPES[data[2]]), 4 + 4 * data[3]
    if len(data) < header:
        raise InputError(f"{path} is cut off: expected at least {header:,} bytes, found {len(data):,}.")
    shape = tuple(np.frombuffer(data[4:header], ">u4").tolist())
    if 0 in shape:
        raise InputError(f"{path} is empty: its header says {' × '.join(map(str, shape))}.")
    expected = header + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        what = "cut off" if len(data) < expected else "too long"
        raise InputError(f"{path} is {what}: expected {expected:,} bytes, found {len(data):,}.")
    return np.frombuffer(data, dtype, offset=header).reshape(shape).astype(dtype.newbyteorder("="))
