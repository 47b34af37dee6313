"""The command line: the seed's flags in both forms, their defaults, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnb.command_line.flags import parse_args, spec_of
from rnb.contract.termination import UsageError
from rnb.load.load import Load
from rnb.record.seed_format import namespace_text
from rnb.spec import Limits, Placement
from tests.support.played import NOTHING


def test_the_defaults() -> None:
    args = parse_args([])
    assert (args.mean_interval_ms, args.batch_size, args.videos, args.queue_size) == (100, 1, 2000, 500)
    assert args.per_gpu_queue is False
    assert args.config_file_path == "config/r2p1d-whole.json"
    assert (args.device, args.mps, args.seed, args.check) == ("auto", "auto", 0, False)


def test_the_seeds_command() -> None:
    args = parse_args(
        ["-c", "config/r2p1d-general.json", "-v", "500", "-mi", "90", "-b", "4", "-qs", "20", "-p"]
    )
    assert args.config_file_path == "config/r2p1d-general.json"
    assert (args.videos, args.mean_interval_ms, args.batch_size, args.queue_size) == (500, 90, 4, 20)
    assert args.per_gpu_queue is True


def test_long_flags_mean_the_same() -> None:
    long = (
        "--config_file_path c.json --videos 5 --mean_interval_ms 9 --batch_size 4 --queue_size 2"
        " --per_gpu_queue --batch_timeout_ms 3"
    )
    assert parse_args(long.split()) == parse_args(
        ["-c", "c.json", "-v", "5", "-mi", "9", "-b", "4", "-qs", "2", "-p", "-bt", "3"]
    )


def test_it_prints_as_the_seed_prints_it() -> None:
    flags = [spec_of(parse_args(["-c", "config/empty.json", "-mi", text])).flags() for text in ("90", "0.5")]
    assert list(flags[0]) == sorted(flags[0])
    text = namespace_text(flags[0])
    assert text.startswith("Namespace(arrivals='poisson', ")
    assert "mean_interval_ms=90, " in text
    assert "mean_interval_ms=0.5, " in namespace_text(flags[1])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["-v", "0"], "argument -v/--videos: 0: must be at least 1"),
        (["-v", "many"], "argument -v/--videos: invalid whole number value: 'many'"),
        (["-v", "1.5"], "argument -v/--videos: invalid whole number value: '1.5'"),
        (["-mi", "-1"], "argument -mi/--mean_interval_ms: -1: must be at least 0"),
        (["-mi", "nan"], "argument -mi/--mean_interval_ms: nan: must be at least 0"),
        (["-mi", "inf"], "argument -mi/--mean_interval_ms: inf: must be at least 0, and finite"),
        (["--fps", "1e7"], "argument --fps: 1e7: must be at most 1e+06"),
        (["-b", "0"], "argument -b/--batch_size: 0: must be at least 1"),
        (["-qs", "0"], "argument -qs/--queue_size: 0: must be at least 1"),
        (["-bt", "soon"], "argument -bt/--batch_timeout_ms: invalid number value: 'soon'"),
        (["--seed", "-3"], "argument --seed: -3: must be at least 0"),
        (["--percentile", "100"], "argument --percentile: 100: must be more than 0 and less than 100"),
        (["--percentile", "0"], "argument --percentile: 0: must be more than 0 and less than 100"),
        (["--min-duration", "-1"], "argument --min-duration: -1: must be at least 0"),
        (["--device", "tpu"], "argument --device: invalid choice: 'tpu'"),
        (["--mps", "maybe"], "argument --mps: invalid choice: 'maybe'"),
        (["--video", "5"], "unrecognized arguments: --video 5"),  # no guessing of shortened flags
        (["-c"], "argument -c/--config_file_path: expected one argument"),
        (["--find-peak"], "--find-peak: needs --slo MS, the bound that it searches"),
        (["--find-peak", "--slo", "9", "--repeat", "2"], "--find-peak: it sets the rate; leave out --repeat"),
        (["--find-peak", "--slo", "9", "--ramp", "1:2:3"], "--find-peak: it sets the rate; leave out --ramp"),
        (["--repeat", "0"], "argument --repeat: 0: must be at least 1"),
        (["--fault", "cpu:x@1s"], "argument --fault: cpu:x@1s: 'x' must look like '3': cpu:3@1s"),
    ],
)
def test_what_is_refused(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_args(argv)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_a_search_begins_at_the_given_rate_or_at_an_estimate() -> None:
    assert parse_args(["--find-peak", "--slo", "9", "-mi", "20"]).mean_interval_ms == 20
    assert parse_args(["--find-peak", "--slo", "9"]).mean_interval_ms == 0
    assert parse_args(["--find-peak", "--slo", "9", "--check"]).mean_interval_ms == 100


def test_the_run_that_flags_describe(tmp_path: Path) -> None:
    config = tmp_path / "c.json"
    config.write_text(json.dumps([NOTHING]))
    args = parse_args(
        f"-c {config} -v 7 --ramp 1:2:3 --warmup 2 --data films --clients 2 --seed 4 -qs 9 -b 4 -bt 2 -p"
        " --device cpu --mps off --slo 5 --percentile 90 --max-failures 1 --min-duration 3".split()
    )
    spec = spec_of(args)
    assert spec.config.data == [NOTHING]
    assert spec.load == Load(
        mean_interval_ms=None, videos=7, ramp="1:2:3", warmup=2, data="films", clients=2, seed=4
    )
    assert spec.placement == Placement(
        per_gpu_queue=True, queue_size=9, batch_size=4, batch_timeout_ms=2, device="cpu", mps="off"
    )
    assert spec.limits == Limits(slo=5, percentile=90, max_failures=1, min_duration=3)


@pytest.mark.parametrize(
    ("flags", "observed"),
    [
        ([], ["telemetry"]),
        (["--no-telemetry"], []),
        (["--occupancy"], ["telemetry", "occupancy"]),
        (["--observe", "a.B", "--observe", "c.D", "--no-telemetry"], ["a.B", "c.D"]),
    ],
)
def test_who_observes(flags: list[str], observed: list[str]) -> None:
    assert list(spec_of(parse_args(flags)).observe) == observed


def test_a_config_that_is_not_there() -> None:
    with pytest.raises(UsageError, match=r"^nowhere\.json: No such file or directory$"):
        spec_of(parse_args(["-c", "nowhere.json"]))


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--fps", "10"], "--fps: only with --streams N"),
        (["--every", "2"], "--every: only with --streams N"),
        (["--max-lateness", "50"], "--max-lateness: only with --streams N"),
        (["--streams", "2", "-mi", "5"], "--streams: it says when requests arrive; leave out -mi"),
        (["--streams", "2", "--sequences", "3"], "leave out --sequences"),
    ],
)
def test_flags_of_live_streams(flags: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_args(flags)
    assert ended.value.code == 2
    assert problem in capsys.readouterr().err


def test_the_interval_of_live_streams() -> None:
    args = parse_args(["--streams", "4", "--fps", "25", "--every", "2"])
    assert args.mean_interval_ms == 20
