"""What a step may be told in a config: a typed model per step, composed of smaller ones by inheritance."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictInt

Count = Annotated[StrictInt, Field(ge=1)]


class Options(BaseModel):
    """The options of a step. A subclass lists them as fields, with types, ranges and defaults.

    Two names are the run's where the config leaves them out: `seed` is --seed, `checkpoint` is --checkpoint.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())
