"""What every protocol does with a request: ask the pipeline, count it, say why there is no answer."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rnb.live.asking import Answer, Ask, LivePipeline, NotServed, Why
from rnb.serving.inference import InferRequest, Reader, wanted_of
from rnb.serving.metrics import Metrics
from rnb.serving.model import Interface, Model
from rnb.serving.refusal import NO_KEY, Refusal, refusal_of
from rnb.serving.request_log import Note, RequestLog
from rnb.serving.results import outputs_of
from rnb.serving.settings import Settings
from rnb.serving.shared_memory import Regions
from rnb.serving.tensors import Output, Wanted

if TYPE_CHECKING:
    from rnb.serving.spans import Spans


class Front:
    """A pipeline behind its protocols."""

    def __init__(
        self, pipeline: LivePipeline, interface: Interface, settings: Settings, log: RequestLog
    ) -> None:
        """Raises UsageError where what is to be told cannot be."""
        self.pipeline, self.interface, self.settings = pipeline, interface, settings
        self.model = Model(pipeline, interface, settings)
        self.regions = Regions(are_allowed=settings.shared_memory)
        self.reader = Reader(self.model, settings, self.regions)
        self.metrics = Metrics(pipeline)
        self._log, self._spans = log, _spans(settings, pipeline)

    def end(self, note: Note) -> None:
        """Tell of a request that has ended."""
        self._log.write(note)
        if self._spans is not None:
            self._spans.write(note)

    def close(self) -> None:
        """When there are no more requests."""
        self.regions.close()
        if self._spans is not None:
            self._spans.close()

    def check_key(self, told: str) -> None:
        """Raises Refusal unless it is the key, 'Bearer KEY' or KEY, or none is asked for."""
        key = self.settings.api_key
        if key is not None and not hmac.compare_digest(told.removeprefix("Bearer ").encode(), key.encode()):
            raise Refusal("an API key is needed: Authorization: Bearer KEY", NO_KEY)

    async def infer(
        self, request: InferRequest, note: Note, timeout_s: float | None = None
    ) -> list[tuple[Wanted, Output]]:
        """Each output that is wanted; those for shared memory are there already. Raises Refusal."""
        note.request_id = request.id
        wanted = wanted_of(request, self.model.outputs)
        asks = self.reader.asks_of(request, trace_id=note.trace.trace_id, timeout_s=timeout_s)
        outputs = outputs_of(await self.answers(asks, note), wanted)
        for one, output in zip(wanted, outputs, strict=True):
            if one.place is not None:
                self.regions.write(one.place, output.raw())
        return list(zip(wanted, outputs, strict=True))

    async def answers(self, asks: Sequence[Ask], note: Note) -> list[Answer]:
        """Serve them all, or none: the first that cannot be served cancels the others. Raises Refusal."""
        note.num_rows = len(asks)
        try:
            answers = await self._serve_all(asks)
        except NotServed as error:
            self.metrics.count_failure(error.why)
            raise refusal_of(error) from None
        except asyncio.CancelledError:
            self.metrics.count_failure(Why.CANCELLED)
            raise
        self.metrics.count_success()
        note.times_ns = answers[0].times_ns
        return answers

    async def _serve_all(self, asks: Sequence[Ask]) -> list[Answer]:
        if len(asks) == 1:
            return [await self.pipeline.serve(asks[0])]
        num_pending = self.pipeline.num_pending
        if num_pending + len(asks) > self.pipeline.max_pending:  # no work for some of them alone
            raise NotServed(Why.BUSY, f"{num_pending} requests are inside; there is no room for {len(asks)}")
        tasks = [asyncio.ensure_future(self.pipeline.serve(ask)) for ask in asks]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _spans(settings: Settings, pipeline: LivePipeline) -> Spans | None:
    if settings.otlp is None:
        return None
    from rnb.serving.spans import Spans

    return Spans(settings.otlp, pipeline)
