"""Triton: an ensemble of a model that decodes and one that is the network, both of its Python backend.

By its guides ("Optimization", "Ensemble models", the Python backend's README): an instance for each core that
decodes, two of the network so that one copies while the other computes, dynamic batching by clips with a
delay of 2 ms, tensors by DLPack. The server is the one inside the wheel of nvidia-pytriton, without PyTriton.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.peers.http_client import play_over_http, wait_until_ready
from benchmarks.peers.peer import CannotRun, Peer, Played, need
from benchmarks.peers.processes import ask_from, serve_on
from benchmarks.peers.work import Arrival
from benchmarks.triton import backends, free_port

NETWORK_INSTANCES = 2
BATCH_DELAY_US = 2000
STUB_TIMEOUT_S = 240
WORK = "RNB_PEER_WORK"
"""The environment variable that tells the models the file of the work."""

MODEL = """import sys

sys.path[:0] = {path}

from benchmarks.peers.triton_models import {model} as TritonPythonModel
"""
DECODE = """backend: "python"
max_batch_size: 0
input [ {{ name: "REQUEST", data_type: TYPE_INT32, dims: [ 1 ] }} ]
output [ {{ name: "CLIPS", data_type: TYPE_UINT8, dims: [ -1, {row} ] }} ]
instance_group [ {{ count: {workers}, kind: KIND_CPU }} ]
"""
NETWORK = """backend: "python"
max_batch_size: {most_rows}
input [ {{ name: "CLIPS", data_type: TYPE_UINT8, dims: [ {row} ] }} ]
output [ {{ name: "LABEL", data_type: TYPE_INT32, dims: [ 1 ] }} ]
dynamic_batching {{ preferred_batch_size: [ {most_rows} ], max_queue_delay_microseconds: {delay_us} }}
instance_group [ {{ count: {instances}, kind: {kind} }} ]
"""
ENSEMBLE = """platform: "ensemble"
max_batch_size: 0
input [ {{ name: "REQUEST", data_type: TYPE_INT32, dims: [ 1 ] }} ]
output [ {{ name: "LABEL", data_type: TYPE_INT32, dims: [ -1, 1 ] }} ]
ensemble_scheduling {{ step [
  {{ model_name: "decode", model_version: -1,
    input_map {{ key: "REQUEST", value: "REQUEST" }}, output_map {{ key: "CLIPS", value: "CLIPS" }} }},
  {{ model_name: "network", model_version: -1,
    input_map {{ key: "CLIPS", value: "CLIPS" }}, output_map {{ key: "LABEL", value: "LABEL" }} }}
] }}
"""


class TritonEnsemble(Peer):
    def start(self) -> None:
        need("pytriton", "--no-deps nvidia-pytriton==0.7.0")
        need("aiohttp", "aiohttp")
        check_libpython()
        port = free_port()
        serve_on(self.work.cores)
        server = subprocess.Popen(self._command(port), env=_environment(self.work_file))
        self.ending.callback(server.terminate)
        ask_from(self.work.cores)
        self._url = f"http://127.0.0.1:{port}/v2"
        wait_until_ready(server, f"{self._url}/health/ready")

    def _command(self, port: int) -> list[str]:
        folder = self.work_file.parent
        flags = {
            "model-repository": self._repository(folder / "models"),
            "backend-directory": backends(folder, _server()),
            "allow-grpc": "false", "allow-metrics": "false", "http-address": "127.0.0.1", "http-port": port,
            "backend-config": f"python,stub-timeout-seconds={STUB_TIMEOUT_S}",
        }  # fmt: skip
        return [
            str(_server() / "bin" / "tritonserver"),
            *(f"--{key}={value}" for key, value in flags.items()),
        ]

    def _repository(self, folder: Path) -> Path:
        on_gpu = self.work.device == "cuda"
        values = {
            "row": ", ".join(map(str, self.work.row)),
            "workers": self.work.workers,
            "most_rows": self.work.most_rows,
            "delay_us": BATCH_DELAY_US,
            "instances": NETWORK_INSTANCES if on_gpu else 1,
            "kind": "KIND_GPU" if on_gpu else "KIND_CPU",
        }
        for name, config in (("decode", DECODE), ("network", NETWORK), ("ensemble", ENSEMBLE)):
            (folder / name / "1").mkdir(parents=True)
            (folder / name / "config.pbtxt").write_text(config.format(**values))
            if name != "ensemble":
                (folder / name / "1" / "model.py").write_text(
                    MODEL.format(model=name.capitalize(), path=[os.getcwd(), *sys.path])
                )
        return folder

    def play(self, arrivals: Sequence[Arrival]) -> Played:
        return play_over_http(f"{self._url}/models/ensemble/infer", arrivals, _body, _label)


def check_libpython() -> None:
    """The stub of the Python backend is linked to this Python's own library, which not all have."""
    name = f"libpython3.{sys.version_info.minor}.so.1.0"
    if (Path(library_folder()) / name).is_file():
        return
    try:
        ctypes.CDLL(name)
    except OSError:
        raise CannotRun(f"needs {name}, which is not beside this Python nor in LD_LIBRARY_PATH") from None


def library_folder() -> str:
    """Of this Python, where it was built with a library."""
    return str(sysconfig.get_config_var("LIBDIR"))


def _server() -> Path:
    spec = find_spec("pytriton")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "tritonserver"


def _environment(work_file: Path) -> dict[str, str]:
    """The stub finds the standard library beside the python3 in PATH, and heeds no PYTHONPATH."""
    libraries = _server().parents[1] / "nvidia_pytriton.libs"
    return {
        **os.environ,
        "LD_LIBRARY_PATH": os.pathsep.join(
            [library_folder(), str(libraries), os.environ.get("LD_LIBRARY_PATH", "")]
        ),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        WORK: str(work_file),
    }


def _body(request: int) -> Any:
    return {"inputs": [{"name": "REQUEST", "shape": [1], "datatype": "INT32", "data": [request]}]}


def _label(answer: Any) -> int:
    return int(answer["outputs"][0]["data"][0])
