"""What Prometheus reads."""

from __future__ import annotations

import asyncio
import re

import pytest

from rnb.live.asking import Ask, Why
from rnb.serving.exposition import family, sample
from rnb.serving.metrics import Metrics, machine_text
from tests.support.fake_nvml import FakeGpu, install
from tests.support.scripted_pipeline import ScriptedPipeline
from tests.support.serving import Served

SAMPLE = re.compile(r'[a-z_]+(\{([a-z_]+="(\\.|[^"\\\n])*",?)+\})? (NaN|[0-9.e+-]+)')


def test_every_line_has_the_form(served: Served) -> None:
    reply = served.ask("GET", "/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = reply.body.decode().splitlines()
    names = [line.split()[2] for line in lines if line.startswith("# TYPE ")]
    assert len(names) == len(set(names))
    for line in lines:
        if not line.startswith("# "):
            assert SAMPLE.fullmatch(line), line
            assert line.startswith(tuple(names))


def test_what_was_served_is_counted() -> None:
    pipeline = ScriptedPipeline()
    told = Metrics(pipeline)
    asyncio.run(pipeline.serve(Ask(payload=b"x")))
    told.count_success()
    told.count_failure(Why.LATE)
    lines = told.text().splitlines()
    assert 'nv_inference_request_success{model="scripted",version="1"} 1' in lines
    assert 'nv_inference_exec_count{model="Net-1",version="1"} 1' in lines
    assert 'nv_inference_request_failure{model="scripted",version="1",reason="REJECTED"} 1' in lines
    assert (
        'nv_inference_first_response_histogram_ms_bucket{model="scripted",version="1",le="0.25"} 1' in lines
    )
    assert (
        'nv_inference_first_response_histogram_ms_bucket{model="scripted",version="1",le="+Inf"} 1' in lines
    )
    assert 'rnb_step_ms_count{step="Decode-0"} 1' in lines
    assert 'rnb_queue_depth{step="Net-1"} 0' in lines


def test_a_request_of_several_rows_is_one(served: Served) -> None:
    def count(name: str) -> int:
        text = served.ask("GET", "/metrics").body.decode()
        (line,) = re.findall(rf'^{name}{{model="scripted",version="1"}} (\d+)$', text, re.MULTILINE)
        return int(line)

    names = ("nv_inference_request_success", "nv_inference_count")
    before = [count(name) for name in names]
    assert served.infer("a", "b", "c").status == 200
    assert [count(name) - was for name, was in zip(names, before, strict=True)] == [1, 3]


def test_labels_are_escaped() -> None:
    assert sample("a", {"b": 'c"\\\n'}, 1) == 'a{b="c\\"\\\\\\n"} 1'


def test_nothing_is_said_of_what_there_is_not() -> None:
    assert family("a", "gauge", "about", []) == []


def test_gpus_have_the_names_that_perf_analyzer_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeGpu(uuid="GPU-7"), FakeGpu(uuid="GPU-8", lacks=["nvmlDeviceGetPowerUsage"])])
    lines = machine_text().splitlines()
    assert 'nv_gpu_utilization{gpu_uuid="GPU-7"} 0.37' in lines
    assert 'nv_gpu_memory_used_bytes{gpu_uuid="GPU-7"} 512.0' in lines
    assert 'nv_gpu_power_usage{gpu_uuid="GPU-7"} 312.5' in lines
    assert not [line for line in lines if line.startswith('nv_gpu_power_usage{gpu_uuid="GPU-8"}')]
    assert any(line.startswith("nv_gpu_memory_total_bytes{") for line in lines)


def test_without_gpus_the_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [])
    text = machine_text()
    assert "nv_cpu_memory_total_bytes " in text
    assert "nv_gpu" not in text
