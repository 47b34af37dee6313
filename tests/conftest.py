"""Rules and fixtures for all tests."""

from __future__ import annotations

import gc
import os
import random
from pathlib import Path

import pytest

from tests.support.made_once import made_once
from tests.support.tiers import LONG, SLOW, WITH_NETWORKS, WITH_PROCESSES


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shuffle", type=int, metavar="SEED", help="run the tests in the order that SEED draws")


def pytest_configure(config: pytest.Config) -> None:
    """Of several testers each computes in one thread, so that they do not wait for each other's.

    Who hands the tests out to them needs no PyTorch, and they start when it is ready. Threads of processes
    that they start sleep while they wait for each other, instead of taking a core from another tester.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    gc.disable()  # until all is imported, of which little is ever freed
    if "PYTEST_XDIST_WORKER" in os.environ:
        import torch

        torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)  # before those that -m leaves out are taken away
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by what they take (tests/support/tiers.py); with --shuffle, put all into another order."""
    for item in items:
        if "bench" in getattr(item, "fixturenames", ()) or item.nodeid.startswith(WITH_PROCESSES):
            item.add_marker("processes")
        if item.nodeid.startswith(WITH_NETWORKS):
            item.add_marker("networks")
        if item.nodeid.startswith(LONG):
            item.add_marker("long")
        if item.nodeid.startswith(SLOW):
            item.add_marker("slow")
    if (seed := config.getoption("--shuffle")) is not None:
        random.Random(seed).shuffle(items)


def pytest_collection_finish() -> None:
    """What is imported stays, so that the search for garbage in each test leaves it out."""
    gc.freeze()
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked `gpu` skip without CUDA, and fail without it where RNB_REQUIRE_CUDA=1."""
    if item.get_closest_marker("gpu") is None:
        return
    import torch

    if torch.cuda.is_available():
        return
    if os.environ.get("RNB_REQUIRE_CUDA") == "1":
        pytest.fail("RNB_REQUIRE_CUDA=1, but PyTorch finds no GPU", pytrace=False)
    pytest.skip("needs a GPU")


@pytest.fixture(scope="session")
def odd_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny video of every kind in `odd_videos.RECIPES`."""
    from tests.support import odd_videos

    folder = made_once(tmp_path_factory, "odd_videos", odd_videos.make_all)
    return {name: folder / f"{name}{recipe.suffix}" for name, recipe in odd_videos.RECIPES.items()}
