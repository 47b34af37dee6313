"""What goes into the inputs of a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnb.contract.termination import UsageError
from rnb.remote.datatypes import unpack
from rnb.remote.inputs import Input, inputs_of
from rnb.spec import Server

IMAGE = {"name": "IMAGE", "datatype": "FP32", "shape": ["-1", "3", "-1", "-1"]}  # gRPC: numbers as texts
FILE = {"name": "a:b", "datatype": "BYTES", "shape": [-1, 1]}
INDEX = {"name": "INDEX", "datatype": "INT64", "shape": [2]}


def chosen(*declared: dict[str, Any], config: dict[str, Any] | None = None, **flags: Any) -> list[Input]:
    server = Server(url="http://box", model="net", **flags)
    return inputs_of({"inputs": list(declared)}, config or {}, server)


def test_by_default_all_inputs_are_random_and_of_a_batch_of_one() -> None:
    file, index = chosen(FILE, INDEX)
    assert (file.name, file.shape, file.how) == ("a:b", (1, 1), "random")
    assert (index.name, index.shape, index.datatype) == ("INDEX", (2,), "INT64")
    generator = np.random.default_rng(0)
    assert len(unpack("BYTES", file.data(generator))[0]) == 16
    assert all(0 <= one < 100 for one in unpack("INT64", index.data(generator)))
    assert index.data(generator) != index.data(generator)


@pytest.mark.parametrize("given", ["IMAGE:3,8,4", "IMAGE:1,3,8,4"])
def test_a_flag_says_the_sizes_that_are_open(given: str) -> None:
    (image,) = chosen(IMAGE, shape=[given], input=["IMAGE=zeros"])
    assert image.shape == (1, 3, 8, 4)
    assert image.data(np.random.default_rng(0)) == bytes(4 * 3 * 8 * 4)


def test_files_go_into_one_element_of_bytes() -> None:
    assert [one.how for one in chosen(FILE, input=["a:b=file"])] == ["file"]
    assert chosen({**FILE, "shape": [-1, -1]}, input=["a:b=path"])[0].shape == (1, 1)


def test_an_optional_input_is_left_out_unless_it_is_named() -> None:
    config = {"input": [{"name": "INDEX", "optional": True}, {"name": "a:b"}]}
    assert [one.name for one in chosen(FILE, INDEX, config=config)] == ["a:b"]
    assert len(chosen(FILE, INDEX, config=config, input=["INDEX=zeros"])) == 2


@pytest.mark.parametrize(
    ("declared", "flags", "problem"),
    [
        (IMAGE, {}, "input 'IMAGE' has the shape [-1, 3, -1, -1]: say --shape IMAGE:1,3,N,N"),
        (IMAGE, {"shape": ["IMAGE:4,8,8"]}, "--shape IMAGE:4,8,8: the server's shape is [-1, 3, -1, -1]"),
        (IMAGE, {"shape": ["IMAGE:3,x"]}, "--shape IMAGE:3,x: must be whole numbers, as 3,224,224"),
        (IMAGE, {"shape": ["IMAGE:3,0,8"]}, "--shape IMAGE:3,0,8: the server's shape is [-1, 3, -1, -1]"),
        (IMAGE, {"input": ["X=zeros"]}, "--input X: the inputs of net are: IMAGE"),
        (IMAGE, {"input": ["IMAGE"]}, "--input IMAGE: must be NAME=…"),
        (IMAGE, {"input": ["IMAGE=ones"]}, "--input IMAGE=ones: must be one of random, zeros, file, path"),
        (
            IMAGE,
            {"input": ["IMAGE=file"]},
            "--input IMAGE=file: the input is of FP32, and only BYTES can have that",
        ),
        (
            {**FILE, "shape": [2]},
            {"input": ["a:b=file"]},
            "input 'a:b' has the shape [2]: a file is one element of it",
        ),
        ({**FILE, "datatype": "TEXT"}, {}, "input 'a:b' is of TEXT, which RnB cannot make"),
    ],
)
def test_what_does_not_fit_is_one_line(declared: dict[str, Any], flags: Any, problem: str) -> None:
    with pytest.raises(UsageError) as raised:
        chosen(declared, **flags)
    assert str(raised.value) == problem
