"""serve.py with real processes behind it."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rnb.command_line.serve import main
from rnb.run_folder import read
from tests.support.running import ROOT
from tests.support.serving import ANSWER_S, Served

STEPS = [
    {"model": "tests.support.live_steps.Read", "gpus": [-1]},
    {"model": "tests.support.live_steps.Shout", "gpus": [-1], "hold_s": 4.0},
]


def config(folder: Path, steps: list[Any] = STEPS, iterator: str = "rnb.load.videos.NoVideos") -> Path:
    path = folder / "shouting.json"
    path.write_text(json.dumps({"video_path_iterator": iterator, "pipeline": steps}))
    return path


def command(*flags: str) -> list[str]:
    return [
        sys.executable,
        "serve.py",
        "--port",
        "0",
        "--grpc-port",
        "0",
        "--device",
        "cpu",
        "--logs",
        "off",
        *flags,
    ]


@contextlib.contextmanager
def serving(*flags: str) -> Iterator[Served]:
    process = subprocess.Popen(
        command(*flags), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = process.stdout.readline()
        match = re.fullmatch(r"shouting is served: http://127\.0\.0\.1:(\d+), gRPC on port (\d+)\n", line)
        assert match, line + process.stderr.read()
        yield Served(process=process, http_port=int(match[1]), grpc_port=int(match[2]))
    finally:
        process.kill()
        process.communicate()


def ask(served: Served, text: str) -> Any:
    tensor = {"name": "DATA", "datatype": "BYTES", "shape": [1], "data": [text]}
    return served.ask("POST", "/v2/models/shouting/infer", json.dumps({"inputs": [tensor]}))


def test_it_serves_and_ends_when_told(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    logs = ("--request-log", str(log), "--logs", str(tmp_path / "logs"))
    with serving("-c", str(config(tmp_path)), *logs) as served:
        assert json.loads(ask(served, "hello").json()["outputs"][0]["data"][0])[0] == "HELLO"
        bad = ask(served, "bad")
        assert (bad.status, "it is bad" in bad.error) == (400, True)
        told = served.ask("GET", "/v2/models/stats").json()["model_stats"]
        assert [(one["name"], one["inference_count"]) for one in told] == [
            ("shouting", 1),
            ("Read-0", 1),
            ("Shout-1", 1),
        ]
        assert (
            'nv_inference_count{model="Shout-1",version="1"} 1' in served.ask("GET", "/metrics").body.decode()
        )

        replies: list[Any] = []
        waiting = threading.Thread(target=lambda: replies.append(ask(served, "hold")))
        waiting.start()
        served.wait_for_pending(1)
        served.process.send_signal(signal.SIGTERM)
        while served.ask("GET", "/v2/health/ready").status == 200:
            time.sleep(0.01)
        assert ask(served, "too late").status == 503
        waiting.join()
        assert served.process.wait(ANSWER_S) == 0
    assert json.loads(replies[0].json()["outputs"][0]["data"][0])[0] == "HOLD"
    (part,) = (tmp_path / "logs").glob("*-serve-*/part-*")
    assert list(read(part).requests["status"]) == ["finished", "failed", "finished"]
    assert [json.loads(line)["status"] for line in log.read_text().splitlines()[:2]] == [200, 400]


def refusal(capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    """The line of a server that is not started, for a wrong flag or config."""
    try:
        status = main(["--port", "0", "--grpc-port", "0", "--device", "cpu", *flags])
    except SystemExit as error:
        status = int(str(error.code))
    out, err = capsys.readouterr()
    assert (status, out, err.count("\n")) == (2, "", 1), err
    return err


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("-c", "nowhere.json"), "nowhere.json"),
        (("-c", "config/empty.json", "--host", "0.0.0.0"), "--api-key"),
        (("-c", "config/empty.json", "--host", "192.0.2.1", "--api-key", "x"), "cannot listen there"),
        (("-c", "config/empty.json", "--request-log", "/nowhere/log"), "/nowhere/log"),
        (("-c", "config/empty.json", "--port", "7", "--grpc-port", "7"), "--port and --grpc-port are both 7"),
    ],
)
def test_what_cannot_start_is_one_line(
    flags: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told in refusal(capsys, *flags)


@pytest.mark.parametrize("flag", ["--port", "--grpc-port"])
def test_a_port_that_is_taken(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert "Address already in use" in refusal(capsys, "-c", "config/empty.json", flag, str(port))


def test_an_iterator_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = refusal(capsys, "-c", str(config(tmp_path, iterator="rnb.load.videos.Gone")))
    assert "video_path_iterator: 'rnb.load.videos.Gone'" in told


def test_a_step_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = [{"model": "tests.support.live_steps.Gone", "gpus": [-1]}]
    assert "has no 'Gone'" in refusal(capsys, "-c", str(config(tmp_path, steps)))


def test_ctrl_c_while_it_starts(tmp_path: Path) -> None:
    slow = {"model": "tests.support.live_steps.SlowStart", "gpus": [-1], "mark": str(tmp_path / "mark")}
    flags = command("-c", str(config(tmp_path, [slow])))
    with subprocess.Popen(flags, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "mark").exists():
            time.sleep(0.05)
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=ANSWER_S)
    assert (process.returncode, err) == (1, "serve.py: interrupted\n")


def test_what_is_not_installed_is_said_with_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    told = refusal(capsys, "-c", "config/empty.json")
    assert told == "serve.py: error: uvloop is not installed: pip install 'rnb[serve]'\n"
