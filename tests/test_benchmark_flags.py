"""What the benchmarks of decoders say of a mistake, and where there is no GPU: one line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from benchmarks import decoding, large_videos, raw_nvdec
from tests.support.videos import write_video

MAINS = {"decoding": decoding.main, "raw_nvdec": raw_nvdec.main, "large_videos": large_videos.main}


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str, Sequence[str]], tuple[object, str]]:
    """Ends a benchmark; gives the exit status, or what is said in its place, and the last line of stderr."""
    write_video(tmp_path / "a.mp4", num_frames=20)

    def end(name: str, flags: Sequence[str]) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", [name, "--data", str(tmp_path), *flags])
        with pytest.raises(SystemExit) as ended:
            MAINS[name]()
        return ended.value.code, capsys.readouterr().err.rstrip().rpartition("\n")[2]

    return end


@pytest.mark.parametrize(
    ("name", "flags", "told"),
    [
        ("decoding", ["--workers", "0"], "--workers: 0: must be at least 1"),
        (
            "decoding",
            ["--workers", "3", "--files", "2"],
            "--workers 3: 2 different files; each needs its own",
        ),
        ("decoding", ["--seconds", "0"], "--seconds: 0: must be more than 0"),
        ("decoding", ["--data", "config"], "--data config: no *.mp4 in it"),
        ("raw_nvdec", ["--threads", "0"], "--threads: 0: must be at least 1"),
        ("raw_nvdec", ["--data", "config"], "--data config: no *.mp4 in it"),
        ("large_videos", ["--data", "config"], "--data config: no *.mp4 in it"),
        ("large_videos", ["--keep", "README.md"], "--keep README.md: Not a directory"),
        ("large_videos", ["-n", "0"], "-n/--repeats: 0: must be at least 1"),
    ],
)
def test_a_mistake_is_one_line(
    call: Callable[[str, Sequence[str]], tuple[object, str]], name: str, flags: Sequence[str], told: str
) -> None:
    status, line = call(name, flags)
    assert status == 2
    assert told in line


def test_nvdec_without_a_gpu(
    call: Callable[[str, Sequence[str]], tuple[object, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    status, line = call("decoding", ["--backend", "nvdec"])
    assert status == 2
    assert "--backend nvdec: no GPU here" in line


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (b"#!/bin/sh\necho warming up >&2\necho raw_nvdec: no driver >&2\nexit 1\n", "raw_nvdec: no driver"),
        (b"#!/bin/sh\nexit 3\n", "returned non-zero exit status 3"),
    ],
)
def test_the_engines_alone_where_they_do_not_answer(
    call: Callable[[str, Sequence[str]], tuple[object, str]],
    monkeypatch: pytest.MonkeyPatch,
    program: bytes,
    told: str,
) -> None:
    monkeypatch.setattr(raw_nvdec, "compiled", lambda: program)
    why, _ = call("raw_nvdec", ["--seconds", "1"])
    assert isinstance(why, str)
    assert told in why
    assert "\n" not in why
