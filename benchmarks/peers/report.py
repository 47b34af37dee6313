"""What is written of all peers, for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.peers.running import Outcome
from benchmarks.peers.table import Figures
from benchmarks.peers.work import Work


def write(path: Path, work: Work, outcomes: Sequence[Outcome], figures: Figures) -> None:
    facts = {
        "benchmark": "peers",
        "device": torch.cuda.get_device_name() if work.device == "cuda" else "cpu",
        "num_cores": len(work.cores),
        "config": Path(work.config).name,
        "num_videos": len(work.videos),
        "workers": work.workers,
        "peers": {
            one.name: {
                "decoder": one.decoder,
                "why_not": one.why_not or None,
                "plays": [asdict(play) for play in figures[one.name]],
            }
            for one in outcomes
        },
    }
    path.write_text(json.dumps(facts, indent=1) + "\n")
