"""Pieces of a file, read whole where it is small; one that is cut short meanwhile ends nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nvvl import file_pieces
from nvvl.file_pieces import FilePieces
from nvvl.mp4_boxes import OddFile

CONTENT = bytes(range(200))


@pytest.fixture(params=[0, file_pieces.MAX_READ_BYTES], ids=["in pieces", "whole"])
def pieces(request: pytest.FixtureRequest, file: int, monkeypatch: pytest.MonkeyPatch) -> FilePieces:
    monkeypatch.setattr(file_pieces, "MAX_READ_BYTES", request.param)
    return FilePieces(file, len(CONTENT))


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    descriptor = os.open(path, os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def test_they_are_what_stands_there(pieces: FilePieces) -> None:
    assert pieces.pieces(np.array([0, 150, 7]), 3).tolist() == [[0, 1, 2], [150, 151, 152], [7, 8, 9]]
    assert pieces.piece(190, 10) == CONTENT[190:]


def test_what_begins_before_the_end_may_reach_behind_it(pieces: FilePieces) -> None:
    (piece,) = pieces.pieces(np.array([198]), 5).tolist()
    assert piece[:2] == [198, 199]


def test_a_piece_that_is_not_there(pieces: FilePieces) -> None:
    with pytest.raises(OddFile):
        pieces.piece(190, 11)


def test_a_file_that_is_cut_short(pieces: FilePieces, file: int) -> None:
    os.truncate(file, 100)
    assert pieces.pieces(np.array([50, 150]), 3)[0].tolist() == [50, 51, 52]
    with pytest.raises(OddFile):
        pieces.piece(90, 20)


def test_one_that_was_cut_short_before(file: int) -> None:
    with pytest.raises(OddFile):
        FilePieces(file, len(CONTENT) + 1)
