"""NVIDIA's perf_analyzer, as it comes, over both protocols."""

from __future__ import annotations

import base64
import csv
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnb.serving.tensors import join
from tests.support.running import ROOT
from tests.support.serving import Served, serving
from utils.packages import PackageError
from utils.perf_analyzer import environment, prepare

pytestmark = [pytest.mark.slow, pytest.mark.processes]

NUM_REQUESTS, NUM_SEQUENCES, SEQUENCE_LENGTH = 60, 2, 5
RUN_S = 120


@pytest.fixture(scope="module")
def analyzer() -> tuple[Path, Path]:
    try:
        program, folder = prepare(ROOT / "data/cache")
    except PackageError as error:
        pytest.skip(str(error))
    return program, folder


@pytest.fixture(scope="module")
def payload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 KiB as DATA, in the binary form."""
    path = tmp_path_factory.mktemp("payload") / "input.json"
    data = {"DATA": {"b64": base64.b64encode(join([bytes(4096)])).decode()}}
    path.write_text(json.dumps({"data": [data]}))
    return path


@pytest.fixture(scope="module")
def sequences() -> Iterator[Served]:
    with serving(is_stateful=True, shared_memory=True) as server:
        yield server


class Analyzer:
    """Runs it over one protocol."""

    def __init__(self, analyzer: tuple[Path, Path], protocol: str, payload: Path, out: Path) -> None:
        self._program, self._folder = analyzer
        self.protocol, self._payload, self._out = protocol, payload, out

    def run(self, served: Served, *flags: str) -> str:
        """What it prints."""
        url = served.grpc if self.protocol == "grpc" else served.http
        command = [self._program, "-m", "scripted", "-u", url, "-i", self.protocol, *flags]
        command += ["--input-data", self._payload, "-f", self._out, "--verbose-csv"]
        done = subprocess.run(
            list(map(str, command)),
            env=environment(self._folder),
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def row(self) -> dict[str, str]:
        """The first line of the table that it wrote."""
        with self._out.open(newline="") as file:
            return next(csv.DictReader(file))


@pytest.fixture(params=["http", "grpc"])
def analyze(
    request: pytest.FixtureRequest, analyzer: tuple[Path, Path], payload: Path, tmp_path: Path
) -> Analyzer:
    return Analyzer(analyzer, request.param, payload, tmp_path / "table.csv")


COUNT = ("--request-count", str(NUM_REQUESTS))


def test_a_rate_and_what_each_step_took(served: Served, analyze: Analyzer) -> None:
    told = analyze.run(served, *COUNT, "--concurrency-range", "2")
    assert "Composing models:" in told
    for step in ("Decode-0", "Net-1"):
        _, _, after = told.partition(f"{step}, version: 1")
        assert "Successful request count" in after
        assert "+ compute infer" in after
    assert float(analyze.row()["Inferences/Second"]) > 0


def test_open_loop(served: Served, analyze: Analyzer) -> None:
    told = analyze.run(
        served, *COUNT, "--async", "--request-rate-range", "50", "--request-distribution", "poisson"
    )
    assert "Throughput:" in told


def test_system_shared_memory(served: Served, analyze: Analyzer) -> None:
    assert "Throughput:" in analyze.run(served, *COUNT, "--shared-memory", "system", "-b", "4")
    regions = served.ask("GET", "/v2/systemsharedmemory/status").json()
    assert regions == []


def test_sequences(sequences: Served, analyze: Analyzer) -> None:
    flags = ("--sequence-length", str(SEQUENCE_LENGTH), "--num-of-sequences", str(NUM_SEQUENCES))
    told = analyze.run(sequences, *COUNT, *flags, "--serial-sequences", "--request-rate-range", "50")
    assert "Net-1, version: 1" in told
    assert "Failed" not in told


def test_metrics(served: Served, analyze: Analyzer) -> None:
    url = f"{served.http}/metrics"
    told = analyze.run(
        served, *COUNT, "--request-rate-range", "30", "--async", "--collect-metrics", "--metrics-url", url
    )
    assert "Throughput:" in told


@pytest.mark.parametrize("analyze", ["grpc"], indirect=True)
def test_streaming(served: Served, analyze: Analyzer) -> None:
    assert "Throughput:" in analyze.run(served, *COUNT, "--streaming", "--async", "--concurrency-range", "3")
