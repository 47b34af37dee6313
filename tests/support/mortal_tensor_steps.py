"""Steps of pipelines with tensors that are killed at some requests, once each, and note what they serve."""

from __future__ import annotations

from typing import Any

from rnb.contract import Batch
from tests.support import tiny_steps
from tests.support.mortal_steps import Mortal, MortalOptions


class Load(Mortal, tiny_steps.LoadInPlace):
    class Options(MortalOptions, tiny_steps.Load.Options):
        pass

    def __call__(self, batch: Batch, out: Any = None) -> Batch:
        self.note(batch)
        return super().__call__(batch, out)


class Pass(Mortal, tiny_steps.Pass):
    class Options(MortalOptions, tiny_steps.Pass.Options):
        pass

    def __call__(self, batch: Batch) -> Batch:
        self.note(batch)
        return super().__call__(batch)


class Classify(Mortal, tiny_steps.Classify):
    class Options(MortalOptions, tiny_steps.Classify.Options):
        pass

    def __call__(self, batch: Batch) -> Batch:
        self.note(batch)
        return super().__call__(batch)
