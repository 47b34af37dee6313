"""Runs benchmark.py as a user would, and looks at what it leaves behind."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.called import called
from tests.support.leftovers import SharedMemoryWatch, pids_with, read

ROOT = Path(__file__).parents[2]
ENDED_WELL = (0, 3)
"""The exit statuses of a run that served all requests: where the machine has other work it may be INVALID."""
END_TIMEOUT_S = 150.0
"""Eight processes that import torch, beside another such test, take half a minute on two free cores."""
MARK = "RNB_TEST_MARK"
"""An environment variable that every process of one run inherits, so that the test finds those left over."""


@dataclass(kw_only=True)
class Finished:
    """A run that has ended."""

    status: int
    out: str
    err: str
    folder: Path | None
    seconds_to_end: float
    """From the last signal that the test sent, or from the start."""
    was_signalled: bool


@dataclass(kw_only=True)
class Running:
    """benchmark.py in a process of its own."""

    process: subprocess.Popen[str]
    mark: str
    logs: Path
    since: float = field(default_factory=time.monotonic)
    was_signalled: bool = False

    def children(self, name: str = "") -> list[int]:
        """The processes of the run but the driver, by the start of their title, as 'rnb step 1'."""
        return [pid for pid in self.processes() if pid != self.process.pid and _title(pid).startswith(name)]

    def processes(self) -> list[int]:
        """All of the run."""
        return list(pids_with(f"{MARK}={self.mark}"))

    def wait_for_line(self, start: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(start):
                return line
        raise AssertionError(
            f"no line '{start}'; stderr: {self.process.stderr.read() if self.process.stderr else ''}"
        )

    def signal(self, number: int, pid: int | None = None) -> None:
        self.since, self.was_signalled = time.monotonic(), True
        os.kill(self.process.pid if pid is None else pid, number)

    def finish(self, timeout_s: float = END_TIMEOUT_S) -> Finished:
        """Wait for the end; nothing of the run may be left then."""
        try:
            out, err = self.process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)
            out, err = self.process.communicate()
            raise AssertionError(f"still running after {timeout_s} s\n{out}\n{err}") from None
        seconds = time.monotonic() - self.since
        assert not self.processes(), f"left behind: {[_title(pid) for pid in self.processes()]}"
        folders = sorted(self.logs.iterdir()) if self.logs.is_dir() else []
        return Finished(
            status=self.process.returncode,
            out=out,
            err=err,
            folder=folders[-1] if folders else None,
            seconds_to_end=seconds,
            was_signalled=self.was_signalled,
        )


class Bench:
    """Starts runs in a folder of their own, with videos that exist only by name.

    As a context it checks in the end that no run has left anything in shared memory or /tmp.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.logs = folder, folder / "logs"
        self.videos = folder / "videos"
        self.videos.mkdir()
        for number in range(3):
            (self.videos / f"{number}.mp4").touch()
        self._mark, self._num_runs = f"{uuid.uuid4().hex}.", 0
        self._own_environment: dict[str, str] = {}

    def __enter__(self) -> Bench:
        self._watch = SharedMemoryWatch(lambda: pids_with(f"{MARK}={self._mark}"))
        # Not in pytest's folder, since the path of a socket must be short.
        self._temporary = Path(tempfile.mkdtemp(prefix="rnb-test-"))
        compiled = Path(tempfile.gettempdir()) / f"torchinductor_{getpass.getuser()}"  # costly to fill
        self._own_environment = {
            "TMPDIR": str(self._temporary),
            "TORCHINDUCTOR_CACHE_DIR": str(compiled),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }
        return self

    def __exit__(self, *_: object) -> None:
        left = [path.name for path in self._temporary.iterdir()]
        shutil.rmtree(self._temporary)
        shared = self._watch.end()
        assert not shared, f"left in shared memory: {shared}"
        temporary = [name for name in left if name.startswith(("pymp-", "torch_", "rnb"))]
        assert not temporary, f"left in /tmp: {temporary}"

    def environment(self, mark: str = "") -> dict[str, str]:
        """What a process of this test gets, so that all that it leaves can be told from others'."""
        return {**os.environ, MARK: mark or self._mark, **self._own_environment}

    def start(self, config: Any, *flags: str, **environment: str) -> Running:
        return self.start_with(*self._flags_of(config), *flags, **environment)

    def start_with(self, *flags: str, **environment: str) -> Running:
        """Whatever it is that the flags play to."""
        self._num_runs += 1
        mark = f"{self._mark}{self._num_runs}."
        process = subprocess.Popen(
            [sys.executable, "benchmark.py", *self._places(), *flags],
            cwd=ROOT,
            env={**self.environment(mark), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return Running(process=process, mark=mark, logs=self.logs)

    def run(self, config: Any, *flags: str, **environment: str) -> Finished:
        return self.start(config, *flags, **environment).finish()

    def call(self, config: Any, *flags: str, **environment: str) -> Finished:
        """The same in this process, which imports PyTorch once for all its runs instead of twice for each."""
        return self.call_with(*self._flags_of(config), *flags, **environment)

    def call_with(self, *flags: str, **environment: str) -> Finished:
        """Whatever it is that the flags play to, in this process."""
        since, before = time.monotonic(), self._folders()
        argv = [*self._places(), *flags]
        ended = called(argv, {**self.environment(), **environment})
        assert ended.status is not None, ended.err
        return Finished(
            status=ended.status,
            out=ended.out,
            err=ended.err,
            folder=next(iter(self._folders() - before), None),
            seconds_to_end=time.monotonic() - since,
            was_signalled=False,
        )

    def _folders(self) -> set[Path]:
        return set(self.logs.iterdir()) if self.logs.is_dir() else set()

    def _places(self) -> list[str]:
        return ["--data", str(self.videos), "--logs", str(self.logs)]

    def _flags_of(self, config: Any) -> list[str]:
        path = self.folder / "pipeline.json"
        path.write_text(json.dumps(config))
        return ["-c", str(path), "--device", "cpu"]


def tiny(name: str, **options: Any) -> dict[str, Any]:
    """A step of tiny_steps on one replica."""
    return {"model": f"tests.support.tiny_steps.{name}", "gpus": [0], **options}


def grouped(*steps: dict[str, Any]) -> dict[str, Any]:
    """A config of steps in the long form."""
    return {"pipeline": list(steps)}


def on(name: str, *groups: dict[str, Any], **options: Any) -> dict[str, Any]:
    """A tiny step in the long form."""
    step = tiny(name, **options)
    del step["gpus"]
    return {**step, "queue_groups": list(groups)}


def _title(pid: int) -> str:
    return read(f"/proc/{pid}/comm").strip()
