"""What benchmark.py does: what it prints of a run and of one of several, and how it ends."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rnb.campaigns.outcome import Outcome
from rnb.command_line import play_command, report
from rnb.command_line.exit_status import EXIT_FAILED
from rnb.record.run_folder import read
from rnb.show.page.page import PageError
from tests.support.simulated_campaigns import SimulatedPlayer

TINY = "tests.support.tiny_observer.TinyObserver"


def test_check_prints_the_plan_and_plays_nothing(command: Any) -> None:
    assert command("--check") == 0
    assert "Nothing" in command.out
    assert not command.logs.exists()


def test_check_as_json(command: Any) -> None:
    assert command("--check", "--json") == 0
    assert any("Nothing" in line for line in json.loads(command.out)["plan"])


def test_check_needs_no_videos(command: Any) -> None:
    assert command("--check", "--data", "nowhere") == 0


def test_an_observer_of_ones_own(command: Any) -> None:
    assert command("-v", "5", "-mi", "0", "--observe", TINY, "--no-telemetry") == 0
    run = read(command.campaign)
    assert set(run.tables) == {"tiny"}
    assert run.meta.args["observe"] == [TINY]
    assert (run.meta.notes, run.meta.provenance["tiny"]) == (["tiny: a note"], {"size": 3})


@pytest.mark.parametrize("flags", [(), ("--check",), ("--repeat", "2")])
def test_an_unknown_observer_is_one_line(command: Any, flags: tuple[str, ...]) -> None:
    assert command("-v", "5", "-mi", "0", "--observe", "nobody", *flags) == 2
    assert command.err.startswith("benchmark.py: error: --observe: 'nobody'")
    assert command.err.count("\n") == 1


def test_what_a_run_prints(command: Any) -> None:
    assert command("-v", "5", "-mi", "0", "--no-telemetry") == 0
    lines = command.lines
    assert lines[0].startswith("START! ")
    assert lines[1].startswith("NOT JUDGED: ")
    figures = r"[\d.]+ videos/s, 5 done in [\d.]+ s, step 0\.0 Nothing busy \d+%"
    assert re.fullmatch(figures, next(line for line in lines[2:] if not line.startswith("  ")))
    assert lines[-1] == f"run folder: {command.campaign}"
    assert not [line for line in lines if line.startswith(("Args: ", "Average time ", "FINISH! "))]


def test_verbose_prints_what_the_seed_prints(command: Any) -> None:
    assert command("-v", "5", "-mi", "0", "--no-telemetry", "--verbose") == 0
    lines = command.lines
    assert lines[0].startswith("Args: Namespace(arrivals='poisson', arrivals_file=None, batch_size=1, ")
    order = [
        "Args: ",
        "START! ",
        "Finished processing 5 videos",
        "FINISH! ",
        "That took ",
        "NOT JUDGED",
        "Average time between ",
        "run folder: ",
    ]
    places = [next(i for i, line in enumerate(lines) if line.startswith(start)) for start in order]
    assert places == sorted(places)
    assert not any("not shown" in line for line in lines)


def test_the_averages_are_in_the_seeds_file_which_is_read_as_before(command: Any) -> None:
    assert command("-v", "5", "-mi", "0", "--no-telemetry", "--verbose") == 0
    printed = [line for line in command.lines if line.startswith(("Args: ", "Average time "))]
    log = (command.campaign / "log-meta.txt").read_text()
    assert [line for line in log.splitlines() if not re.match(r"\d|Termination", line)] == printed
    assert len(printed) > 1
    (command.campaign / "run.json").unlink()
    seed = read(command.campaign)
    assert seed.meta.is_seed_format
    assert (seed.args["videos"], seed.meta.termination, seed.num_requests) == (
        5,
        "TARGET_NUM_VIDEOS_REACHED",
        5,
    )


def test_of_several_runs_what_goes_wrong_is_shown_only_where_one_fails(
    monkeypatch: pytest.MonkeyPatch, command: Any
) -> None:
    player = SimulatedPlayer(fails_at=2)

    def play(spec: Any, logs: Any, *, warn: Any, **_: Any) -> Outcome:
        outcome = player(spec, logs)
        warn(f"a warning of run {len(player.specs)}")
        outcome.run.traceback = "" if outcome.is_success else "Traceback: there"
        return outcome

    monkeypatch.setattr(play_command, "play_and_judge", play)
    assert command("--repeat", "3", "-v", "300", "-mi", "5") == 1
    assert command.err.splitlines() == [
        "a warning of run 2",
        "Traceback: there",
        f"benchmark.py: the run in {command.campaign / 'run2'} failed: step 1.0 was killed by SIGKILL",
    ]


def test_the_problem_is_in_the_json_object_too(monkeypatch: pytest.MonkeyPatch, command: Any) -> None:
    def fail(path: Path, subjects: Any) -> None:
        raise PageError(f"{path}: cannot be written: No space left on device")

    monkeypatch.setattr(report, "write_page", fail)
    assert command("-v", "5", "-mi", "0", "--json", "--html") == 1
    found = json.loads(command.out)
    path = command.campaign / "report.html"
    message = f"{path}: cannot be written: No space left on device"
    assert (found["is_success"], found["message"]) == (False, message)
    assert command.err == f"benchmark.py: {message}\n"


def test_what_failed_first_goes_before_a_page_that_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, player: SimulatedPlayer, command: Any
) -> None:
    def fail(path: Path, subjects: Any) -> None:
        raise PageError(f"{path}: cannot be written: No space left on device")

    monkeypatch.setattr(report, "write_page", fail)
    player.fails_at = 1
    assert command("-v", "300", "-mi", "5", "--html", "x.html", "--json") == 1
    killed, unwritten = command.err.splitlines()[-2:]
    assert killed == "benchmark.py: step 1.0 was killed by SIGKILL"
    assert unwritten == "benchmark.py: x.html: cannot be written: No space left on device"
    assert json.loads(command.out)["message"] == "step 1.0 was killed by SIGKILL"


def test_ctrl_c_between_two_runs(monkeypatch: pytest.MonkeyPatch, command: Any) -> None:
    def interrupt(*_: Any, **__: Any) -> Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(play_command, "play_and_judge", interrupt)
    assert command("--repeat", "2") == EXIT_FAILED
    assert command.err == "benchmark.py: interrupted\n"
