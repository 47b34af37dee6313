"""The index out of an MP4's own tables is the one that demuxing gives, entry by entry, or there is none."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nvvl import file_pieces, indexing, mp4_index
from nvvl.errors import VideoError
from nvvl.index import VideoIndex
from nvvl.index_cache import IndexCache
from nvvl.mp4_boxes import Layout
from nvvl.mp4_index import index_from_tables
from nvvl.mp4_tables import Mp4Video, video_of
from nvvl.video_file import VideoFile
from tests.support import mp4_files, odd_videos
from tests.support import numbered_videos as nv
from tests.support.mp4_files import Written
from tests.support.single_frames import SingleFrames
from tests.support.videos import write_video

CODED = {
    **{f"h264_{name}": coded for name, coded in nv.H264.items()},
    **{f"hevc_{n}": c for n, c in nv.HEVC.items()},
}
ODD_CODED = ("h264_fields", "h264_flagged")
STAMPS: dict[str, mp4_files.Stamps] = {
    "even": int,
    "slow": lambda number: 7 * number,
    "uneven": lambda number: number * 3 + (number * number) % 3,
    "long_last": lambda number: number + 90 * (number == 29),
}
OPTIONS = {
    "plain": {},
    "faststart": {"movflags": "faststart"},
    "no_edit": {"use_editlist": "0"},
    "negative_offsets": {"movflags": "negative_cts_offsets"},
    "fragments": {"movflags": "frag_keyframe+empty_moov"},
    "time_scale": {"movie_timescale": "90000", "video_track_timescale": "90000"},
    "old_color": {"movflags": "write_colr"},
}
PLAIN_OPTIONS = ("plain", "faststart", "no_edit", "time_scale", "old_color")


def demuxed(path: Path) -> VideoIndex:
    with VideoFile(str(path)) as file:
        return indexing._demuxed(file, decode_all=False)


@pytest.mark.parametrize("max_read_bytes", [0, file_pieces.MAX_READ_BYTES])
@pytest.mark.parametrize("name", CODED)
def test_streams(tmp_path: Path, name: str, max_read_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of small files, which are read whole, and of large ones, of which pieces are."""
    monkeypatch.setattr(file_pieces, "MAX_READ_BYTES", max_read_bytes)
    path = mp4_files.write(tmp_path / "a.mp4", Written(CODED[name]))
    index = index_from_tables(str(path))
    assert (index is None) == (name in ODD_CODED)
    assert index in (None, demuxed(path))


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("stamps", STAMPS)
def test_ways_to_write_a_file(tmp_path: Path, options: str, stamps: str) -> None:
    lots = random.Random(f"{options} {stamps}")
    coded = [CODED[name] for name in CODED if name not in ODD_CODED]
    written = Written(
        lots.choice(coded),
        stamps=STAMPS[stamps],
        options=OPTIONS[options],
        sound=lots.random() < 0.5,
        title=lots.choice(("", "A title")),
    )
    path = mp4_files.write(tmp_path / "a.mp4", written)
    index = index_from_tables(str(path))
    assert index in (None, demuxed(path)), written
    if options in PLAIN_OPTIONS:
        assert index is not None, written


@pytest.mark.parametrize("suffix", [".mov", ".3gp"])
def test_relatives_of_mp4(tmp_path: Path, suffix: str) -> None:
    path = mp4_files.write(tmp_path / f"a{suffix}", Written(nv.H264["b3"]))
    index = index_from_tables(str(path))
    assert index is not None
    assert index == demuxed(path)


@pytest.mark.parametrize(
    "name", [name for name, recipe in odd_videos.RECIPES.items() if recipe.suffix == ".mp4"]
)
def test_awkward_files(odd_files: dict[str, Path], name: str) -> None:
    assert index_from_tables(str(odd_files[name])) in (None, demuxed(odd_files[name]))


@pytest.mark.parametrize(
    "name",
    [
        "rotated_90",
        "rotated_180",
        "mirrored",
        "bt709_full",
        "bt601_limited",
        "bt2020",
        "hevc_10bit",
        "open_gop",
    ],
)
def test_what_pictures_are_is_read_off_the_header(odd_files: dict[str, Path], name: str) -> None:
    index = index_from_tables(str(odd_files[name]))
    assert index is not None
    assert index.info == demuxed(odd_files[name]).info


def test_other_files_have_none(odd_files: dict[str, Path], tmp_path: Path) -> None:
    short = tmp_path / "short.mp4"
    short.write_bytes(odd_files["b_frames"].read_bytes()[:-1])
    (tmp_path / "empty.mp4").touch()
    for path in (short, tmp_path / "empty.mp4", tmp_path / "none.mp4", tmp_path, odd_files["raw_stream"]):
        assert index_from_tables(str(path)) is None


@pytest.mark.parametrize("max_read_bytes", [0, file_pieces.MAX_READ_BYTES])
def test_a_file_that_is_cut_short_while_it_is_read_has_none(
    tmp_path: Path, max_read_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_pieces, "MAX_READ_BYTES", max_read_bytes)
    path, check = write_video(tmp_path / "a.mp4", num_frames=30), video_of

    def too_late(layout: Layout) -> Mp4Video:
        video = check(layout)
        os.truncate(path, layout.num_bytes // 2)
        return video

    monkeypatch.setattr(mp4_index, "video_of", too_late)
    assert index_from_tables(str(path)) is None


def test_an_index_costs_no_demuxing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mp4", num_frames=20)
    monkeypatch.setattr(indexing, "_CACHE", IndexCache(1 << 20))
    monkeypatch.setattr(VideoFile, "_open", lambda file: pytest.fail("the file was opened with FFmpeg"))
    with VideoFile(str(path)) as file:
        assert indexing.index_of(file).num_frames == 20


def test_an_index_costs_a_fraction_of_demuxing(tmp_path: Path) -> None:
    """In CPU time, best of several in turn: 0.5 and 7 ms for 300 frames."""
    path = write_video(tmp_path / "a.mp4", num_frames=300, width=340, height=256)
    from_tables, by_demuxing = [], []
    for _ in range(7):
        begin = time.process_time()
        assert index_from_tables(str(path)) is not None
        middle = time.process_time()
        demuxed(path)
        from_tables.append(middle - begin)
        by_demuxing.append(time.process_time() - middle)
    assert min(from_tables) < min(by_demuxing) / 3


def mutants(tmp_path: Path, seeds: range) -> Iterator[tuple[int, Path]]:
    """Files whose tables chance has changed."""
    ways = [
        Written(nv.H264["b3"], sound=True, title="A title"),
        Written(nv.H264["b0"], options={"movflags": "faststart"}),
        Written(nv.H264["open"], suffix=".mov"),
        Written(nv.HEVC["b3"], sound=True),
        Written(nv.HEVC["b0"], stamps=STAMPS["uneven"]),
    ]
    wholes = [mp4_files.write(tmp_path / f"{number}{way.suffix}", way) for number, way in enumerate(ways)]
    for seed in seeds:
        lots = random.Random(seed)
        whole = lots.choice(wholes)
        path = tmp_path / f"mutant{seed}{whole.suffix}"
        path.write_bytes(mp4_files.mutated(whole.read_bytes(), lots))
        yield seed, path
        path.unlink()


def check_mutants(tmp_path: Path, seeds: range) -> None:
    num_read = 0
    for seed, path in mutants(tmp_path, seeds):
        index = index_from_tables(str(path))
        if index is None:
            continue
        num_read += 1
        try:
            assert index == demuxed(path), f"seed {seed}"
        except VideoError:
            assert isinstance(SingleFrames().outcome(path, [0]), str), f"seed {seed}: given out, not refused"
    assert num_read > len(seeds) / 10, "the changes must not all be refused at once"


def test_changed_tables_never_give_another_index(tmp_path: Path) -> None:
    check_mutants(tmp_path, range(600))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_many_changed_tables_never_give_another_index(tmp_path: Path) -> None:
    check_mutants(tmp_path, range(1000, 4000))
