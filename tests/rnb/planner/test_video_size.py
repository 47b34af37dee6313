"""Decoding of larger pictures, where the profile has seen two sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnb.contract.termination import UsageError
from rnb.planner.curve import draw
from rnb.planner.key import Key
from rnb.planner.observations import Numbers
from rnb.planner.profile import profile_of
from rnb.planner.screening import Simulator
from rnb.planner.system import System
from rnb.planner.video_size import growth_of, pixels_named
from rnb.planner.what_if import parse_what_if
from rnb.record.run import Run
from rnb.record.run_folder import read, write
from rnb.simulation.simulate import simulate
from rnb.spec import RunSpec, schedule_of
from tests.support.known_times import KnownTimes, spec_of, step

FIXED_MS, MS_PER_PIXEL = 2.0, 0.001


def spec(model: str = "Decoder") -> RunSpec:
    return spec_of({**step(model), "gpus": [0]}, videos=60)


def played(folder: Path, model: str = "Decoder") -> Run:
    """Calls of 2 rows: 3 and 5 ms each, of pictures of 100x10 and of 300x10, in turn."""
    asked, schedule = schedule_of(spec(model))
    times = KnownTimes(
        lambda step, rows, request: rows * (FIXED_MS + MS_PER_PIXEL * (3000 if request % 2 else 1000)),
        lambda request: 2,
    )
    run = simulate(asked, schedule, times)
    run.requests["width"] = np.tile(np.array([100, 300], dtype=np.int32), 30)
    run.requests["height"] = np.full(60, 10, dtype=np.int32)
    folder.mkdir()
    write(run, folder)
    return read(folder)


def system(run: Run, model: str = "Decoder") -> System:
    return System.of(spec(model), Simulator(profile=profile_of([run]), cores=4))


def test_decoding_grows_along_the_line_through_the_sizes_that_were_seen(tmp_path: Path) -> None:
    now = system(played(tmp_path / "run"))
    assert now.per_s == pytest.approx(1e3 / 8, rel=0.02)
    before, after = draw(now, parse_what_if(["videos=100x80"])).points
    assert before.predicted.per_s == pytest.approx(now.per_s)
    assert after.predicted.per_s == pytest.approx(1e3 / (2 * (2 + 8)), rel=0.01)
    twice = draw(now, parse_what_if(["videos=100x80", "decode_speed=2"])).points[-1]
    assert twice.predicted.per_s == pytest.approx(100, rel=0.01)


def test_each_codec_has_a_line_of_its_own(tmp_path: Path) -> None:
    """HEVC takes three times as long as H.264, of small and of large pictures."""
    asked, schedule = schedule_of(spec())
    lengths = {(1, "h264"): 1, (2, "h264"): 2, (1, "hevc"): 3, (2, "hevc"): 6}
    kinds = [list(lengths)[request % 4] for request in range(60)]
    run = simulate(asked, schedule, KnownTimes(lambda step, rows, request: 2.0 * lengths[kinds[request]]))
    run.requests["width"] = np.array([100 * size for size, _ in kinds], dtype=np.int32)
    run.requests["height"] = np.full(60, 10, dtype=np.int32)
    run.requests["codec"] = np.array([codec for _, codec in kinds], dtype=object)
    (tmp_path / "run").mkdir()
    write(run, tmp_path / "run")
    now = system(read(tmp_path / "run"))
    for asked_for, call_ms in (
        (["codec=h264"], 3.0),
        (["codec=hevc"], 9.0),
        (["codec=hevc", "videos=400x10"], 24.0),
        (["videos=400x10"], 16.0),
    ):
        after = draw(now, parse_what_if(asked_for)).points[-1]
        assert after.predicted.per_s == pytest.approx(1e3 / call_ms, rel=0.02)
    with pytest.raises(UsageError, match="codec=av1: the profile has no such videos; it has h264, hevc"):
        draw(now, parse_what_if(["codec=av1"]))


def calls(*times: tuple[int, int, int]) -> dict[Key, Numbers]:
    """Of rows, pixels and ns."""
    return {
        Key("Decoder", False, "call", rows, pixels=pixels): np.array([time_ns])
        for rows, pixels, time_ns in times
    }


def test_one_size_tells_nothing() -> None:
    with pytest.raises(UsageError, match="of one size only, 1,000 pixels"):
        growth_of(calls((1, 1000, 5), (2, 1000, 9)), "1080p")


def test_larger_pictures_that_take_no_longer_tell_nothing() -> None:
    with pytest.raises(UsageError, match="larger pictures take no longer"):
        growth_of(calls((1, 1000, 9), (1, 2000, 5)), "1080p")


def test_a_line_that_would_fall_below_nothing_starts_there() -> None:
    growth = growth_of(calls((1, 1000, 500), (1, 2000, 2000)), "1080p")
    assert growth.fixed_ns == 0
    assert growth.row_ns(1000) == pytest.approx((1000 * 500 + 2000 * 2000) / (1000**2 + 2000**2) * 1000)


def test_it_takes_a_profile_alone_and_a_step_that_decodes(tmp_path: Path) -> None:
    run = played(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    assert len(draw(system(run), parse_what_if(["videos=1080p"])).points) == 2
    other = system(played(tmp_path / "other", "Source"), "Source")
    with pytest.raises(UsageError, match="no step of this pipeline is known to decode only"):
        draw(other, parse_what_if(["videos=1080p"]))


def test_a_profile_that_knows_no_sizes_tells_nothing() -> None:
    run = simulate(*schedule_of(spec()), KnownTimes(lambda *_: 2.0))
    with pytest.raises(UsageError, match="the profile does not tell how large the pictures were"):
        draw(system(run), parse_what_if(["videos=1080p"]))


def test_names_of_sizes() -> None:
    assert pixels_named("1080p") == pixels_named("1920x1080") == 2_073_600
