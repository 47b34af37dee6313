"""What a config may say about how a part of R(2+1)D runs: see models.r2p1d.execution."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictInt, model_validator

from rnb.contract import Count, Options


class ExecutionOptions(Options):
    """What a config may say about it. The defaults are exact: float32 throughout, PyTorch's own calls."""

    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    """fp32: exact; tf32: float32 whose products have 10 bits of mantissa (on the CPU: fp32); bf16; fp16."""
    channels_last: StrictBool = False
    """Lay out activations with the channels last. Pays with `compile` alone; `fuse` always does so."""
    fuse: StrictBool = False
    """Run the network as `LoweredPart`."""
    compile: StrictBool = False
    """Run it through torch.compile, compiled once for all numbers of rows (on the CPU: not)."""
    cuda_graphs: StrictBool = False
    """Capture a CUDA graph for each number of rows in the warm-up (on the CPU: not)."""
    autotune: Annotated[StrictInt, Field(ge=0)] | None = None
    """In the warm-up time this many of cuDNN's plans for each convolution, 0 = all of them, and keep the
    fastest. None takes cuDNN's own first choice, which is the same in every run."""
    row_buckets: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None
    """Pad the rows of a call up to the next of these, so that few sizes need a graph or tuning."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.fuse and self.compile:
            raise ValueError("compile: true, but fuse leaves nothing to compile; set one of them")
        return self

    def bucket(self, num_rows: int) -> int:
        """How many rows the network is run on for `num_rows`; more than the last bucket are not padded."""
        return min((size for size in self.row_buckets or () if size >= num_rows), default=num_rows)
