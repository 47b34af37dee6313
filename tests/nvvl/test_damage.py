"""How far damage reaches: to what refers to it, up to the next keyframe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from nvvl.clips import MissingFrames, Places, places_of
from nvvl.damage import Damage
from nvvl.index import VideoIndex
from nvvl.indexing import index_of
from nvvl.video_file import VideoFile
from tests.support import numbered_videos as nv


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> VideoIndex:
    """Of 48 frames with a keyframe at each 12th, and frames between that nothing refers to."""
    path = nv.encode(tmp_path_factory.mktemp("videos") / "a.mp4", nv.H264["b3"])
    with VideoFile(str(path)) as file:
        return index_of(file)


def all_places() -> Places:
    places = places_of([[frame] for frame in range(nv.NUM_FRAMES)])
    for frame in range(nv.NUM_FRAMES):
        places.take(frame)
    return places


def suspects(index: VideoIndex, packets: Sequence[int | None]) -> set[int]:
    damage, places = Damage(index), all_places()
    for packet in packets:
        damage.found(packet)
    assert damage.settle(places) == 0
    return set(places.of_frame) - places.arrived


def test_a_keyframe_takes_its_group_with_it(index: VideoIndex) -> None:
    assert suspects(index, [12]) == set(range(12, 24))


def test_what_nothing_refers_to_is_alone(index: VideoIndex) -> None:
    packet = next(packet for packet in range(12, 24) if index.unreferenced[packet])
    assert suspects(index, [packet]) == {index.frame_of_packet[packet]}


def test_frames_decoded_before_are_fine(index: VideoIndex) -> None:
    last = 23
    assert suspects(index, [last]) == {index.frame_of_packet[last]}


def test_nobody_knows_which_packet(index: VideoIndex) -> None:
    assert suspects(index, [None]) == set(range(12))


def test_what_the_index_knows(index: VideoIndex) -> None:
    assert suspects(replace(index, damage=[36]), []) == set(range(36, 48))
    assert suspects(replace(index, num_sure=40), []) == set(range(40, 48))
    assert suspects(index, []) == set()


def test_a_suspect_frame_is_missing_or_counted(index: VideoIndex) -> None:
    places = all_places()
    assert Damage(replace(index, damage=[36]), conceal=True).settle(places) == 12
    places.check_complete()
    Damage(replace(index, damage=[36])).settle(places)
    with pytest.raises(MissingFrames, match="12 frames from 36 on"):
        places.check_complete()
