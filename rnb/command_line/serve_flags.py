"""The command line of serve.py."""

from __future__ import annotations

import argparse
import ipaddress
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rnb.command_line import layered_flags
from rnb.command_line.flags import add_pipeline_group, some
from rnb.command_line.number_types import more_than_0, up_to, whole_number
from rnb.command_line.parser import Parser, refuse_cluster
from rnb.live.settings import Serving
from rnb.load.videos import DEFAULT_FOLDER
from rnb.serving.settings import Settings
from rnb.spec import Placement

EPILOG = (
    "Each setting may also stand in --settings FILE or in the environment, --grpc-port as RNB_GRPC_PORT;"
    " a flag beats the environment, and that the file. Exit status: 0 it ended as it was told to; 1 it"
    " failed, or --grace was not enough; 2 a wrong flag or config."
)
PROGRAM = "serve.py"
MOST_BODY_MB, MOST_SECONDS = 2000, 1_000_000
"""gRPC takes its limits as whole numbers of bytes and of ms, in 32 bits."""


def parse_args(
    argv: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ
) -> argparse.Namespace:
    args = layered_flags.parse(make_parser, PROGRAM, sys.argv[1:] if argv is None else argv, environment)
    try:
        check(settings_of(args))
    except ValueError as error:
        make_parser(PROGRAM).error(str(error))
    return args


def settings_of(args: argparse.Namespace) -> Settings:
    return some(args, Settings)


def check(settings: Settings) -> None:
    """Raises ValueError for settings that do not go together."""
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise ValueError("--tls-cert and --tls-key: one needs the other")
    key = settings.api_key
    if key is not None and not (key and all("!" <= letter <= "~" for letter in key)):
        raise ValueError("--api-key: must be printable ASCII without spaces, as headers have it")
    for flag, path in (("--tls-cert", settings.tls_cert), ("--tls-key", settings.tls_key)):
        if path is not None and not os.path.isfile(path):
            raise ValueError(f"{flag}: {path}: no such file")
    if settings.data != DEFAULT_FOLDER and not os.path.isdir(settings.data):
        raise ValueError(f"--data: {settings.data}: no such folder")
    if not (is_loopback(settings.host) or settings.api_key or settings.tls_cert):
        raise ValueError(
            f"--host {settings.host}: others could reach it: say --api-key KEY (or RNB_API_KEY), or"
            " --tls-cert and --tls-key"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def make_parser(program: str) -> Parser:
    parser = Parser(
        program, description="Serve a pipeline over HTTP and gRPC.", epilog=EPILOG, allow_abbrev=False
    )
    refuse_cluster(parser)
    add_pipeline_group(parser)
    _add_address_group(parser)
    _add_limits_group(parser)
    _add_run_group(parser)
    parser.set_defaults(queue_size=Placement.queue_size, cluster=None, send_files=False, carrier="tcp")
    return parser


def _add_address_group(parser: argparse.ArgumentParser) -> None:
    group, default = parser.add_argument_group("address"), Settings()
    group.add_argument(
        "--host", default=default.host, metavar="ADDRESS",
        help="others than loopback need --api-key or TLS (default %(default)s)",
    )  # fmt: skip
    for name, flag in (("HTTP", "--port"), ("gRPC", "--grpc-port")):
        group.add_argument(
            flag, type=whole_number(0, 65535), metavar="N",
            default=getattr(default, flag[2:].replace("-", "_")),
            help=f"of {name}; 0 takes any free one (default %(default)s)",
        )  # fmt: skip
    group.add_argument(
        "--api-key", metavar="KEY",
        help="what clients must send: Authorization: Bearer KEY; ps does not show it as RNB_API_KEY",
    )  # fmt: skip
    group.add_argument("--tls-cert", metavar="FILE", help="a certificate chain, PEM")
    group.add_argument("--tls-key", metavar="FILE", help="its key, PEM")


def _add_limits_group(parser: argparse.ArgumentParser) -> None:
    group, default = parser.add_argument_group("limits"), Settings()
    group.add_argument(
        "--max-pending", type=whole_number(1, 1_000_000), default=Serving.max_pending, metavar="N",
        help="requests in the pipeline at once; more are told to come again (default %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--max-body-mb", type=up_to(MOST_BODY_MB), default=default.max_body_mb, metavar="MIB",
        help="size of a request (default %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--max-bodies-mb", type=more_than_0, default=default.max_bodies_mb, metavar="MIB",
        help="size of all requests together that have no answer yet, over HTTP (default %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--max-pixels", type=whole_number(1, 10**12), default=default.max_pixels, metavar="N",
        help="of an image, looked at before it is decoded (default %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--max-request-batch", type=whole_number(1, 10_000), default=default.max_request_batch, metavar="N",
        help="rows of a request's tensor, each of which is a request of the pipeline (default %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--max-connections", type=whole_number(1, 1_000_000), default=default.max_connections, metavar="N",
        help="of HTTP; as many calls at once over gRPC (default %(default)s)",
    )  # fmt: skip
    for flag, about in (
        ("--send-timeout", "how long a client may take to send a request"),
        ("--idle-timeout", "how long a connection without a request is kept"),
        ("--grace", "how long what was accepted may take when the server is told to end"),
    ):
        group.add_argument(
            flag, type=up_to(MOST_SECONDS), default=getattr(default, flag[2:].replace("-", "_")), metavar="S",
            help=f"{about} (default %(default)s)",
        )  # fmt: skip


def _place(text: str) -> str | None:
    return None if text == "off" else text


def _folder(text: str) -> Path | None:
    return None if text == "off" else Path(text)


def _add_run_group(parser: argparse.ArgumentParser) -> None:
    run, default = parser.add_argument_group("run"), Settings()
    run.add_argument(
        "--data", default=DEFAULT_FOLDER, metavar="FOLDER",
        help="where files lie that requests name by PATH; nothing outside it is read (default %(default)s)",
    )  # fmt: skip
    run.add_argument(
        "--shared-memory", action=argparse.BooleanOptionalAction, default=default.shared_memory,
        help="clients on this machine may leave tensors in shared memory",
    )  # fmt: skip
    run.add_argument(
        "--request-log", type=_place, default=default.request_log, metavar="FILE",
        help="a line of JSON for each request; - is stdout, 'off' is none (default %(default)s)",
    )  # fmt: skip
    run.add_argument(
        "--otlp", metavar="URL",
        help="a span for each request and step to this collector of OpenTelemetry, as"
        " http://localhost:4318/v1/traces",
    )  # fmt: skip
    run.add_argument(
        "--logs", type=_folder, default=Path("logs"), metavar="FOLDER",
        help="where a folder of what is served is made, for compare.py; 'off': nothing is kept"
        " (default %(default)s)",
    )  # fmt: skip
    run.add_argument(
        "--log-part", type=whole_number(1), default=Serving.log_part, metavar="N",
        help="of --logs: requests of a part (default %(default)s)",
    )  # fmt: skip
    run.add_argument(
        "--log-minutes", type=more_than_0, default=Serving.log_minutes, metavar="MIN",
        help="of --logs: a part ends after so long, too (default %(default)s)",
    )  # fmt: skip
    run.add_argument(
        "--keep-parts", type=whole_number(1), default=20, metavar="N",
        help="of --logs: how many of the last parts are kept (default %(default)s)",
    )  # fmt: skip
    run.add_argument(
        "--seed", type=whole_number(0, 2**63 - 1), default=0, metavar="N",
        help="draws sampled clips and random weights (default %(default)s)",
    )  # fmt: skip
    run.add_argument("--quiet", action="store_true", help="print no line but errors and the log")
    run.add_argument("--settings", metavar="FILE", help="JSON, or TOML, with any of these by name")
