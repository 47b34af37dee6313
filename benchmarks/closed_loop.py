"""The same Triton under perf_analyzer and under RnB, at the same rates. python -m benchmarks.closed_loop

The model sleeps 100 ms in each of 4 instances, so it serves at most 40 requests/s. By its defaults,
perf_analyzer has as many requests under way as it has threads: at a rate that the server cannot keep it sends
fewer, and counts each request's time from when it was sent.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path

import numpy as np

from benchmarks.measuring import run_benchmark, show, throughput
from benchmarks.triton import Sleeper, Triton, triton
from rnb.contract.events import DUE, SENT

MODEL = "sleeper"
FIGURES = {
    "served_per_s": r"Throughput: ([\d.]+) infer/sec",
    "p50_ms": r"p50 latency: (\d+) usec",
    "p99_ms": r"p99 latency: (\d+) usec",
}
DELAYED = r"([\d.]+)% of the requests were delayed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=float, nargs="+", default=[20, 32, 50], help="requests/s")
    parser.add_argument("--seconds", type=float, default=30, help="of RnB's load (default %(default)g)")
    parser.add_argument("--protocol", choices=("http", "grpc"), default="http")
    parser.add_argument("--folder", type=Path, default=Path("data/triton"), help="keeps the downloads")
    args = parser.parse_args()
    folder = args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with triton(folder, {MODEL: Sleeper(num_instances=4, seconds=0.1)}) as server:
        for rate in args.rates:
            url = server.http if args.protocol == "http" else server.grpc
            for who, figures in (
                ("perf_analyzer", _perf_analyzer(server, url, rate)),
                ("RnB", _rnb(url, rate, args.seconds)),
            ):
                told = ", ".join(f"{name} {value:.1f}" for name, value in figures.items())
                told = told if "p99_ms" in figures else "not stable enough for it to tell"
                show("closed loop", f"{rate:g}/s {args.protocol} {who}: {told}", {"rate": rate, **figures})


def _perf_analyzer(server: Triton, url: str, rate: float) -> dict[str, float]:
    """Poisson arrivals; its windows may differ by half, as the machine is shared."""
    protocol, _, address = url.partition("://")
    load = ["--request-rate-range", f"{rate:g}", "--request-distribution", "poisson", "-s", "50"]
    command = [str(server.perf_analyzer), "-m", MODEL, "-u", address, "-i", protocol, *load]
    result = subprocess.run(
        command, env=dict(server.environment), capture_output=True, text=True, check=False
    )
    found = {name: re.search(pattern, result.stdout) for name, pattern in FIGURES.items()}
    figures = {
        name: float(match[1]) / (1000 if name.endswith("_ms") else 1)
        for name, match in found.items()
        if match
    }
    if not figures and "Failed to obtain stable measurement" not in result.stderr:
        raise RuntimeError(f"{' '.join(command)}: {result.stdout}{result.stderr}")
    delayed = re.search(DELAYED, result.stdout)
    return {**figures, "sent_late_percent": float(delayed[1]) if delayed else 0.0}


def _rnb(url: str, rate: float, seconds: float) -> dict[str, float]:
    run = run_benchmark(
        "--url", url, "--model", MODEL, "-mi", f"{1000 / rate:g}", "--duration", f"{seconds:g}"
    )
    latency_ms, late_ms = run.latency_ms[run.finished], (run.times[SENT] - run.times[DUE]) / 1e6
    return {
        "served_per_s": throughput(run),
        "p50_ms": float(np.percentile(latency_ms, 50)),
        "p99_ms": float(np.percentile(latency_ms, 99)),
        "sent_late_percent": float(100 * np.mean(late_ms > 1)),
    }


if __name__ == "__main__":
    main()
