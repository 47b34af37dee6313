"""Runs of tiny pipelines that a test plays itself, in its own process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnb.load.load import Load
from rnb.pipeline.config import read_config
from rnb.play import play
from rnb.record.run import Run
from rnb.spec import Placement, RunSpec, schedule_of

NOTHING = {"model": "models.nothing.model.Nothing", "gpus": [0]}
"""A step that is quick to start, as it needs no torch."""


def spec_for(folder: Path, steps: Sequence[Any], *, observe: Sequence[str] = (), **load: Any) -> RunSpec:
    """A run of these steps on the CPU; its config and three videos, by name only, are put into `folder`.

    By default it has 20 requests, all at once.
    """
    config, videos = folder / "pipeline.json", folder / "videos"
    config.write_text(json.dumps(list(steps)))
    videos.mkdir(exist_ok=True)
    for number in range(3):
        (videos / f"{number}.mp4").touch()
    return RunSpec(
        config=read_config(config),
        load=Load(**{"mean_interval_ms": 0, "videos": 20, "data": str(videos), **load}),
        placement=Placement(device="cpu"),
        observe=observe,
    )


def played(spec: RunSpec, **changes: Any) -> Run:
    """Play a run with the schedule that it asks for; `changes` are arguments of `play`."""
    return play(*schedule_of(spec), **changes)
