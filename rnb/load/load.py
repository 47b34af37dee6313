"""What a run plays, as data."""

from __future__ import annotations

from dataclasses import dataclass, fields

from rnb.load.streams import Streams
from rnb.load.videos import DEFAULT_FOLDER


@dataclass(frozen=True, kw_only=True)
class Load:
    """Which requests arrive when; the fields have the names of the flags.

    How many videos there are and their mean interval may be open (None) until the schedule is made, where
    that is not drawn from them.
    """

    mean_interval_ms: float | None = 100
    """0: all at once."""
    videos: int | None = 2000
    """How many requests are measured."""
    duration: float | None = None
    """In the place of `videos`: what arrives in so many seconds."""
    warmup: int = 0
    """Requests that come first and are not measured."""
    arrivals: str = "poisson"
    """One of rnb.load.arrivals.PROCESSES."""
    burstiness: float | None = None
    arrivals_file: str | None = None
    ramp: str | None = None
    replay: str | None = None
    """A run folder whose load is played again."""
    sequences: int | None = None
    """How many sequences are played at once; None: requests that belong to none."""
    sequence_length: int = 20
    """Requests of a sequence."""
    streams: int | None = None
    """In the place of sequences: how many live streams are played, each as long as the run."""
    fps: float = 30
    """Frames a second of a stream."""
    every: int = 1
    """Every so many frames of a stream are a request."""
    clients: int = 1
    data: str = DEFAULT_FOLDER
    seed: int = 0

    @property
    def has_sequences(self) -> bool:
        """Whether each request belongs to a sequence; a stream is one."""
        return self.sequences is not None or self.streams is not None

    @property
    def live(self) -> Streams | None:
        """The streams, if it is those."""
        return None if self.streams is None else Streams(num=self.streams, fps=self.fps, every=self.every)


REPLAYED = tuple(one.name for one in fields(Load) if one.name not in ("clients", "replay"))
"""The fields that a run folder says when it is replayed."""
