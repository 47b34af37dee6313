"""The flags of serve.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnb.command_line.serve_flags import parse_args, settings_of
from rnb.serving.settings import Settings


def wrong(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit) as caught:
        parse_args(argv, {})
    assert caught.value.code == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert line.startswith("serve.py: error: ")
    return line


def test_the_defaults_are_those_of_the_settings() -> None:
    assert settings_of(parse_args([], {})) == Settings()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine_needs_no_key(host: str) -> None:
    assert settings_of(parse_args(["--host", host], {})).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "example.org"])
def test_other_addresses_need_a_key_or_tls(
    host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--api-key" in wrong(capsys, "--host", host)
    assert parse_args(["--host", host], {"RNB_API_KEY": "sesame"}).api_key == "sesame"
    (tmp_path / "pem").touch()
    tls = ["--tls-cert", str(tmp_path / "pem"), "--tls-key", str(tmp_path / "pem")]
    assert parse_args(["--host", host, *tls], {}).host == host


@pytest.mark.parametrize(
    ("flag", "value"), [("--max-body-mb", "2048"), ("--send-timeout", "1e300"), ("--idle-timeout", "1e18")]
)
def test_what_grpc_has_no_number_for(flag: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"argument {flag}: {value}: must be at most " in wrong(capsys, flag, value)


def test_what_does_not_go_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--tls-key" in wrong(capsys, "--tls-cert", "x")
    assert "no such file" in wrong(
        capsys, "--tls-cert", str(tmp_path / "x"), "--tls-key", str(tmp_path / "x")
    )
    for key in ("", "two words", "clé"):
        assert "--api-key" in wrong(capsys, "--api-key", key)
    assert "--data: /nowhere: no such folder" in wrong(capsys, "--data", "/nowhere")
    assert "at most 65535" in wrong(capsys, "--port", "65536")


def test_it_knows_one_machine(capsys: pytest.CaptureFixture[str]) -> None:
    told = wrong(capsys, "--cluster", "auto")
    assert "--cluster: serve.py knows one machine; benchmark.py plays over several" in told


def test_no_log() -> None:
    assert settings_of(parse_args(["--request-log", "off"], {})).request_log is None
