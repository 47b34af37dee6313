"""What is supposed to be otherwise: --what-if gpus=1..1000 cores_per_gpu=16 decode_speed=2."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rnb.contract.termination import UsageError
from rnb.pipeline.step_type import resolve
from rnb.planner.scaling import gpus_of, on_gpus
from rnb.planner.system import System
from rnb.planner.video_size import pixels_named, with_videos

MOST_GPUS, MOST_CORES, MOST_CLIENTS, MOST_POINTS = 4_096, 1_000_000, 1_000, 100
KEYS = {
    "gpus": "N",
    "cores": "N",
    "cores_per_gpu": "N",
    "clients": "N",
    "decode_speed": "FACTOR",
    "step<i>": "FACTOR",
    "videos": "1080p",
    "codec": "hevc",
    "rates": "R,R",
}
"""With what they take, in which N may be a list such as 1,2,4 or a range: 1..1000, 10..100:10."""
MOST = {"gpus": MOST_GPUS, "cores": MOST_CORES, "cores_per_gpu": MOST_CORES, "clients": MOST_CLIENTS}
"""Of those that are whole numbers."""
_RANGE = re.compile(r"(?P<low>[^.,:]+)\.\.(?P<high>[^.,:]+)(:(?P<step>[^.,:]+))?")
_STEP = re.compile(r"step(\d+)")


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """At most one of the settings has several values: the curve is over them."""

    settings: Mapping[str, Sequence[float]]
    videos: str | None = None
    codec: str | None = None
    rates: Sequence[float] = ()
    """Requests/s for which the GPUs are looked for."""

    @property
    def varied(self) -> str | None:
        """Over what the curve is; None: there is one point."""
        return next((key for key, values in self.settings.items() if len(values) > 1), None)

    def points(self) -> list[dict[str, float]]:
        """Each as one value for each setting."""
        fixed = {key: values[0] for key, values in self.settings.items()}
        if self.varied is None:
            return [fixed]
        return [{**fixed, self.varied: value} for value in self.settings[self.varied]]


def parse_what_if(texts: Sequence[str]) -> WhatIf:
    """Raises UsageError."""
    found: dict[str, str] = {}
    for text in texts:
        key, is_there, value = text.partition("=")
        if not is_there or not (key in KEYS or _STEP.fullmatch(key)):
            known = ", ".join(f"{name}={value}" for name, value in KEYS.items())
            raise UsageError(f"--what-if {text}: must be one of {known}")
        if key in found:
            raise UsageError(f"--what-if {text}: {key} is there twice")
        found[key] = value
    if "cores" in found and "cores_per_gpu" in found:
        raise UsageError("--what-if cores, cores_per_gpu: say one of them")
    videos, codec = found.pop("videos", None), found.pop("codec", None)
    if videos is not None:
        pixels_named(videos)
    if codec == "":
        raise UsageError("--what-if codec=: it needs a name, such as h264 or hevc")
    rates = _values("rates", found.pop("rates", "")) if "rates" in found else ()
    what_if = WhatIf(
        settings={key: _values(key, value) for key, value in found.items()},
        videos=videos,
        codec=codec,
        rates=rates,
    )
    several = [key for key, values in what_if.settings.items() if len(values) > 1]
    if len(several) > 1:
        raise UsageError(f"--what-if {', '.join(several)}: only one may have several values")
    if rates and what_if.varied != "gpus":
        raise UsageError(
            "--what-if rates: the GPUs that they need are looked for in a range, as gpus=1..1000"
        )
    return what_if


def _values(key: str, text: str) -> list[float]:
    if match := _RANGE.fullmatch(text):
        values = _range(key, text, match)
    else:
        values = [_number(key, text, part) for part in text.split(",")]
    if len(values) > MOST_POINTS:
        raise UsageError(f"--what-if {key}={text}: {len(values)} points, of at most {MOST_POINTS}")
    return sorted(set(values))


def _range(key: str, text: str, match: re.Match[str]) -> list[float]:
    """Doubling, or in steps, and always the end."""
    low, high = _number(key, text, match["low"]), _number(key, text, match["high"])
    if low > high:
        raise UsageError(f"--what-if {key}={text}: the range runs backwards")
    if match["step"] is None:
        num_doublings = int(math.log2(high / low) + 1e-9)
        return [*(low * 2**power for power in range(num_doublings + 1)), high]
    step = _number(key, text, match["step"])
    num_steps = int((high - low) / step + 1e-9)
    if num_steps > MOST_POINTS:
        raise UsageError(f"--what-if {key}={text}: {num_steps + 1} points, of at most {MOST_POINTS}")
    return [*(low + step * number for number in range(num_steps + 1)), high]


def _number(key: str, text: str, part: str) -> float:
    try:
        value = float(part)
    except ValueError:
        value = math.nan
    is_whole, most = key in MOST, MOST.get(key, math.inf)
    if not 0 < value < math.inf or value > most or (is_whole and not value.is_integer()):
        kind = f"a whole number from 1 to {most:,}" if is_whole else "a number above 0"
        raise UsageError(f"--what-if {key}={text}: {part or 'nothing'} is not {kind}")
    return value


def supposed(system: System, point: Mapping[str, float]) -> System:
    """The system at one point, apart from the videos. Raises UsageError where that cannot be told."""
    spec, simulator = system.spec, system.simulator
    if "clients" in point:
        spec = spec.with_load(clients=int(point["clients"]))
    num_gpus, cores = len(gpus_of(spec)), simulator.cores
    if "gpus" in point:
        spec = on_gpus(spec, int(point["gpus"]))
        cores *= point["gpus"] / num_gpus
        num_gpus = int(point["gpus"])
    if "cores_per_gpu" in point:
        if not num_gpus:
            raise UsageError(f"--what-if cores_per_gpu: {spec.config.path} has no replica on a GPU")
        cores = num_gpus * point["cores_per_gpu"]
    simulator = replace(
        simulator, cores=point.get("cores", cores), speed={**simulator.speed, **_speeds(system, point)}
    )
    return System(spec=spec, simulator=simulator)


def with_other_videos(system: System, what_if: WhatIf) -> System:
    """The system with the videos that are supposed, if any are. Raises UsageError."""
    named = {"videos": what_if.videos, "codec": what_if.codec}
    what = " ".join(f"{key}={value}" for key, value in named.items() if value is not None)
    if not what:
        return system
    return with_videos(system, decoding_steps(system, what), what_if.videos, what_if.codec)


def _speeds(system: System, point: Mapping[str, float]) -> dict[int, float]:
    speeds: dict[int, float] = {}
    for key, factor in point.items():
        if match := _STEP.fullmatch(key):
            step = int(match[1])
            if step >= system.plan.num_steps:
                last = system.plan.num_steps - 1
                raise UsageError(f"--what-if {key}: the pipeline has steps 0 to {last}")
            speeds[step] = speeds.get(step, 1.0) * factor
    if "decode_speed" in point:
        for step in decoding_steps(system, "decode_speed"):
            speeds[step] = speeds.get(step, 1.0) * point["decode_speed"]
    return speeds


def decoding_steps(system: System, what: str) -> list[int]:
    """The steps that decode, and do little else. Raises UsageError where there is none."""
    steps = system.spec.config.pipeline().pipeline
    found = [index for index, step in enumerate(steps) if resolve(step.model).decodes]
    if not found:
        names = ", ".join(system.plan.step_names)
        raise UsageError(f"--what-if {what}: no step of this pipeline is known to decode only ({names})")
    return found
