"""What R2P1DSizer tells of a request is what R2P1DLoader makes of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from models.r2p1d.model import R2P1DSyntheticLoader
from models.r2p1d.sampler import R2P1DSampler
from models.r2p1d.sizer import R2P1DSizer
from rnb.contract import Batch, Context, Request
from rnb.pipeline.selectors import ClipCountSelector


def told(request: int, **options: Any) -> Batch:
    sizer = R2P1DSizer(R2P1DSizer.Options(**options), Context())
    return sizer(Batch((Request(request, f"video {request}"),)))


def test_the_clips_of_a_loader_with_the_same_seed() -> None:
    for seed in (0, 7):
        options = R2P1DSyntheticLoader.Options(seed=seed)
        loader = R2P1DSyntheticLoader(options, Context())
        for request in range(40):
            made = loader(Batch((Request(request),)))
            assert list(told(request, seed=seed).sizes) == made.num_rows()


@pytest.mark.parametrize(
    "options", [{}, {"num_clips_population": [2, 9, 30], "num_clips_weights": [1, 1, 1]}]
)
def test_the_draw_of_the_sampler(options: dict[str, Any]) -> None:
    sampler = R2P1DSampler(8, **options)
    seen = Counter[int]()
    for request in range(300):
        sampler.seed(3, request)
        num_clips = len(sampler.sample(300))
        assert told(request, seed=3, **options).sizes == (num_clips,)
        seen[num_clips] += 1
    assert len(seen) == len(options.get("num_clips_population", (1, 15)))


def test_a_fixed_number() -> None:
    assert told(0, num_clips=4, num_clips_population=None).sizes == (4,)


def test_it_hands_the_request_on_and_its_size_chooses_the_queue() -> None:
    selector, by_size = ClipCountSelector(2), {1: 0, 15: 1}
    batches = [told(request) for request in range(100)]
    assert [batch.payloads for batch in batches] == [[f"video {request}"] for request in range(100)]
    assert {batch.tensors for batch in batches} == {()}
    chosen = [selector.select(batch) for batch in batches]
    assert chosen == [by_size[batch.size] for batch in batches]
    assert set(chosen) == {0, 1}
