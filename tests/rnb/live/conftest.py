"""What the tests of pipelines that serve have in common."""

from __future__ import annotations

import pytest

from rnb.processes.replicas import IMPORTED
from rnb.transport.local.nursery import nursery


@pytest.fixture(scope="session", autouse=True)
def torch_in_the_nursery() -> None:
    """There is one nursery for all pipelines of a process: with torch, none of their replicas imports it."""
    nursery((*IMPORTED, "torch"))
