"""TFRecord files: records, indices, and damage of all kinds."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from utils.tf_example import serialize_example
from utils.tfrecord import (
    FRAME_BYTES,
    Place,
    RecordError,
    find_records,
    main,
    read_index,
    read_record,
    write_records,
)

RECORDS = [b"", b"one", bytes(1000), os.urandom(70_000)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some@1+2 images.tfrecord"
    write_records(path, RECORDS)
    return path


def damage(path: Path, offset: int, num_bytes: int = 1) -> None:
    data = bytearray(path.read_bytes())
    for position in range(offset, offset + num_bytes):
        data[position] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize(("data", "crc"), [(b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA)])
def test_the_checksums_are_masked_crc_32c(tmp_path: Path, data: bytes, crc: int) -> None:
    """The sums are RFC 3720's, turned right by 15 bits, plus 0xa282ead8."""
    path = tmp_path / "one"
    write_records(path, [data])
    assert path.read_bytes()[-4:] == struct.pack(
        "<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    )


def test_records_come_out_as_they_went_in(file: Path) -> None:
    places = list(find_records(str(file)))
    assert [place.size for place in places] == [len(data) + FRAME_BYTES for data in RECORDS]
    assert [read_record(place) for place in places] == RECORDS


def test_a_place_is_a_text() -> None:
    place = Place("data/a@1+2 b.tfrecord", 12, 345)
    assert str(place) == "data/a@1+2 b.tfrecord@12+345"
    assert Place.parse(str(place)) == place
    assert Place.parse("data/a.jpg") is None
    assert Place.parse("data/a@1+2.jpg") is None


def test_an_index_is_written_and_then_read(file: Path) -> None:
    places = read_index(str(file))
    index = Path(f"{file}.idx")
    assert index.read_text() == "".join(f"{place.offset} {place.size}\n" for place in places)
    index.write_text("".join(index.read_text().splitlines(keepends=True)[1:2]))
    assert read_index(str(file)) == places[1:2]
    assert not list(file.parent.glob(".*"))


def test_an_index_may_lack_the_ending(file: Path) -> None:
    file.with_suffix(".idx").write_text("16 19\n")
    assert read_index(str(file)) == [Place(str(file), 16, 19)]


def test_where_the_folder_is_not_writable_the_index_is_in_the_cache(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("utils.tfrecord.Path.replace", replace_only_in(tmp_path / "cache"))
    places = read_index(str(file))
    (index,) = (tmp_path / "cache" / "rnb").iterdir()
    assert len(index.read_text().splitlines()) == len(places) == len(RECORDS)
    index.write_text("0 16\n")
    assert len(read_index(str(file))) == 1
    write_records(file, RECORDS[:2])  # another file now
    assert len(read_index(str(file))) == 2


def replace_only_in(folder: Path) -> Callable[[Path, Path], Path]:
    """In place of Path.replace: elsewhere nothing can be written, not by root either."""
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if folder not in target.parents:
            raise PermissionError(13, "read-only")
        return real(self, target)

    return replace


def test_an_index_that_can_be_kept_nowhere_is_still_there(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("utils.tfrecord.Path.replace", replace_only_in(Path("/nowhere")))
    assert [read_record(place) for place in read_index(str(file))] == RECORDS


@pytest.mark.parametrize("line", ["0", "a b", "-1 16", "0 99999999", "0 16 3", "\x00"])
def test_an_index_of_another_file_is_refused(file: Path, line: str) -> None:
    Path(f"{file}.idx").write_text(f"0 16\n{line}\n")
    with pytest.raises(
        ValueError, match=r"\.idx: line 2 is no `offset size` of a record in .*delete the index"
    ):
        read_index(str(file))


def test_damaged_data_is_one_corrupt_record(file: Path) -> None:
    second = list(find_records(str(file)))[1]
    damage(file, second.offset + 12)
    places = list(find_records(str(file)))
    with pytest.raises(
        RecordError, match=r"images\.tfrecord@16\+19: corrupt record: the checksum of its data is wrong"
    ):
        read_record(places[1])
    assert [read_record(place) for place in (places[0], *places[2:])] == [RECORDS[0], *RECORDS[2:]]


def test_a_damaged_length_loses_what_is_behind_it(file: Path) -> None:
    damage(file, 16)
    places = list(find_records(str(file)))
    assert [place.offset for place in places] == [0, 16]
    assert places[1].offset + places[1].size == file.stat().st_size
    with pytest.raises(RecordError, match="its length is damaged, and so all behind it is lost"):
        read_record(places[1])


@pytest.mark.parametrize("num_bytes", [5, 13, 500])
def test_a_file_that_is_cut_short_has_a_corrupt_end(file: Path, num_bytes: int) -> None:
    file.write_bytes(file.read_bytes()[: 35 + num_bytes])
    *whole, last = find_records(str(file))
    assert [read_record(place) for place in whole] == RECORDS[:2]
    assert last.size == num_bytes
    with pytest.raises(RecordError, match=r"corrupt record: (its length is damaged|it is 1016 bytes long)"):
        read_record(last)


def test_an_absurd_length_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "long.tfrecord"
    write_records(path, [b"abc"])
    data = path.read_bytes()
    path.write_bytes(struct.pack("<Q", 2**62) + data[8:])
    (place,) = find_records(str(path))
    with pytest.raises(RecordError, match="its length is damaged"):
        read_record(place)


def test_the_command_counts_and_names_corrupt_records(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: 4 records, 0 corrupt\n"
    damage(file, 16 + 12)
    assert main([str(file)]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith(f"{file}@16+19: corrupt record: ")
    assert out[1] == f"{file}: 4 records, 1 corrupt"
    assert main(["no/such/file"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_dali_reads_file_and_index(file: Path) -> None:
    pytest.importorskip("nvidia.dali")
    from nvidia.dali import Pipeline, fn, tfrecord

    write_records(file, [serialize_example({"image/encoded": data, "label": 7}) for data in RECORDS[1:]])
    read_index(str(file))
    with Pipeline(batch_size=3, num_threads=1, device_id=None) as pipeline:
        features = {
            "image/encoded": tfrecord.FixedLenFeature((), tfrecord.string, ""),
            "label": tfrecord.FixedLenFeature([1], tfrecord.int64, -1),
        }
        read = fn.readers.tfrecord(path=str(file), index_path=f"{file}.idx", features=features)
        pipeline.set_outputs(read["image/encoded"], read["label"])
    pipeline.build()
    images, labels = pipeline.run()
    assert [bytes(images.at(number)) for number in range(3)] == RECORDS[1:]
    assert labels.as_array().tolist() == [[7]] * 3
