"""The documents keep their promises: commands parse, files exist, links lead somewhere, examples run."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.r2p1d.presets import PRESETS
from rnb.command_line import compare, demo, optimize_flags, serve_flags
from rnb.command_line.commands import command_of
from rnb.command_line.flags import parse_args
from rnb.record.run_folder import read
from tests.end_to_end.conftest import bench
from tests.support.running import ENDED_WELL, ROOT, Bench
from tests.support.sample_runs import write_run

__all__ = ["bench"]

README, CONTRIBUTING = ROOT / "README.md", ROOT / "CONTRIBUTING.md"
FLAGS, VIDEO, ACCURACY = (ROOT / f"docs/{name}.md" for name in ("flags", "video", "accuracy"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
PACKAGES = "rnb|models|nvvl|utils|benchmarks|tests"
SYNTHETIC_LOADER = {"model": "models.r2p1d.model.R2P1DSyntheticLoader", "gpus": [0]}


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the documents' commands are typed."""
    monkeypatch.chdir(ROOT)


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


def blocks(document: Path, language: str) -> list[str]:
    """The contents of a document's fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)


def prose(document: Path) -> str:
    """A document without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)


def commands(document: Path) -> list[list[str]]:
    lines = [line for block in blocks(document, "bash") for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(("python ", "make "))]


def examples(document: Path) -> dict[str, str]:
    """The Python blocks whose first line is a comment with a file's name, by that name."""
    found = {block.splitlines()[0].removeprefix("# "): block for block in blocks(document, "python")}
    return {name: block for name, block in found.items() if name.endswith(".py")}


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 200
    assert commands(README)


@pytest.mark.parametrize(
    "command", [command for document in DOCUMENTS for command in commands(document)], ids=" ".join
)
def test_a_command_of_a_document_parses(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, *arguments = command
    if program == "make":
        assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return
    script, *flags = arguments
    if script == "-m":
        assert find_spec(flags[0])
    elif script == "benchmark.py":
        check_benchmark(flags)
    elif script == "optimize.py":
        optimize_flags.parse_args(flags)
    elif script == "serve.py":
        serve_flags.parse_args(flags)
    elif script == "demo.py":
        demo.parse_args(flags)
    else:
        assert script == "compare.py"
        monkeypatch.chdir(tmp_path)
        # There are no such folders here; a wrong flag raises SystemExit.
        assert compare.main(flags) == compare.EXIT_USAGE


def check_benchmark(flags: list[str]) -> None:
    args = parse_args(flags)
    if args.url:  # there is no such server here
        return
    args.device, args.check, args.self_check = "cpu", True, False
    assert command_of(args)() == 0


def rows_of_flags(program: str) -> list[tuple[list[str], str]]:
    """The flags of each row of docs/flags.md in a program's section, and their default."""
    (section,) = re.findall(rf"^## {program}$(.*?)^## ", FLAGS.read_text(), re.MULTILINE | re.DOTALL)
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `-")]
    tables = [
        (re.findall(r"`(--?[\w-]+)`", row[0]), row[2].strip("` |") if len(row) > 2 else "") for row in rows
    ]
    return [(flags, default) for flags, default in tables if flags]


def flags_of_help(main: Callable[[Sequence[str]], object], capsys: pytest.CaptureFixture[str]) -> set[str]:
    """What --help lists, without --help."""
    with pytest.raises(SystemExit):
        main(["--help"])
    lines = re.findall(r"^  (-.*?)(?:  |$)", capsys.readouterr().out, re.MULTILINE)
    return {flag for line in lines for flag in re.findall(r"(?:^|, )(--?[\w-]+)", line)} - {"-h", "--help"}


@pytest.mark.parametrize(
    ("program", "main"),
    [
        ("benchmark.py", parse_args),
        ("compare.py", compare.main),
        ("optimize.py", optimize_flags.parse_args),
        ("serve.py", serve_flags.parse_args),
    ],
)
def test_the_tables_of_flags_are_complete(
    program: str, main: Callable[[Sequence[str]], object], capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [flag for row, _ in rows_of_flags(program) for flag in row]
    assert sorted(flags) == sorted(flags_of_help(main, capsys))


def test_the_table_of_flags_has_the_defaults() -> None:
    table = {
        flags[-1].removeprefix("--").replace("-", "_"): text for flags, text in rows_of_flags("benchmark.py")
    }
    assert table.pop("no_telemetry") == "off"
    args = vars(parse_args([]))
    assert args.pop("telemetry") is True
    assert (table.pop("observe"), args.pop("observe")) == ("", [])
    assert (table.pop("fault"), args.pop("fault")) == ("", [])
    assert (table.pop("input"), args.pop("input")) == ("random` for all", [])
    assert (table.pop("shape"), args.pop("shape")) == ("", [])
    assert args.pop("alone") is None, "that is of the other programs"
    assert sorted(table) == sorted(args)
    told = {
        name: "off" if value is False else str(value) for name, value in args.items() if value is not None
    }
    assert {name: table[name] for name in told} == told


@pytest.mark.parametrize(
    "document", [README, *(ROOT / "docs" / f"{name}.md" for name in ("configs", "run-folder"))]
)
def test_flags_named_in_a_document_exist(document: Path) -> None:
    known = {
        flag
        for program in ("benchmark.py", "compare.py", "optimize.py", "serve.py")
        for row, _ in rows_of_flags(program)
        for flag in row
    }
    named = set(re.findall(r"(?<=[` ])--[a-z][\w-]*", prose(document)))
    assert named
    assert named <= known


def anchors(document: Path) -> set[str]:
    """What GitHub makes of a document's headings."""
    headings = re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", prose(document)) if "://" not in link]
    for path, _, anchor in (link.partition("#") for link in links):
        target = document.parent / path if path else document
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_files_named_in_a_document_exist(document: Path) -> None:
    named = re.findall(
        rf"`((?:config|docs|{PACKAGES})/[a-z\d_/-]+\.(?:py|json|js|css|cpp|hpp|md))`", document.read_text()
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_modules_named_in_a_document_exist(document: Path) -> None:
    """Names such as rnb.record.run_folder.read, wherever they stand: the module, and the first name in it."""
    own = {name.removesuffix(".py").replace("/", ".") for name in examples(document)}
    paths = set(re.findall(rf"(?<![\w./-])(?:{PACKAGES})(?:\.\w+)+(?![\w/])", document.read_text()))
    named = [path for path in paths if not any(f"{path}.".startswith(f"{module}.") for module in own)]
    assert [path for path in sorted(named) if not is_there(path)] == []


def is_there(path: str) -> bool:
    place, names = ROOT, path.split(".")
    while names and (place / names[0]).is_dir():
        place /= names.pop(0)
    if names and (module := place / f"{names[0]}.py").exists():
        place = module
        names.pop(0)
    if not names:
        return True
    source = place if place.is_file() else place / "__init__.py"
    return source.exists() and re.search(rf"\b{names[0]}\b", source.read_text()) is not None


@pytest.mark.parametrize(
    "config",
    [block for document in DOCUMENTS if document != CONTRIBUTING for block in blocks(document, "json")],
)
def test_a_config_of_a_document_resolves(config: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(config)
    check_benchmark(["-c", str(path), *(("--cluster", "local:2") if '"1:' in config else ())])


def save_examples(document: Path, folder: Path) -> str:
    """Write the document's Python files; returns what must be on the path to import them."""
    for name, text in examples(document).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(folder)


def results_of(bench: Bench, config: Any, *flags: str) -> list[Any]:
    run = bench.call(config, "-v", "20", "-mi", "0", *flags)
    assert run.status in ENDED_WELL, run.err
    assert run.folder is not None
    results = read(run.folder).results
    return [results[request] for request in sorted(results)]


def test_the_step_of_the_readme_runs(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(save_examples(README, tmp_path / "code"))
    config = [SYNTHETIC_LOADER, {"model": "brightness.Brightness", "gpus": [-1]}]
    assert results_of(bench, config) == [127] * 20  # random codes from 0 to 255


@pytest.mark.parametrize("batch_size", ["1", "4"])
def test_the_steps_of_contributing_run(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: str
) -> None:
    monkeypatch.syspath_prepend(save_examples(CONTRIBUTING, tmp_path / "code"))
    (config,) = blocks(CONTRIBUTING, "json")
    assert results_of(bench, json.loads(config), "-b", batch_size) == [9] * 20


def run_tests(source: str, *arguments: Any) -> int:
    """Run the tests of an example; returns how many there are."""
    names: dict[str, Any] = {"Bench": Bench, "read": read}
    exec(compile(source, "CONTRIBUTING.md", "exec"), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    for test in tests:
        test(*arguments)
    return len(tests)


def test_the_test_of_a_step_in_contributing_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(save_examples(CONTRIBUTING, tmp_path / "code"))
    assert run_tests(examples(CONTRIBUTING)["tests/models/test_brightness.py"]) == 1


def test_the_test_of_a_pipeline_in_contributing_passes(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(save_examples(CONTRIBUTING, tmp_path / "code"))
    (example,) = (block for block in blocks(CONTRIBUTING, "python") if "bench: Bench" in block)
    assert run_tests(example, bench) == 1


def test_the_accuracy_of_the_documents(tmp_path: Path) -> None:
    videos = ["/data/riding_a_bike/1.mp4", "/data/yoga/2.mp4", "/data/yoga/3.mp4", "/data/zumba/4.mp4"]
    found = ["riding a bike", "yoga", "zumba", "zumba"]
    columns = {"video": np.array(videos, dtype=object), "class_name": np.array(found, dtype=object)}
    folder = write_run(tmp_path, num_requests=4, columns=columns)
    (example,) = blocks(ACCURACY, "python")
    names: dict[str, Any] = {}
    exec(compile(example, "accuracy.md", "exec"), names)
    assert names["top1_accuracy"](folder) == 0.75


def test_the_presets_of_the_documents() -> None:
    named = re.findall(
        r"^\| `([\w-]+)` \| (?:torchvision's|keys|the same file)", ACCURACY.read_text(), re.MULTILINE
    )
    assert named == list(PRESETS)


def test_the_loader_of_the_documents_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = (block for block in blocks(VIDEO, "python") if "RnBLoader" in block)
    expected = re.findall(r"print\(.*# (.*)$", example, re.MULTILINE)
    assert expected
    exec(compile(example, "video.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == expected
