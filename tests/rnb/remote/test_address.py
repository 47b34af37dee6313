"""Where a server listens, out of a URL."""

from __future__ import annotations

import pytest

from rnb.contract.termination import UsageError
from rnb.remote.address import Address


@pytest.mark.parametrize(
    ("url", "address", "text"),
    [
        ("http://localhost:8123", Address("http", "localhost", 8123), "http://localhost:8123"),
        ("http://box", Address("http", "box", 8000), "http://box:8000"),
        ("grpc://10.0.0.1", Address("grpc", "10.0.0.1", 8001), "grpc://10.0.0.1:8001"),
        ("http://box:80/models/", Address("http", "box", 80, "/models"), "http://box:80/models"),
        ("grpc://[::1]:9", Address("grpc", "::1", 9), "grpc://[::1]:9"),
    ],
)
def test_an_address_is_read(url: str, address: Address, text: str) -> None:
    assert Address.parse(url) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "url",
    ["localhost:8000", "https://box", "http://", "http://box:x", "http://box:99999", "grpc://box/v2", ""],
)
def test_what_is_none_is_said_in_a_line(url: str) -> None:
    with pytest.raises(UsageError, match=r"^--url .*$"):
        Address.parse(url)
