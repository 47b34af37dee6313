"""The page about all runs of a campaign."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnb.analysis.peak import PeakFinding
from rnb.command_line.campaign_page import draw
from tests.support.sample_runs import write_run


def test_it_is_drawn_where_it_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    campaign = tmp_path / "campaign"
    for _ in range(2):
        write_run(campaign)
    assert draw(None, campaign)
    assert not list(campaign.glob("*.html"))
    assert capsys.readouterr().out == ""
    assert draw("", campaign)
    assert draw(str(tmp_path / "page.html"), campaign)
    paths = [campaign / "report.html", tmp_path / "page.html"]
    assert capsys.readouterr().out.splitlines() == [f"page: {path}" for path in paths]
    assert all("RnB: 2 runs" in path.read_text() for path in paths)


def test_what_goes_wrong_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "campaign")
    assert not draw(str(tmp_path / "gone" / "page.html"), tmp_path / "campaign")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("benchmark.py: ")
    assert str(tmp_path / "gone" / "page.html") in line


def test_a_search_has_the_page_of_its_peak(tmp_path: Path) -> None:
    write_run(tmp_path / "campaign")
    found = PeakFinding(low_per_s=80.0, high_per_s=90.0, percentile=99.0, slo_ms=50.0, probes=())
    assert draw("", tmp_path / "campaign", found)
    page = (tmp_path / "campaign" / "report.html").read_text()
    assert "<h1>Peak: 80.0 to 90.0/s with p99 within 50.0 ms</h1>" in page
