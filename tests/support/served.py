"""Pipelines that serve in the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from rnb.live.asking import Answer, Ask, NotServed
from rnb.live.pipeline import Pipeline
from rnb.live.settings import Serving
from rnb.spec import RunSpec
from tests.support.played import spec_for

T = TypeVar("T")
PATIENCE_S = 120.0
"""No test waits longer, whatever else the machine does."""
GRACE_S = 60.0


def serving_spec(folder: Path, steps: Sequence[Any], **placement: Any) -> RunSpec:
    spec = spec_for(folder, steps)
    return replace(spec, placement=replace(spec.placement, **placement))


@asynccontextmanager
async def serving(
    spec: RunSpec, warn: Callable[[str], None] = lambda line: None, **settings: Any
) -> AsyncIterator[Pipeline]:
    """A pipeline that is ready; it is drained in the end."""
    pipeline = await Pipeline.start(spec, Serving(**settings), warn=warn)
    try:
        yield pipeline
    finally:
        await pipeline.drain(GRACE_S)


def served(work: Callable[[], Awaitable[T]], patience_s: float = PATIENCE_S) -> T:
    """Do something in an event loop of its own."""

    async def bounded() -> T:
        return await asyncio.wait_for(work(), patience_s)

    return asyncio.run(bounded())


async def all_of(pipeline: Pipeline, asks: Sequence[Ask]) -> list[Answer | NotServed]:
    """Serve them all at once; those that are not served give why."""
    found = await asyncio.gather(*map(pipeline.serve, asks), return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, NotServed):
            raise one
    return found  # type: ignore[return-value]


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    while not is_so():
        await asyncio.sleep(0.01)
