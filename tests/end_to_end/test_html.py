"""Pages, as a user asks for them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.running import ENDED_WELL, ROOT, Bench, tiny
from tests.support.sample_runs import write_run

PIPELINE = [tiny("Load"), tiny("Classify")]


def test_a_run_leaves_a_page_in_its_folder(bench: Bench) -> None:
    run = bench.call(PIPELINE, "-mi", "0", "-v", "30", "--html")
    assert run.status in ENDED_WELL, run.err
    assert run.folder is not None
    page = (run.folder / "report.html").read_text()
    assert f"page: {run.folder / 'report.html'}" in run.out.splitlines()
    assert f"<h1>RnB: {run.folder.name}</h1>" in page
    for heading in ("Key figures", "Latency", "Where the time goes", "Queues", "Replicas"):
        assert f"<h2>{heading}</h2>" in page


def test_a_wrong_path_is_refused_before_the_run(bench: Bench) -> None:
    run = bench.call(PIPELINE, "--html", str(bench.folder / "missing" / "page.html"))
    assert run.status == 2
    assert run.err.splitlines()[-1].endswith(f"there is no folder {bench.folder / 'missing'}")
    assert run.folder is None


def test_a_failed_run_has_a_page_that_says_so_where_it_was_asked_for(bench: Bench) -> None:
    path = bench.folder / "page.html"
    slow = [tiny("Load"), tiny("Classify", busy_ms=50)]
    run = bench.call(slow, "-mi", "1", "-v", "60", "-qs", "4", "--html", str(path))
    assert run.status == 1
    assert run.folder is not None
    assert not (run.folder / "report.html").exists()
    assert re.search(r"The run failed: [^<]+ is full", path.read_text())


def compare(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "compare.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.processes
def test_a_comparison_has_a_page(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / str(factor), factor=factor) for factor in (1, 1.1)]
    finished = compare(*runs, "--html", tmp_path / "out.html")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.splitlines()[-1] == f"page: {tmp_path / 'out.html'}"
    page = (tmp_path / "out.html").read_text()
    assert "<h1>RnB: 2 runs</h1>" in page
    assert "<h2>Comparison</h2>" in page
    assert "+10.0 %" in page


@pytest.mark.processes
def test_a_page_of_a_comparison_needs_a_folder(tmp_path: Path) -> None:
    finished = compare(write_run(tmp_path / "logs"), "--html", tmp_path / "missing" / "out.html")
    assert (finished.returncode, finished.stdout) == (2, "")
    assert "there is no folder" in finished.stderr.splitlines()[-1]
