"""IDX files, sound and broken."""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import InputError
from surefoot.train.data.idx import _array, read

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)  # 24 bytes after a header of 16


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "train-images-idx3-ubyte"


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])]
)
def test_plain_gzipped_and_in_several_members(pack, path, idx):
    path.write_bytes(pack(idx(IMAGES)))
    found = read(path)
    assert found.dtype == np.uint8
    assert found.flags.writeable
    assert (found == IMAGES).all()


@pytest.mark.parametrize(
    ("code", "kind"),
    [(0x08, ">u1"), (0x09, ">i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")],
)
def test_every_element_type(code, kind, path):
    values = np.array([1, -2, 3] if kind != ">u1" else [1, 254, 3], kind)
    path.write_bytes(struct.pack(">HBBI", 0, code, 1, 3) + values.tobytes())
    found = read(path)
    assert found.dtype == np.dtype(kind).newbyteorder("=")
    assert (found == values).all()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda data: data[:-1], "is cut off: expected 40 bytes, found 39."),
        (lambda data: data[:16], "is cut off: expected 40 bytes, found 16."),
        (lambda data: data[:9], "is cut off: expected at least 16 bytes, found 9."),
        (
            lambda _: bytes.fromhex("00000804 00000000 ffffffff ffffffff ffffffff"),
            "is empty: its header says 0 × 4294967295 × 4294967295 × 4294967295.",
        ),
        (lambda data: data + b"\0", "is too long: expected 40 bytes, found 41."),
        (lambda data: gzip.compress(data[:-1]), "is cut off: expected 40 bytes, found 39."),
        (
            lambda data: gzip.compress(data)[:3],
            "is cut off: its gzip stream ends after 3 bytes.",
        ),
        (
            lambda data: gzip.compress(data)[:-8],
            "is cut off: its gzip stream ends before its checksum.",
        ),
        (
            lambda data: gzip.compress(data)[:-8] + b"\0" * 8,
            "is corrupt: its gzip data cannot be decompressed (incorrect data check).",
        ),
        (
            lambda data: b"\x1f\x8b\x08\0" + b"\xff" * 50,
            "is corrupt: its gzip data cannot be decompressed (invalid block type).",
        ),
        (
            lambda _: b"<!DOCTYPE html>",
            "is not an IDX file: it starts with 3c 21 44 4f; expected a magic number such as 00 00 08 03"
            " (images) or 00 00 08 01 (labels).",
        ),
        (
            lambda data: b"\0\0\x0a" + data[3:],
            "is not an IDX file: it starts with 00 00 0a 03; expected a magic number such as 00 00 08 03"
            " (images) or 00 00 08 01 (labels).",
        ),
        (
            lambda _: b"",
            "is not an IDX file: it is empty; expected a magic number such as 00 00 08 03 "
            "(images) or 00 00 08 01 (labels).",
        ),
    ],
)
def test_a_broken_file_is_told_in_one_sentence(spoil, says, path, idx):
    path.write_bytes(spoil(idx(IMAGES)))
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value) == f"{path} {says}"


def test_a_gzip_stream_that_breaks_off_says_how_much_is_there(path, idx):
    images = np.random.RandomState(0).randint(0, 256, (1000, 28, 28)).astype(np.uint8)
    packed = gzip.compress(idx(images))
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputError, match=r" is cut off: expected 784,016 bytes, found 39\d,\d\d\d\.$"):
        read(path)


def test_of_many_gzip_members_each_byte_is_read_once_or_so(path, idx, monkeypatch):
    data = idx(IMAGES)
    packed = b"".join(gzip.compress(data[i : i + 1]) + bytes(i % 3) for i in range(len(data)))
    path.write_bytes(packed)
    fed = []
    real = zlib.decompressobj

    class Counted:
        def __init__(self, wbits):
            self.stream = real(wbits=wbits)

        def decompress(self, part):
            fed.append(len(part))
            return self.stream.decompress(part)

        def __getattr__(self, name):
            return getattr(self.stream, name)

    monkeypatch.setattr("surefoot.train.data.idx.zlib.decompressobj", Counted)
    monkeypatch.setattr("surefoot.train.data.idx._FIRST", 16)
    assert np.array_equal(read(path), IMAGES)
    assert sum(fed) < 3 * len(packed)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError) as caught:
        read(tmp_path / "absent")
    assert str(caught.value) == f"Cannot read {tmp_path / 'absent'}: No such file or directory."


def test_a_file_that_is_not_the_published_one(path, idx):
    path.write_bytes(idx(IMAGES))
    with pytest.raises(InputError) as caught:
        read(path, sha256="0" * 64)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    expected = "0" * 64
    assert str(caught.value) == (
        f"{path} is not the file of the published data: its SHA-256 is {found}, expected {expected}."
    )


@given(st.binary(max_size=60))
def test_any_bytes_are_an_array_or_an_input_error(data):
    for start in (b"", b"\0\0\x08\x01", b"\0\0\x08\x03", b"\0\0\x08\xff" + bytes(1020)):
        try:
            found = _array(Path("file"), start + data)
        except InputError as error:
            assert str(error).startswith("file ")  # noqa: PT017
        else:
            assert found.size <= len(data)
