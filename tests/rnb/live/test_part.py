"""What was served is kept in run folders, which are read, compared and shown as any other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnb.command_line.compare import main as compare
from rnb.contract.events import DUE
from rnb.live.asking import Answer, Ask, NotServed
from rnb.record.run import Run
from rnb.record.run_folder import read
from tests.rnb.live.test_pipeline import ask, result_of, step
from tests.support.running import tiny
from tests.support.served import all_of, served, serving, serving_spec


def parts_of(logs: Path) -> list[Run]:
    (folder,) = logs.iterdir()
    return [read(part) for part in sorted(folder.iterdir())]


def test_parts_read_back_as_what_was_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs, answers = tmp_path / "logs", list[Answer | NotServed]()

    async def work() -> None:
        spec = serving_spec(tmp_path, [step("Read"), step("Shout")])
        async with serving(spec, logs=logs, log_part=20) as pipeline:
            for number in range(50):
                text = "bad" if number == 30 else f"text {number}"
                answers.extend(await all_of(pipeline, [ask(text, suffix=".txt", trace_id=f"{number:032x}")]))

    served(work)
    parts = parts_of(logs)
    assert [part.num_requests for part in parts] == [20, 20, 10]
    for first, part in zip((0, 20, 40), parts, strict=True):
        mine = answers[first : first + part.num_requests]
        for number, answer in enumerate(mine):
            assert part.requests["trace_id"][number] == f"{first + number:032x}"
            if isinstance(answer, NotServed):
                assert part.requests["status"][number] == "failed"
                assert part.requests["reason"][number] == "the request: it is bad"
                assert number not in part.results
            else:
                assert part.results[number] == result_of(answer)
                offset_ns = part.due_ns[number] - answer.times_ns[DUE]
                times_ns = {event: int(times[number] - offset_ns) for event, times in part.times.items()}
                assert times_ns == answer.times_ns
        assert (np.diff(part.due_ns) > 0).all()
        assert (part.requests["arrival_ns"] == part.due_ns - part.start_ns).all()
    assert parts[0].requests["video"][0] == "6 bytes.txt"
    assert compare([str(logs), "--group-by", "folder"]) == 0
    told = capsys.readouterr().out
    assert all(f"part-000{number}" in told for number in (1, 2, 3)), told


def test_classes_and_paths_and_sequences_are_kept(tmp_path: Path) -> None:
    logs, found = tmp_path / "logs", list[Any]()

    async def work() -> None:
        spec = serving_spec(tmp_path, [tiny("Load"), tiny("ClassifyByName")])
        async with serving(spec, logs=logs, keep_parts=1, log_part=3) as pipeline:
            for number in range(6):
                parameters = {"sequence_id": f"s{number // 2}"}
                found.append(await pipeline.serve(Ask(payload=f"{number}.mp4", parameters=parameters)))

    served(work)
    (part,) = parts_of(logs)
    assert part.folder is not None
    assert part.folder.name == "part-0002", "the first one was not to be kept"
    assert part.requests["label"].tolist() == [answer.result.label for answer in found[3:]]
    names = part.requests["class_name"].tolist()
    assert [name or None for name in names] == [answer.class_name or None for answer in found[3:]]
    assert part.requests["video"].tolist() == ["3.mp4", "4.mp4", "5.mp4"]
    assert part.requests["sequence"].tolist() == [0, 1, 1]
    assert part.requests["num_clips"].min() > 0


def test_a_part_ends_with_its_time_and_nothing_served_leaves_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        spec = serving_spec(tmp_path, [step("Read")])
        async with serving(spec, logs=tmp_path / "logs", log_minutes=0.3 / 60) as pipeline:
            await pipeline.serve(ask("one"))
            assert pipeline.folder is not None
            while not list(pipeline.folder.glob("part-0001/run.json")):
                await asyncio.sleep(0.05)
            await pipeline.serve(ask("two"))
        assert [part.results for part in parts_of(tmp_path / "logs")] == [{0: "one"}, {0: "two"}]
        async with serving(spec, logs=tmp_path / "none"):
            pass
        assert list((tmp_path / "none").iterdir()) == []

    served(work)
