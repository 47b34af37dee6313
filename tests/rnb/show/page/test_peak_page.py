"""The page about a search for the highest rate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from rnb.analysis.peak import PeakFinding, Probe
from rnb.record.run_folder import RunFolderError
from rnb.show.page.page import render_peak
from rnb.show.page.peak_page import write_peak_page
from rnb.show.page.subject import Subject, findings_of
from tests.rnb.show.page.test_page import Reader, labels
from tests.support.pages import sweep
from tests.support.sample_runs import write_run

OUTCOMES: Sequence[tuple[float, float, Literal["pass", "fail", "undecided"]]] = (
    (50.0, 12.0, "pass"),
    (100.0, 20.0, "pass"),
    (150.0, 70.0, "undecided"),
    (200.0, 900.0, "fail"),
)


def finding(low_per_s: float | None = 100.0, high_per_s: float | None = 200.0) -> PeakFinding:
    probes = tuple(
        Probe(
            rate_per_s=rate,
            offered_per_s=rate * 1.01,
            percentile_ms=latency_ms,
            outcome=outcome,
        )
        for rate, latency_ms, outcome in OUTCOMES
    )
    return PeakFinding(
        low_per_s=low_per_s, high_per_s=high_per_s, percentile=99.0, slo_ms=60.0, probes=probes
    )


def probes_of(num_runs: int) -> list[Subject]:
    return [
        Subject(findings=findings_of(run), label=f"{index}/s", group=index)
        for index, run in enumerate(sweep(num_runs, num_requests=700))
    ]


def test_the_peak_and_its_range_come_first_and_the_verdicts_last() -> None:
    page = render_peak(finding(), probes_of(6))
    reader = Reader(page)
    assert reader.open == []
    assert reader.texts["h1"] == ["Peak: 100 to 200/s with p99 within 60.0 ms"]
    sections = re.findall(r"<section(?: id=\"(\w+)\")?>", page)
    assert (sections[0], sections[-1]) == ("peak", "verdict")
    assert "Comparison" not in reader.texts["h2"]


@pytest.mark.parametrize(
    ("low_per_s", "high_per_s", "words"),
    [
        (None, 50.0, "No peak: p99 within 60.0 ms is not kept even at 50.0/s"),
        (None, None, "No peak: p99 within 60.0 ms is not kept"),
        (200.0, None, "Peak: above 200/s, which still keeps p99 within 60.0 ms"),
    ],
)
def test_a_limit_that_was_not_found(low_per_s: float | None, high_per_s: float | None, words: str) -> None:
    reader = Reader(render_peak(finding(low_per_s, high_per_s), probes_of(2)))
    assert reader.texts["h1"] == [words]


def test_where_it_most_likely_is_stands_in_the_title() -> None:
    found = replace(finding(), best_per_s=140.0)
    [title] = Reader(render_peak(found, [])).texts["h1"]
    assert title == "Peak: 100 to 200/s, most likely 140/s, with p99 within 60.0 ms"


def test_each_probe_is_a_mark_of_its_outcome_against_the_bound() -> None:
    reader = Reader(render_peak(finding(), probes_of(6)))
    assert [label for label in labels(reader) if " p99 " in label and "undecided: " in label] == [
        "undecided: p99 70.0 ms at 152/s"
    ]
    shapes = [one["class"] for _, one in reader.elements if (one.get("class") or "").startswith("mark ")]
    assert shapes[:4] == ["mark dot", "mark dot", "mark ring", "mark cross"]
    texts = reader.texts["text"]
    assert "--slo 60 ms" in texts
    assert "peak" in texts
    assert sum(text.startswith("knee ") for text in texts) > 1, "in the charts of the load, too"


def test_a_search_without_probes_has_a_page() -> None:
    nothing = PeakFinding(low_per_s=None, high_per_s=None, percentile=99.0, slo_ms=60.0, probes=())
    assert Reader(render_peak(nothing, [])).open == []


def test_the_bulk_run_of_a_search_is_not_compared_with_its_probes(tmp_path: Path) -> None:
    for interval_ms in (20, 10):
        write_run(tmp_path / "peak", flags={"mean_interval_ms": interval_ms})
    write_run(tmp_path / "peak", flags={"mean_interval_ms": 0}, columns={"arrival_ns": [0] * 100})
    write_peak_page(tmp_path / "page.html", tmp_path / "peak", finding())
    reader = Reader((tmp_path / "page.html").read_text())
    words = reader.words
    assert "50/s" in words
    assert "all at once" not in words


def test_a_folder_without_runs_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError):
        write_peak_page(tmp_path / "page.html", tmp_path, finding())
