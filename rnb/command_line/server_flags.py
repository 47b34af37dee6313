"""The flags of a run against a server, in the place of a pipeline."""

from __future__ import annotations

import argparse

from rnb.command_line.number_types import more_than_0, whole_number

NOT_OF_A_SERVER = (
    "config_file_path", "per_gpu_queue", "queue_size", "batch_size", "batch_timeout_ms", "device", "mps",
    "checkpoint", "cluster", "carrier", "send_files", "retries", "restart", "memory", "occupancy", "fault",
    "self_check",
)  # fmt: skip
"""Flags that are about RnB's own replicas."""
OF_A_SERVER = ("model", "input", "shape", "timeout", "in_flight", "keep_results")


def add_server_group(parser: argparse.ArgumentParser) -> None:
    server = parser.add_argument_group("server, in the place of a pipeline")
    server.add_argument(
        "--url", metavar="URL",
        help="play the load to a server of the Open Inference Protocol v2, Triton say: http://host:port or"
        " grpc://host:port (docs/load-generator.md)",
    )  # fmt: skip
    server.add_argument("--model", metavar="NAME", help="of --url: the model to ask")
    server.add_argument(
        "--input", action="append", default=[], metavar="NAME=HOW",
        help="of --url: what an input gets: random (the default) or zeros; of BYTES also file, a file under"
        " --data, or path, its path below that; once for each input",
    )  # fmt: skip
    server.add_argument(
        "--shape", action="append", default=[], metavar="NAME:SIZES",
        help="of --url: the sizes that the server leaves open, as NAME:3,224,224; once for each input",
    )  # fmt: skip
    server.add_argument(
        "--timeout", type=more_than_0, default=60_000, metavar="MS",
        help="of --url: how long the server may take to answer; a later request has failed"
        " (default %(default)s)",
    )  # fmt: skip
    server.add_argument(
        "--in-flight", type=whole_number(1, 100_000), default=500, metavar="N",
        help="of --url: most requests of a client process that have no answer yet, over HTTP each with a"
        " connection of its own; what is due beyond that is sent late (default %(default)s)",
    )  # fmt: skip
    server.add_argument(
        "--keep-results", action="store_true",
        help="of --url: keep the output LABEL of each request, or else its first one, for compare.py",
    )  # fmt: skip


def check_server_flags(args: argparse.Namespace, given: set[str]) -> None:
    """Raises ValueError."""
    if args.url is None:
        if alone := sorted(given.intersection(OF_A_SERVER)):
            raise ValueError(f"--{alone[0].replace('_', '-')}: only with --url")
        return
    if args.model is None:
        raise ValueError("--url: needs --model NAME, the model to ask")
    if args.alone is not None:
        raise ValueError("--url: only for benchmark.py")
