"""Every frame of every kind of file is the one of FFmpeg's own sequential decode, or it is refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from nvvl import indexing
from nvvl.index_cache import IndexCache
from tests.support import video_files
from tests.support.numbered_videos import NUM_FRAMES, number_in, sequential
from tests.support.single_frames import SingleFrames, rgb

INTACT, DAMAGED = video_files.intact(), video_files.damaged()
# A few of each kind with every commit, all of them in the long run.
EVERY = 9
SINGLES = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


def some(names: list[str]) -> list[object]:
    return [
        name if place % EVERY == 0 else pytest.param(name, marks=pytest.mark.slow)
        for place, name in enumerate(names)
    ]


def test_there_are_files_enough() -> None:
    assert len(INTACT) + len(DAMAGED) >= 300


@pytest.mark.parametrize("name", some(list(INTACT)))
def test_an_intact_file_is_exact(folder: Path, name: str) -> None:
    path = INTACT[name](folder)
    frames = sequential(path)
    numbers = [number_in(frame) for frame in frames]
    assert numbers == sorted(numbers)
    assert set(numbers) <= set(range(NUM_FRAMES))
    rng, loader = random.Random(name), SingleFrames()
    wanted = [[place] for place in rng.sample(range(len(frames)), SINGLES)]
    wanted += [rng.sample(range(len(frames)), 5), list(range(len(frames)))]
    for places in wanted:
        got = loader.of(path, places)
        wrong = [
            place for place, picture in zip(places, got, strict=True) if (picture != rgb(frames[place])).any()
        ]
        assert not wrong, f"of frames {places}"


@pytest.mark.parametrize("name", some(list(DAMAGED)))
def test_a_damaged_file_never_gives_another_frame(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frame n is frame n of the file as it was; damage that FFmpeg does not see is allowed."""
    make, make_whole = DAMAGED[name]
    path, whole = make(folder), pictures(make_whole(folder))
    played, is_truncated = pictures(path), name.startswith("truncated")
    made_up = pictures(path, lambda frame: frame.is_corrupt)
    loader = SingleFrames()
    outcomes = [loader.outcome(path, [place]) for place in range(NUM_FRAMES)]
    for place, outcome in enumerate(outcomes):
        if isinstance(outcome, str):
            continue
        [picture] = outcome
        if is_truncated:
            assert picture == played[place]
        else:
            assert picture == whole[place] or picture not in {*whole, *made_up}, f"frame {place}"
    order = list(range(NUM_FRAMES))
    random.Random(name).shuffle(order)
    monkeypatch.setattr(indexing, "_CACHE", IndexCache(1 << 20))
    again = SingleFrames()
    anew = {place: again.outcome(path, [place]) for place in order}
    assert [anew[place] for place in range(NUM_FRAMES)] == outcomes, "what came before changes nothing"


def pictures(path: Path, kind: Callable[[Any], bool] = lambda frame: True) -> list[bytes]:
    """What a player shows of a file, damaged or not, or the frames of one kind of that."""
    try:
        return [rgb(frame).tobytes() for frame in sequential(path) if kind(frame)]
    except av.error.FFmpegError:
        return []


def test_damage_is_concealed_where_that_is_asked_for(folder: Path) -> None:
    make, _ = DAMAGED["flipped_h264_b3.mkv"]
    path, careful, careless = make(folder), SingleFrames(), SingleFrames(conceal=True)
    refused = [place for place in range(NUM_FRAMES) if isinstance(careful.outcome(path, [place]), str)]
    assert 0 < len(refused) < NUM_FRAMES
    for place in refused:
        assert len(careless.of(path, [place])) == 1
        assert careless.loader.notes == ("1 of its frames are concealed where it is damaged",)
    fine = next(place for place in range(NUM_FRAMES) if place not in refused)
    careless.of(path, [fine])
    assert careless.loader.notes == ()


def test_a_truncated_avi_says_so(folder: Path) -> None:
    make, make_whole = DAMAGED["truncated_h264_b3.avi"]
    loader = SingleFrames()
    loader.of(make_whole(folder), [0])
    assert loader.loader.notes == ()
    path = make(folder)
    loader.of(path, [0])
    count = len(sequential(path))
    assert " ".join(loader.loader.notes) == f"has {count} of the {NUM_FRAMES} frames that its header declares"


@pytest.mark.parametrize(
    ("clock", "gaps", "cut_off", "num_sure"),
    [
        ([0], [0], set(), 1),
        ([0, 1, 2, 3, 4, 5], [2], set(), 6),
        ([0, 1, 2, 3, 5, 6], [2], set(), 4),
        ([0, 1, 2, 3, 4, 5], [5], {5}, 5),
    ],
)
def test_where_a_frame_may_be_missing(
    clock: list[int | None], gaps: list[int], cut_off: set[int], num_sure: int
) -> None:
    """A piece was missed at packet `gaps`; only where the clock leaves out a frame, one is gone."""
    scan = indexing._Scan(None, pts=clock, dts=clock, sizes=[1] * len(clock), incomplete=gaps, starts=[0])
    shown = [packet for packet in range(len(clock)) if packet not in cut_off]
    assert indexing._num_sure(scan, shown) == num_sure
