"""The packets of an MP4 or MOV file, out of its own tables, with the stamps that FFmpeg's demuxer gives them.

Only what is plain is read: one video track of one sample description, at most an edit that begins with the
first picture, and tables that agree with each other and with the file. ISO/IEC 14496-12 has the boxes.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from nvvl.mp4_boxes import Box, Layout, Numbers, OddFile
from nvvl.mp4_sound import check_sound

CODECS = {b"avc1": ("h264", b"avcC"), b"hvc1": ("hevc", b"hvcC"), b"hev1": ("hevc", b"hvcC")}
# Bytes of a visual sample entry (12.1.3) before its boxes, and of the list of entries before the first.
VISUAL_ENTRY, ENTRY_LIST = 78, 8
MAX_STEP, MAX_OFFSET = 1 << 24, 1 << 24
DEPTH = 24
WORD, LONG_WORD = ">u4", ">i8"
UNIT_RATE = 0x10000
IDENTITY = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
# One entry: a 'url ' without a place, so that the media is in this file.
OWN_MEDIA = bytes.fromhex("00000000 00000001 0000000c 75726c20 00000001")

SAMPLE_TABLES = (b"stsd", b"stts", b"ctts", b"stss", b"stsc", b"stsz", b"stco", b"co64", b"sdtp")
SOUND_TABLES = (*SAMPLE_TABLES, b"sgpd", b"sbgp")
ENTRY_BOXES = (b"avcC", b"hvcC", b"colr", b"pasp", b"btrt")
# Metadata that says nothing of the media; besides those of 4 letters that begin with '©'.
REMARKS = (b"desc", b"cprt", b"trkn", b"gnre", b"name", b"loci", b"keyw", b"catg")
META_HEADER = 4

# Matrix (ITU-T H.273), and whether codes have the full range, None where it does not say.
ContainerColor = tuple[int, int | None]


@dataclass(frozen=True)
class Mp4Video:
    """The video track. `positions` and `sizes` are in bytes of the file, stamps in the track's time base;
    `is_sync` says which packets the container calls keyframes. `matrix` is as `Orientation.from_matrix` takes
    it, `color` is None where the container says nothing."""

    codec: str
    extradata: bytes
    width: int
    height: int
    color: ContainerColor | None
    matrix: tuple[int, ...]
    frame_rate: Fraction
    positions: Numbers
    sizes: Numbers
    dts: Numbers
    pts: Numbers
    is_sync: npt.NDArray[np.bool_]


def video_of(layout: Layout) -> Mp4Video:
    """The video track of a file.

    Raises:
        OddFile: there is another number of them, or anything else that is not plain.
    """
    tracks, movie = [], None
    for box in layout.moov.each():
        if box.kind == b"mvhd" and movie is None:
            movie = box
        elif box.kind == b"trak":
            tracks.append(box.children((b"tkhd", b"edts", b"mdia", b"udta")))
        elif box.kind == b"udta":
            _check_remarks(box)
        elif box.kind not in (b"iods", b"free", b"skip"):
            raise OddFile
    numbers = [_track_number(_in(track, b"tkhd")) for track in tracks]
    if movie is None or len(set(numbers)) < len(numbers):
        raise OddFile
    videos = [video for track in tracks if (video := _read_track(track, movie, layout)) is not None]
    if len(videos) != 1:
        raise OddFile
    return videos[0]


def _in(boxes: dict[bytes, Box], kind: bytes) -> Box:
    if kind not in boxes:
        raise OddFile
    return boxes[kind]


def _is_long(box: Box) -> int:
    """Whether times in the box have 8 bytes, as its version says."""
    version = box.numbers("B")[0]
    if version > 1:
        raise OddFile
    return int(version)


def _track_number(header: Box) -> int:
    return int(header.numbers("I", 20 if _is_long(header) else 12)[0])


def _check_remarks(box: Box) -> None:
    """Raises OddFile where metadata is more than texts: pictures are streams of their own."""
    for remark in box.each():
        if remark.kind == b"meta":
            boxes = remark.children((b"hdlr", b"ilst"), META_HEADER)
            _check_handler(_in(boxes, b"hdlr"), b"mdir")
            if b"ilst" in boxes:
                _check_items(boxes[b"ilst"])
        else:
            _check_remark(remark)


def _check_items(items: Box) -> None:
    for item in items.each():
        _check_remark(item)
        item.children((b"data",))


def _check_remark(box: Box) -> None:
    if box.kind[:1] != b"\xa9" and box.kind not in (*REMARKS, b"free", b"skip"):
        raise OddFile


def _check_handler(handler: Box, *kinds: bytes) -> None:
    if handler.kind_at(8) not in kinds:
        raise OddFile


def _read_track(track: dict[bytes, Box], movie: Box, layout: Layout) -> Mp4Video | None:
    """The track if it is a video; sound is only looked at, since it is demuxed with the video."""
    if b"udta" in track:
        _check_remarks(track[b"udta"])
    media = _in(track, b"mdia").children((b"mdhd", b"hdlr", b"minf"))
    handler = _in(media, b"hdlr")
    _check_handler(handler, b"vide", b"soun")
    information = _in(media, b"minf").children((b"vmhd", b"smhd", b"dinf", b"hdlr", b"stbl"))
    if b"hdlr" in information:
        _check_handler(information[b"hdlr"], b"url ")
    _check_reference(_in(information, b"dinf"))
    table = _in(information, b"stbl")
    if handler.kind_at(8) == b"soun":
        _check_sound_track(track, _in(media, b"mdhd"), table.children(SOUND_TABLES), layout)
        return None
    return _video(track, movie, _in(media, b"mdhd"), table.children(SAMPLE_TABLES), layout)


def _check_sound_track(track: dict[bytes, Box], media: Box, tables: dict[bytes, Box], layout: Layout) -> None:
    """Raises OddFile where a demuxer might refuse the file for it."""
    if b"edts" in track:
        track[b"edts"].children((b"elst",))
    _time_scale(media)
    check_sound(_in(tables, b"stsd"))
    _, sizes = _samples(tables, layout)
    _runs(_in(tables, b"stts"), len(sizes), MAX_STEP)


def _check_reference(information: Box) -> None:
    if _in(information.children((b"dref",)), b"dref").content != OWN_MEDIA:
        raise OddFile


def _video(
    track: dict[bytes, Box], movie: Box, media: Box, tables: dict[bytes, Box], layout: Layout
) -> Mp4Video:
    codec, extradata, width, height, color = _description(_in(tables, b"stsd"))
    positions, sizes = _samples(tables, layout)
    times = _times(tables, _time_scale(media), len(sizes))
    first = 0
    if b"edts" in track:
        edits = track[b"edts"].children((b"elst",))
        first = _first_of_edit(_in(edits, b"elst"), times, _time_scale(movie))
    return Mp4Video(
        codec=codec,
        extradata=extradata,
        width=width,
        height=height,
        color=color,
        matrix=_matrix(_in(track, b"tkhd"), movie),
        frame_rate=_frame_rate(times),
        positions=positions,
        sizes=sizes,
        dts=times.dts - first,
        pts=times.pts - first,
        is_sync=times.is_sync,
    )


@dataclass(frozen=True)
class _Times:
    """Of each sample, in `scale` units a second: its stamps, and how long it lasts."""

    scale: int
    dts: Numbers
    pts: Numbers
    steps: Numbers
    is_sync: npt.NDArray[np.bool_]


def _times(tables: dict[bytes, Box], scale: int, num_samples: int) -> _Times:
    steps = _runs(_in(tables, b"stts"), num_samples, MAX_STEP)
    if (steps == 0).any():
        raise OddFile
    dts = np.cumsum(steps) - steps
    pts = dts + _runs(tables[b"ctts"], num_samples, MAX_OFFSET) if b"ctts" in tables else dts
    return _Times(scale, dts, pts, steps, _is_sync(tables.get(b"stss"), num_samples))


def _description(table: Box) -> tuple[str, bytes, int, int, ContainerColor | None]:
    """Codec, extradata, width, height and colour of the only sample entry (12.1.3)."""
    if table.numbers("II") != (0, 1):
        raise OddFile
    entries = list(table.each(ENTRY_LIST))
    if len(entries) != 1 or entries[0].kind not in CODECS:
        raise OddFile
    [entry] = entries
    codec, configuration = CODECS[entry.kind]
    reference, width, height = entry.numbers("6xH16xHH")
    if reference != 1 or entry.numbers("H", VISUAL_ENTRY - 4)[0] != DEPTH:
        raise OddFile
    boxes = entry.children(ENTRY_BOXES, VISUAL_ENTRY)
    extradata = _in(boxes, configuration).content
    return codec, extradata, width, height, _color(boxes.get(b"colr"))


def _color(box: Box | None) -> ContainerColor | None:
    """(matrix, full range) of a colour box (12.1.5), None where there is none."""
    if box is None:
        return None
    kind, (matrix,) = box.kind_at(0), box.numbers("H", 8)
    if kind == b"nclx":
        return matrix, box.numbers("B", 10)[0] >> 7
    if kind == b"nclc":
        return matrix, None
    raise OddFile


def _samples(tables: dict[bytes, Box], layout: Layout) -> tuple[Numbers, Numbers]:
    """Position and size of each sample (8.7.3 to 8.7.5), in bytes; all of them are in the file."""
    sizes = _sizes(_in(tables, b"stsz"))
    chunks = _chunks(tables, layout.num_bytes)
    counts = _samples_of_chunks(_in(tables, b"stsc"), len(chunks))
    if len(sizes) == 0 or counts.sum() != len(sizes) or (sizes <= 0).any() or sizes.sum() > layout.num_bytes:
        raise OddFile
    ends = np.cumsum(sizes)
    firsts = np.cumsum(counts) - counts
    before = ends - sizes
    positions = before + np.repeat(chunks - before[firsts], counts)
    ends = positions + sizes
    if (positions[1:] < ends[:-1]).any() or not layout.holds(positions, ends):
        raise OddFile
    return positions, sizes


def _table(box: Box, columns: int, kind: str = WORD, skip: int = 4) -> Numbers:
    """(rows, columns) of a table behind its version, flags and number of rows."""
    (version,), (count,) = box.numbers("I"), box.numbers("I", skip)
    begin, size = box.begin + skip + 4, count * columns * (8 if kind == LONG_WORD else 4)
    if version != 0 or begin + size != box.end:
        raise OddFile
    numbers = np.frombuffer(box.data, kind, count * columns, begin)
    return numbers.astype(np.int64).reshape(count, columns)


def _sizes(box: Box) -> Numbers:
    if box.numbers("I", 4)[0] != 0:  # All samples are of one size.
        raise OddFile
    return _table(box, 1, skip=8)[:, 0]


def _chunks(tables: dict[bytes, Box], num_bytes: int) -> Numbers:
    if (b"stco" in tables) == (b"co64" in tables):
        raise OddFile
    chunks = _table(tables[b"stco"], 1) if b"stco" in tables else _table(tables[b"co64"], 1, LONG_WORD)
    if (chunks < 0).any() or (chunks >= num_bytes).any():
        raise OddFile
    return chunks[:, 0]


def _samples_of_chunks(box: Box, num_chunks: int) -> Numbers:
    firsts, counts, descriptions = _table(box, 3).T
    ends = np.append(firsts[1:], num_chunks + 1)
    if len(firsts) == 0 or firsts[0] != 1 or (ends <= firsts).any() or (descriptions != 1).any():
        raise OddFile
    if (counts == 0).any():
        raise OddFile
    return np.repeat(counts, ends - firsts)


def _runs(box: Box, num_samples: int, limit: int) -> Numbers:
    """A value for each sample, from runs of equal ones (8.6.1.2, 8.6.1.3)."""
    counts, values = _table(box, 2).T
    if (counts == 0).any() or counts.sum() != num_samples or (values >= limit).any():
        raise OddFile
    return np.repeat(values, counts)


def _is_sync(box: Box | None, num_samples: int) -> npt.NDArray[np.bool_]:
    if box is None:
        return np.ones(num_samples, np.bool_)
    numbers = _table(box, 1)[:, 0]
    if (numbers < 1).any() or (numbers > num_samples).any() or (numbers[1:] <= numbers[:-1]).any():
        raise OddFile
    is_sync = np.zeros(num_samples, np.bool_)
    is_sync[numbers - 1] = True
    return is_sync


def _time_scale(header: Box) -> int:
    scale = int(header.numbers("I", 20 if _is_long(header) else 12)[0])
    if not 0 < scale < 1 << 31:
        raise OddFile
    return scale


def _first_of_edit(box: Box, video: _Times, movie_scale: int) -> int:
    """Where the only edit begins (8.6.6), in the track's time base: with the first picture, and it leaves out
    none."""
    is_long = _is_long(box)
    if box.numbers("I", 4)[0] != 1 or box.end - box.begin != (28 if is_long else 20):
        raise OddFile
    duration, first, rate = box.numbers("QqI" if is_long else "IiI", 8)
    if rate != UNIT_RATE or first != video.pts[0] or first != video.pts.min() or not 0 < duration < 1 << 40:
        raise OddFile
    end = first + duration * video.scale // movie_scale
    # FFmpeg looks no further than keyframes at the end of an edit.
    ends = (video.pts + video.steps)[:-1][video.is_sync[:-1]]
    if video.pts.max() >= end or (ends >= end).any():
        raise OddFile
    return int(first)


def _matrix(track: Box, movie: Box) -> tuple[int, ...]:
    """How the picture is turned (8.3.2); the whole movie is not."""
    if movie.numbers("9i", 48 if _is_long(movie) else 36) != IDENTITY:
        raise OddFile
    return track.numbers("9i", 52 if _is_long(track) else 40)


def _frame_rate(times: _Times) -> Fraction:
    rate = Fraction(times.scale * len(times.steps), int(times.steps.sum()))
    if max(rate.numerator, rate.denominator) >= 1 << 31:
        raise OddFile
    return rate
