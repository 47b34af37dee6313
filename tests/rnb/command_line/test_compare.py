"""compare.py, as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnb.command_line import compare
from rnb.record.run_folder import create, write
from tests.support.sample_runs import (
    CONFIG,
    END_TO_END_MS,
    arguments,
    request_columns,
    write_run,
    write_seed_run,
)
from tests.support.simulated_runs import later, simulate

ROOT = Path(__file__).parents[3]


class Comparison:
    """Runs compare.py in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: Path | str, status: int = 0) -> list[str]:
        """The lines of its output; of its errors, where it ends with EXIT_USAGE."""
        found = compare.main(list(map(str, arguments)))
        out, err = self._capsys.readouterr()
        assert found == status, err
        assert (err == "") is (status != compare.EXIT_USAGE)
        return (err if status == compare.EXIT_USAGE else out).splitlines()


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Comparison:
    monkeypatch.setenv("COLUMNS", "500")  # Whatever the terminal of the tests is like.
    return Comparison(capsys)


def row(lines: list[str], name: str) -> list[str]:
    """The cells of a row."""
    [line] = [line for line in lines if line.startswith(f"{name} ")]
    return line.removeprefix(name).split()


def save(logs: Path, *, began_s: float = 0, **simulation: Any) -> Path:
    """A simulated run in a folder of its own, played so much later than others."""
    folder = create(logs, vars(arguments()))
    run = simulate(folder, has_telemetry=False, **{"num_requests": 1000, **simulation})
    write(later(run, began_s), folder)
    return folder


LONG_ENOUGH = {"slo": None, "percentile": None}
"""Flags of a run that claims no percentile, so that it is not too short for one."""


def save_in_turn(*sides: tuple[Path, float], num_rounds: int = 4, **flags: Any) -> None:
    """Repeats of each side, whose speed is its own but for some noise."""
    random = np.random.default_rng(0)
    for number in range(num_rounds * len(sides)):
        logs, speed = sides[number % len(sides)]
        noisy = speed * float(np.exp(random.normal(0, 0.01)))
        save(logs, began_s=100 * number, rate_per_s=100, speed=noisy, flags={**LONG_ENOUGH, **flags})


def test_a_table_with_a_column_for_each_run_and_its_difference(tmp_path: Path, output: Comparison) -> None:
    runs = [write_run(tmp_path / str(factor), factor=factor) for factor in (1, 1.1, 0.5)]
    lines = output(*runs)
    assert lines[:3] == [f"A  {runs[0]}", f"B  {runs[1]}", f"C  {runs[2]}"]
    assert row(lines, "end to end mean ms") == ["16", "17.600", "+10.0%", "8", "-50.0%"]
    assert row(lines, "end to end p90 ms")[1:3] == ["17.600", "+10.0%"]
    assert row(lines, "end to end p99 ms") == ["-"] * 5
    assert row(lines, "step 1 B mean ms")[:3] == ["8", "8.800", "+10.0%"]
    assert row(lines, "finished") == ["100", "100", "+0.0%", "100", "+0.0%"]


def test_the_difference_of_a_short_stage_is_not_in_percent(tmp_path: Path, output: Comparison) -> None:
    lines = output(write_run(tmp_path), write_run(tmp_path, factor=4))
    assert row(lines, "gather for step 0 mean ms") == ["0.250", "1", "+0.750", "ms"]
    assert row(lines, "wait for step 0 mean ms") == ["1", "4", "+300.0%"]


def test_what_differs_in_flags_and_config(tmp_path: Path, output: Comparison) -> None:
    config: list[dict[str, Any]] = [CONFIG[0], {**CONFIG[1], "gpus": [0, 1], "split": {"start": 2}}]
    lines = output(
        write_run(tmp_path, flags={"batch_size": 1, "logs": "a"}),
        write_run(tmp_path, flags={"batch_size": 4, "logs": "b"}, config=config),
    )
    start = lines.index("") + 1
    differences = [line.split(maxsplit=1) for line in lines[start : lines.index("", start)]]
    assert [cells[0] for cells in differences] == [
        "differs",
        "batch_size",
        "config[1].gpus",
        "config[1].split.start",
    ]
    assert differences[1][1].split() == ["1", "4"]
    assert differences[2][1].split("  ")[0] == "[0, 0]"


def test_the_verdict_and_what_it_rests_on(tmp_path: Path, output: Comparison) -> None:
    save_in_turn((tmp_path / "one", 1.0), (tmp_path / "two", 1.1))
    lines = output(tmp_path / "one", tmp_path / "two")
    start = lines.index("B against A: faster")
    results, schedule, throughput, latency = lines[start + 1 : start + 5]
    assert results == "  results     4000 of 4000 requests have the same as in A"
    assert schedule == "  schedule    the same videos at the same times, compared run by run"
    assert throughput.startswith("  throughput  ×1.0")
    assert latency.startswith("  latency     mean ×0.8")
    assert " to 0.9" in latency
    assert "ms (decides); median -" in latency
    assert not any(line.startswith("Not played in turn") for line in lines)


def test_single_runs_only_differ(tmp_path: Path, output: Comparison) -> None:
    lines = output(save(tmp_path), save(tmp_path, speed=1.1))
    assert "B against A: differs within these runs (repeat to confirm)" in lines
    assert "  schedule    the same videos at the same times, paired by request" in lines
    assert lines[-1].startswith("One run on each side: ")


def test_another_load_gets_no_verdict(tmp_path: Path, output: Comparison) -> None:
    lines = output(save(tmp_path, rate_per_s=100 / 3), save(tmp_path, rate_per_s=100))
    [line] = [line for line in lines if line.startswith("B against A: ")]
    assert line.startswith("B against A: no verdict (the offered load differs: ")
    assert " requests/s against " in line
    assert row(lines, "end to end mean ms")


def test_a_run_that_was_cut_says_so(tmp_path: Path, output: Comparison) -> None:
    folder = create(tmp_path, vars(arguments()))
    run = simulate(folder, num_requests=4000, rate_per_s=100, has_telemetry=False)
    for event in run.events[2:]:
        run.times[event][:400] += np.linspace(8e9, 0, 400).astype(np.int64)
    write(run, folder)
    lines = output(save(tmp_path, num_requests=4000, rate_per_s=100), folder)
    [line] = [line for line in lines if line.startswith("Figures are of the steady part of the run: B from ")]
    assert line.endswith(" s on.")


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("num_groups", [2, 4, 30])
def test_it_keeps_within_the_terminal(
    tmp_path: Path, output: Comparison, monkeypatch: pytest.MonkeyPatch, columns: int, num_groups: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for index in range(num_groups):
        flags = {
            "queue_size": 100 + index,
            "data": f"/a/folder/with/a/long/name/{index}",
            "batch_size": index,
        }
        save(tmp_path, num_requests=200, rate_per_s=100 + index, flags=flags)
    lines = output(tmp_path)
    assert max(map(len, lines)) <= columns
    assert " ".join(" ".join(lines).split()).count(" against A: ") == num_groups - 1
    if num_groups == 30:
        assert any(line.startswith("B mean_interval_ms ") for line in lines)


def test_runs_of_the_same_flags_and_config(tmp_path: Path, output: Comparison) -> None:
    lines = output(write_run(tmp_path), write_run(tmp_path))
    assert "The flags, the configs and the machines are the same." in lines
    assert "B against A: inconclusive (the interval includes no change)" in lines
    assert "  results     100 of 100 requests have the same as in A" in lines


def test_results_are_compared_by_request(tmp_path: Path, output: Comparison) -> None:
    columns = request_columns(90)
    columns["label"][[3, 4]] += 1
    columns["label"][5] = -1
    columns["status"][6] = "failed"
    columns["video"][7] = "another.mp4"
    order = np.random.default_rng(0).permutation(90)
    shuffled = {name: column[order] for name, column in columns.items()}
    lines = output(write_run(tmp_path), write_run(tmp_path, num_requests=90, columns=shuffled))
    assert "  results     85 of 87 requests have the same as in A" in lines
    different = "only 90 of 100 measured requests are in both"
    assert f"  schedule    not the same, so compared unpaired: {different}" in lines


def test_runs_without_results_are_not_said_to_agree(tmp_path: Path, output: Comparison) -> None:
    none = {"label": np.full(100, -1, dtype=np.int32)}
    lines = output(*(write_run(tmp_path, columns=none) for _ in range(2)))
    assert row(lines, "  results")[:5] == ["not", "to", "be", "compared:", "no"]


def test_a_run_of_the_seed_beside_one_of_rnb(tmp_path: Path, output: Comparison) -> None:
    seed = write_seed_run(tmp_path / "seed")
    lines = output(write_run(tmp_path), seed, write_run(tmp_path, flags={"batch_size": 2}))
    assert row(lines, "finished") == ["100", "2", "-98.0%", "100", "+0.0%"]
    assert row(lines, "step 0 mean ms")[:3] == ["4", "13.254", "+231.3%"]
    assert row(lines, "lateness of the client mean ms")[:3] == ["0.500", "-", "-"]
    assert row(lines, "batch_size") == ["1", "1", "2"]
    assert [line for line in lines if line.startswith("  schedule")] == [
        "  schedule    not the same, so compared unpaired: a folder of snuspl/rnb has no schedule",
        "  schedule    the same videos at the same times, paired by request",
    ]


def test_one_run_alone(tmp_path: Path, output: Comparison) -> None:
    lines = output(write_run(tmp_path))
    assert row(lines, "end to end mean ms") == [f"{END_TO_END_MS:.0f}"]


def test_repeats_are_shown_as_one(tmp_path: Path, output: Comparison) -> None:
    """Runs of 16, 17.6 and 19.2 ms: 17.6 ± 4.303 · 1.6 / √3."""
    for factor in (1, 1.1, 1.2):
        write_run(tmp_path / "before", factor=factor)
        write_run(tmp_path / "after", factor=2 * factor)
    lines = output(tmp_path / "before", tmp_path / "after")
    assert [line[0] for line in lines[:6]] == list("AAABBB")
    assert row(lines, "end to end mean ms") == ["17.600", "±", "3.975", "35.200", "±", "7.949", "+100.0%"]
    assert "  schedule    the same videos at the same times, compared run by run" in lines
    assert any(line.startswith("Of repeated runs: the mean over the runs ± ") for line in lines)


def sweep(folder: Path) -> None:
    for size, speed in ((1, 1.0), (2, 1.05), (4, 1.1), (8, 1.2), (16, 1.3)):
        save(folder, speed=speed, flags={"batch_size": size, "queue_size": 100 + size % 2})


def test_a_sweep_is_a_table_with_a_row_for_each_group(tmp_path: Path, output: Comparison) -> None:
    sweep(tmp_path)
    lines = output(tmp_path)
    assert row(lines, "differs") == ["batch_size", "queue_size"]
    verdicts = [line.split("  ") for line in lines if " against A: " in line]
    assert [cells[0] for cells in verdicts] == [
        f"{letter} batch_size {size} queue_size 100 against A: differs within these runs (repeat to confirm)"
        for letter, size in zip("BCDE", (2, 4, 8, 16), strict=True)
    ]
    assert verdicts[0][1].startswith("mean latency ×0.900 (0.8")
    _, settings, _, figures = [line.split() for line in lines if line.startswith("E ")]
    assert settings == ["E", "16", "100"]
    assert figures[:5] == ["E", "batch_size", "16", "queue_size", "100"]
    header = next(line for line in lines if "videos/s" in line)
    assert header.split("  ")[-1].strip() == "end to end p99 ms"
    assert len(figures) == 5 + 4


def test_filters_and_groups_of_a_sweep(tmp_path: Path, output: Comparison) -> None:
    sweep(tmp_path)
    lines = output(tmp_path, "--filter", "batch_size=1*", "--group-by", "folder")
    assert [line[:3] for line in lines[:3]] == ["A  ", "B  ", ""]
    assert row(lines, "batch_size") == ["1", "16"]
    lines = output(tmp_path, "--group-by", "queue_size")
    assert [line[0] for line in lines[:5]] == list("ABBBB")
    assert row(lines, "batch_size")[1:] == ["4", "values"]


def test_folders_without_a_complete_run_are_skipped_in_a_sweep(tmp_path: Path, output: Comparison) -> None:
    write_run(tmp_path / "logs")
    damaged = write_run(tmp_path / "logs")
    (damaged / "run.json").write_text("{")
    (tmp_path / "logs" / "begun").mkdir()
    lines = output(tmp_path / "logs")
    assert [line[0] for line in lines[:2] if line] == ["A"]
    assert lines[-1] == (
        "skipped, since they hold no complete run (name one to see why):"
        f" {damaged}, {tmp_path / 'logs' / 'begun'}"
    )


def test_a_condition_that_fires(tmp_path: Path, output: Comparison) -> None:
    sides = [tmp_path / name for name in ("one", "same", "slower")]
    save_in_turn(*zip(sides, (1.0, 1.0, 0.9), strict=True))
    conditions = ["--fail-if", "mean:+5%", "--fail-if", "throughput:-5%"]
    judged = output(*sides, *conditions, status=1)[-4:]
    assert [(line.split()[1:3], line.split(": ")[-1]) for line in judged] == [
        (["mean:+5%:", "B"], "holds"),
        (["mean:+5%:", "C"], "FAILS"),
        (["throughput:-5%:", "B"], "holds"),
        (["throughput:-5%:", "C"], "holds"),
    ]
    assert " C ×1.1" in judged[1]
    assert output(*sides[:2], *conditions)[-1].endswith(": holds")


def test_noise_alone_does_not_fire(tmp_path: Path, output: Comparison) -> None:
    """The figure itself is beyond the limit."""
    sides = tmp_path / "one", tmp_path / "two"
    for number, speed in enumerate((1.0, 0.85, 1.05, 1.05, 0.95, 0.8)):
        save(sides[number % 2], began_s=100 * number, rate_per_s=100, speed=speed, flags=LONG_ENOUGH)
    judged = output(*sides, "--fail-if", "mean:+5%")[-1]
    assert float(judged.split("×")[1].split()[0]) > 1.05
    assert judged.endswith(": undecided; more repeats narrow the interval")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"slo": None, "percentile": None}, "A is a single run, so there is no interval: repeat both sides"),
        (
            {"min_duration": 600, "slo": None, "percentile": None},
            "A is INVALID: too short; what it shows is no ground to pass",
        ),
    ],
)
def test_what_shows_nothing_is_no_pass(
    tmp_path: Path, output: Comparison, flags: dict[str, Any], message: str
) -> None:
    runs = [save(tmp_path, rate_per_s=100, seed=1, flags=flags) for _ in range(2)]
    [line] = output(*runs, "--fail-if", "p99:+5%", status=2)
    assert line.startswith(f"compare.py: error: --fail-if p99:+5%: {message}")


@pytest.mark.parametrize(
    ("condition", "changes", "message"),
    [
        ("p99:+5%", {}, "A has no p99: it takes at least 662 finished requests in each run"),
        ("goodput:-5%", {}, "A has no goodput: it takes a run with --slo"),
        (
            "mean:+5%",
            {"is_success": False, "message": "a queue is full"},
            "B is a failed run: a queue is full",
        ),
    ],
)
def test_a_figure_that_cannot_be_had_is_no_pass(
    tmp_path: Path, output: Comparison, condition: str, changes: dict[str, Any], message: str
) -> None:
    runs = write_run(tmp_path), write_run(tmp_path, **changes)
    [line] = output(*runs, "--fail-if", condition, status=2)
    assert line == f"compare.py: error: --fail-if {condition}: {message}"


def test_a_failed_run_is_marked(tmp_path: Path, output: Comparison) -> None:
    lines = output(write_run(tmp_path, is_success=False, message="frame queue 0 is full"))
    assert lines[0].endswith("(failed: frame queue 0 is full)")


def test_an_invalid_run_is_marked(tmp_path: Path, output: Comparison) -> None:
    lines = output(write_run(tmp_path), write_run(tmp_path, flags={"min_duration": 60}))
    assert "(" not in lines[0]
    assert lines[1].endswith("(INVALID: too short)")


def test_what_is_not_a_run_folder_is_refused(tmp_path: Path, output: Comparison) -> None:
    (tmp_path / "empty").mkdir()
    for wrong in (tmp_path / "empty", tmp_path / "missing", Path(__file__)):
        [line] = output(write_run(tmp_path / "logs"), wrong, status=2)
        assert line.startswith(f"compare.py: error: {wrong}: not a ")


def test_a_condition_on_one_group_alone(tmp_path: Path, output: Comparison) -> None:
    [line] = output(write_run(tmp_path), "--fail-if", "p50:+5%", status=2)
    assert line == "compare.py: error: --fail-if p50:+5%: there is nothing to compare with: all is one group"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--filter", "batchsize=1"], "--filter batchsize: no run has this key; did you mean 'batch_size'?"),
        (
            ["--group-by", "nonsense"],
            "--group-by nonsense: no run has this key; 'folder', a flag's name or a",
        ),
        (["--filter", "batch_size=99"], "--filter batch_size=99: no run matches"),
    ],
)
def test_a_key_that_no_run_has(tmp_path: Path, output: Comparison, flags: list[str], message: str) -> None:
    [line] = output(write_run(tmp_path), *flags, status=2)
    assert line.startswith(f"compare.py: error: {message}")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "the following arguments are required: RUN"),
        (["logs", "--no-such-flag"], "unrecognized arguments: --no-such-flag"),
        (
            ["logs", "--fail-if", "p99"],
            "argument --fail-if: p99: must be FIGURE:+PERCENT% or FIGURE:-PERCENT%",
        ),
        (["logs", "--filter", "mean"], "argument --filter: mean: must be KEY=VALUE"),
        (["logs", "--threshold", "100"], "argument --threshold: 100: must be at least 0 and below 100"),
    ],
)
def test_a_wrong_command_line(flags: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        compare.main(flags)
    assert caught.value.code == 2
    assert f"compare.py: error: {message}" in capsys.readouterr().err


def test_nobody_needs_to_read_all_of_it(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "compare.py", str(write_run(tmp_path))],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0
