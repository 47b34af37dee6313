"""NAL units, by hand-made bytes."""

from __future__ import annotations

import pytest

from nvvl.bitstream import (
    NalFormat,
    heads_of,
    is_exact_start,
    is_unreferenced,
    num_pictures,
    temporal_layer,
)

IDR, REFERENCE, UNREFERENCED, PARTITION = b"\x65abc", b"\x41abc", b"\x01abc", b"\x02abc"
SPS, PPS = b"\x67sps", b"\x68pps"


def recovery_point(first_byte: int) -> bytes:
    """An SEI unit: a user message of 300 bytes, then a recovery point."""
    return b"\x06\x05\xff\x2d" + b"u" * 300 + b"\x06\x01" + bytes([first_byte]) + b"\x80"


def avcc(length_size: int) -> bytes:
    head = bytes([1, 100, 0, 13, 0xFC | (length_size - 1), 0xE1])
    return head + b"\x00\x04" + SPS + b"\x01\x00\x04" + PPS


@pytest.mark.parametrize("length_size", [1, 2, 4])
def test_units_behind_their_lengths(length_size: int) -> None:
    nal_format = NalFormat.of("h264", avcc(length_size))
    packet = b"".join(len(unit).to_bytes(length_size, "big") + unit for unit in (REFERENCE, IDR))
    assert list(nal_format.units(packet)) == [REFERENCE, IDR]
    assert nal_format.annexb(packet) == b"\0\0\0\1" + REFERENCE + b"\0\0\0\1" + IDR
    assert nal_format.parameter_sets == b"\0\0\0\1" + SPS + b"\0\0\0\1" + PPS


def test_units_behind_start_codes() -> None:
    extradata = b"\0\0\0\1" + SPS
    nal_format = NalFormat.of("h264", extradata)
    packet = b"\0\0\0\1" + IDR + b"\0\0\1" + REFERENCE + b"\0\0\0"
    assert list(nal_format.units(packet)) == [IDR, REFERENCE]
    assert nal_format.annexb(packet) == packet
    assert nal_format.parameter_sets == extradata


def test_parameter_sets_of_hevc() -> None:
    units = [(32, b"vps"), (33, b"sps"), (34, b"pps")]
    arrays = b"".join(bytes([kind, 0, 1, 0, len(unit)]) + unit for kind, unit in units)
    nal_format = NalFormat.of("hevc", b"\x01" + bytes(20) + b"\x03" + bytes([len(units)]) + arrays)
    assert nal_format.length_size == 4
    assert nal_format.parameter_sets == b"".join(b"\0\0\0\1" + unit for _, unit in units)


def test_a_damaged_packet_gives_no_more_than_it_holds() -> None:
    nal_format = NalFormat.of("h264", avcc(4))
    assert list(nal_format.units(b"\xff\xff\xff\xff" + IDR)) == [IDR]
    assert list(nal_format.units(b"\0\0\0\0\0\0")) == []


@pytest.mark.parametrize(
    ("units", "exact"),
    [
        ([IDR], True),
        ([REFERENCE], False),
        ([recovery_point(0x80), REFERENCE], True),
        ([recovery_point(0x20), REFERENCE], False),
        ([b"\x06\x05\x02ab\x80", REFERENCE], False),
        ([b"\x06\xff"], False),
    ],
)
def test_exact_starts_in_h264(units: list[bytes], exact: bool) -> None:
    assert is_exact_start(units, "h264") is exact


@pytest.mark.parametrize(
    ("units", "unreferenced"),
    [
        ([UNREFERENCED], True),
        ([SPS, UNREFERENCED, UNREFERENCED], True),
        ([UNREFERENCED, REFERENCE], False),
        ([IDR], False),
        ([SPS], False),
        ([PARTITION], False),
    ],
)
def test_unreferenced_pictures_in_h264(units: list[bytes], unreferenced: bool) -> None:
    assert is_unreferenced(units, "h264") is unreferenced


def hevc(kind: int, layer: int) -> bytes:
    return bytes([kind << 1, layer + 1]) + b"abc"


def test_hevc_pictures() -> None:
    assert is_exact_start([hevc(33, 0), hevc(21, 0)], "hevc")
    assert not is_exact_start([hevc(1, 0)], "hevc")
    assert temporal_layer([hevc(33, 0), hevc(0, 2)]) == 2
    assert is_unreferenced([hevc(0, 2)], "hevc", top_layer=2)
    assert not is_unreferenced([hevc(0, 1)], "hevc", top_layer=2), "the layer above may refer to it"
    assert not is_unreferenced([hevc(1, 2)], "hevc", top_layer=2)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_units_of_one_byte_are_read_like_any_other(codec: str) -> None:
    for kind in range(256):
        units = [bytes([kind])]
        assert num_pictures(units, codec) == 0
        assert temporal_layer(units) == 0
        assert heads_of(units, codec) == units
        assert is_exact_start(units, codec) in (False, True)
        assert is_unreferenced(units, codec) in (False, True)
