"""The container's files name what is in the checkout, targets of the Makefile, and flags of the programs."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import subprocess
import sys
from typing import Any

import pytest
import yaml

from rnb.command_line import demo, serve_flags
from rnb.serving.settings import Settings
from tests.support.running import ROOT
from tests.support.stand_in_server import stand_in_server

COMPOSE: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
CONTAINERFILE = (ROOT / "Containerfile").read_text()
TRACKED = subprocess.run(
    ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.splitlines()
MADE_HERE = {"data"}
"""Of compose.yaml, what `make data` and `make images` make."""


def instructions(*names: str) -> list[tuple[str, str]]:
    """The instructions of these names in the Containerfile and what follows each, its lines joined."""
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", CONTAINERFILE, flags=re.MULTILINE))
    each = (line.partition(" ")[::2] for line in joined.splitlines() if line.strip())
    return [(name, text.strip()) for name, text in each if name in names]


def stages() -> dict[str, str]:
    """What each stage is made from."""
    return {name: base for _, text in instructions("FROM") for base, _, name in [text.partition(" AS ")]}


def copied() -> list[str]:
    """What is taken from the checkout."""
    sources = [shlex.split(text) for _, text in instructions("COPY") if not text.startswith("--from")]
    return [source for words in sources for source in words[:-1]]


def commands() -> list[list[str]]:
    """What containers run: programs and their flags."""
    return [
        *(json.loads(text) for _, text in instructions("CMD")),
        *(service["command"] for service in COMPOSE.values()),
    ]


@pytest.mark.parametrize("source", copied())
def test_what_is_copied_is_in_the_checkout_and_sent_along(source: str) -> None:
    assert any(path == source or path.startswith(f"{source}/") for path in TRACKED), "is not in the checkout"
    rules = [line for line in (ROOT / ".dockerignore").read_text().split("\n") if line and line[0] != "#"]
    taken = [rule.lstrip("!") for rule in rules if fnmatch.fnmatch(source, rule.lstrip("!"))]
    assert f"!{taken[-1]}" in rules, ".dockerignore leaves it out"


def test_all_that_the_programs_import_is_copied() -> None:
    packages = {path.partition("/")[0] for path in TRACKED if path.endswith(".py") and "/" in path}
    assert packages - {"tests", "benchmarks"} <= set(copied())


def test_targets_and_their_bases_are_there() -> None:
    made = stages()
    assert {"cpu", "cuda"} <= made.keys()
    wanted = {service["build"]["target"] for service in COMPOSE.values() if "build" in service}
    assert wanted == {"cpu", "cuda"}
    for name, base in made.items():
        assert base in made or base == "scratch" or ":" in base, f"{name} is made from {base}"
    for text in re.findall(r"--from=(\S+)", CONTAINERFILE):
        assert text in made


def test_what_make_is_asked_for_is_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    asked = [text for _, text in instructions("RUN") if "make " in f"{text} " and "apt-get" not in text]
    assert len(asked) == 2
    for text in asked:
        words = shlex.split(text)
        target, *variables = words[words.index("make") + 1 :]
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
        assert f"make {target}" in (ROOT / "CONTRIBUTING.md").read_text()
        for variable in variables:
            assert f"$({variable.partition('=')[0]})" in makefile
    assert re.search(r"^BIN := \$\(VENV\)/bin$", makefile, re.MULTILINE)
    assert re.search(r"^VENV \?= \.venv$", makefile, re.MULTILINE)


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_a_command_has_a_program_and_flags_that_it_knows(command: list[str]) -> None:
    program, *flags = command
    assert program in copied()
    if program == "demo.py":
        assert demo.parse_args(flags).server == f"http://serve:{port_of('serve')}"
        return
    parsed = serve_flags.parse_args(flags, environment("serve"))
    assert os.path.isfile(ROOT / parsed.config_file_path)
    assert (parsed.host, parsed.port, parsed.grpc_port) == ("0.0.0.0", 8000, 8001)


def environment(service: str) -> dict[str, str]:
    """What a service's container sets, with a key."""
    words = [word for _, text in instructions("ENV") for word in shlex.split(text)]
    of_image = dict(word.split("=", 1) for word in words)
    of_service = {
        name: re.sub(r"\$\{.*\}", "secret", text) for name, text in COMPOSE[service]["environment"].items()
    }
    return {**of_image, **of_service}


def port_of(service: str) -> str:
    return environment(service)["RNB_PORT"]


@pytest.mark.parametrize("name", COMPOSE)
def test_a_service_keeps_to_itself(name: str) -> None:
    service = COMPOSE[name]
    assert service["cap_drop"] == ["ALL"]
    assert "secret" in environment(name)["RNB_API_KEY"]
    exposed = instructions("EXPOSE")[0][1].split()
    for published in service["ports"]:
        address, _, inside = published.split(":")
        assert address == "127.0.0.1"
        assert inside in exposed or inside in service["command"]
    for volume in service.get("volumes", ()):
        assert volume.split(":")[0].removeprefix("./") in MADE_HERE
        assert volume.endswith(":ro")


def test_images_are_run_by_a_user_without_rights() -> None:
    (user,) = re.findall(r"useradd .*?(\w+)$", CONTAINERFILE, re.MULTILINE)
    assert [text for _, text in instructions("USER")] == [user] * 2


def test_the_end_has_time_for_what_was_accepted() -> None:
    assert instructions("STOPSIGNAL") == [("STOPSIGNAL", "SIGTERM")]
    for name in ("serve", "serve-cuda"):
        assert int(COMPOSE[name]["stop_grace_period"].removesuffix("s")) > Settings().grace


@pytest.mark.parametrize("is_there", [True, False])
def test_the_health_check_asks_whether_it_is_ready(is_there: bool) -> None:
    ((_, text),) = instructions("HEALTHCHECK")
    command = text.partition(" CMD ")[2].replace(".venv/bin/python", shlex.quote(sys.executable))
    with stand_in_server() as served:
        port = served.url.rpartition(":")[2] if is_there else "1"
        done = subprocess.run(
            ["sh", "-c", command], env={**os.environ, "RNB_PORT": port}, capture_output=True, timeout=60
        )
    assert (done.returncode == 0) == is_there, done.stderr
