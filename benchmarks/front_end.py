"""What the front ends of serve.py cost: a pipeline that answers at once, 4 KiB as DATA, perf_analyzer.

    python -m benchmarks.front_end

A request at a time tells the cost of one, perf_analyzer's own part included; eight at a time tell how many
there can be a second. The server's CPU time for a request is told as well, since other work on the machine
changes it least. docs/serving.md has figures.
"""

from __future__ import annotations

import argparse
import base64
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from rnb.serving.tensors import join
from tests.support.serving import Served, serving
from utils.packages import PackageError
from utils.perf_analyzer import environment, prepare

PAYLOAD_BYTES = 4096
AT_ONCE = (1, 8)
PROTOCOLS = ("http", "grpc")
WINDOW_MS = 1500
ANY_SPREAD = ("--stability-percentage", 999)
"""Of perf_analyzer's three windows: how far repeats differ is told here."""
RATE, P50, P99 = "Inferences/Second", "p50 latency", "p99 latency"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.front_end", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--repeat", type=int, default=5, help="measurements of each kind (%(default)s)")
    args = parser.parse_args(argv)
    try:
        prepare()
    except PackageError as error:
        print(f"front_end: {error}", file=sys.stderr)
        return 1
    load = os.getloadavg()[0]
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, load average before: {load:.1f}; median (range) of {args.repeat}")
    with tempfile.TemporaryDirectory() as folder, serving() as server:
        payload = Path(folder, "input.json")
        payload.write_text(json.dumps({"data": [{"DATA": {"b64": _encoded()}}]}))
        for protocol in PROTOCOLS:
            for at_once in AT_ONCE:
                rows = [
                    _measure(server, protocol, at_once, payload, Path(folder, "table.csv"))
                    for _ in range(args.repeat)
                ]
                print(f"{protocol}, {at_once} at a time: {', '.join(_lines(rows))}", flush=True)
    return 0


def _encoded() -> str:
    return base64.b64encode(join([bytes(PAYLOAD_BYTES)])).decode()


def _measure(server: Served, protocol: str, at_once: int, payload: Path, table: Path) -> dict[str, float]:
    program, folder = prepare()
    url = server.grpc if protocol == "grpc" else server.http
    flags = ("-m", "scripted", "-u", url, "-i", protocol, "--input-data", payload, "-f", table)
    windows = ("--concurrency-range", at_once, "--measurement-interval", WINDOW_MS, *ANY_SPREAD)
    before_s, before = _cpu_s(server), _num_served(server)
    subprocess.run(
        list(map(str, (program, *flags, *windows))),
        env=environment(folder),
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    cpu_s = (_cpu_s(server) - before_s) / (_num_served(server) - before)
    with table.open(newline="") as file:
        row = next(csv.DictReader(file))
    return {"cpu": cpu_s, **{name: float(row[name]) for name in (RATE, P50, P99)}}


def _cpu_s(server: Served) -> float:
    """The CPU time of its process so far, kernel's included."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _num_served(server: Served) -> int:
    return int(server.ask("GET", "/v2/models/scripted/stats").json()["model_stats"][0]["inference_count"])


def _lines(rows: Sequence[dict[str, float]]) -> Iterator[str]:
    for name, unit, scale in (
        (RATE, "requests/s", 1),
        (P50, "ms p50", 1e-3),
        (P99, "ms p99", 1e-3),
        ("cpu", "ms of CPU a request", 1e3),
    ):
        values = [row[name] * scale for row in rows]
        form = ",.0f" if scale == 1 else ".3f"
        low, middle, high = (
            format(one, form) for one in (min(values), statistics.median(values), max(values))
        )
        yield f"{middle} ({low} to {high}) {unit}"


if __name__ == "__main__":
    sys.exit(main())
