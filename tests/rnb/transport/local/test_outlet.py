"""What a process tells by its outlet arrives whole and in order, or not at all."""

from __future__ import annotations

import os
import threading
from multiprocessing.connection import wait

from rnb.transport.local.outlet import Collector, Outlet, Record, outlet


def receive(collector: Collector, count: int) -> list[Record]:
    records: list[Record] = []
    while len(records) < count:
        assert wait([collector.fileno()], 60), f"{len(records)} of {count} records came"
        records += collector.receive()
    return records


def test_records_of_all_sizes_arrive_as_they_were_sent() -> None:
    collector, end = outlet()
    assert collector.receive() == []
    sent = [Record(1 << 40, 255, b""), Record(-3, 0, b"x"), Record(7, 2, os.urandom(3 << 20))]

    def write() -> None:
        for record in sent:
            end.send(*record)

    writer = threading.Thread(target=write)
    writer.start()
    assert receive(collector, 3) == sent
    writer.join()
    assert not collector.has_ended
    end.close()
    assert collector.receive() == []
    assert collector.has_ended
    collector.close()


def test_threads_do_not_mix_their_records() -> None:
    collector, end = outlet()

    def write(number: int) -> None:
        for key in range(200):
            end.send(key, number, bytes([number]) * 5000)

    writers = [threading.Thread(target=write, args=[number]) for number in range(3)]
    for writer in writers:
        writer.start()
    records = receive(collector, 600)
    for writer in writers:
        writer.join()
    for number in range(3):
        mine = [record for record in records if record.kind == number]
        assert [record.key for record in mine] == list(range(200))
        assert {record.data for record in mine} == {bytes([number]) * 5000}


def test_a_record_that_its_writer_could_not_end_is_left_out() -> None:
    reading, writing = os.pipe()
    collector, end = Collector(reading), Outlet(os.dup(writing))
    end.send(1, 1, b"whole")
    end.close()
    os.write(writing, b"\x40\x00\x00\x00half of it")
    os.close(writing)
    assert receive(collector, 1) == [Record(1, 1, b"whole")]
    assert collector.receive() == []
    assert collector.has_ended
    collector.close()
