"""The command line of demo.py; the page itself is in tests/rnb/demo."""

from __future__ import annotations

import sys

import pytest

from rnb.command_line import demo


def test_the_page_is_told_what_the_flags_say() -> None:
    flags = ["--server", "https://cam:8443/", "--port", "9000", "--host", "0.0.0.0", "--gallery", "faces"]
    command = demo.command_of(demo.parse_args(flags))
    assert command[:4] == [sys.executable, "-m", "streamlit", "run"]
    assert command[4].endswith("rnb/demo/page.py")
    assert {"--server.address=0.0.0.0", "--server.port=9000"} <= set(command)
    assert command[command.index("--") :] == ["--", "--server", "https://cam:8443", "--gallery", "faces"]


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--server", "localhost:8000"], "--server: 'localhost:8000': must be http://HOST:PORT"),
        (["--server", "ftp://a"], "must be http://HOST:PORT"),
        (["--port", "0"], "--port"),
    ],
)
def test_a_wrong_flag_is_one_line(flags: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        demo.main(flags)
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert reason in told
    assert told.count("\n") == 1


def test_without_streamlit_it_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    assert demo.main([]) == 2
    told = capsys.readouterr().err
    assert told == "demo.py: error: streamlit is not installed: pip install -e '.[demo]'\n"
