"""The MPS daemon of a run: when it starts, what its clients see, and that nothing of it stays."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rnb.pipeline.config import ConfigError, parse_config
from rnb.pipeline.plan import Plan, PlanOptions, make_plan
from rnb.processes import mps
from rnb.processes.mps import CONTROL, LOG, PIPE, shared_gpus

DAEMON = """\
#!/bin/sh
if [ "$1" = -f ]; then
    env > "$RECORD/environment"
    echo $$ > "$RECORD/pid"
    : > "$CUDA_MPS_PIPE_DIRECTORY/control"
    while [ ! -e "$RECORD/said" ]; do sleep 0.02; done
else
    read -r line
    echo "$line" > "$RECORD/said"
fi
"""
STUBBORN = DAEMON.replace("said", "never")
ENDS_AT_ONCE = "#!/bin/sh\nexit 1\n"
NEVER_UP = "#!/bin/sh\nexec sleep 60\n"
NOT_A_PROGRAM = "\x7fnot a program"


def plan_on(*gpus: int, mode: str = "cuda") -> Plan:
    config = parse_config([{"model": "models.nothing.model.Nothing", "gpus": list(gpus)}])
    return make_plan(config, PlanOptions(mode=mode, queue_capacity=1))


TWO_ON_ONE = plan_on(0, 0)


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the fake daemon notes what it sees; there is no other MPS, and temporary files stay here."""
    folder = tmp_path / "record"
    folder.mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("RECORD", str(folder))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(mps, "DEFAULT_PIPE_FOLDER", str(tmp_path / "no-daemon"))
    monkeypatch.delenv(PIPE, raising=False)
    monkeypatch.delenv(LOG, raising=False)
    return folder


@pytest.fixture
def install(tmp_path: Path, record: Path) -> Callable[[str], None]:
    def write(script: str) -> None:
        (tmp_path / CONTROL).write_text(script)
        (tmp_path / CONTROL).chmod(0o755)

    return write


def assert_nothing_is_left(record: Path) -> None:
    assert not list((record.parent / "tmp").iterdir())
    assert PIPE not in os.environ
    assert LOG not in os.environ
    if (record / "pid").exists():
        with pytest.raises(ProcessLookupError):
            os.kill(int((record / "pid").read_text()), 0)


def test_a_daemon_lives_as_long_as_the_run(record: Path, install: Callable[[str], None]) -> None:
    install(DAEMON)
    with shared_gpus(TWO_ON_ONE, "auto") as sharing:
        assert sharing.state == "on"
        folder = Path(sharing.environment[PIPE])
        assert folder == Path(sharing.environment[LOG])
        assert PIPE not in os.environ  # only those that are told use it
        assert (folder / "control").exists()
        os.kill(int((record / "pid").read_text()), 0)  # it runs
    assert (record / "said").read_text().startswith("quit")
    assert_nothing_is_left(record)


def test_the_daemon_sees_all_gpus(
    record: Path, install: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(DAEMON)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with shared_gpus(TWO_ON_ONE, "on"):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in (record / "environment").read_text()


def test_it_ends_when_the_run_fails(record: Path, install: Callable[[str], None]) -> None:
    install(DAEMON)
    with pytest.raises(ArithmeticError), shared_gpus(TWO_ON_ONE, "auto"):
        raise ArithmeticError
    assert_nothing_is_left(record)


def test_a_daemon_that_does_not_quit_is_ended(
    record: Path, install: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(STUBBORN.replace("read -r line", "exit 0 #"))
    monkeypatch.setattr(mps, "QUIT_TIMEOUT_S", 0.1)
    with shared_gpus(TWO_ON_ONE, "auto"):
        pass
    assert_nothing_is_left(record)


@pytest.mark.parametrize("script", [ENDS_AT_ONCE, NEVER_UP, NOT_A_PROGRAM])
def test_a_daemon_that_does_not_start(
    record: Path, install: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    install(script)
    monkeypatch.setattr(mps, "START_TIMEOUT_S", 0.3)
    monkeypatch.setattr(mps, "QUIT_TIMEOUT_S", 0.1)
    with (
        pytest.raises(ConfigError, match=f"^--mps: {CONTROL} did not start.*; --mps off goes on without it$"),
        shared_gpus(TWO_ON_ONE, "auto"),
    ):
        pass
    assert_nothing_is_left(record)


def test_settings_of_a_daemon_that_is_gone_are_not_used(
    record: Path, install: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(DAEMON)
    monkeypatch.setenv(PIPE, "/gone")
    with shared_gpus(TWO_ON_ONE, "auto") as sharing:
        assert sharing.state == "on"
        assert sharing.environment[PIPE] != "/gone"
    assert os.environ[PIPE] == "/gone"


def test_a_daemon_of_somebody_else_is_used_and_not_touched(
    record: Path, install: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(DAEMON)
    (tmp_path / "control").touch()
    monkeypatch.setenv(PIPE, str(tmp_path))
    for mode in ("auto", "on"):
        with shared_gpus(TWO_ON_ONE, mode) as sharing:
            assert (sharing.state, dict(sharing.environment)) == ("external", {})
    assert os.environ[PIPE] == str(tmp_path)
    assert (tmp_path / "control").exists()
    assert not list(record.iterdir())


def test_on_without_the_program(record: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(ConfigError, match=f"^--mps: on: {CONTROL} is not installed"),
        shared_gpus(TWO_ON_ONE, "on"),
    ):
        pass
    with shared_gpus(TWO_ON_ONE, "auto") as sharing:
        assert sharing.state == f"off: {CONTROL} is not installed, so processes take turns on a GPU"


@pytest.mark.parametrize(
    ("plan", "mode", "reason"),
    [
        (TWO_ON_ONE, "off", "as asked"),
        (plan_on(0, 1), "auto", "no GPU has several processes"),
        (plan_on(0, 0, mode="cpu"), "auto", "no GPU has several processes"),
        (plan_on(-1, -1, 0), "auto", "no GPU has several processes"),
    ],
)
def test_when_no_daemon_is_called_for(
    record: Path, install: Callable[[str], None], plan: Plan, mode: str, reason: str
) -> None:
    install(DAEMON)
    with shared_gpus(plan, mode) as sharing:
        assert (sharing.state, dict(sharing.environment)) == (f"off: {reason}", {})
        assert PIPE not in os.environ
    assert not list(record.iterdir())
