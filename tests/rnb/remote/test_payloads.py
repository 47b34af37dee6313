"""The content of requests, made before the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnb.contract.termination import UsageError
from rnb.remote import payloads
from rnb.remote.datatypes import pack_bytes
from rnb.remote.inputs import Input
from rnb.remote.payloads import NUM_VARIANTS, Payloads

NOISE = Input(name="NOISE", datatype="FP32", shape=(4,), how="random")
FILE = Input(name="FILE", datatype="BYTES", shape=(1,), how="file")
PATH = Input(name="PATH", datatype="BYTES", shape=(1,), how="path")


def test_random_requests_take_turns_and_are_the_same_for_the_same_seed() -> None:
    first, again, other = (Payloads([NOISE], seed=seed, data="") for seed in (1, 1, 2))
    contents = [first.of(number, "")[0] for number in range(NUM_VARIANTS)]
    assert len(set(contents)) == NUM_VARIANTS
    assert first.of(NUM_VARIANTS + 3, "") == [contents[3]]
    assert [again.of(number, "")[0] for number in range(NUM_VARIANTS)] == contents
    assert other.of(0, "") != [contents[0]]


def test_of_large_requests_there_are_fewer() -> None:
    megabyte = Input(name="LARGE", datatype="UINT8", shape=(payloads.MOST_BYTES // 3,), how="zeros")
    assert Payloads([megabyte], seed=0, data="").num_variants == 3


def test_a_request_has_its_file_or_the_path_of_that(tmp_path: Path) -> None:
    path = tmp_path / "cats" / "1.jpg"
    path.parent.mkdir()
    path.write_bytes(b"\xff\xd8")
    made = Payloads([FILE, NOISE, PATH], seed=0, data=str(tmp_path))
    made.read([str(path), str(path)])
    file, noise, name = made.of(5, str(path))
    assert (file, name) == (pack_bytes([b"\xff\xd8"]), pack_bytes([b"cats/1.jpg"]))
    assert noise == Payloads([NOISE], seed=0, data="").of(5, "")[0]


def test_a_file_that_is_gone_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        Payloads([FILE], seed=0, data=str(tmp_path)).read([str(tmp_path / "gone.jpg")])


def test_more_than_memory_should_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payloads, "MOST_FILE_BYTES", 10)
    (tmp_path / "a").write_bytes(bytes(11))
    with pytest.raises(UsageError, match="to be sent"):
        Payloads([FILE], seed=0, data=str(tmp_path)).read([str(tmp_path / "a")])
