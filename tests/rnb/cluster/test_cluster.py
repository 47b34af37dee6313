"""What --cluster names."""

from __future__ import annotations

import builtins
import socket
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from rnb.cluster.cluster import cluster_at
from rnb.contract.termination import UsageError


def test_nodes_that_are_all_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # nothing of it needs Ray
    hosts = cluster_at("local:3").hosts
    assert [host.name for host in hosts] == [f"this machine as node {node}" for node in range(3)]
    assert {host.address for host in hosts} == {"127.0.0.1"}


@pytest.mark.parametrize("address", ["local", "local:", "local:0", "local:1000", "local:two"])
def test_a_wrong_number_of_them_is_one_line(address: str) -> None:
    with pytest.raises(UsageError, match=f"--cluster {address}: say local:N"):
        cluster_at(address)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "no Ray cluster there: "),
        ("somewhere", "must be auto, host:port"),
        ("ray://head:10001x", "must be auto, host:port"),
        ("127.0.0.1:99999", "must be auto, host:port"),
    ],
)
def test_no_such_cluster_is_one_line(address: str, message: str) -> None:
    pytest.importorskip("ray", reason="needs Ray: pip install 'rnb[cluster]'")
    with pytest.raises(UsageError, match=f"^--cluster {address}: {message}"):
        cluster_at(address)


def test_without_ray_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_ray(name: str, *args: Any) -> Any:
        if name == "ray":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without_ray)
    with pytest.raises(UsageError, match=r"--cluster: needs Ray: pip install 'rnb\[cluster\]'"):
        cluster_at("192.0.2.1:6379")


def test_a_cluster_that_asks_for_a_token_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Ray 2.60 fails: what it is about stands in the cause."""

    def init(**options: Any) -> None:
        cause = RuntimeError("Failed to connect to GCS. InvalidAuthToken: Authentication token is missing")
        raise ConnectionError("Failed to connect to Ray cluster at 127.0.0.1") from cause

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(UsageError, match=f"^--cluster {address}: .*: set RAY_AUTH_MODE=token$"):
            cluster_at(address)
