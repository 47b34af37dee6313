"""What a run was: run.json."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator

from rnb.contract.events import Event
from rnb.record.start_up import Phase

SCHEMA_VERSION = 2


def _event(value: Any) -> Event:
    return value if isinstance(value, Event) else Event.parse(str(value))


def _name(event: Event) -> str:
    return event.name


EventName = Annotated[Event, PlainValidator(_event), PlainSerializer(_name)]
"""An event that is a text in the file."""


class _Open(BaseModel):
    """What others read of an object in run.json; it may hold more."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Args(_Open):
    slo: float | None = None
    percentile: float | None = None
    min_duration: float | None = None
    mean_interval_ms: float | None = None
    max_failures: int = 0


class _Replica(_Open):
    step: int
    replica: int
    gpu: int
    replica_on_gpu: int
    workers: int = 1


class _Inputs(_Open):
    sha256_of_contents: str = ""


class _Gpu(_Open):
    name: str | None = None


class _Other(_Open):
    """Of other_processes; of other_gpu_processes also where it was."""

    name: str
    pid: int


class _OtherOnGpu(_Other):
    gpu: int


class _Provenance(_Open):
    num_cpus: int | None = None
    other_processes: list[_Other] = []
    other_gpu_processes: list[_OtherOnGpu] = []
    commit: str | None = None
    inputs: _Inputs | None = None
    gpus: list[_Gpu] | None = None


def _like(kind: type[_Open]) -> AfterValidator:
    """Leaves an object as it is, where it has what this kind says."""

    def check(value: dict[str, Any]) -> dict[str, Any]:
        kind.model_validate(value)
        return value

    return AfterValidator(check)


class _Clock(_Open):
    bound_ns: int


class _Node(_Open):
    node: int
    clock: _Clock | None = None
    provenance: _Provenance | None = None


class PlayedFault(BaseModel):
    """A fault of --fault, as it was played."""

    fault: str
    what: str
    """In words."""
    start_epoch_ns: int | None
    """None: the run was over before its time."""
    end_epoch_ns: int | None
    """That of the run, where it lasted until then."""
    problem: str = ""
    """Why it could not be played; empty when it could."""


class Jobs(BaseModel):
    """What was tried again and replaced, where that was allowed."""

    num_deaths: int
    """Of processes of replicas."""
    num_recycled: int
    """How many were replaced for their age."""
    num_tries: int
    """How often a request was tried again."""
    num_touched: int
    """How many requests that was."""


class ServerMeta(BaseModel):
    """The server that a run was played to, as it told."""

    url: str
    model: str
    model_version: str
    """That which answered; empty where it does not say."""
    name: str
    version: str
    extensions: list[str]


class RunMeta(BaseModel):
    """run.json."""

    model_config = ConfigDict(extra="forbid")

    schema_version: int = SCHEMA_VERSION
    argv: list[str]
    args: Annotated[dict[str, Any], _like(_Args)]
    args_line: str
    """The seed's 'Namespace(...)'."""
    config_name: str
    config: Any
    start_epoch_ns: int | None
    """None when the start barrier was never passed."""
    end_epoch_ns: int
    termination_flag: int
    termination: str
    is_success: bool
    message: str
    """Why the run failed; empty when it did not."""
    device_mode: str
    mps: str
    events: list[EventName]
    """What was noted of each request, in the order in which it happens."""
    step_names: list[str]
    replicas: list[Annotated[dict[str, Any], _like(_Replica)]]
    provenance: Annotated[dict[str, Any], _like(_Provenance)]
    notes: list[str] = []
    """What was asked for and could not be had, a line each."""
    result_kind: str | None = None
    """Where to import the ResultKind of the last step from; None: it is not told, and results are classes."""
    faults: list[PlayedFault] = []
    """What was done to it on purpose."""
    jobs: Jobs | None = None
    """None: the first death would have ended it, and no request was tried again."""
    server: ServerMeta | None = None
    """None: it was played through a pipeline."""
    start_up: list[Phase] = []
    """What its processes did until the timed part began."""
    cores_of_clients: list[int] = []
    """Which replicas left to them, where they might not take real-time priority."""
    nodes: list[Annotated[dict[str, Any], _like(_Node)]] = []
    """The machines of a run over several: node, host, address, and what is known of its clock. Of all but
    node 0 also mps and provenance, where the node has told; those of node 0 are the run's own."""
    full_queue: str | None = None
    """The queue that could take no more, when that ended the run."""
    is_simulated: bool = False
    """Whether it was only worked out (rnb/simulation)."""
    is_seed_format: bool = Field(default=False, exclude=True)
    """Whether the folder is in snuspl/rnb's format, which tells less."""

    @property
    def began_epoch_ns(self) -> int:
        """The start; of a run that never started, its end."""
        return self.start_epoch_ns or self.end_epoch_ns
