"""snuspl/rnb's `runner_model` module."""

from rnb.pipeline.compat.former_step import Step


class RunnerModel(Step):
    """A step written for snuspl/rnb. It may keep its input, so each call gets tensors of its own."""

    reads_in_place = False
