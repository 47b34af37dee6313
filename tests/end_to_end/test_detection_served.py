"""The detector behind serve.py: POST /predict, and the protocol, give what the steps find."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.detection.objects import DetectionResult
from rnb.demo.server import NoAnswer, Server
from rnb.demo.step_times import step_times
from rnb.record.run_folder import read
from tests.support.images import write_images
from tests.support.running import ENDED_WELL, ROOT, Bench

pytestmark = [pytest.mark.processes, pytest.mark.slow]
CONFIG = ROOT / "config/detection-cpu.json"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    flags = ["-c", str(CONFIG), "--port", "0", "--grpc-port", "0", "--request-log", "off", "--logs", "off"]
    command = [sys.executable, "serve.py", *flags]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            found = filter(None, (re.search(r"http://[\d.:]+", line) for line in process.stdout))
            yield Server(url=next(found)[0])
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_an_image_gets_what_a_run_finds_on_it(server: Server, bench: Bench, tmp_path: Path) -> None:
    paths = write_images(tmp_path / "images", 3, 200, 150)
    config = json.loads(CONFIG.read_text())
    run = bench.call(config, "--data", str(tmp_path / "images"), "-mi", "0", "-v", "3")
    assert run.status in ENDED_WELL, run.err
    assert run.folder is not None
    expected, before = read(run.folder).results, server.statistics()
    for number, path in enumerate(paths):
        told = server.predict(path.read_bytes(), "image/jpeg")
        assert told["count"] == len(told["objects"]) > 0
        assert DetectionResult.agree(told, expected[number])
        assert DetectionResult.agree(server.infer(server.model(), path.read_bytes(), {}), expected[number])
    names = [one.name for one in step_times(before, server.statistics())]
    assert names == ["detection-cpu", "ImageLoader-0", "BoxScorer-1", "ObjectFinder-2"]


@pytest.mark.parametrize(
    ("data", "media_type", "reason"),
    [
        (b"\xff\xd8\xff" + bytes(50), "image/jpeg", "400: "),
        (b"text", "text/plain", "415: "),
    ],
)
def test_what_is_no_image_is_refused(server: Server, data: bytes, media_type: str, reason: str) -> None:
    with pytest.raises(NoAnswer, match=f"^{reason}"):
        server.predict(data, media_type)
