"""The documents keep their promises: commands parse, files exist, examples run."""

from __future__ import annotations

import json
import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import compare
from rnb.arguments import parse_args
from rnb.driver import prepare
from rnb.run_folder import read
from tests.end_to_end.conftest import bench
from tests.support.running import ROOT, Bench

__all__ = ["bench"]

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
README, CONTRIBUTING = (ROOT / name for name in ("README.md", "CONTRIBUTING.md"))
SYNTHETIC_LOADER = {"model": "models.r2p1d.model.R2P1DSyntheticLoader", "gpus": [0]}


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the documents' commands are typed."""
    monkeypatch.chdir(ROOT)


def blocks(document: Path, language: str) -> list[str]:
    """The contents of a document's fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)


def commands(document: Path) -> list[list[str]]:
    lines = [line for block in blocks(document, "bash") for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(("python ", "make "))]


def examples(document: Path) -> dict[str, str]:
    """The Python blocks whose first line is a comment with a file's name, by that name."""
    found = {block.splitlines()[0].removeprefix("# "): block for block in blocks(document, "python")}
    return {name: block for name, block in found.items() if name.endswith(".py")}


@pytest.mark.parametrize("command", commands(README), ids=" ".join)
def test_a_command_of_the_readme_parses(command: list[str]) -> None:
    program, *arguments = command
    if program == "make":
        assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return
    script, *flags = arguments
    if script == "-m":
        assert find_spec(flags[0])
    elif script == "benchmark.py":
        check_benchmark(flags)
    else:
        assert script == "compare.py"
        # No shell expands patterns here, so there are no such folders; a wrong flag raises SystemExit.
        assert compare.main(flags) == compare.EXIT_USAGE


def check_benchmark(flags: list[str]) -> None:
    args = parse_args(flags)
    args.device, args.check = "cpu", True
    prepare(args)


def test_the_table_of_flags_is_complete() -> None:
    rows = re.findall(r"^\|(?: `-\w+`,)? `--([\w-]+)` \|", README.read_text(), re.MULTILINE)
    flags = [row.removeprefix("no-").replace("-", "_") for row in rows]
    assert sorted(flags) == sorted(vars(parse_args([])))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_named_in_a_document_exist(document: Path) -> None:
    text = document.read_text()
    links = [document.parent / link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    named = re.findall(
        r"`((?:config|models|nvvl|rnb|tests|utils|benchmarks)/[a-z\d_/-]+\.(?:py|json))`", text
    )
    files = [*links, *(ROOT / name for name in named)]
    assert [str(file) for file in files if not file.exists()] == []


@pytest.mark.parametrize("index", range(len(blocks(README, "json"))))
def test_a_config_of_the_readme_resolves(index: int, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(blocks(README, "json")[index])
    check_benchmark(["-c", str(path)])


def save_examples(document: Path, folder: Path) -> str:
    """Write the document's Python files; returns what must be on the path to import them."""
    for name, text in examples(document).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(folder)


def labels_of(bench: Bench, config: Any, *flags: str, python_path: str) -> list[int]:
    run = bench.run(config, "-v", "20", "-mi", "0", *flags, PYTHONPATH=python_path)
    assert run.status == 0, run.err
    assert run.folder is not None
    labels: list[int] = read(run.folder).requests["label"].tolist()
    return labels


def test_the_step_of_the_readme_runs(bench: Bench, tmp_path: Path) -> None:
    config = [SYNTHETIC_LOADER, {"model": "brightness.Brightness", "gpus": [-1]}]
    labels = labels_of(bench, config, python_path=save_examples(README, tmp_path / "code"))
    assert labels == [127] * 20  # random codes from 0 to 255


@pytest.mark.parametrize("batch_size", ["1", "4"])
def test_the_step_of_contributing_runs(bench: Bench, tmp_path: Path, batch_size: str) -> None:
    (config,) = blocks(CONTRIBUTING, "json")
    path = save_examples(CONTRIBUTING, tmp_path / "code")
    labels = labels_of(bench, json.loads(config), "-b", batch_size, python_path=path)
    assert labels == [9] * 20


def test_the_loader_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = (block for block in blocks(README, "python") if "RnBLoader" in block)
    expected = re.findall(r"print\(.*# (.*)$", example, re.MULTILINE)
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == expected
