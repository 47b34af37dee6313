"""Flags that may also stand in a file or in the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnb.command_line.serve_flags import parse_args


def test_a_flag_beats_the_environment_and_that_the_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('port = 1\ngrpc-port = 2\nmax_body_mb = 3.5\nshared-memory = true\nhost = "::1"\n')
    environment = {
        "RNB_SETTINGS": str(file),
        "RNB_GRPC_PORT": "20",
        "RNB_PORT": "10",
        "RNB_SHARED_MEMORY": "0",
    }
    args = parse_args(["--port", "100"], environment)
    assert (args.port, args.grpc_port, args.max_body_mb, args.host) == (100, 20, 3.5, "::1")
    assert args.shared_memory is False


def test_a_file_of_json(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"config_file_path": "config/empty.json", "quiet": true, "api_key": "a"}')
    args = parse_args(["--settings", str(file)], {})
    assert (args.config_file_path, args.quiet, args.api_key) == ("config/empty.json", True, "a")


def test_the_switches_of_the_environment() -> None:
    for text, is_on in (("yes", True), ("1", True), ("False", False), ("", False)):
        assert parse_args([], {"RNB_SHARED_MEMORY": text, "RNB_QUIET": text}).shared_memory is is_on


def test_other_variables_are_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    others = {"RNB_REQUIRE_CUDA": "1", "RNB_HELP": "1", "PORT": "7", "RNB_TEST_MARK": "a", "PROT": "7"}
    assert parse_args([], others).port == 8000
    assert capsys.readouterr().err == ""


def test_one_that_may_be_misspelt_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse_args([], {"RNB_APIKEY": "a", "RNB_GRPC_PROT": "7"}).api_key is None
    assert capsys.readouterr().err.splitlines() == [
        "serve.py: RNB_APIKEY is no setting, and is left alone: is RNB_API_KEY meant?",
        "serve.py: RNB_GRPC_PROT is no setting, and is left alone: is RNB_GRPC_PORT meant?",
    ]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("RNB_PORT", "many", "RNB_PORT: error: argument --port: invalid whole number value: 'many'"),
        ("RNB_SHARED_MEMORY", "perhaps", "RNB_SHARED_MEMORY: must be true or false"),
        ("RNB_DEVICE", "tpu", "RNB_DEVICE: error: argument --device: invalid choice"),
    ],
)
def test_what_is_wrong_in_the_environment(
    name: str, value: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_args([], {name: value})
    assert caught.value.code == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert told in line


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("port = ", "no TOML"),
        ("prot = 1", "no setting 'prot'"),
        ('settings = "x"', "no setting 'settings'"),
        ("port = [1]", "port: must be a text or a number"),
        ("port = true", "port: must be a text or a number"),
        ("port = -1", "must be at least 0"),
        ("port = 2026-01-01", 'port: must be a text or a number, and is "2026-01-01"'),
        ("quiet = 2026-01-01", "must be true or false"),
        ('quiet = "perhaps"', "must be true or false"),
    ],
)
def test_what_is_wrong_in_a_file(
    content: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(content)
    with pytest.raises(SystemExit) as caught:
        parse_args(["--settings", str(file)], {})
    assert caught.value.code == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert str(file) in line
    assert told in line


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_args([], {"RNB_SETTINGS": "/nowhere.toml"})
    assert "/nowhere.toml: No such file" in capsys.readouterr().err
