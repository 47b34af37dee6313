"""What RnB finds out of a step's class before anything runs, and every way in which that can be wrong."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import pytest
from pydantic import BaseModel, ConfigDict, field_validator

from rnb.contract import Batch, ClassResult, Context, Count, Device, JsonResult, Layout, Step, TensorSpec
from rnb.contract import Options as AnyOptions
from rnb.pipeline.config import ConfigError, PipelineConfig, parse_config
from rnb.pipeline.plan import PlanOptions, make_plan
from rnb.pipeline.step_type import StepType, asking_once, resolve


class Resize(BaseModel):
    model_config = ConfigDict(extra="forbid")

    width: Count
    filter: Literal["nearest", "area"] = "area"


class Crop(Step):
    """Has options of every kind, and two tensors."""

    class Options(AnyOptions):
        resize: Resize
        boxes: list[Resize] = []  # noqa: RUF012 - pydantic copies it
        most: Count = 4
        seed: int = 0

        @field_validator("most")
        @classmethod
        def check_even(cls, value: int) -> int:
            if value % 2:
                raise ValueError(f"{value}: must be even")
            return value

    batches_requests = True
    result_kind = ClassResult

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        return (TensorSpec((options.most, options.resize.width)), TensorSpec((1, 4), "int32"))

    @classmethod
    def default_workers(cls, options: Any, device: Device) -> int:
        return int(options.most) if device.is_gpu else 1

    def __call__(self, batch: Batch) -> Batch:
        return batch.give(payloads=[self.options.resize.width] * len(batch))


class Announces(Step):
    """Announces what the config says."""

    class Options(AnyOptions):
        model_config = ConfigDict(arbitrary_types_allowed=True)

        layout: Any = ()

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        if options.layout == "needs input":
            raise ValueError("Announces takes clips of frames, so a loader must come before")
        if options.layout == "fails":
            raise KeyError("frames\nand more")
        layout: Layout = options.layout
        return layout

    def __call__(self, batch: Batch) -> Batch:
        return batch


class NoCall(Step):
    """A step without what makes it one."""


def config_of(name: str, group: dict[str, Any] | None = None, **options: Any) -> PipelineConfig:
    groups = [{"gpus": [0]}, {"gpus": [0], **(group or {})}]
    return parse_config({"pipeline": [{"model": f"{__name__}.{name}", "queue_groups": groups, **options}]})


def plan(config: PipelineConfig, **step_options: Any) -> list[dict[str, Any]]:
    """The options of each replica."""
    flags = PlanOptions(mode="cpu", step_options=step_options)
    return [dict(replica.options) for replica in make_plan(config, flags).replicas]


def test_a_class_is_resolved_once_and_tells_what_it_can() -> None:
    found = resolve(f"{__name__}.Crop")
    assert found is resolve(f"{__name__}.Crop")
    assert (found.name, found.cls, found.result_kind) == ("Crop", Crop, ClassResult)
    assert found.batches_requests
    assert found.reads_in_place
    assert not any((found.writes_in_place, found.takes_turns, found.joins_segments, found.regroups))
    assert resolve(f"{__name__}.Announces").result_kind is JsonResult


def test_a_step_is_made_from_plain_options() -> None:
    (options, _) = plan(config_of("Crop", resize={"width": 3}))
    step = resolve(f"{__name__}.Crop").make(options, Context(batch_size=5))
    assert isinstance(step, Crop)
    assert (step.options.resize.width, step.options.resize.filter) == (3, "area")
    assert step.context.batch_size == 5


def test_a_group_may_have_options_of_its_own() -> None:
    first, second = plan(config_of("Crop", {"most": 2}, resize={"width": 3}, most=8))
    assert (first["most"], second["most"]) == (8, 2)


def test_an_option_of_the_run_comes_after_those_of_the_config() -> None:
    config = config_of("Crop", {"seed": 3}, resize={"width": 3})
    assert [options["seed"] for options in plan(config, seed=7, most=2)] == [7, 3]
    assert [options["most"] for options in plan(config, seed=7, most=2)] == [4, 4]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "pipeline[0].resize: missing"),
        ({"resize": {}}, "pipeline[0].resize.width: missing"),
        (
            {"resize": {"width": 0}},
            "pipeline[0].resize.width: 0: input should be greater than or equal to 1",
        ),
        ({"resize": {"width": "3"}}, 'pipeline[0].resize.width: "3": input should be a valid integer'),
        (
            {"resize": {"width": 3, "filter": "cubic"}},
            "pipeline[0].resize.filter: \"cubic\": input should be 'nearest' or 'area'",
        ),
        (
            {"resize": {"width": 3}, "boxes": [{"width": 2}, {"width": -1}]},
            "pipeline[0].boxes[1].width: -1: input should be greater than or equal to 1",
        ),
        ({"resize": {"width": 3}, "most": 3}, "pipeline[0].most: 3: must be even"),
        ({"resize": {"width": 3}, "most": True}, "pipeline[0].most: true: input should be a valid integer"),
        (
            {"resize": {"width": 3}, "group": {"most": 5}},
            "pipeline[0].queue_groups[1].most: 5: must be even",
        ),
        (
            {"resize": {"width": 3}, "group": {"resize": {"width": 0}}},
            "pipeline[0].queue_groups[1].resize.width: 0: input should be greater than or equal to 1",
        ),
    ],
)
def test_a_bad_value_is_one_line_with_its_place(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(config_of("Crop", **options))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("options", "start"),
    [
        ({"mots": 4}, "pipeline[0].mots: unknown key; did you mean 'most'? It may be: boxes, "),
        ({"group": {"mots": 4}}, "pipeline[0].queue_groups[1].mots: unknown key; did you mean 'most'?"),
    ],
)
def test_an_unknown_key_says_what_it_may_be(options: dict[str, Any], start: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(config_of("Crop", resize={"width": 3}, **options))
    assert str(caught.value).startswith(start)
    assert "\n" not in str(caught.value)
    assert "num_segments" in str(caught.value)


def test_an_unknown_key_of_a_nested_model_is_not_told_the_keys_of_the_step() -> None:
    with pytest.raises(ConfigError) as caught:
        plan(config_of("Crop", resize={"width": 3, "widht": 3}))
    assert str(caught.value) == "pipeline[0].resize.widht: unknown key"


def test_workers_are_the_groups_then_the_steps_then_what_the_class_suggests() -> None:
    found = resolve(f"{__name__}.Crop")
    options = Crop.Options(resize=Resize(width=1), most=6)

    def num_workers(group: dict[str, Any], device: Device, **step: Any) -> int:
        config = config_of("Crop", group, resize={"width": 1}, **step).pipeline[0]
        return found.num_workers(config, config.queue_groups[1], options, device)

    gpu = Device("cuda", 0)
    assert (num_workers({}, gpu), num_workers({}, Device())) == (6, 1)
    assert num_workers({}, gpu, workers=3) == 3
    assert num_workers({"workers": 2}, gpu, workers=3) == 2


def output_of(layout: Any) -> Layout:
    found: StepType = resolve(f"{__name__}.Announces")
    return found.output(0, 1, Announces.Options(layout=layout), ())


def test_what_a_step_announces_is_taken_as_it_is() -> None:
    layout = (TensorSpec((2, 3)), TensorSpec((4,), "bool"))
    assert output_of(layout) == output_of(list(layout)) == layout
    assert output_of(()) == ()


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("needs input", "pipeline[0].queue_groups[1]: Announces takes clips of frames, so a loader"),
        ("fails", "pipeline[0].model: Announces.output failed: KeyError: 'frames\\nand more'"),
        ((TensorSpec((2,), "float31"),), "pipeline[0].model: dtype 'float31': must be one of float64, "),
        ((TensorSpec(()),), "pipeline[0].model: Announces.output gave TensorSpec(shape=(), "),
        ((TensorSpec((0, 3)),), "pipeline[0].model: Announces.output gave TensorSpec(shape=(0, 3), "),
        (((2, 3),), "pipeline[0].model: Announces.output gave (2, 3): must be TensorSpecs whose sizes are"),
        (TensorSpec((2, 3)), "pipeline[0].model: Announces.output gave (2, 3): must be TensorSpecs"),
        (None, "pipeline[0].model: Announces.output gave None"),
    ],
)  # fmt: skip
def test_an_output_that_cannot_be(layout: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        output_of(layout)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (f"{__name__}.NoCall", "is not a step: it has no __call__"),
        ("rnb.load.videos.VideoPathIterator", "is not a step: it has no output_shape"),
        (f"{__name__}.Resize", "is not a step: it has no output_shape"),
        (f"{__name__}.config_of", "is not a class"),
        ("nowhere.Step", "no module named 'nowhere'"),
    ],
)
def test_a_path_that_leads_to_no_step(path: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolve(path)


class Counted(Step):
    """Counts how often it was asked."""

    num_asked: ClassVar[int] = 0

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        cls.num_asked += 1
        return (TensorSpec((cls.num_asked,)),)

    def __call__(self, batch: Batch) -> Batch:
        return batch


def test_a_step_is_asked_once_for_the_same_only_where_that_is_said() -> None:
    step_type, options = StepType(path="Counted", cls=Counted), Counted.Options()
    other = (TensorSpec((7,)),)

    def rows(inputs: Layout = ()) -> int:
        (spec,) = step_type.output(0, 0, options, inputs)
        return spec.most_rows

    assert [rows(), rows()] == [1, 2]
    with asking_once():
        assert [rows(), rows(), rows(other), rows(), rows(other)] == [3, 3, 4, 3, 4]
    assert rows() == 5
