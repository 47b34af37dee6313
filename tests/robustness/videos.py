"""Damaged videos through the loader, each in processes that have decoded nothing and in ones that have.

The same request of the same file must have the same outcome, whatever was decoded before it.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from nvvl import RnBLoader, Sampler, VideoError
from tests.robustness.attack import Attack, Fault, Outcome
from tests.robustness.forked import ChildDied, in_child
from tests.robustness.mutations import mutated_bytes
from tests.support import odd_videos

CLIP_LENGTH, SIZE = 4, 24
KINDS = (
    "b_frames", "open_gop", "one_keyframe", "fragmented", "edit_list", "transport_stream", "interlaced",
    "raw_stream", "hevc", "hevc_layers", "vp9_odd_size", "vp9_hidden_frames", "vp8", "av1", "mpeg4_avi",
    "mpeg2_ts", "mjpeg_odd_size", "rgb",
)  # fmt: skip
"""Of tests.support.odd_videos: the codecs and containers."""


@dataclass(frozen=True)
class Ask:
    """A request for clips of a file."""

    path: str
    starts: tuple[int, ...]


class _Starts(Sampler):
    """Those of the request, as far as the file has them; else the file's last ones."""

    def __init__(self) -> None:
        self.starts: Sequence[int] = ()

    def sample(self, length: int) -> Sequence[int]:
        return [min(start, length - CLIP_LENGTH) for start in self.starts]


class VideoAttack(Attack):
    """A case is a damaged file, of which two requests are made in several orders."""

    limit_s = 150
    long_run = 10_000

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # Encoded in a fork, too: here nothing may have been decoded, so that all forks begin afresh.
        intact = folder / "intact"
        intact.mkdir()
        in_child(lambda: [str(odd_videos.make(intact, kind)) for kind in KINDS])
        self._intact = {path.stem: path for path in sorted(intact.iterdir())}

    def play(self, seed: int) -> Outcome:
        lots = random.Random(seed)
        kind, other = lots.choice(KINDS), lots.choice(KINDS)
        source, damaged = self._intact[kind], self.folder / f"damaged{self._intact[kind].suffix}"
        damaged.write_bytes(mutated_bytes(source.read_bytes(), lots, self._intact[other].read_bytes()))
        asks = [Ask(str(damaged), _starts(lots)) for _ in range(2)]
        elsewhere = Ask(str(self._intact[other]), _starts(lots))
        outcome = Outcome("-")
        alone = [self._answers(outcome, [ask]) for ask in asks]
        orders = [asks[0], elsewhere, asks[1], asks[0]], [asks[1], asks[0], asks[1]]
        order = lots.choice(orders)
        together = self._answers(outcome, order)
        intact = self._answers(outcome, [Ask(str(source), ask.starts) for ask in asks])
        outcome.kind = _kind_of([one for answers in alone for one in answers], intact)
        if not outcome.faults:
            known = {ask: answers[0] for ask, answers in zip(asks, alone, strict=True)}
            for place, (ask, answer) in enumerate(zip(order, together, strict=True)):
                is_same = ask == elsewhere or answer == known[ask]
                why = f"{ask.starts} as request {place} of {[(one.path[-12:], one.starts) for one in order]}"
                outcome.check(is_same, Fault.WRONG, f"{why}: {answer}; alone: {known.get(ask)}")
        outcome.about = f"{kind} with {other}"
        return outcome

    def _answers(self, outcome: Outcome, asks: Sequence[Ask]) -> list[str]:
        """What a process that has decoded nothing yet says of these requests, in this order."""
        try:
            return in_child(lambda: self.decode(asks))
        except ChildDied as error:
            outcome.note(error.fault, f"{error}, asked for {[ask.starts for ask in asks]}")
            return []

    def decode(self, asks: Sequence[Ask]) -> list[str]:
        """Of each request: a digest of its frames, or the VideoError."""
        torch.set_num_threads(1)
        sampler, answers = _Starts(), []
        with RnBLoader(SIZE, SIZE, CLIP_LENGTH, None, sampler) as loader:
            for ask in asks:
                sampler.starts = ask.starts
                try:
                    loader.loadfile(ask.path)
                    answers.append(hashlib.sha256(next(loader).numpy().tobytes()).hexdigest()[:16])
                except VideoError as error:
                    answers.append(f"VideoError: {error.reason}")
        return answers


def _starts(lots: random.Random) -> tuple[int, ...]:
    last = odd_videos.NUM_FRAMES - CLIP_LENGTH
    return tuple(lots.randint(0, last) for _ in range(lots.choice([1, 1, 3])))


def _kind_of(answers: Sequence[str], intact: Sequence[str]) -> str:
    """What the case is counted as."""
    if any(answer.startswith("VideoError") for answer in answers):
        return "VideoError"
    return "as intact" if answers == intact else "other frames"
