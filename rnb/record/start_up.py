"""What the processes of a run did until its timed part began: in run.json, and with --verbose."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Phase(BaseModel):
    """One thing that one thread of a process was at."""

    model_config = ConfigDict(frozen=True)

    process: str
    """'driver', 'client', or the name of a replica."""
    worker: int | None
    """Which of a replica's workers; None: the whole process."""
    what: str
    from_s: float
    """Since the driver began with the run; its imports and its plan came before that."""
    seconds: float

    @property
    def to_s(self) -> float:
        return self.from_s + self.seconds
