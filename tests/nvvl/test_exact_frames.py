"""Every index gives the frame that a full sequential decode gives, for every awkward kind of file."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from nvvl.damage import Damage
from nvvl.index import VideoIndex
from nvvl.indexing import index_of, whole_index_of
from nvvl.pyav_backend import frames_of
from nvvl.video_file import VideoFile
from tests.support import odd_videos


def decoded(path: Path, frames: Sequence[int], *, whole: bool = False) -> dict[int, list[bytes]]:
    with VideoFile(str(path)) as file:
        index = whole_index_of(file) if whole else index_of(file)
        return {
            number: odd_videos.content(frame)
            for number, frame in frames_of(file, index, frames, Damage(index))
        }


def index_for(path: Path) -> VideoIndex:
    with VideoFile(str(path)) as file:
        return index_of(file)


@pytest.mark.parametrize("name", odd_videos.RECIPES)
def test_each_index_alone(odd_files: dict[str, Path], name: str) -> None:
    path = odd_files[name]
    expected = [odd_videos.content(frame) for frame in odd_videos.sequential(path)]
    assert index_for(path).num_frames == len(expected)
    for number, pixels in enumerate(expected):
        assert decoded(path, [number]) == {number: pixels}, f"frame {number}"


@pytest.mark.parametrize("name", odd_videos.RECIPES)
def test_several_indices_at_once(odd_files: dict[str, Path], name: str) -> None:
    path = odd_files[name]
    expected = [odd_videos.content(frame) for frame in odd_videos.sequential(path)]
    rng = random.Random(name)
    for count in (2, 5, len(expected)):
        wanted = rng.sample(range(len(expected)), count)
        assert decoded(path, wanted) == {number: expected[number] for number in wanted}


@pytest.mark.parametrize("name", ["b_frames", "open_gop", "edit_list", "hevc", "raw_stream", "mpeg2_ts"])
def test_an_index_read_off_decoded_frames(odd_files: dict[str, Path], name: str) -> None:
    path = odd_files[name]
    expected = [odd_videos.content(frame) for frame in odd_videos.sequential(path)]
    wanted = range(0, len(expected), 5)
    assert decoded(path, wanted, whole=True) == {number: expected[number] for number in wanted}


def test_a_changed_file_is_indexed_anew(tmp_path: Path) -> None:
    long, short = odd_videos.Recipe(num_frames=20), odd_videos.Recipe(num_frames=9)
    path = odd_videos.make(tmp_path, "same_name", long)
    assert index_for(path).num_frames == 20
    assert odd_videos.make(tmp_path, "same_name", short) == path
    assert index_for(path).num_frames == 9


def test_a_plan_leaves_out_what_no_wanted_frame_refers_to(odd_files: dict[str, Path]) -> None:
    index = index_for(odd_files["b_frames"])
    wanted = 22
    [run] = index.plan([wanted])
    fed = [packet for packet in range(run.first, run.last + 1) if index.is_needed(packet, run)]
    assert run.first == 12, "the keyframe before frame 22"
    assert index.packet_of_frame[wanted] in fed
    assert len(fed) <= 8 < run.last - run.first


def test_a_plan_jumps_over_keyframes_and_joins_neighbours(odd_files: dict[str, Path]) -> None:
    index = index_for(odd_files["no_b_frames"])
    assert [(run.first, run.last) for run in index.plan([2, 3, 30])] == [(0, 3), (24, 30)]
    assert [(run.first, run.last) for run in index.plan([11, 13])] == [(0, 13)]


def test_intra_refresh_is_no_place_to_start(odd_files: dict[str, Path]) -> None:
    assert list(index_for(odd_files["intra_refresh"]).starts) == [0]


def test_open_groups_start_before_the_keyframe_that_follows_in_the_file(odd_files: dict[str, Path]) -> None:
    index = index_for(odd_files["open_gop"])
    second = index.starts[1]
    leading = index.frame_of_packet[second] - 1
    assert index.packet_of_frame[leading] > second, "displayed before the keyframe, stored behind it"
    assert index.plan([leading])[0].first == 0
