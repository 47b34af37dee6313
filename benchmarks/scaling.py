"""The network without decoding on one GPU and on several. python -m benchmarks.scaling

Each GPU has a queue of its own, so that no tensor leaves it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import torch

from benchmarks.measuring import ROOT, run_pipeline, show, spread

CONFIG = "config/r2p1d-inference-fast.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-c", "--config", default=CONFIG, help="its GPUs are replaced (default %(default)s)")
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 2, 4], help="numbers of GPUs to try")
    parser.add_argument("-n", "--repeats", type=int, default=3, help="runs of each (default %(default)s)")
    parser.add_argument("-v", "--videos", type=int, default=16000, help="requests for each GPU")
    parser.add_argument("--data", default="data/videos", help="any folder of videos; none is opened")
    parser.add_argument("--device", default="auto", help="as for benchmark.py")
    args = parser.parse_args()
    most = torch.cuda.device_count() if args.device != "cpu" else max(args.gpus)
    rates: dict[int, dict[str, float]] = {}
    for num_gpus in (number for number in args.gpus if number <= most):
        rates[num_gpus] = spread([clips_per_s(num_gpus, args) for _ in range(args.repeats)])
    if not rates:
        parser.error(f"--gpus {args.gpus}: there are {most}")
    one = rates[min(rates)]["median"] / min(rates)
    shares = {number: rate["median"] / (number * one) for number, rate in rates.items()}
    show(
        "scaling",
        "; ".join(
            f"{number} GPUs {rate['median']:.5g} clips/s ({rate['min']:.5g} to {rate['max']:.5g}),"
            f" {shares[number]:.3f} of linear"
            for number, rate in rates.items()
        ),
        {"config": args.config, "clips_per_s": rates, "share_of_linear": shares},
    )


def clips_per_s(num_gpus: int, args: argparse.Namespace) -> float:
    steps = json.loads((ROOT / args.config).read_text())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scaling.json"
        path.write_text(json.dumps([{**step, "gpus": list(range(num_gpus))} for step in steps]))
        flags = ("-p", "-mi", "0", "-bt", "2", "-v", str(num_gpus * args.videos), "--device", args.device)
        run = run_pipeline(str(path), *flags, "--clients", str(num_gpus), "--data", args.data)
    return float(run.requests["num_clips"][run.finished].sum() / run.seconds)


if __name__ == "__main__":
    main()
