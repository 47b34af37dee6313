"""RnB beside other systems on the same work, on this machine. docs/peers.md says what is compared, and how.

    python -m benchmarks.peers --videos 1000 --rate 100

Each plays the same different files through the same network, all at once and then at each rate, with Poisson
arrivals of one schedule. Latency is from when a request was due.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import torch

from benchmarks.different_videos import different_videos
from benchmarks.measuring import check_gpu, samples_in
from benchmarks.peers.figures import PlayFigures, compared
from benchmarks.peers.plays import plays_of
from benchmarks.peers.processes import exit_on_sigterm
from benchmarks.peers.registry import PEERS
from benchmarks.peers.report import write
from benchmarks.peers.running import Outcome, play_peer
from benchmarks.peers.table import table
from benchmarks.peers.work import Work
from rnb.command_line.number_types import more_than_0, whole_number
from rnb.contract.termination import UsageError


def main() -> None:
    args, parser = parse_arguments()
    samples = samples_in(parser, args.data)
    with different_videos(samples, args.videos, int(args.max_gb * 1e9)) as videos:
        work = Work(
            config=str(Path(args.config).resolve()),
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
    parser.add_argument("--videos", type=whole_number(1), help="different files (on a GPU 1000, else 24)")
    parser.add_argument("--rate", type=more_than_0, nargs="+", default=[], help="requests/s (none)")
    parser.add_argument(
        "-n", "--repeats", type=whole_number(1), default=1, help="plays of each kind (%(default)s)"
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda" if has_gpu else "cpu")
    parser.add_argument("-c", "--config", help="RnB's (config/r2p1d-fast.json, on the CPU r2p1d-cpu.json)")
    parser.add_argument(
        "--workers",
        type=whole_number(1),
        default=num_cores,
        help="that decode, of the others (one a core: %(default)s)",
    )
    parser.add_argument("--limit", type=more_than_0, default=600, help="seconds for a peer (%(default)g)")
    parser.add_argument("--data", type=Path, default=Path("data/videos"), help="samples (%(default)s)")
    parser.add_argument("--max-gb", type=more_than_0, default=1.0, help="of different files (%(default)g)")
    parser.add_argument("--seed", type=int, default=0, help="of clips, arrivals and weights (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("logs/peers"), help="a folder (%(default)s)")
    args = parser.parse_args()
    on_gpu = args.device == "cuda"
    if on_gpu:
        check_gpu(parser, "--device cuda")
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
        write(args.out / "peers.json", work, outcomes, figures)
    print(f"\n{table(outcomes, figures, args.rate)}\n{args.out / 'peers.json'}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
