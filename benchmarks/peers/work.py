"""The work that every peer does: which videos, which clips of them, and which network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rnb.pipeline.config import ConfigError, StepConfig, read_config

if TYPE_CHECKING:
    from models.r2p1d.model import R2P1DLoader, R2P1DRunner

LOADER, RUNNER = "models.r2p1d.model.R2P1DLoader", "models.r2p1d.model.R2P1DRunner"


class Arrival(NamedTuple):
    """A request, and when it is due in seconds from the start."""

    request: int
    due_s: float


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a peer is to do; a file of JSON brings it to processes of other systems."""

    config: str
    """RnB's, of R2P1DLoader and R2P1DRunner; the others take clips and network from it."""
    device: str
    """'cuda' or 'cpu'."""
    videos: Sequence[str]
    """The file of each request, all different and in one folder, sorted as RnB plays them."""
    samples: Sequence[str]
    """The files of the requests after those: they warm up, and are not measured."""
    cores: Sequence[int]
    """All that a peer may use, its client's among them."""
    workers: int
    """Decoders, where a peer does not say itself how many it needs."""
    seed: int = 0

    @property
    def warm_up(self) -> list[Arrival]:
        first = len(self.videos)
        return [Arrival(first + number, 0.0) for number in range(len(self.samples))]

    def video(self, request: int) -> str:
        num_videos = len(self.videos)
        return self.videos[request] if request < num_videos else self.samples[request - num_videos]

    @cached_property
    def loader(self) -> R2P1DLoader.Options:
        from models.r2p1d.model import R2P1DLoader

        return R2P1DLoader.Options.model_validate(self._steps[0].options)

    @cached_property
    def network(self) -> R2P1DRunner.Options:
        from models.r2p1d.model import R2P1DRunner

        return R2P1DRunner.Options.model_validate(self._steps[1].options)

    @property
    def most_rows(self) -> int:
        """Clips that the network takes at once."""
        return self._steps[1].max_clips or self.loader.most_clips

    @property
    def row(self) -> tuple[int, int, int, int]:
        """The shape of a clip."""
        return 3, self.loader.consecutive_frames, self.loader.height, self.loader.width

    @cached_property
    def _steps(self) -> Sequence[StepConfig]:
        steps = read_config(self.config).pipeline().pipeline
        if [step.model for step in steps] != [LOADER, RUNNER]:
            raise ConfigError(
                "pipeline", f"peers take the work from a config of {LOADER} and {RUNNER}, in this order"
            )
        return steps

    def check(self) -> None:
        """Raises ConfigError for a config that others cannot take the work from."""
        assert self.loader
        assert self.network

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path | str) -> Work:
        return cls(**json.loads(Path(path).read_text()))
