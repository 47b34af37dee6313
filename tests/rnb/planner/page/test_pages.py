"""What the page of a search shows, and that of an explanation; of systems of which everything is known."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from rnb.planner.curve import draw
from rnb.planner.explanation import explain
from rnb.planner.finding import SearchFinding
from rnb.planner.goal import Goal
from rnb.planner.harness import HarnessCosts
from rnb.planner.page.explanation_page import write_explanation_page
from rnb.planner.page.search_page import write_search_page
from rnb.planner.screening import Simulator, candidates_of
from rnb.planner.space import Limits, Space
from rnb.planner.verification import Verified
from rnb.planner.what_if import parse_what_if
from rnb.show.page.page import PageError
from tests.support.known_profiles import known_profile, known_system
from tests.support.known_times import spec_of, step

SPEC = spec_of({**step("Source"), "gpus": [-1]}, {**step("ChangeOne"), "gpus": [-1]})


def searched(*, is_played: bool, num_requests: int = 1_000) -> SearchFinding:
    """Calls of 4 and of 10 ms with up to three replicas; played, each is 5 % slower than predicted."""
    space, goal = Space(SPEC, Limits(num_gpus=0, cores=3)), Goal(name="throughput")
    profile = known_profile(SPEC, {1: [4.0]}, {1: [10.0]})
    simulator, slower = Simulator(profile=profile, cores=100), {0: 1 / 1.05, 1: 1 / 1.05}
    found = candidates_of(space, goal, simulator, space.candidates())
    known = {one.values: simulator.predict(goal, one) for one in found.left}
    found.rule_out("is <b>bad</b>")
    left = {one.values: one for one in found.left}
    best = min(known, key=lambda values: goal.rank(known[values]))
    chosen = [Verified(candidate=left[values], predicted=known[values]) for values in (space.start, best)]
    for one in chosen if is_played else ():
        one.runs.append(
            replace(simulator, speed=slower).play(one.candidate.spec, 0, num_requests=num_requests)
        )
    return SearchFinding(
        space=space,
        goal=goal,
        simulator=simulator,
        ruled_out=found.ruled_out,
        worked_out=known,
        chosen=chosen,
        best=chosen[1] if is_played else None,
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_search_page(path, searched(is_played=True))
    return path.read_text()


def texts(page: str) -> str:
    """Without tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_it_has_a_section_for_each_question_and_asks_nothing_of_the_network(page: str) -> None:
    for part in ("tradeoff", "candidates", "resources", "gains", "space", "provenance"):
        assert page.count(f'id="{part}"') == 1
    assert not re.search(r"(src|href)=\"(?!data:)", page)


def test_what_was_predicted_is_joined_to_what_was_measured(page: str) -> None:
    assert page.count('class="mark ring"') == page.count('class="mark dot"') == 2
    assert page.count('stroke-dasharray="6 3"') == 2
    measured = re.findall(r"<title>. measured: [^<]+: ([\d.]+)/s", page)
    predicted = re.findall(r"<title>. predicted: ([\d.]+)/s", page)
    assert [float(one) for one in predicted] == pytest.approx([100, 300], rel=0.02)
    for before, after in zip(predicted, measured, strict=True):
        assert float(before) / float(after) == pytest.approx(1.05, rel=0.01)
    assert "of 9 candidates that were worked out" in texts(page)


def test_the_p99_of_runs_of_other_lengths_is_that_of_as_many_requests(page: str, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_search_page(path, searched(is_played=True, num_requests=400))
    marks = [re.findall(r"measured: [^<]+p99 ([\d.]+) s", text) for text in (page, path.read_text())]
    assert [float(one) for one in marks[0]] == pytest.approx([float(one) for one in marks[1]], rel=0.03)


def test_the_table_says_by_how_much_it_was_wrong_and_what_holds_each_up(page: str) -> None:
    told = texts(page)
    assert told.count("+5.0 %") == 2
    assert "step 1 replicas 3 on the CPU (the best)" in told
    assert "held up by step 1 ChangeOne: its workers are busy 100% of the time" in told
    assert "against A predicted videos/s measured error runs" in told


def test_what_was_searched_is_told_and_escaped(page: str) -> None:
    assert "9 candidates: 1 ruled out, 9 worked out by simulation, 2 chosen to be played." in texts(page)
    assert "is &lt;b&gt;bad&lt;/b&gt;" in page


def test_the_resources_of_the_start_and_of_the_best_stand_side_by_side(page: str) -> None:
    told = texts(page)
    assert "the config as it is, as played" in told
    assert "step 1 ChangeOne, 1 worker " in told
    assert "step 1 ChangeOne, 3 workers " in told


def test_a_search_of_which_nothing_was_played_shows_what_was_predicted(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_search_page(path, searched(is_played=False))
    page = path.read_text()
    assert "nothing was played yet" in page
    assert page.count('class="mark ring"') == 2
    assert 'class="mark dot"' not in page
    assert 'id="resources"' not in page


def test_an_explanation_with_its_curve(tmp_path: Path) -> None:
    spec = spec_of({**step("ChangeOne"), "gpus": [0]})
    system = known_system(spec, {1: [5.0]}, harness=HarnessCosts(send_ns=1_000_000))
    path = tmp_path / "report.html"
    write_explanation_page(path, system, explain(system), draw(system, parse_what_if(["gpus=1..8"])))
    told = texts(path.read_text())
    assert "200 requests/s, held up by step 0 ChangeOne: its workers are busy 100% of the time" in told
    assert "As if gpus = 1 to 8 Nothing of this was played: simulated" in told
    assert "200 requests/s at 80% of what they serve: 2 GPUs" in told
    assert "8 8e+06 1,000" in told
    assert "a client sends one in 1e+03 µs" in told


def test_a_page_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    system = known_system(spec_of(step("ChangeOne")), {1: [5.0]})
    with pytest.raises(PageError, match="cannot be written"):
        write_explanation_page(tmp_path / "no" / "page.html", system, None, None)
