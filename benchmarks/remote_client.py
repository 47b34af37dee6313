"""How many requests/s a client process sends to a server, and how late. python -m benchmarks.remote_client

The server is benchmarks/minimal_server.py, on the same machine. CPU time is that of a request in the client,
from the run's telemetry; it says more than the rate where the cores have other work.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np

from benchmarks.measuring import ROOT, run_benchmark, show, spread, throughput
from rnb.contract.events import DUE, SENT
from rnb.record.run import Run

LATE_MS = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--protocol", choices=("http", "grpc"), default="http")
    parser.add_argument("--rate", type=float, default=5_000, help="requests/s (default %(default)g)")
    parser.add_argument("--seconds", type=float, default=10, help="length of a run (default %(default)g)")
    parser.add_argument("--clients", type=int, default=1, help="client processes (default %(default)s)")
    parser.add_argument("-n", "--repeats", type=int, default=3, help="runs (default %(default)s)")
    args = parser.parse_args()
    loads_before = os.getloadavg()[0]
    with _server(args.protocol) as url:
        runs = [_measure(url, args, seed) for seed in range(args.repeats)]
    figures = {name: spread([run[name] for run in runs]) for name in runs[0]}
    p99, cpu_us = figures["lateness_p99_ms"], figures["client_cpu_us_per_request"]
    show(
        "remote client",
        f"{args.protocol}: {figures['per_s']['median']:.0f} of {args.rate:.0f} requests/s with {args.clients}"
        f" clients: lateness p50 {figures['lateness_p50_ms']['median']:.3f} ms, p99 {p99['median']:.3f} ms"
        f" ({p99['min']:.3f} to {p99['max']:.3f}), {figures['late_percent']['median']:.2f} % later than"
        f" {LATE_MS:g} ms; {cpu_us['median']:.0f} us of CPU for a request in the client"
        f" ({cpu_us['min']:.0f} to {cpu_us['max']:.0f})",
        {**figures, "clients": args.clients, "rate": args.rate, "load_average_before": loads_before},
    )


@contextlib.contextmanager
def _server(protocol: str) -> Iterator[str]:
    """Its URL."""
    command = [sys.executable, "-m", "benchmarks.minimal_server", protocol]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"{protocol}://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


def _measure(url: str, args: argparse.Namespace, seed: int) -> dict[str, float]:
    load = ["-mi", f"{1000 / args.rate:.6g}", "--duration", f"{args.seconds:g}", "--seed", str(seed)]
    run = run_benchmark("--url", url, "--model", "nothing", "--clients", str(args.clients), *load)
    lateness_ms = (run.times[SENT] - run.times[DUE]) / 1e6
    return {
        "per_s": throughput(run),
        "lateness_p50_ms": float(np.percentile(lateness_ms, 50)),
        "lateness_p99_ms": float(np.percentile(lateness_ms, 99)),
        "late_percent": float(100 * np.mean(lateness_ms > LATE_MS)),
        "client_cpu_us_per_request": 1e6 * _cpu_s(run, "client") / run.num_requests,
        "server_cpu_us_per_request": 1e6 * _cpu_s(run, "server") / run.num_requests,
    }


def _cpu_s(run: Run, name: str) -> float:
    """CPU time of the processes whose names begin so, over the whole run."""
    telemetry = run.tables["telemetry"]
    lengths_s = np.diff(telemetry["time_ns"], prepend=telemetry["time_ns"][0]) / 1e9
    columns = [one for one in telemetry if one.startswith(f"process.{name}") and one.endswith(".cpu_percent")]
    return float(sum(np.nansum(telemetry[one] * lengths_s) for one in columns)) / 100


if __name__ == "__main__":
    main()
