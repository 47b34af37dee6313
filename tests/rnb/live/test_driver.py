"""However a server ends, or fails to start, nothing is left of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest

from rnb.contract.termination import UsageError
from rnb.live.driver import StartFailed
from rnb.live.pipeline import Pipeline
from rnb.live.settings import Serving
from rnb.record.run_folder import read
from tests.rnb.live.test_pipeline import step
from tests.support.leftovers import SharedMemoryWatch, pids_with
from tests.support.running import tiny
from tests.support.served import served, serving_spec

SERVER = """
import asyncio, sys
from pathlib import Path
from rnb.live.pipeline import Pipeline
from rnb.live.asking import Ask
from rnb.live.settings import Serving
from tests.support.served import all_of, serving_spec, until
from tests.rnb.live.test_pipeline import ask, step

async def main():
    folder = Path(sys.argv[1])
    spec = serving_spec(folder, [step("Read"), step("Shout"), step("StartsProcess")])
    pipeline = await Pipeline.start(spec, Serving(logs=folder / "logs"))
    for _ in range(2):
        await all_of(pipeline, [ask("quick")] * 1000)
    await until(lambda: pipeline._books._parts._waiting.empty())  # so the first of them are with their writer
    asked = [asyncio.ensure_future(pipeline.serve(ask("hold"))) for _ in range(10)]
    await asyncio.sleep(0)
    print("serving", flush=True)
    if sys.argv[2] == "drain":
        print(await pipeline.drain(60), [one.done() for one in asked], flush=True)
    else:
        await asyncio.sleep(600)

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.parametrize("end", ["drain", "kill"])
def test_nothing_is_left_of_a_server(tmp_path: Path, end: str) -> None:
    mark = f"RNB_LIVE_TEST={uuid.uuid4().hex}"
    name, _, value = mark.partition("=")
    temporary = Path(tempfile.mkdtemp(prefix="rnb-test-"))  # the path of a socket must be short
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    watch = SharedMemoryWatch(lambda: pids_with(mark))
    environment = {**os.environ, name: value, "TMPDIR": str(temporary), "PYTHONPATH": "."}
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path), end],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "serving\n"
        if end == "drain":
            assert server.stdout.readline() == f"True {[True] * 10}\n"
        else:
            assert len(list(pids_with(mark))) >= 5  # the server, its replicas, and what one of them started
            server.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while (left := list(pids_with(mark))) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left
    (folder,) = (tmp_path / "logs").iterdir()
    assert read(folder / "part-0001").num_requests in ((2010,) if end == "drain" else (1000, 2000))
    temporary.rmdir()  # nothing is in it
    assert not watch.end()


def test_what_cannot_start_says_so_and_leaves_no_folder(tmp_path: Path) -> None:
    logs = tmp_path / "logs"

    async def work() -> None:
        with pytest.raises(UsageError, match="no module named 'nowhere'"):
            await Pipeline.start(serving_spec(tmp_path, [{"model": "nowhere.Step", "gpus": [0]}]))
        spec = serving_spec(tmp_path, [tiny("Misbehave")])
        with pytest.raises(StartFailed, match=r"step 0\.0 failed: ArithmeticError: .* on purpose") as caught:
            await Pipeline.start(spec, Serving(logs=logs))
        assert "in _misbehave" in caught.value.traceback

    served(work)
    assert list(logs.iterdir()) == []


def test_a_start_can_be_called_off(tmp_path: Path) -> None:
    async def work() -> None:
        starting = asyncio.ensure_future(Pipeline.start(serving_spec(tmp_path, [step("SlowToStart")])))
        await asyncio.sleep(0.5)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

    began = time.monotonic()
    served(work)
    assert time.monotonic() - began < 60, "it would have taken ten minutes"
