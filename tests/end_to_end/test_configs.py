"""Every config in config/ loads, and runs to its end on the CPU with a tiny network and the same results."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.detection.torchvision_networks import import_detection
from models.images import backends
from models.r2p1d.presets import KINETICS_CLASSES
from rnb.pipeline.config import ConfigError, read_config
from rnb.pipeline.plan import PlanOptions, make_plan
from rnb.record.run_folder import read
from tests.support.made_once import made_once
from tests.support.running import ENDED_WELL, ROOT, Bench, Finished
from tests.support.videos import write_video

CONFIGS = sorted(path.name for path in (ROOT / "config").glob("*.json"))
OTHER_INPUTS = ("r2p1d-accuracy.json", "r2p1d-inference-fast.json", "r2p1d-inference-only.json")
DECODING = [name for name in CONFIGS if name.startswith("r2p1d-") and name not in OTHER_INPUTS]
IN_BATCHES = [f"r2p1d-{name}.json" for name in ("whole", "segment", "nopipeline", "rnb")]
RUNS = [*((name, "1") for name in DECODING), *((name, "4") for name in IN_BATCHES)]
"""Which config runs with which batch size."""
WITH_EXTRAS = tuple(f"images-{name}.json" for name in ("torchcodec", "nvimgcodec", "dali"))
DETECTORS = ("detection.json", "detection-cpu.json")
QUICK = (("r2p1d-cpu.json", "1"), ("r2p1d-rnb.json", "4"))
FLAGS = {"r2p1d-per-gpu.json": ["-p"]}
TINY_LOADER = {"width": 32, "height": 32, "num_clips_population": [1, 15], "num_clips_weights": [10, 1]}
TINY_NETWORK = {"layer_sizes": [1, 1, 1, 1], "num_classes": 20}
EXACT = {"dtype": "float32", "precision": "fp32", "fuse": False}
"""In place of the options of a step that round."""
NUM_VIDEOS = 24


def test_the_named_configs_are_there() -> None:
    names = ("whole", "nopipeline", "general", "aggressive", "segment", "per-gpu", "rnb", "cpu", "fast")
    assert {f"r2p1d-{name}.json" for name in names} <= set(CONFIGS)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_loads_and_resolves(name: str) -> None:
    config = read_config(ROOT / "config" / name).pipeline(per_gpu_queue="-p" in FLAGS.get(name, ()))
    if missing := missing_extra(name):
        with pytest.raises(ConfigError, match=re.escape(missing)):
            make_plan(config, PlanOptions(mode="cpu"))
        return
    plan = make_plan(config, PlanOptions(mode="cpu"))
    assert plan.num_steps == len(config.pipeline)


def missing_extra(name: str) -> str:
    """What is said of a config whose decoder of images, or whose detector, this machine lacks."""
    if name not in WITH_EXTRAS + DETECTORS:
        return ""
    try:
        if name in DETECTORS:
            import_detection()
            return ""
        backends.check(json.loads((ROOT / "config" / name).read_text())["pipeline"][0]["backend"])
    except ValueError as error:
        return str(error)
    return ""


def tiny(name: str) -> Any:
    """The config with a small exact network on small frames, and at most two replicas a group."""
    config = json.loads((ROOT / "config" / name).read_text())
    for step in config if isinstance(config, list) else config["pipeline"]:
        kind = step["model"].rpartition(".")[2]
        if kind in ("R2P1DLoader", "R2P1DSingleStep"):
            step.update(TINY_LOADER)
        if kind in ("R2P1DRunner", "R2P1DSingleStep"):
            step.update(TINY_NETWORK)
        step.update({exact: EXACT[exact] for exact in EXACT if exact in step})
        for group in step.get("queue_groups", ()):
            group["gpus"] = group["gpus"][:2]
    return config


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def write(root: Path) -> None:
        for number in range(4):
            write_video(root / f"label{number % 2}" / f"{number}.mp4", seed=number)

    return made_once(tmp_path_factory, "videos", write)


def results_of(run: Finished) -> dict[str, Any]:
    assert run.status in ENDED_WELL, run.err
    assert run.folder is not None
    return read(run.folder).requests


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, videos: Path) -> dict[str, Any]:
    """The results of the whole network on one replica."""

    def run(folder: Path) -> None:
        with Bench(folder) as bench:
            flags = ["-v", str(NUM_VIDEOS), "-mi", "0", "--data", str(videos)]
            finished = bench.call(tiny("r2p1d-whole.json"), *flags)
            assert finished.status in ENDED_WELL, finished.err

    (folder,) = (made_once(tmp_path_factory, "reference", run) / "logs").iterdir()
    return read(folder).requests


@pytest.mark.parametrize(
    ("name", "batch_size"),
    [pytest.param(*run, marks=() if run in QUICK else pytest.mark.slow) for run in RUNS],
)
def test_a_config_gives_the_same_results_as_the_whole_network(
    bench: Bench, videos: Path, expected: dict[str, Any], name: str, batch_size: str
) -> None:
    flags = ["-v", str(NUM_VIDEOS), "-mi", "0", "-b", batch_size, "--data", str(videos), *FLAGS.get(name, ())]
    results = results_of(bench.call(tiny(name), *flags))
    assert (results["num_clips"] == expected["num_clips"]).all()
    assert (results["label"] == expected["label"]).all()
    # A batch's size changes in which order a convolution adds up, so scores agree to rounding.
    np.testing.assert_allclose(results["score"], expected["score"], rtol=1e-5)
    assert len(set(expected["label"].tolist())) > 1


def test_the_config_for_accuracy_gives_each_video_five_clips_and_a_name(bench: Bench, videos: Path) -> None:
    config = json.loads((ROOT / "config/r2p1d-accuracy.json").read_text())
    config[0].update(width=32, height=32, resize=[48, 36])
    config[1].update(layer_sizes=[1, 1, 1, 1])
    results = results_of(bench.call(config, "-v", "4", "-mi", "0", "--data", str(videos)))
    names = Path(KINETICS_CLASSES).read_text().splitlines()
    assert results["num_clips"].tolist() == [5] * 4
    assert results["class_name"].tolist() == [names[label] for label in results["label"]]


def test_an_unreadable_video_is_a_failed_request(bench: Bench, videos: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    good = write_video(mixed / "0_good.mp4")
    (mixed / "1_empty.mp4").touch()
    (mixed / "2_truncated.mp4").write_bytes(good.read_bytes()[:3000])
    (mixed / "3_text.mp4").write_text("not a video")
    write_video(mixed / "4_short.mp4", num_frames=5)
    run = bench.call(tiny("r2p1d-whole.json"), "-v", "10", "-mi", "0", "--data", str(mixed))
    assert run.status == 1
    assert "8 of 10 requests failed, more than --max-failures 0" in run.err
    assert run.folder is not None
    kept = read(run.folder)
    assert [replica["facts"] for replica in kept.meta.replicas] == [{"decoder": "pyav"}, {}]
    requests = kept.requests
    failed = requests["status"] == "failed"
    assert (failed == [not video.endswith("0_good.mp4") for video in requests["video"]]).all()
    for video, reason in zip(requests["video"][failed], requests["reason"][failed], strict=True):
        assert Path(video).name in reason
