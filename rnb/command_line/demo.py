"""demo.py: a page in the browser to try a server with, such as serve.py's."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from rnb.command_line.exit_status import EXIT_USAGE
from rnb.command_line.number_types import whole_number
from rnb.command_line.parser import Parser

PAGE = Path(__file__).parents[1] / "demo" / "page.py"
PROGRAM = "demo.py"
EPILOG = "A key for the server is taken from RNB_API_KEY. It runs until Ctrl-C."


def main(argv: Sequence[str] | None = None) -> int:
    """Become the page; returns only where that cannot be."""
    args = parse_args(argv)
    if find_spec("streamlit") is not None:
        _become(command_of(args))
    print(f"{PROGRAM}: error: streamlit is not installed: pip install -e '.[demo]'", file=sys.stderr)
    return EXIT_USAGE


def _become(command: list[str]) -> NoReturn:
    """Run this in the place of this process, with `rnb` among what it can import."""
    paths = [str(PAGE.parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.execve(command[0], command, {**os.environ, "PYTHONPATH": os.pathsep.join(paths)})


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser(PROGRAM, description="Try a server in the browser.", epilog=EPILOG, allow_abbrev=False)
    parser.add_argument(
        "--server", type=_address, default="http://127.0.0.1:8000", metavar="URL",
        help="of HTTP, as serve.py prints it (default %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="of the page (default %(default)s)"
    )
    parser.add_argument(
        "--port", type=whole_number(1, 65535), default=8501, metavar="N",
        help="of the page (default %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--gallery", type=Path, metavar="FOLDER",
        help="where the server has its gallery of faces, to put faces into (default: none are enrolled)",
    )  # fmt: skip
    return parser.parse_args(argv)


def command_of(args: argparse.Namespace) -> list[str]:
    """What runs the page."""
    settings = {
        "server.address": args.host,
        "server.port": args.port,
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "runner.magicEnabled": "false",
    }
    flags = [f"--{name}={value}" for name, value in settings.items()]
    of_page = ["--server", args.server, *(["--gallery", str(args.gallery)] if args.gallery else [])]
    return [sys.executable, "-m", "streamlit", "run", str(PAGE), *flags, "--", *of_page]


def _address(text: str) -> str:
    told = urlsplit(text)
    if told.scheme not in ("http", "https") or not told.netloc or told.query or told.fragment:
        raise argparse.ArgumentTypeError(f"'{text}': must be http://HOST:PORT or https://HOST:PORT")
    return text.rstrip("/")
