"""What the page says, as text; how it looks is in test_browser.py."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnb.contract.events import DUE, SENT, EventKind
from rnb.observe.occupancy_tables import make_tables
from rnb.record.meta import PlayedFault
from rnb.record.run import Run
from rnb.record.run_folder import read
from rnb.show.page.destination import page_path
from rnb.show.page.page import PageError, render, write_page
from rnb.show.page.subject import Subject, findings_of, subject_alone
from rnb.show.text.summary_text import in_the_system
from tests.support.gpu_use import LOADER, NETWORK, samples, traced
from tests.support.pages import alone, compared, sweep
from tests.support.run_over_nodes import run_over
from tests.support.sample_runs import START_NS, write_run, write_seed_run
from tests.support.simulated_runs import simulate

EVIL = "<img src=x onerror=alert(1)>'\"&"
ALL_HEADINGS = [
    "Key figures",
    "Latency over time",
    "Latency",
    "Latency histogram",
    "Where the time goes",
    "Who made the tail",
    "Queues",
    "Replicas",
    "GPUs and CPUs",
    "Provenance",
]


class Reader(HTMLParser):
    """Elements with their attributes, the text of each, and whether all that opens closes."""

    VOID = frozenset({"meta", "link"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.cells: list[str] = []
        """Of all tables, row by row."""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.texts.setdefault(self.open[-1], []).append(data)
            if self.open[-1] in ("td", "th"):
                self.cells.append(data)

    @property
    def words(self) -> str:
        """All text that a person reads."""
        return " ".join(
            text for tag, texts in self.texts.items() if tag not in ("script", "style") for text in texts
        )


def test_one_run_has_all_sections_with_the_verdict_on_top() -> None:
    reader = Reader(render(alone(simulate())))
    assert reader.open == []
    assert reader.texts["h2"] == ALL_HEADINGS
    page = reader.words
    assert page.index("INVALID") < page.index("Key figures")
    assert "too short" in page


def test_several_runs_are_compared() -> None:
    runs = [simulate("logs/a"), simulate("logs/b", speed=1.2, flags={"batch_size": 4})]
    reader = Reader(render(compared(runs)))
    assert [heading for heading in reader.texts["h2"] if heading != "Throughput against p99"] == [
        "Key figures",
        "Comparison",
        *ALL_HEADINGS[1:],
    ]
    assert "differs within these runs" in reader.texts["b"]
    assert {"A", "B"} <= set(reader.texts["span"])
    assert "batch_size 4" in reader.words


def test_the_figures_are_those_of_the_analysis() -> None:
    [subject] = alone(simulate())
    words = Reader(render([subject])).words
    latency = subject.findings.end_to_end
    assert latency.mean_ms is not None
    assert f"{latency.mean_ms:.1f} ms" in words
    assert f"{latency.percentiles_ms['p99']:.1f} ms" in words
    assert subject.findings.tail is not None
    for stage in subject.findings.tail.stages:
        assert f"{stage.slowest_ms:,.3f}" in words
    for depth in subject.findings.summary.queue_depths:
        assert f"{depth.mean:,.2f}" in words
    for entry in subject.findings.summary.utilizations:
        assert f"{100 * entry.busy:.1f} %" in words


def test_classes_are_shown_by_name_where_they_have_one() -> None:
    run = simulate(num_requests=4_000)
    names = ["eating <cake>", "yoga", "yoga", "zumba"] * 1_000
    run.requests["class_name"] = np.array(names, dtype=object)
    run.requests["score"] = np.full(4_000, 0.75)
    reader = Reader(render(alone(run)))
    assert reader.texts["h2"] == [*ALL_HEADINGS[:-1], "Classes", ALL_HEADINGS[-1]]
    cells = reader.cells
    assert cells[cells.index("yoga") :][:8] == [
        "yoga",
        "2,000",
        "50.0 %",
        "75.0 %",
        "eating <cake>",
        "1,000",
        "25.0 %",
        "75.0 %",
    ]
    assert Reader(render(compared([run, simulate("logs/b")]))).texts["h2"].count("Classes") == 1


def test_cells_say_which_row_or_column_they_head() -> None:
    reader = Reader(render(compared([simulate("logs/a"), simulate("logs/b", speed=1.2)])))
    scopes = [attributes.get("scope") for tag, attributes in reader.elements if tag == "th"]
    assert set(scopes) == {"col", "row"}
    num_rows = sum(tag == "tr" for tag, _ in reader.elements)
    num_tables = sum(tag == "table" for tag, _ in reader.elements)
    assert scopes.count("row") == num_rows - num_tables


def lines_named(reader: Reader, name: str) -> int:
    return sum(attributes.get("data-name") == name for _, attributes in reader.elements)


def labels(reader: Reader) -> list[str]:
    """What marks and bars say."""
    return [one.get("aria-label") or "" for _, one in reader.elements if one.get("tabindex") == "0"]


def test_latency_over_time_has_points_of_few_requests_and_slices_of_many() -> None:
    few = Reader(render(alone(simulate(num_requests=2_000))))
    many = Reader(render(alone(simulate(num_requests=20_000, has_telemetry=False))))
    names = ("a request", "p50", "p99", "slowest", "due", "finished")
    assert [lines_named(few, name) for name in names] == [1, 0, 0, 0, 1, 1]
    [dots] = [one for _, one in few.elements if one.get("class") == "dots"]
    assert (dots["d"] or "").count("M") == 2_000
    assert [lines_named(many, name) for name in names] == [0, 1, 1, 1, 1, 1]


def test_runs_share_the_axes_of_latency_and_throughput() -> None:
    reader = Reader(render(compared([simulate("logs/a"), simulate("logs/b", speed=2.0)])))
    linked = [one for _, one in reader.elements if (one.get("data-linked") or "").startswith("time-")]
    scales = [one["data-y"] or "" for one in linked]
    for unit in (" ms", "/s"):
        of_unit = [scale for scale in scales if scale.endswith(unit)]
        assert len(of_unit) == 2
        assert len(set(of_unit)) == 1


def test_events_are_marked_on_the_axis_of_time() -> None:
    run = simulate(num_requests=3_000)
    stall(run, at_s=8.0, for_s=2.0)
    start_ns = run.start_ns + 5 * 10**9
    run.meta.faults = [
        PlayedFault(
            fault="stall:step1*1s@5s",
            what="step <1> stands still",
            start_epoch_ns=start_ns,
            end_epoch_ns=start_ns + 10**9,
        ),
        PlayedFault(fault="kill:step0@99s", what="step 0 is killed", start_epoch_ns=None, end_epoch_ns=None),
    ]
    [subject] = alone(run)
    [(start_s, end_s, what)] = subject.findings.faults
    assert what == "step <1> stands still"
    assert (start_s, end_s) == pytest.approx((5.0, 6.0), abs=0.1)
    words = Reader(render([subject])).words
    assert "step <1> stands still" in words
    assert "step 0.0, step 1.0, step 1.1 served nothing for 2 s" in words


def stall(run: Run, *, at_s: float, for_s: float) -> None:
    """Put off all that the steps did in that time to its end, in its order."""
    start_ns, length_ns = run.start_ns + int(1e9 * at_s), int(1e9 * for_s)
    for event, times in run.times.items():
        if event not in (DUE, SENT):
            put_off = (times >= start_ns) & (times < start_ns + length_ns)
            times[put_off] = start_ns + length_ns + (times[put_off] - start_ns) // 1000


def test_the_histogram_says_how_many_are_in_each_bin() -> None:
    bins = [label for label in labels(Reader(render(alone(simulate())))) if " requests, " in label]
    counts = [int(label.split(": ")[1].split()[0].replace(",", "")) for label in bins]
    assert len(bins) > 10
    assert sum(counts) == 5_000


def test_goodput_is_drawn_against_the_rate_with_the_bound() -> None:
    words = Reader(render(compared(sweep(6)))).words
    assert "Goodput: within 100 ms" in words
    assert words.count("--slo 100 ms") >= 3


def test_the_pareto_front_names_the_runs_that_none_beats() -> None:
    runs = sweep(4)
    slow = simulate("logs/slow", rate_per_s=85, speed=0.6, num_requests=2_000)
    words = Reader(render(compared([*runs, slow]))).words
    assert "Throughput against p99" in words
    [front] = re.findall(r"On it: ([A-Z, ]+)\.", words)
    assert "E" not in front
    assert {"A", "B"} <= set(front.split(", "))


def test_each_repeat_is_a_dot() -> None:
    runs = [simulate(f"logs/{seed}", seed=seed, flags={"batch_size": 1 + seed // 3}) for seed in range(5)]
    reader = Reader(render(compared(runs)))
    assert "Repeats" in reader.texts["h2"]
    for run, letter in zip(runs, ("A1", "A2", "A3", "B1", "B2"), strict=True):
        rate = np.count_nonzero(run.finished) / run.seconds
        assert f"{letter}: {rate:.0f}/s" in labels(reader)
    assert "Repeats" not in Reader(render(compared(sweep(2)))).texts["h2"]


def test_runs_go_by_the_rate_first() -> None:
    runs = [
        simulate(f"logs/{rate}", rate_per_s=rate, num_requests=700, flags={"batch_size": rate // 50})
        for rate in (50, 100)
    ]
    assert [subject.label for subject in compared(runs)] == ["50/s, batch_size 1", "100/s, batch_size 2"]
    other = simulate(
        "logs/other", rate_per_s=50, num_requests=700, flags={"config_file_path": "config/other.json"}
    )
    assert compared([runs[0], other])[1].label == "other"
    bulk = simulate("logs/bulk", num_requests=700, flags={"mean_interval_ms": 0})
    assert compared([runs[0], bulk])[1].label.startswith("all at once")


def test_the_system_has_one_line_which_is_that_of_the_terminal() -> None:
    [subject] = alone(simulate(rate_per_s=300))
    words = Reader(render([subject])).words
    assert words.count("rate x latency") == 1
    assert in_the_system(subject.findings.summary) in words


def test_a_million_requests_stay_small() -> None:
    run = simulate(num_requests=1_000_000, has_telemetry=False)
    start = time.process_time()
    page = render(alone(run))
    assert time.process_time() - start < 60  # 12 s where nothing else runs
    assert len(page.encode()) < 1_000_000


def test_rates_are_drawn_where_there_are_several() -> None:
    words = Reader(render(compared(sweep(6)))).words
    assert "Latency against offered rate" in words
    assert re.search(r"knee [\d.]+/s", words)
    same_rate = [simulate("logs/a"), simulate("logs/b", seed=1)]
    assert "Latency against offered rate" not in Reader(render(compared(same_rate))).words


def test_repeats_share_a_colour_and_a_letter() -> None:
    runs = [
        simulate(f"logs/{name}", seed=name, flags=flags)
        for name, flags in ((0, {}), (1, {}), (2, {"videos": 9}))
    ]
    subjects = compared(runs)
    assert [subject.letter for subject in subjects] == ["A1", "A2", "B"]
    assert subjects[0].colour == subjects[1].colour != subjects[2].colour
    assert Reader(render(subjects)).open == []


def test_a_colour_means_the_same_run_everywhere() -> None:
    reader = Reader(render(compared(sweep(3))))
    strokes: dict[str, set[str]] = {}
    inside = ""
    for tag, attributes in reader.elements:
        inside = (attributes.get("data-run") or "") if tag == "g" else inside
        if tag == "path" and "line" in (attributes.get("class") or "") and inside:
            strokes.setdefault(inside, set()).add(attributes["stroke"] or "")
    assert {run: len(colours) for run, colours in strokes.items()} == {"A": 1, "B": 1, "C": 1}
    assert len(set.union(*strokes.values())) == 3


def test_whatever_a_user_named_is_escaped() -> None:
    run = simulate(
        f"logs/{EVIL}",
        flags={"checkpoint": EVIL},
        argv=["benchmark.py", EVIL],
        config={EVIL: EVIL},
        config_name=EVIL,
        step_names=[EVIL, EVIL],
        is_success=False,
        message=EVIL,
        provenance={
            "hostname": EVIL,
            "cpu": EVIL,
            "commit": EVIL,
            "packages": {EVIL: EVIL},
            "gpus": [{"name": EVIL}],
        },
    )
    assert "telemetry" in run.tables
    run.tables["telemetry"][f"process.{EVIL}.cpu_percent"] = np.ones(len(run.tables["telemetry"]["time_ns"]))
    run.tables["telemetry"]["gpu0.<b>_percent"] = np.ones(len(run.tables["telemetry"]["time_ns"]))
    other = simulate("logs/other", flags={"checkpoint": EVIL + "2"})
    for page in (render(alone(run)), render(compared([run, other]))):
        reader = Reader(page)
        assert reader.open == []
        assert "img" not in {tag for tag, _ in reader.elements}
        assert "onerror" not in {name for _, attributes in reader.elements for name in attributes}
        assert EVIL in reader.words


def test_it_needs_nothing_from_elsewhere() -> None:
    page = render(compared(sweep(3)))
    reader = Reader(page)
    assert "://" not in page
    sources = [
        value
        for _, attributes in reader.elements
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "action", "data")
    ]
    assert sources == ["data:,"]
    [policy] = [one["content"] for _, one in reader.elements if "http-equiv" in one]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")


def test_twenty_runs_stay_small(twenty: list[Subject]) -> None:
    page = render(twenty)
    assert len(page.encode()) < 3_000_000
    assert Reader(page).open == []


@pytest.mark.parametrize("has_telemetry", [True, False])
def test_no_coordinate_is_missing(has_telemetry: bool) -> None:
    run = simulate(has_telemetry=has_telemetry)
    if "telemetry" in run.tables:
        run.tables["telemetry"]["gpu0.sm_percent"][10:40] = np.nan
    page = render(alone(run))
    assert not re.search(r'="[^"]*\b(nan|inf)\b', page)
    assert ("GPUs and CPUs" in page) is has_telemetry


def folders(tmp_path: Path) -> dict[str, Path]:
    unfinished: dict[str, Any] = {"status": np.full(10, "unfinished", dtype=object)}
    at_once = {"arrival_ns": np.zeros(100, dtype=np.int64)}
    return {
        "plain": write_run(tmp_path / "plain"),
        "one request": write_run(tmp_path / "one", num_requests=1),
        "all at once": write_run(tmp_path / "bulk", columns=at_once),
        "never started": write_run(
            tmp_path / "never",
            num_requests=10,
            columns=unfinished,
            start_epoch_ns=None,
            is_success=False,
            message="step 0 <failed>",
        ),
        "nothing finished": write_run(tmp_path / "none", num_requests=10, columns=unfinished),
        "of snuspl/rnb": write_seed_run(tmp_path / "seed"),
    }


def test_odd_runs_have_a_page_each_and_one_together(tmp_path: Path) -> None:
    runs = {name: read(folder) for name, folder in folders(tmp_path).items()}
    for name, run in runs.items():
        assert Reader(render(alone(run))).open == [], name
    reader = Reader(render(compared(list(runs.values()))))
    assert reader.open == []
    assert "step 0 <failed>" in reader.words


def test_a_run_without_hand_off_times_is_shown() -> None:
    run = simulate()
    left_out = (EventKind.WAITS_FOR_SLOT, EventKind.HANDED_ON)
    run.times = {event: times for event, times in run.times.items() if event.kind not in left_out}
    assert Reader(render(alone(run))).texts["h2"] == ALL_HEADINGS


def test_further_readings_of_a_gpu_are_drawn() -> None:
    run = simulate()
    assert "telemetry" in run.tables
    run.tables["telemetry"]["gpu0.occupancy_percent"] = np.full(len(run.tables["telemetry"]["time_ns"]), 40.0)
    assert "occupancy" in Reader(render(alone(run))).texts["span"]


def test_occupancy_is_shown_by_gpu_step_and_kernel() -> None:
    run = simulate(num_requests=300)
    tables = make_tables([LOADER, NETWORK], [samples(1480)], traced(100, 600), epoch_offset_ns=START_NS)
    run.tables |= {name: table for name, table in vars(tables).items() if table is not None}
    reader = Reader(render(alone(run)))
    assert "GPU occupancy" in reader.texts["h2"]
    assert {"GPU 0", "step 0 Loader, GPU 0", "step 1 Network, GPU 0", "20.0 %", "60.0 %"} <= set(reader.cells)
    assert "convolution" in reader.words


def test_nodes_have_a_table_and_their_devices() -> None:
    reader = Reader(render(alone(run_over(5, 7))))
    start = reader.cells.index("node 1")
    assert reader.cells[start : start + 4] == ["node 1", "host1", "5 us", "1"]
    assert {f"CPUs of node {node}" for node in (0, 1, 2)} <= set(reader.cells)
    assert "step 1.2 Classify on node 2, cpu" in reader.words


def test_a_run_over_nodes_is_compared_with_one_on_one() -> None:
    runs = [run_over(5), run_over()]
    runs[1].meta.nodes, runs[1].folder = [], Path("logs/alone")
    reader = Reader(render(compared(runs)))
    assert "CPUs of node 1" in reader.words
    assert "step 1.0 Classify on cpu" in reader.words


def test_it_is_written_where_asked(tmp_path: Path) -> None:
    subjects = [subject_alone(findings_of(simulate(num_requests=50)))]
    write_page(tmp_path / "out.html", subjects)
    assert (tmp_path / "out.html").read_text(encoding="utf-8") == render(subjects)


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PageError, match=re.escape(f"{tmp_path}: cannot be written: Is a directory")):
        write_page(tmp_path, [subject_alone(findings_of(simulate(num_requests=50)))])


def test_a_wrong_path_is_known_before(tmp_path: Path) -> None:
    assert page_path(str(tmp_path / "new.html")) == tmp_path / "new.html"
    with pytest.raises(ValueError, match="a folder, must be a file"):
        page_path(str(tmp_path))
    with pytest.raises(ValueError, match="there is no folder"):
        page_path(str(tmp_path / "missing" / "out.html"))
