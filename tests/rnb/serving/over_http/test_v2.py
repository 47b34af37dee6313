"""The Open Inference Protocol over HTTP, as a plain client sees it."""

from __future__ import annotations

import concurrent.futures
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from rnb.serving.over_http.infer_body import HEADER_LENGTH
from rnb.serving.tensors import join
from tests.support.serving import Served

SUCCESS = 'nv_inference_request_success{model="scripted"'

INFER = "/v2/models/scripted/infer"


def result(served: Served, *payloads: str, **others: Any) -> list[Any]:
    reply = served.infer(*payloads, **others)
    assert reply.status == 200, reply.body
    (output,) = [one for one in reply.json()["outputs"] if one["name"] == "RESULT"]
    assert output["shape"] == [len(payloads), 1]
    return [json.loads(text) for text in output["data"]]


def test_it_lives_and_is_ready(served: Served) -> None:
    for path in (
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/scripted/ready",
        "/v2/models/Net-1/ready",
    ):
        assert served.ask("GET", path).status == 200


def test_the_server_says_what_it_can(served: Served, classifying: Served) -> None:
    told = served.ask("GET", "/v2").json()
    assert told["name"] == "rnb"
    assert {"statistics", "binary_tensor_data", "sequence", "classification"} <= set(told["extensions"])
    without = classifying.ask("GET", "/v2").json()
    only_with_the_flag = set(told["extensions"]) - set(without["extensions"])
    assert only_with_the_flag == {"system_shared_memory", "cuda_shared_memory"}


def test_metadata_of_the_pipeline(classifying: Served) -> None:
    told = classifying.ask("GET", "/v2/models/scripted/versions/1").json()
    assert [one["name"] for one in told["inputs"]] == ["PATH", "DATA"]
    assert [(one["name"], one["datatype"]) for one in told["outputs"]] == [
        ("LABEL", "INT64"),
        ("SCORE", "FP32"),
        ("RESULT", "BYTES"),
    ]


def test_a_pipeline_is_an_ensemble_of_its_steps(served: Served) -> None:
    told = served.ask("GET", "/v2/models/scripted/config").json()
    steps = [one["model_name"] for one in told["ensemble_scheduling"]["step"]]
    assert told["platform"] == "ensemble"
    assert steps == ["Decode-0", "Net-1"]
    assert [served.ask("GET", f"/v2/models/{name}/config").json()["name"] for name in steps] == steps
    ends = [one["output_map"] for one in told["ensemble_scheduling"]["step"][:-1]]
    starts = [one["input_map"] for one in told["ensemble_scheduling"]["step"][1:]]
    assert [list(one.values()) for one in ends] == [list(one.values()) for one in starts]


def test_a_stateful_step_is_one_of_sequences(stateful: Served) -> None:
    assert "sequence_batching" in stateful.ask("GET", "/v2/models/Net-1/config").json()
    assert "sequence_batching" not in stateful.ask("GET", "/v2/models/Decode-0/config").json()
    assert stateful.ask("GET", "/v2/models/scripted/config").json()["max_batch_size"] == 1


def test_statistics_count_and_are_numbers(served: Served) -> None:
    before = served.ask("GET", "/v2/models/scripted/stats").json()["model_stats"][0]
    result(served, "one", "two")
    told = served.ask("GET", "/v2/models/stats").json()["model_stats"]
    assert [one["name"] for one in told] == ["scripted", "Decode-0", "Net-1"]
    assert told[0]["inference_count"] - before["inference_count"] == 2
    queue = told[1]["inference_stats"]["queue"]
    assert type(queue["ns"]) is int
    assert queue["count"] == told[0]["inference_count"]


def test_the_repository_has_the_models(served: Served) -> None:
    told = served.ask("POST", "/v2/repository/index", b"").json()
    assert [one["name"] for one in told] == ["scripted", "Decode-0", "Net-1"]
    assert {one["state"] for one in told} == {"READY"}


def test_each_row_is_a_request(served: Served) -> None:
    assert [one["size"] for one in result(served, "a", "bcd")] == [1, 3]


def test_the_id_comes_back(served: Served) -> None:
    assert served.infer("x", id="seven").json()["id"] == "seven"
    assert "id" not in served.infer("x").json()


def test_a_path_is_one_in_the_data_folder(served: Served, data_folder: Path) -> None:
    for name in ("label/film.mp4", "inside"):
        tensor = {"name": "PATH", "datatype": "BYTES", "shape": [1], "data": [name]}
        reply = served.ask("POST", INFER, json.dumps({"inputs": [tensor]}))
        (text,) = reply.json()["outputs"][0]["data"]
        assert json.loads(text)["path"] == str(data_folder / "label" / "film.mp4")


@pytest.mark.parametrize("names", [["RESULT"], ["SCORE", "LABEL"]])
def test_only_the_outputs_asked_for(classifying: Served, names: list[str]) -> None:
    told = classifying.infer("class 7", outputs=[{"name": name} for name in names]).json()["outputs"]
    assert [one["name"] for one in told] == names


def test_a_class_is_told_in_three_ways(classifying: Served) -> None:
    label, score, text = classifying.infer("class 7").json()["outputs"]
    assert (label["data"], score["data"]) == ([7], [0.5])
    assert json.loads(text["data"][0]) == {"label": 7, "class": "name7", "score": 0.5}


def test_no_class_is_valid_json(classifying: Served) -> None:
    label, score, text = json.loads(classifying.infer("class -1").body, parse_constant=pytest.fail)["outputs"]
    assert (label["data"], score["data"]) == ([-1], [None])
    assert json.loads(text["data"][0]) == {"label": -1, "class": None, "score": None}


def test_classification(classifying: Served) -> None:
    output = {"name": "SCORE", "parameters": {"classification": 3}}
    (told,) = classifying.infer("class 7", outputs=[output]).json()["outputs"]
    assert (told["datatype"], told["data"]) == ("BYTES", ["0.500000:7:name7"])


def test_bytes_as_a_result_are_base64(served: Served) -> None:
    assert result(served, "bytes") == [{"base64": "AP8="}]


def binary(told: dict[str, Any], raw: bytes) -> tuple[bytes, dict[str, str]]:
    text = json.dumps(told).encode()
    return text + raw, {HEADER_LENGTH: str(len(text))}


def test_tensors_in_binary(classifying: Served) -> None:
    raw = join([b"class 2", b"class 4"])
    tensor = {
        "name": "DATA",
        "datatype": "BYTES",
        "shape": [2, 1],
        "parameters": {"binary_data_size": len(raw)},
    }
    told = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
    reply = classifying.ask("POST", INFER, *binary(told, raw))
    assert reply.status == 200, reply.body
    length = int(reply.headers[HEADER_LENGTH])
    outputs = json.loads(reply.body[:length])["outputs"]
    sizes = [one["parameters"]["binary_data_size"] for one in outputs]
    assert sizes[:2] == [16, 8]
    assert sum(sizes) == len(reply.body) - length
    assert struct.unpack("<2q2f", reply.body[length : length + 24]) == (2, 4, 0.5, 0.5)


def test_some_outputs_in_binary(classifying: Served) -> None:
    outputs = [{"name": "RESULT"}, {"name": "LABEL", "parameters": {"binary_data": True}}]
    reply = classifying.infer("class 5", outputs=outputs)
    length = int(reply.headers[HEADER_LENGTH])
    assert "data" in json.loads(reply.body[:length])["outputs"][0]
    assert struct.unpack("<q", reply.body[length:]) == (5,)


def test_unknown_parameters_are_ignored(served: Served) -> None:
    assert (
        served.infer("x", parameters={"triton_enable_empty_final_response": True, "priority": 3}).status
        == 200
    )


def test_requests_of_a_sequence(stateful: Served) -> None:
    for name in (7, "seven"):
        for before in range(3):
            parameters = {
                "sequence_id": name,
                "sequence_start": before == 0,
                "sequence_end": before == 2,
            }
            assert result(stateful, "x", parameters=parameters) == [{"before": before, "sequence": name}]


def test_a_row_that_cannot_be_served_ends_them_all(served: Served) -> None:
    reply = served.infer("sleep 50", "bad")
    assert (reply.status, reply.error) == (400, "it was asked for: bad")


@pytest.mark.parametrize(("word", "status"), [("bad", 400), ("busy", 503), ("failed", 500)])
def test_why_there_is_no_answer(served: Served, word: str, status: int) -> None:
    reply = served.infer(word)
    assert (reply.status, reply.error) == (status, f"it was asked for: {word}")
    assert (reply.headers["Retry-After"] is not None) == (word == "busy")


@pytest.mark.parametrize("how", ["header", "parameter"])
def test_a_deadline(served: Served, how: str) -> None:
    if how == "header":
        reply = served.infer("sleep 50", headers={"X-Request-Timeout-Ms": "50"})
    else:
        reply = served.infer("sleep 50", parameters={"timeout": 50_000})
    assert (reply.status, reply.error) == (504, "its deadline passed")
    assert served.infer("sleep 0.01", parameters={"timeout": 50_000_000}).status == 200


@pytest.mark.parametrize("sequence_id", [10**400, -(10**400)], ids=["large", "small"])
def test_a_sequence_of_a_number_that_no_float_holds(served: Served, sequence_id: int) -> None:
    reply = served.infer("x", parameters={"sequence_id": sequence_id})
    assert reply.status == 400
    assert "is not within 0 and 2^64 - 1" in reply.error


def test_a_batch_that_does_not_fit_in_is_refused_before_any_of_it_is_worked_on(served: Served) -> None:
    with concurrent.futures.ThreadPoolExecutor() as threads:
        inside = [threads.submit(served.infer, *["sleep 5"] * 40) for _ in range(2)]
        served.wait_for_pending(80)
        before = served.metric(SUCCESS)
        refused = served.infer(*"x" * 21)
        assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
        assert served.metric(SUCCESS) == before
        assert served.infer(*"x" * 20).status == 200
        assert [one.result().status for one in inside] == [200, 200]
