"""A pipeline that does what the payload says, and a server of it: python -m tests.support.scripted_pipeline.

A payload is bytes that a file could have, or text: 'class 7', 'sleep 0.5', 'bad', 'busy', 'failed', 'bytes',
'sequence'. Anything else is echoed by its size.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import uvloop

from rnb.contract.events import SENT, Event, EventKind
from rnb.contract.result import ClassAndScore
from rnb.live.asking import BOUNDS_MS, Answer, Ask, Histogram, NotServed, StepInfo, StepStatistics, Why, Work
from rnb.serving.model import Interface
from rnb.serving.request_log import RequestLog
from rnb.serving.server import Server
from rnb.serving.settings import Settings

CLASS_NAMES = tuple(f"name{number}" for number in range(10))
WHYS = {why.value: why for why in (Why.BAD, Why.BUSY, Why.FAILED)}


class ScriptedPipeline:
    """Two steps, 'Decode-0' and 'Net-1'."""

    name = "scripted"

    def __init__(self, *, gives_classes: bool = False, is_stateful: bool = False) -> None:
        self._gives_classes = gives_classes
        self.steps: Sequence[StepInfo] = [
            StepInfo(
                name=name, model=f"tests.{name}", max_batch_size=8, devices=("cpu",), is_stateful=stateful
            )
            for name, stateful in (("Decode-0", False), ("Net-1", is_stateful))
        ]
        self.is_ready = True
        self.failure = ""
        self.queue_depths = (0, 0)
        self.num_pending = 0
        self.outcomes: Counter[str] = Counter()
        self._sequences: dict[Any, int] = {}
        self._ns = 0

    async def serve(self, ask: Ask) -> Answer:
        if not self.is_ready:
            raise NotServed(Why.CLOSED, "the server is ending")
        self.num_pending += 1
        began_ns = time.monotonic_ns()
        try:
            answer = Answer(**await self._served(ask, began_ns))
        except NotServed as error:
            self.outcomes[error.why] += 1
            raise
        except asyncio.CancelledError:
            self.outcomes[Why.CANCELLED] += 1
            raise
        finally:
            self.num_pending -= 1
        self.outcomes["served"] += 1
        self._ns += time.monotonic_ns() - began_ns
        return answer

    async def _served(self, ask: Ask, began_ns: int) -> dict[str, Any]:
        text = ask.payload if isinstance(ask.payload, str) else ask.payload[:80].decode(errors="replace")
        word, _, rest = text.partition(" ")
        if word in WHYS:
            raise NotServed(WHYS[word], f"it was asked for: {word}")
        if word == "sleep":
            await self._sleep(float(rest), ask.deadline_ns)
        end_ns = time.monotonic_ns()
        middle_ns = (began_ns + end_ns) // 2
        times = {SENT: began_ns}
        for step, (start, end) in enumerate(((began_ns, middle_ns), (middle_ns, end_ns))):
            times |= {Event(EventKind.TAKEN, step): start, Event(EventKind.STARTED, step): start}
            times |= {Event(EventKind.FINISHED, step): end, Event(EventKind.HANDED_ON, step): end}
        return {"times_ns": times, **self._result(ask, word, rest)}

    def _result(self, ask: Ask, word: str, rest: str) -> dict[str, Any]:
        if self._gives_classes:
            label = int(rest) if word == "class" else 3
            score = float("nan") if label < 0 else 0.5
            return {
                "result": ClassAndScore(label, score),
                "class_name": CLASS_NAMES[label] if label >= 0 else None,
            }
        if word == "bytes":
            return {"result": b"\x00\xff"}
        if ask.parameters:
            return {"result": self._in_sequence(ask.parameters)}
        path = ask.payload if isinstance(ask.payload, str) else None
        return {
            "result": {"size": len(ask.payload), "suffix": ask.suffix, "path": path, "trace": ask.trace_id}
        }

    def _in_sequence(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """How many requests of its sequence came before."""
        name = parameters["sequence_id"]
        if parameters["sequence_start"]:
            self._sequences[name] = 0
        elif name not in self._sequences:
            raise NotServed(Why.BAD, f"sequence {name!r} has not begun")
        before = self._sequences[name]
        self._sequences[name] += 1
        if parameters["sequence_end"]:
            del self._sequences[name]
        return {"before": before, "sequence": name}

    @staticmethod
    async def _sleep(seconds: float, deadline_ns: int | None) -> None:
        left_s = seconds if deadline_ns is None else (deadline_ns - time.monotonic_ns()) / 1e9
        await asyncio.sleep(max(0.0, min(seconds, left_s)))
        if left_s < seconds:
            raise NotServed(Why.LATE, "its deadline passed")

    def statistics(self) -> Mapping[str, StepStatistics]:
        served = self.outcomes["served"]
        half = Work(count=served, ns=self._ns // 2)
        told = StepStatistics(
            inference_count=served,
            execution_count=served,
            success=Work(count=served, ns=self._ns),
            fail=Work(count=self.outcomes[Why.FAILED]),
            cancel=Work(count=self.outcomes[Why.CANCELLED]),
            queue=half,
            compute_input=Work(count=served),
            compute_infer=half,
            compute_output=Work(count=served),
            last_inference_ms=int(time.time() * 1000) if served else 0,
        )
        return dict.fromkeys((self.name, *(step.name for step in self.steps)), told)

    def histograms(self) -> Mapping[str, Histogram]:
        counts = (self.outcomes["served"], *[0] * len(BOUNDS_MS))
        return dict.fromkeys(
            (self.name, *(step.name for step in self.steps)), Histogram(counts=counts, ns=self._ns)
        )

    async def drain(self, grace_s: float) -> bool:
        self.is_ready = False
        ends_s = time.monotonic() + grace_s
        while self.num_pending and time.monotonic() < ends_s:
            await asyncio.sleep(0.01)
        return self.num_pending == 0


async def serve(settings: Settings, interface: Interface, *, is_stateful: bool) -> None:
    """Until SIGTERM; the ports are the first line on stderr."""
    pipeline = ScriptedPipeline(gives_classes=interface.gives_classes, is_stateful=is_stateful)
    server = Server(pipeline, interface, settings, RequestLog(settings.request_log))
    print(json.dumps(await server.start()), file=sys.stderr, flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    await server.drain()


def main() -> None:
    told = json.loads(sys.argv[1])
    interface = Interface(**told.pop("interface", {}))
    is_stateful = told.pop("is_stateful", False)
    settings = Settings(**{"port": 0, "grpc_port": 0, "request_log": None, **told})
    uvloop.run(serve(settings, interface, is_stateful=is_stateful))


if __name__ == "__main__":
    main()
