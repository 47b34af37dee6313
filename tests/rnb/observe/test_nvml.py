"""NVML: every reading or NaN, and the GPU that CUDA means by an index."""

from __future__ import annotations

import math
from types import ModuleType

import pytest

from rnb.observe import nvml
from tests.support.fake_nvml import PY3NVML, PYNVML, SAMPLED, FakeGpu, install, make_library, use_libraries

ALL = {
    **SAMPLED,
    "total_memory_bytes": 1024,
    "power_cap_w": 700,
}


def uuids(environment: dict[str, str]) -> list[str | None]:
    found = nvml.machine().by_cuda_index(environment)
    return [None if gpu is None else gpu.uuid for gpu in found]


def test_all_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeGpu()])
    (gpu,) = nvml.machine().gpus
    assert {reading: gpu.read(reading) for reading in nvml.READINGS} == ALL
    assert (gpu.name, gpu.uuid, nvml.machine().driver) == ("A GPU", "GPU-1", "570.1")


def test_a_reading_that_a_gpu_lacks_is_nan_and_the_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeGpu(lacks=["nvmlDeviceGetDecoderUtilization", "nvmlDeviceGetUUID"])])
    (gpu,) = nvml.machine().gpus
    assert math.isnan(gpu.read("nvdec_percent"))
    assert gpu.read("sm_percent") == 37
    assert gpu.uuid is None


def test_processes_and_clients_of_mps(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeGpu(processes={11: 100, 12: None}, mps_clients={13: 300})])
    used = nvml.machine().gpus[0].process_memory_bytes()
    assert (used[11], used[13]) == (100, 300)
    assert math.isnan(used[12])


def test_a_driver_that_does_not_list_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = FakeGpu(processes={11: 100}, lacks=["nvmlDeviceGetMPSComputeRunningProcesses"])
    install(monkeypatch, [gpu])
    assert nvml.machine().gpus[0].process_memory_bytes() == {11: 100}


def test_nvidias_own_library_comes_first_and_py3nvml_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = make_library([FakeGpu("own")]), make_library([FakeGpu("other")])
    use_libraries(monkeypatch, {PYNVML: own, PY3NVML: other})
    assert [gpu.name for gpu in nvml.machine().gpus] == ["own"]
    use_libraries(monkeypatch, {PY3NVML: other})
    assert [gpu.name for gpu in nvml.machine().gpus] == ["other"]


def test_a_library_that_does_not_know_clients_of_mps(monkeypatch: pytest.MonkeyPatch) -> None:
    """As py3nvml."""
    library = make_library([FakeGpu(processes={11: 100}, mps_clients={13: 300})])
    del library.__dict__["nvmlDeviceGetMPSComputeRunningProcesses"]
    use_libraries(monkeypatch, {PY3NVML: library})
    assert nvml.machine().gpus[0].process_memory_bytes() == {11: 100}


@pytest.mark.parametrize("libraries", [{}, {PYNVML: ModuleType(PYNVML)}], ids=["none", "a broken one"])
def test_no_nvml_is_no_gpus(monkeypatch: pytest.MonkeyPatch, libraries: dict[str, ModuleType]) -> None:
    use_libraries(monkeypatch, libraries)
    assert nvml.machine() == nvml.Machine(driver=None, gpus=())
    assert nvml.machine().by_cuda_index({"CUDA_VISIBLE_DEVICES": "0"}) == []


def test_a_machine_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    library = make_library([])

    def fail() -> None:
        raise library.NVMLError("Driver Not Loaded")

    library.nvmlInit = fail  # type: ignore[attr-defined]
    use_libraries(monkeypatch, {PYNVML: library})
    assert nvml.machine() == nvml.Machine(driver=None, gpus=())


def test_gpus_of_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2")
    install(monkeypatch, [FakeGpu(uuid=f"GPU-{index}") for index in range(3)])
    found = nvml.gpus_by_cuda_index([1, 5])
    assert found[1]
    assert found[1].uuid == "GPU-2"
    assert found[5] is None


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, ["GPU-aa1", "GPU-aa2", "GPU-b"]),
        ("", []),
        ("2,0", ["GPU-b", "GPU-aa1"]),
        ("1, 2", ["GPU-aa2", "GPU-b"]),
        ("1,7,0", ["GPU-aa2"]),
        ("0,-1,1", ["GPU-aa1"]),
        ("GPU-b,GPU-aa1", ["GPU-b", "GPU-aa1"]),
        ("GPU-aa,1", [None, "GPU-aa2"]),
        ("MIG-5", [None]),
    ],
)
def test_cuda_index_to_gpu(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, expected: list[str | None]
) -> None:
    install(monkeypatch, [FakeGpu(uuid="GPU-aa1"), FakeGpu(uuid="GPU-aa2"), FakeGpu(uuid="GPU-b")])
    assert uuids({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}) == expected


def test_different_models_are_only_told_apart_by_bus_or_uuid(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeGpu("Slow", "GPU-1"), FakeGpu("Fast", "GPU-2")])
    assert uuids({}) == [None, None]
    assert uuids({"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}) == ["GPU-1", "GPU-2"]
    assert uuids({"CUDA_VISIBLE_DEVICES": "GPU-2,GPU-1"}) == ["GPU-2", "GPU-1"]


def test_names_of_throttle_reasons() -> None:
    assert nvml.throttle_names(0) == []
    assert nvml.throttle_names(0x24) == ["sw_power_cap", "sw_thermal_slowdown"]
    assert nvml.throttle_names(0x1000) == ["0x1000"]
    assert nvml.throttle_names(math.nan) == []
