"""Nodes that differ are refused, with all that differs."""

from __future__ import annotations

import os
import re

import pytest

from rnb.contract.termination import UsageError
from rnb.observe.environment import environment
from rnb.processes.same_environment import GPUS, Environment, check_same

OURS = {"commit": "aaa", "code": "bbb", "Python": "3.11.7", "torch": "2.8.0", "numpy": "2.4.6", GPUS: "H200"}


def nodes(*changes: dict[str, str]) -> dict[int, Environment]:
    """The driver's, and others like it but for this."""
    return {0: OURS, **{node: {**OURS, **change} for node, change in enumerate(changes, 1)}}


def test_nodes_that_are_alike() -> None:
    check_same(nodes({}, {}), with_gpus={0, 1, 2})
    own = environment()
    assert own.keys() >= {"commit", "code", "Python", "torch", GPUS}
    check_same({0: own, 1: environment()}, with_gpus={0, 1})


@pytest.mark.parametrize("name", [name for name in OURS if name != GPUS])
def test_what_differs_is_told(name: str) -> None:
    with pytest.raises(UsageError) as raised:
        check_same(nodes({}, {name: "other"}), with_gpus=())
    assert str(raised.value) == (
        f"--cluster: node 2 differs from the driver's: {name} other, not {OURS[name]}"
    )


def test_another_priority_comes_from_ray() -> None:
    own = environment()
    assert own["niceness"] == str(os.nice(0))
    with pytest.raises(
        UsageError, match=r"niceness 15, not \d+ \(start Ray there with RAY_worker_niceness=0\)"
    ):
        check_same({0: own, 1: {**own, "niceness": "15"}}, with_gpus=())


def test_all_that_differs_is_told_at_once() -> None:
    with pytest.raises(UsageError, match=re.escape("commit ccc, not aaa; torch 2.7.1, not 2.8.0")):
        check_same(nodes({"commit": "ccc", "torch": "2.7.1"}), with_gpus=())
    with pytest.raises(UsageError, match="Ray 1, not unknown"):
        check_same(nodes({"Ray": "1"}), with_gpus=())


def test_gpus_count_where_they_are_used() -> None:
    differing = nodes({GPUS: "A100"}, {GPUS: "L4"})
    check_same(differing, with_gpus=())
    check_same(differing, with_gpus={1})
    with pytest.raises(UsageError, match="node 1 differs from node 0: GPUs A100, not H200"):
        check_same(differing, with_gpus={0, 1})
    with pytest.raises(UsageError, match="node 2 differs from node 1: GPUs L4, not A100"):
        check_same(differing, with_gpus={1, 2})
