"""build_cupti.sh: it builds without a GPU, and says in one line what is missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.made_once import made_once

ROOT = Path(__file__).resolve().parents[3]
BUILD = ROOT / "build_cupti.sh"

pytestmark = pytest.mark.slow


def build(output: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BUILD],
        env={**os.environ, "PYTHON": sys.executable, "CUPTI_SO": str(output), **environment},
        capture_output=True,
        text=True,
        timeout=170,
    )


def skip_unless_buildable() -> None:
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        pytest.skip("no C++ compiler")
    if importlib.util.find_spec("pybind11") is None:
        pytest.skip("pybind11 is not installed")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose utils/ holds a bridge that was built for this interpreter."""
    skip_unless_buildable()
    return made_once(tmp_path_factory, "bridge", build_bridge)


def build_bridge(folder: Path) -> None:
    shutil.copytree(ROOT / "utils", folder / "utils", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    result = build(folder / "utils" / "cupti" / "cupti.so")
    if "pip install nvidia-" in result.stderr:
        pytest.skip(result.stderr.strip())
    assert result.returncode == 0, result.stderr


def in_bridge(built: Path, code: str) -> str:
    """Run `code` beside the built bridge, in a process that sees no GPU; return what it prints."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"from utils.cupti import cupti\n{code}"],
        cwd=built,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_it_imports_without_a_gpu_or_a_library_path(built: Path) -> None:
    assert (
        in_bridge(built, "print(cupti.API_VERSION > 0, cupti.report(), cupti.num_dropped())") == "True [] 0\n"
    )


@pytest.mark.parametrize(
    "call",
    [
        "cupti.initialize()",
        "cupti.trace().__enter__()",
        "cupti.device_limits(0)",
        "cupti.chip_name(0)",
        "cupti.PmSampler(0, ['sm__cycles_active.avg']).start()",
        "cupti.RangeProfiler(0, ['sm__cycles_active.avg']).start()",
    ],
)
def test_without_a_gpu_each_start_is_unavailable_in_one_line(built: Path, call: str) -> None:
    code = f"""
from utils.cupti.errors import CuptiUnavailable
try:
    {call}
except CuptiUnavailable as error:
    print(error)
"""
    output = in_bridge(built, code)
    assert len(output.splitlines()) == 1
    assert "driver" in output


def test_use_before_initialize_is_an_error_that_says_so(built: Path) -> None:
    code = """
try:
    cupti.flush()
except RuntimeError as error:
    print(error)
with cupti.region("step", 1):
    pass
"""
    assert in_bridge(built, code) == "cupti.flush(): not tracing; call cupti.initialize() first\n"


def test_a_failed_call_names_the_function_and_the_code(built: Path) -> None:
    code = """
from utils.cupti.errors import CuptiError
if cupti.has_counters:
    try:
        cupti.num_passes(["no_such_metric"], chip="GH100", sampling=True)
    except CuptiError as error:
        print(type(error).__name__, error.function, error.code > 0, f"({error.code})" in str(error))
else:
    print("CuptiError cuptiProfilerHostConfigAddMetrics True True")
"""
    assert in_bridge(built, code) == "CuptiError cuptiProfilerHostConfigAddMetrics True True\n"


# Compute capability 9.0 allots registers by 256 a warp, and each block 1 kB of shared memory beside its own
# (CUDA C++ Programming Guide, technical specifications). Expected: warps held over 64.
@pytest.mark.parametrize(
    ("launch", "expected_pct"),
    [
        ("threads_per_block=1024, registers_per_thread=32", 100),
        ("threads_per_block=256, registers_per_thread=64", 50),
        ("threads_per_block=384, registers_per_thread=168, dynamic_shared_bytes=213188", 18.75),
        ("threads_per_block=128, registers_per_thread=255", 12.5),
        ("threads_per_block=32, registers_per_thread=16", 50),
        (
            "threads_per_block=128, registers_per_thread=32, static_shared_bytes=16384, "
            "shared_config_bytes=65536",
            18.75,
        ),
    ],
)
def test_theoretical_occupancy_of_hopper(built: Path, launch: str, expected_pct: float) -> None:
    code = f"""
limits = cupti.DeviceLimits(
    compute_major=9, compute_minor=0, max_threads_per_block=1024, max_threads_per_sm=2048,
    registers_per_block=65536, registers_per_sm=65536, shared_bytes_per_block=49152,
    shared_bytes_per_block_optin=232448, shared_bytes_per_sm=233472, reserved_shared_bytes_per_block=1024,
    num_sms=132)
print(cupti.theoretical_occupancy_pct(limits, {launch}))
"""
    assert float(in_bridge(built, code)) == pytest.approx(expected_pct)


def test_an_unknown_device_has_no_theoretical_occupancy(built: Path) -> None:
    code = """
limits = cupti.DeviceLimits(compute_major=99, max_threads_per_sm=2048, max_threads_per_block=1024)
print(cupti.theoretical_occupancy_pct(limits, threads_per_block=128, registers_per_thread=32))
"""
    assert in_bridge(built, code) == "nan\n"


@pytest.mark.parametrize(
    ("chip", "columns"),
    [
        ("GH100", {"occupancy_pct", "sm_busy_pct", "sm_throughput_pct", "tensor_pct", "dram_pct"}),
        ("GA100", {"occupancy_pct", "sm_busy_pct", "tensor_pct", "dram_pct"}),
        ("AD102", {"occupancy_pct", "sm_busy_pct", "tensor_pct", "dram_pct"}),
        ("TU102", {"occupancy_pct", "sm_busy_pct"}),
    ],
)
def test_the_sampler_finds_metrics_that_fit_one_pass(built: Path, chip: str, columns: set[str]) -> None:
    if in_bridge(built, "print(cupti.has_counters)") == "False\n":
        pytest.skip("built against a CUPTI without counters")
    code = f"from utils.cupti.gpu_sampler import choose_metrics\nprint(*choose_metrics('{chip}'))"
    assert set(in_bridge(built, code).split()) == columns


def test_demangle(built: Path) -> None:
    assert in_bridge(built, "print(cupti.demangle('_Z3addPfS_i'), cupti.demangle('sgemm'))") == (
        "add(float*, float*, int) sgemm\n"
    )


def fails_in_one_line(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("build_cupti.sh: ")
    return line


def test_a_missing_compiler_is_one_line(tmp_path: Path) -> None:
    line = fails_in_one_line(build(tmp_path / "cupti.so", CXX="no-such-compiler"))
    assert "install g++" in line
    assert "no-such-compiler" in line


def test_a_missing_pybind11_is_one_line(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    line = fails_in_one_line(build(tmp_path / "cupti.so", PYTHON=str(python)))
    assert line.endswith("pip install pybind11")


def test_a_failed_build_leaves_the_old_bridge(tmp_path: Path) -> None:
    skip_unless_buildable()
    bridge = tmp_path / "cupti.so"
    bridge.write_bytes(b"old")
    compiler = tmp_path / "c++"
    compiler.write_text("#!/bin/sh\nexit 1\n")
    compiler.chmod(0o755)
    assert build(bridge, CXX=str(compiler)).returncode != 0
    assert bridge.read_bytes() == b"old"
