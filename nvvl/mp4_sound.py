"""Whether the sound beside a video is plain AAC, so that a demuxer reads past it (ISO/IEC 14496-1, 7.2.6;
14496-3, 1.6.2.1)."""

from __future__ import annotations

from nvvl.mp4_boxes import Box, OddFile

# Bytes of a list of sample entries before the first, and of one of sound (14496-12, 12.2.3) before its boxes.
ENTRY_LIST, SOUND_ENTRY = 8, 28
STREAM, DECODER, SPECIFIC, SYNC = 3, 4, 5, 6
STREAM_HEADER, DECODER_HEADER = 3, 13
AAC, MPEG4_AUDIO, LOW_COMPLEXITY = 0x40, 0x15, 2
# With and without the few bytes that tell of spectral band replication.
SPECIFIC_SIZES = (2, 5)


def check_sound(descriptions: Box) -> None:
    """OddFile where the only sample entry is not a plain 'mp4a'."""
    if descriptions.numbers("II") != (0, 1):
        raise OddFile
    entries = list(descriptions.each(ENTRY_LIST))
    if len(entries) != 1 or entries[0].kind != b"mp4a" or entries[0].numbers("6xHH") != (1, 0):
        raise OddFile
    boxes = entries[0].children((b"esds", b"btrt"), SOUND_ENTRY)
    if b"esds" not in boxes:
        raise OddFile
    _check_descriptors(boxes[b"esds"].content)


def _check_descriptors(content: bytes) -> None:
    begin, end = _descriptor(content, 4, STREAM)
    decoder, decoder_end = _descriptor(content, begin + STREAM_HEADER, DECODER)
    specific, specific_end = _descriptor(content, decoder + DECODER_HEADER, SPECIFIC)
    _, sync_end = _descriptor(content, decoder_end, SYNC)
    is_nested = specific_end == decoder_end and sync_end == end == len(content)
    is_plain = content[:4] == bytes(4) and content[begin + 2] == 0
    if not is_nested or not is_plain or content[decoder : decoder + 2] != bytes((AAC, MPEG4_AUDIO)):
        raise OddFile
    _check_specific(content[specific:specific_end])


def _check_specific(content: bytes) -> None:
    """Low complexity, at a listed rate, with channels in a listed order."""
    bits = int.from_bytes(content[:2], "big")
    kind, rate, channels, rest = bits >> 11, bits >> 7 & 15, bits >> 3 & 15, bits & 7
    if len(content) not in SPECIFIC_SIZES or kind != LOW_COMPLEXITY or rate > 12 or rest:
        raise OddFile
    if not 1 <= channels <= 7:
        raise OddFile


def _descriptor(content: bytes, place: int, tag: int) -> tuple[int, int]:
    """Where the content of the descriptor at a place begins and ends; its size is in up to 4 bytes."""
    if content[place : place + 1] != bytes((tag,)):
        raise OddFile
    size = 0
    for begin, byte in enumerate(content[place + 1 : place + 5], place + 2):
        size = size << 7 | byte & 0x7F
        if byte < 0x80 and begin + size <= len(content):
            return begin, begin + size
    raise OddFile
