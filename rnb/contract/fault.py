"""A fault that is played on purpose, as --fault names it: KIND:WHAT@START, or KIND:WHAT@START-END.

kill:step1@10s          its replica 0 is killed (kill:step1.2: replica 2)
stall:step1*2s@10s      its replica 0 stands still for 2 s
slow:step0*1.3@50%      the calls of all its replicas take 1.3 times as long (slow:step0.1: of one)
cpu:3@50%-80%           so many processes compute and do nothing else
gpu-memory:8GB@5s       a process holds so much memory of the first GPU

A time is in seconds from the start, or in percent of the requests that are due by then. What has no END lasts
until the run ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


class FaultKind(Enum):
    KILL = "kill"
    STALL = "stall"
    SLOW = "slow"
    CPU = "cpu"
    GPU_MEMORY = "gpu-memory"


_NUMBER = r"\d+(?:\.\d+)?"
_WHOLE = re.compile(rf"([a-z-]+):([^@]+)@({_NUMBER})(s|%)(?:-({_NUMBER})(s|%))?")
_REPLICA = r"step(?P<step>\d+)(?:\.(?P<replica>\d+))?"
_WHAT = {
    FaultKind.KILL: (rf"{_REPLICA}(?P<amount>)", "step1"),
    FaultKind.STALL: (rf"{_REPLICA}\*(?P<amount>{_NUMBER})s", "step1*2s"),
    FaultKind.SLOW: (rf"{_REPLICA}\*(?P<amount>{_NUMBER})", "step0*1.3"),
    FaultKind.CPU: (r"(?P<amount>[1-9]\d*)", "3"),
    FaultKind.GPU_MEMORY: (rf"(?P<amount>{_NUMBER})GB", "8GB"),
}
"""What may stand between : and @, and an example."""
_WITH_END = (FaultKind.SLOW, FaultKind.CPU, FaultKind.GPU_MEMORY)


@dataclass(frozen=True, kw_only=True)
class Moment:
    value: float
    is_percent: bool
    """Of the requests; else seconds from the start."""

    def __str__(self) -> str:
        return f"{self.value:g}{'%' if self.is_percent else 's'}"


@dataclass(frozen=True, kw_only=True)
class Fault:
    text: str
    kind: FaultKind
    step: int | None
    replica: int | None
    """None: none is named."""
    amount: float
    """Seconds of a stall, the factor of a slow step, a number of processes, GB; 0 of a kill."""
    start: Moment
    end: Moment | None

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Raises ValueError, which says what a fault looks like."""
        whole = _WHOLE.fullmatch(text)
        if whole is None:
            raise ValueError("a fault is KIND:WHAT@START or KIND:WHAT@START-END, as stall:step1*2s@10s")
        name, what, *times = whole.groups()
        kind = next((kind for kind in FaultKind if kind.value == name), None)
        if kind is None:
            raise ValueError(f"'{name}' is none of {', '.join(kind.value for kind in FaultKind)}")
        pattern, example = _WHAT[kind]
        found = re.fullmatch(pattern, what)
        if found is None:
            raise ValueError(f"'{what}' must look like '{example}': {name}:{example}@{times[0]}{times[1]}")
        named = found.groupdict()
        amount = float(named["amount"] or 0)
        fault = cls(
            text=text,
            kind=kind,
            step=_whole(named.get("step")),
            replica=_whole(named.get("replica")),
            amount=amount,
            start=Moment(value=float(times[0]), is_percent=times[1] == "%"),
            end=None if times[2] is None else Moment(value=float(times[2]), is_percent=times[3] == "%"),
        )
        fault._check()
        return fault

    def _check(self) -> None:
        if self.kind is FaultKind.SLOW and self.amount <= 1:
            raise ValueError(f"{self.amount:g}: a slow step takes more than 1 times as long")
        if self.kind in (FaultKind.STALL, FaultKind.GPU_MEMORY) and not self.amount:
            raise ValueError("0: it must be more")
        if self.end is not None and self.kind not in _WITH_END:
            raise ValueError(f"{self.kind.value} has no end: leave out '-{self.end}'")
        for moment in filter(None, (self.start, self.end)):
            if moment.is_percent and moment.value > 100:
                raise ValueError(f"{moment}: more than all requests")


def _whole(text: str | None) -> int | None:
    return None if text is None else int(text)
