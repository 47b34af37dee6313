"""RnB beside other systems on the same work, on this machine. docs/peers.md says what is compared, and how.

    python -m benchmarks.peers --videos 1000 --rate 100

Each plays the same different files through the same network, all at once and then at each rate, with Poisson
arrivals of one schedule. Latency is from when a request was due.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.different_videos import different_videos
from benchmarks.peers.figures import PlayFigures, figures_of
from benchmarks.peers.processes import exit_on_sigterm
from benchmarks.peers.registry import PEERS
from benchmarks.peers.running import Outcome, play_peer
from benchmarks.peers.table import table
from benchmarks.peers.work import Arrival, Work
from rnb.contract.termination import UsageError
from rnb.load.load import Load
from rnb.load.schedule import make_schedule

Plays = Sequence[tuple[float, list[Arrival]]]
"""The rate of each, 0: all at once, and its arrivals."""


def main() -> None:
    args, parser = parse_arguments()
    samples = sorted(args.data.rglob("*.mp4"))
    if not samples:
        parser.error(f"--data {args.data}: no *.mp4 in it; python -m utils.sample_videos makes some")
    with different_videos(samples, args.videos, int(args.max_gb * 1e9)) as videos:
        work = Work(
            config=args.config,
            device=args.device,
            videos=sorted(map(str, videos)),
            samples=[str(samples[number % len(samples)]) for number in range(2 * args.workers)],
            cores=sorted(os.sched_getaffinity(0)),
            workers=args.workers,
            seed=args.seed,
        )
        try:
            work.check()
        except UsageError as error:
            parser.error(str(error))
        play_all(args, work)


def parse_arguments() -> tuple[argparse.Namespace, argparse.ArgumentParser]:
    has_gpu, num_cores = torch.cuda.is_available(), len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="(all)")
    parser.add_argument("--videos", type=int, help="different files (on a GPU 1000, else 24)")
    parser.add_argument("--rate", type=float, nargs="+", default=[], help="requests/s (none)")
    parser.add_argument("-n", "--repeats", type=int, default=1, help="plays of each kind (%(default)s)")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda" if has_gpu else "cpu")
    parser.add_argument("-c", "--config", help="RnB's (config/r2p1d-fast.json, on the CPU r2p1d-cpu.json)")
    parser.add_argument(
        "--workers", type=int, default=num_cores, help="that decode, of the others (one a core: %(default)s)"
    )
    parser.add_argument("--limit", type=float, default=600, help="seconds for a peer (%(default)g)")
    parser.add_argument("--data", type=Path, default=Path("data/videos"), help="samples (%(default)s)")
    parser.add_argument("--max-gb", type=float, default=1.0, help="of different files (%(default)g)")
    parser.add_argument("--seed", type=int, default=0, help="of clips, arrivals and weights (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("logs/peers"), help="a folder (%(default)s)")
    args = parser.parse_args()
    on_gpu = args.device == "cuda"
    args.videos = args.videos or (1000 if on_gpu else 24)
    args.config = args.config or f"config/r2p1d-{'fast' if on_gpu else 'cpu'}.json"
    return args, parser


def play_all(args: argparse.Namespace, work: Work) -> None:
    exit_on_sigterm()
    args.out.mkdir(parents=True, exist_ok=True)
    plays = [*plays_of(work, args.rate)] * args.repeats
    names = [name for name in PEERS if name in args.peers]
    outcomes: list[Outcome] = []
    figures: dict[str, list[PlayFigures]] = {}
    for name in names:
        arrivals = [arrivals for _, arrivals in plays]
        outcomes.append(
            play_peer(name, PEERS[name], work, arrivals, limit_s=args.limit, log=args.out / f"{name}.log")
        )
        figures[name] = compared(outcomes[-1], outcomes[0], plays)
        print(f"{name}: {outcomes[-1].why_not or 'played'}", flush=True)
        write(args.out, work, outcomes, figures)
    print(f"\n{table(outcomes, figures, args.rate)}\n{args.out / 'peers.json'}")


def plays_of(work: Work, rates: Sequence[float]) -> Plays:
    """The first has no rate: all at once."""
    loads = {
        rate: Load(mean_interval_ms=1000 / rate if rate else 0, videos=len(work.videos))
        for rate in (0, *rates)
    }
    return [
        (
            rate,
            [
                Arrival(request, due_ns / 1e9)
                for request, due_ns in enumerate(make_schedule(load, work.videos)[1].arrivals_ns.tolist())
            ],
        )
        for rate, load in loads.items()
    ]


def compared(outcome: Outcome, reference: Outcome, plays: Plays) -> list[PlayFigures]:
    """Each play beside the first of RnB's, whose classes do not depend on when a request comes."""
    has_reference = reference.name == "rnb" and reference.plays
    labels = reference.plays[0].labels if has_reference else None
    return [
        figures_of(rate, arrivals, played, labels)
        for (rate, arrivals), played in zip(plays, outcome.plays, strict=False)
    ]


def write(out: Path, work: Work, outcomes: Sequence[Outcome], figures: dict[str, list[PlayFigures]]) -> None:
    facts = {
        "benchmark": "peers",
        "device": torch.cuda.get_device_name() if work.device == "cuda" else "cpu",
        "num_cores": len(work.cores),
        "config": work.config,
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
    (out / "peers.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
