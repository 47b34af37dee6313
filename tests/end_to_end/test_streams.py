"""Live streams through whole pipelines: every frame in order, and those that come too late are dropped."""

from __future__ import annotations

from rnb.record.run_folder import read
from tests.support import numbered_videos as nv
from tests.support.running import ENDED_WELL, Bench
from tests.support.single_frames import SingleFrames

FRAMES = "tests.support.sequence_steps.FrameNumbers"
SUMS = "tests.support.sequence_steps.PixelSums"


def test_each_stream_is_a_sequence_of_its_frames(bench: Bench) -> None:
    config = [{"model": FRAMES, "gpus": [0, 0]}]
    finished = bench.call(config, "--streams", "4", "--fps", "100", "--every", "2", "-v", "120")
    assert finished.status in ENDED_WELL, finished.err
    assert finished.folder is not None
    run = read(finished.folder)
    for request_id in range(120):
        turn, stream = divmod(request_id, 4)
        assert run.results[request_id] == {"sequence": stream, "frame": 2 * turn, "step": 2}
    assert (run.args["streams"], run.args["fps"], run.args["every"]) == (4, 100, 2)
    assert run.args["mean_interval_ms"] == 5
    again = bench.call(config, "--replay", str(finished.folder))
    assert again.status in ENDED_WELL, again.err
    assert again.folder is not None
    assert read(again.folder).results == run.results


def test_frames_that_come_too_late_are_dropped_and_counted(bench: Bench) -> None:
    config = [{"model": FRAMES, "gpus": [0], "busy_ms": 20}]
    flags = ["--streams", "4", "--fps", "50", "--max-lateness", "100", "-v", "200", "-qs", "300"]
    finished = bench.call(config, *flags)
    assert finished.status in ENDED_WELL, finished.err
    assert finished.folder is not None
    run = read(finished.folder)
    is_dropped, is_finished = run.ended_as("dropped"), run.ended_as("finished")
    assert (is_dropped | is_finished).all()
    assert is_dropped.sum() > 50, "the step does a quarter of them"
    assert is_finished[:4].all()
    assert is_finished[-4:].all(), "the last of each is not dropped, so that all steps hear of the end"
    assert sorted(run.results) == [number for number in range(200) if is_finished[number]]


def test_without_a_bound_none_is_dropped(bench: Bench) -> None:
    finished = bench.call(
        [{"model": FRAMES, "gpus": [0], "busy_ms": 5}], "--streams", "2", "--fps", "150", "-v", "80"
    )
    assert finished.status in ENDED_WELL, finished.err
    assert finished.folder is not None
    assert read(finished.folder).ended_as("finished").all()


def test_every_frame_is_the_one_of_random_access(bench: Bench) -> None:
    for number, coded in enumerate((nv.H264["b3"], nv.H264["b0"], nv.HEVC["b3"])):
        nv.encode(bench.videos / f"{number}.mp4", coded, range(100 * number, 100 * number + nv.NUM_FRAMES))
    decoder = {"model": "models.streams.decoder.StreamDecoder", "gpus": [0, 0]}
    config = [{**decoder, "width": nv.WIDTH, "height": nv.HEIGHT}, {"model": SUMS, "gpus": [0]}]
    finished = bench.call(config, "--streams", "3", "--fps", "200", "--every", "3", "-v", "120")
    assert finished.status in ENDED_WELL, finished.err
    assert finished.folder is not None
    results = read(finished.folder).results
    pictures = [SingleFrames().of(bench.videos / f"{n}.mp4", range(nv.NUM_FRAMES)) for n in range(3)]
    for request_id in range(120):
        turn, stream = divmod(request_id, 3)
        expected = int(pictures[stream][3 * turn % nv.NUM_FRAMES].astype(int).sum())
        assert results[request_id] == {"sum": expected, "sequence": stream}
