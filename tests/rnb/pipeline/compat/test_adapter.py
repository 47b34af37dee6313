"""Steps and selectors written for RnB 0.1 and for snuspl/rnb work as they are, under today's contract."""

from __future__ import annotations

import importlib
import itertools
import math
import pickle
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rnb.contract.device import Device
from rnb.contract.request import Batch, OutputError, Request, RequestError, TensorSpec
from rnb.contract.result import NO_CLASS, ClassAndScore, ClassResult
from rnb.contract.step import Context, Step
from rnb.pipeline.compat.time_card import TimeCard
from rnb.pipeline.config import ConfigError, parse_config
from rnb.pipeline.importer import import_class
from rnb.pipeline.plan import Plan, PlanOptions, make_plan
from rnb.pipeline.selectors import make_selector
from rnb.pipeline.step_type import StepType, resolve
from tests.support.underway import batch_of

Write = Callable[[str], str]
NUMBERS = itertools.count()

FORMER_STEP = """
import torch
from rnb.step import RequestError, Step
from rnb.time_card import TimeCard, TimeCardList, cards_of


class Double(Step):
    batches_requests = True

    def __init__(self, device, factor=2, *, batch_size=1, input_shapes=None, sample_videos=(), seed=0):
        super().__init__(device)
        self.factor, self.told = factor, (batch_size, input_shapes, list(sample_videos), seed)
        self.calls = []

    def input_shape(self):
        return None

    @staticmethod
    def output_shape(input_shapes, factor=2):
        return tuple((shape[0], shape[1] * factor) for shape in input_shapes)

    @staticmethod
    def output_dtype():
        return torch.float64

    @staticmethod
    def default_workers(device):
        return 3 if device.type == "cuda" else 1

    def __call__(self, tensors, non_tensors, time_card):
        if non_tensors == "broken":
            raise RequestError("cannot be decoded", [card.id for card in cards_of(time_card)])
        self.calls.append((non_tensors, [card.id for card in cards_of(time_card)], type(time_card)))
        return tuple(tensor.double().repeat(1, self.factor) for tensor in tensors), non_tensors, time_card

    def warm_up(self, row_counts):
        self.calls.append(list(row_counts))

    def facts(self):
        return {"factor": self.factor}

    def close(self):
        self.calls.append("closed")
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a module; returns its name. The names of before resolve once something was imported by path."""
    import_class("rnb.pipeline.batcher.Batcher")
    monkeypatch.syspath_prepend(tmp_path)

    def write(code: str) -> str:
        name = f"a_former_module_{next(NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(code))
        return name

    return write


def make(found: StepType, options: dict[str, Any] | None = None, **context: Any) -> Step:
    return found.make(options or {}, Context(**context))


def plan_of(*steps: dict[str, Any], **flags: Any) -> Plan:
    return make_plan(parse_config([{"gpus": [0], **one} for one in steps]), PlanOptions(mode="cpu", **flags))


def given(step: Step, batch: Batch) -> list[Batch]:
    """What a call gives, in messages."""
    output = step(batch)
    assert isinstance(output, list)
    return [one.checked() for one in output]


def test_a_step_of_rnb_0_1_tells_what_it_can(write: Write) -> None:
    found = resolve(f"{write(FORMER_STEP)}.Double")
    assert (found.name, found.batches_requests, found.reads_in_place) == ("Double", True, True)
    assert not any((found.writes_in_place, found.takes_turns, found.joins_segments))
    assert found.result_kind is ClassResult
    options = found.cls.Options.model_validate({"factor": 3})
    assert found.cls.output(options, (TensorSpec((4, 2)),)) == (TensorSpec((4, 6), "float64"),)
    assert found.cls.default_workers(options, Device("cuda", 0)) == 3
    assert found.cls.default_workers(options, Device()) == 1


def test_its_constructor_gets_the_options_and_what_the_run_says(write: Write) -> None:
    found = resolve(f"{write(FORMER_STEP)}.Double")
    step: Any = make(
        found, {"factor": 3, "seed": 8}, inputs=(TensorSpec((4, 2)),), batch_size=5, samples=("a.mp4",)
    )
    former = step._step
    assert former.device == torch.device("cpu")
    assert (former.factor, former.told) == (3, (5, ((4, 2),), ["a.mp4"], 8))


def test_one_request_is_a_value_and_several_are_a_list(write: Write) -> None:
    step: Any = make(resolve(f"{write(FORMER_STEP)}.Double"))
    (one,) = given(step, batch_of({4: (3,)}, torch.ones(3, 2), payloads=["v"]))
    assert (one.ids, one.payloads, one.rows) == ([4], ["v"], ((3,),))
    assert one.tensors[0].equal(torch.ones(3, 4, dtype=torch.float64))
    (both,) = given(step, batch_of({4: (3,), 5: (1,)}, torch.ones(4, 2), payloads=["v", "w"]))
    assert (both.ids, both.payloads, both.num_rows()) == ([4, 5], ["v", "w"], [3, 1])
    assert [call[:2] for call in step._step.calls] == [("v", [4]), (["v", "w"], [4, 5])]
    assert [call[2].__name__ for call in step._step.calls] == ["TimeCard", "TimeCardList"]


def test_an_answer_goes_on_in_the_messages_that_it_came_in(write: Write) -> None:
    step = make(resolve(f"{write(FORMER_STEP)}.Double"))
    batch = batch_of({4: (1,), 5: (2,), 6: (1,)}, torch.arange(8.0).view(4, 2), payloads=["u", "v", "w"])
    first, second = given(step, Batch(batch.requests, batch.tensors, batch.rows, messages=(2, 1)))
    assert (first.ids, second.ids) == ([4, 5], [6])
    assert second.tensors[0].tolist() == [[6, 7, 6, 7]]


def test_its_other_methods_are_called(write: Write) -> None:
    step: Any = make(resolve(f"{write(FORMER_STEP)}.Double"))
    step.warm_up(range(1, 3))
    assert step.facts() == {"factor": 2}
    assert step.flush() is None
    step.close()
    assert step._step.calls == [[1, 2], "closed"]


def test_its_request_error_is_todays(write: Write) -> None:
    step = make(resolve(f"{write(FORMER_STEP)}.Double"))
    with pytest.raises(RequestError, match="cannot be decoded") as caught:
        step(batch_of({4: (1,)}, torch.ones(1, 2), payloads=["broken"]))
    assert caught.value.request_ids == [4]


def test_its_options_are_checked_by_name_and_the_runs_seed_reaches_it(write: Write) -> None:
    path = f"{write(FORMER_STEP)}.Double"
    load = {"model": "tests.support.tiny_steps.Load"}
    plan = plan_of(load, {"model": path, "factor": 3}, step_options={"seed": 6})
    assert plan.replicas[1].options == {"factor": 3, "seed": 6}
    with pytest.raises(ConfigError, match=r"pipeline\[1\]\.facto: unknown key; did you mean 'factor'\?"):
        plan_of(load, {"model": path, "facto": 3})
    with pytest.raises(ConfigError, match=r"pipeline\[1\]\.batch_size: unknown key"):
        plan_of(load, {"model": path, "batch_size": 3})


def test_an_option_without_a_default_must_be_there(write: Write) -> None:
    module = write("""
        from rnb.step import Step

        class Needs(Step):
            def __init__(self, device, size, **options):
                super().__init__(device)
                self.given = size, options

            @staticmethod
            def output_shape():
                return None

            def __call__(self, tensors, non_tensors, time_card):
                return None, self.given, time_card
    """)
    path = f"{module}.Needs"
    with pytest.raises(ConfigError, match=r"pipeline\[0\]\.size: missing"):
        plan_of({"model": path})
    plan = plan_of({"model": path, "size": [1, 2], "colour": "blue"})
    assert plan.replicas[0].options == {"size": [1, 2], "colour": "blue"}
    (output,) = given(make(resolve(path), dict(plan.replicas[0].options)), batch_of({0: ()}))
    assert output.payloads == [([1, 2], {"colour": "blue"})]


def test_a_value_error_of_its_output_shape_is_told_with_its_place(write: Write) -> None:
    module = write("""
        from rnb.step import Step

        class Picky(Step):
            @staticmethod
            def output_shape(input_shapes):
                if input_shapes is None:
                    raise ValueError("Picky takes clips")

            def __call__(self, tensors, non_tensors, time_card):
                return None, None, time_card
    """)
    with pytest.raises(ConfigError, match=r"^pipeline\[0\]\.queue_groups\[0\]: Picky takes clips$"):
        plan_of({"model": f"{module}.Picky"})


def test_a_step_writes_into_the_slot_that_it_is_offered(write: Write) -> None:
    module = write("""
        import torch
        from rnb.step import Step

        class Fill(Step):
            writes_in_place = True

            @staticmethod
            def output_shape():
                return ((4, 2),)

            def __call__(self, tensors, non_tensors, time_card, out=None):
                target = torch.zeros(4, 2) if out is None else out[0]
                target[:3] = time_card.id
                return (target[:3],), non_tensors, time_card
    """)
    found = resolve(f"{module}.Fill")
    assert found.writes_in_place
    step: Any = make(found)
    slot = (torch.full((4, 2), -1.0),)
    (output,) = step(batch_of({7: ()}), out=slot)
    assert output.tensors[0].data_ptr() == slot[0].data_ptr()
    assert slot[0][:, 0].tolist() == [7, 7, 7, -1]
    assert output.rows == ((3,),)
    (output,) = step(batch_of({7: ()}))
    assert output.tensors[0].eq(7).all()


JOIN = """
    import torch
    from rnb.step import Step
    from rnb.time_card import TimeCard, TimeCardList, cards_of

    class Join(Step):
        joins_segments = True

        def __init__(self, device, aggregate=1):
            super().__init__(device)
            self.aggregate, self.waiting = aggregate, {}

        @staticmethod
        def output_shape():
            return None

        def __call__(self, tensors, non_tensors, time_card):
            cards, rows = self.waiting.setdefault(time_card.id, ([], []))
            cards.append(time_card)
            rows.append(tensors[0].clone())
            if len(cards) < self.aggregate:
                return None, None, None
            del self.waiting[time_card.id]
            return None, int(torch.cat(rows).sum()), TimeCard.merge(cards)
"""


def test_a_step_joins_segments(write: Write) -> None:
    found = resolve(f"{write(JOIN)}.Join")
    assert found.joins_segments
    assert found.cls.num_segments_joined(found.cls.Options.model_validate({"aggregate": 3})) == 3
    step = make(found, {"aggregate": 2})

    def segment(request_id: int, number: int) -> Batch:
        request = Request(request_id, "v", number, 2, {"key": 1})
        return Batch((request,), (torch.full((2, 1), float(request_id)),), ((2,),))

    assert step(segment(4, 0)) is None
    assert step(segment(5, 1)) is None
    (joined,) = given(step, segment(4, 1))
    assert joined.requests == (Request(4, 16, 0, 1, {"key": 1}),)


def test_how_many_segments_it_joins_is_checked_before_anything_starts(write: Write) -> None:
    path = f"{write(JOIN)}.Join"
    steps = [{"model": "tests.support.tiny_steps.Load", "num_segments": 3}, {"model": path, "aggregate": 2}]
    with pytest.raises(ConfigError, match=r"pipeline\[1\]\.aggregate: 2: the requests come in 3 segments"):
        plan_of(*steps)
    assert plan_of(steps[0], {"model": path, "aggregate": 3}).num_steps == 2


def test_a_step_holds_back_and_gives_out_on_flush(write: Write) -> None:
    module = write("""
        import torch
        from rnb.step import Step
        from rnb.time_card import TimeCardList

        class Pairs(Step):
            def __init__(self, device):
                super().__init__(device)
                self.held = []

            @staticmethod
            def output_shape(input_shapes):
                return tuple((2 * rows, *row) for rows, *row in input_shapes)

            def __call__(self, tensors, non_tensors, time_card):
                self.held.append((tensors[0].clone(), non_tensors, time_card))
                return self.flush() if len(self.held) == 2 else (None, None, None)

            def flush(self):
                if not self.held:
                    return None
                rows, values, cards = zip(*self.held)
                self.held = []
                return (torch.cat(rows),), list(values), TimeCardList(cards)
    """)
    step = make(resolve(f"{module}.Pairs"))
    assert step.flush() is None
    assert step(batch_of({0: (2,)}, torch.zeros(2, 1), payloads=["a"])) is None
    (pair,) = given(step, batch_of({1: (1,)}, torch.ones(1, 1), payloads=["b"]))
    assert (pair.ids, pair.payloads, pair.num_rows()) == ([0, 1], ["a", "b"], [2, 1])
    assert step(batch_of({2: (3,)}, torch.ones(3, 1), payloads=["c"])) is None
    flushed = step.flush()
    assert isinstance(flushed, list)
    assert (flushed[0].ids, flushed[0].num_rows()) == ([2], [3])
    assert flushed[0].payloads == ["c"]


RETURNS = """
    from rnb.step import Step

    class Returns(Step):
        batches_requests = True

        def __init__(self, device, what=None):
            super().__init__(device)
            self.what = what

        @staticmethod
        def output_shape():
            return ((15, 2),)

        def __call__(self, tensors, non_tensors, time_card):
            rows, values = self.what
            return None if rows is None else (rows,), values, time_card
"""


def returned(write: Write, rows: torch.Tensor | None, values: Any, *num_rows: int) -> tuple[Step, Batch]:
    """The step, and what it gave when it returned this for requests that brought so many rows."""
    step = make(resolve(f"{write(RETURNS)}.Returns"), {"what": (rows, values)})
    inputs = {number: (count,) for number, count in enumerate(num_rows)}
    (output,) = given(step, batch_of(inputs, torch.zeros(sum(num_rows), 1)))
    return step, output


@pytest.mark.parametrize(
    ("num_rows", "brought", "expected"),
    [
        (11, (3,), [11]),
        (13, (11, 1, 1), [11, 1, 1]),
        (2, (11, 4), [1, 1]),
        (0, (3,), [0]),
    ],
)
def test_rows_belong_to_those_who_brought_them_or_are_one_each(
    write: Write, num_rows: int, brought: tuple[int, ...], expected: list[int]
) -> None:
    _, output = returned(write, torch.zeros(num_rows, 2), None, *brought)
    assert output.num_rows() == expected


def test_a_row_each_for_requests_without_rows(write: Write) -> None:
    step = make(resolve(f"{write(RETURNS)}.Returns"), {"what": (torch.zeros(2, 2), None)})
    (output,) = given(step, batch_of({0: (), 1: ()}))
    assert output.num_rows() == [1, 1]


def test_rows_that_belong_to_nobody_are_refused(write: Write) -> None:
    with pytest.raises(OutputError, match=r"returned 5 rows for 2 requests that brought \[11, 4\]"):
        returned(write, torch.zeros(5, 2), None, 11, 4)


def test_values_are_a_list_for_several_requests_or_one_for_all(write: Write) -> None:
    assert returned(write, None, ["a", "b"], 1, 1)[1].payloads == ["a", "b"]
    assert returned(write, None, "a", 1, 1)[1].payloads == ["a", "a"]
    assert returned(write, None, ["a", "b"], 1)[1].payloads == [["a", "b"]]
    with pytest.raises(OutputError, match="3 values for 2 requests"):
        returned(write, None, [1, 2, 3], 1, 1)


@pytest.mark.parametrize("value", [3, (3, 0.5), torch.tensor([3]).numpy()[0]])
def test_the_value_of_the_last_step_comes_before_its_rows(write: Write, value: Any) -> None:
    step, output = returned(write, torch.zeros(1, 5), value, 1)
    ((label, score),) = step.results(output)
    assert label == 3
    assert score == 0.5 if isinstance(value, tuple) else math.isnan(score)


def test_the_results_of_rows_of_logits(write: Write) -> None:
    rows = torch.tensor([[0.0, 1.0], [5.0, 0.0], [7.0, 0.0]])
    step, output = returned(write, rows, [None, "a note", 4], 1, 1, 1)
    results = step.results(output)
    assert [label for label, _ in results] == [1, 0, 4]
    assert isinstance(results[0], ClassAndScore)


@pytest.mark.parametrize("value", ["cat", ("cat", "dog"), (3, "dog"), (1, 2, 3), {"label": 3}])
def test_a_value_that_is_no_class(write: Write, value: Any) -> None:
    step, output = returned(write, None, value, 1)
    assert step.results(output) == [NO_CLASS]


@pytest.mark.parametrize("rows", [None, torch.zeros(0, 5), torch.zeros(1, 3, 8)])
def test_what_has_no_class(write: Write, rows: torch.Tensor | None) -> None:
    step, output = returned(write, rows, None, 1)
    assert step.results(output) == [NO_CLASS]


UPSTREAM_STEP = """
from runner_model import RunnerModel
from rnb_logging import TimeCard, TimeCardList


class Loader(RunnerModel):
    def __init__(self, device, num_clips=3, **kwargs):
        super(Loader, self).__init__(device)
        self.num_clips, self.kwargs = num_clips, kwargs

    def input_shape(self):
        return None

    @staticmethod
    def output_shape():
        return ((15, 2),)

    def __call__(self, tensors, non_tensors, time_card):
        import torch

        time_card.num_clips = self.num_clips
        time_card.record("loaded")
        return (torch.full((self.num_clips, 2), float(time_card.id)),), None, time_card


class Pairs(RunnerModel):
    def __init__(self, device):
        super(Pairs, self).__init__(device)
        self.tensors, self.cards = [], []

    def input_shape(self):
        return ((15, 2),)

    @staticmethod
    def output_shape():
        return ((30, 2),)

    def __call__(self, tensors, non_tensors, time_card):
        import torch

        self.tensors.append(tensors[0])
        self.cards.append(time_card)
        if len(self.cards) < 2:
            return None, None, None
        tensors, self.tensors = self.tensors, []
        cards, self.cards = self.cards, []
        return (torch.cat(tensors),), None, TimeCardList(cards)


class Aggregator(RunnerModel):
    joins_segments = True

    def __init__(self, device, aggregate, **kwargs):
        super(Aggregator, self).__init__(device)
        self.aggregate, self.cards = aggregate, {}

    def input_shape(self):
        return ((15, 2),)

    @staticmethod
    def output_shape():
        return None

    def __call__(self, tensors, non_tensors, time_card):
        cards = self.cards.setdefault(time_card.id, [])
        cards.append(time_card)
        if len(cards) < self.aggregate:
            return None, None, None
        return None, len(cards), TimeCard.merge(self.cards.pop(time_card.id))
"""


def test_a_loader_for_upstream(write: Write) -> None:
    found = resolve(f"{write(UPSTREAM_STEP)}.Loader")
    assert not found.reads_in_place
    step: Any = make(found, {"num_clips": 2, "colour": "blue"})
    assert step._step.kwargs == {"colour": "blue"}
    (output,) = given(step, batch_of({7: ()}, payloads=["a.mp4"]))
    assert (output.ids, output.rows, output.payloads) == ([7], ((2,),), [None])
    assert output.tensors[0].eq(7).all()
    assert found.cls.output(step.options, ()) == (TensorSpec((15, 2)),)


def test_a_batcher_for_upstream(write: Write) -> None:
    step = make(resolve(f"{write(UPSTREAM_STEP)}.Pairs"))
    assert step(batch_of({7: (2,)}, torch.zeros(2, 2))) is None
    (pair,) = given(step, batch_of({9: (1,)}, torch.ones(1, 2)))
    assert (pair.ids, pair.num_rows()) == ([7, 9], [2, 1])


def test_an_aggregator_for_upstream(write: Write) -> None:
    step = make(resolve(f"{write(UPSTREAM_STEP)}.Aggregator"), {"aggregate": 2})
    segments = [
        Batch((Request(3, segment=number, num_segments=2),), (torch.zeros(1, 2),), ((1,),))
        for number in (0, 1)
    ]
    assert step(segments[1]) is None
    (joined,) = given(step, segments[0])
    assert joined.requests == (Request(3, 2),)
    assert [one.label for one in step.results(joined)] == [2]


def test_steps_for_upstream_make_a_pipeline(write: Write) -> None:
    module = write(UPSTREAM_STEP)
    plan = plan_of(
        {"model": f"{module}.Loader", "num_segments": 2},
        {"model": f"{module}.Aggregator", "aggregate": 2},
    )
    assert plan.pools[0].layout == (TensorSpec((8, 2)),)
    assert plan.step_names == ("Loader", "Aggregator")


def test_a_selector_for_upstream_sees_the_clips_of_the_card(write: Write) -> None:
    module = write("""
        from selector import QueueSelector

        class LargeSmallSelector(QueueSelector):
            def __init__(self, num_queues):
                super(LargeSmallSelector, self).__init__(num_queues)

            def select(self, tensors, non_tensors, time_card):
                return 1 if time_card.num_clips > 1 else 0
    """)
    select = make_selector(f"{module}.LargeSmallSelector", 2, ())
    assert [select(batch_of({0: (count,)}, torch.zeros(count, 2))) for count in (1, 2, 11)] == [0, 1, 1]
    assert select(batch_of({0: ()})) == 0
    assert select(batch_of({0: ()}).give(sizes=[11])) == 1


def test_a_selector_of_rnb_0_1_gets_three_values(write: Write) -> None:
    module = write("""
        from rnb.selectors import Selector

        class BySum(Selector):
            def __init__(self, num_queues, queues):
                super().__init__(num_queues)
                self.queues = queues

            def select(self, tensors, non_tensors, time_card):
                if isinstance(non_tensors, list):
                    return len(list(time_card)) + len(self.queues)
                return int(non_tensors) + (0 if tensors is None else len(tensors[0])) + time_card.id
    """)
    select = make_selector(f"{module}.BySum", 4, ["a queue"] * 4)  # type: ignore[list-item]
    assert select(batch_of({1: (1,)}, torch.zeros(1, 2), payloads=[1])) == 3
    assert select(batch_of({1: ()}, payloads=[2])) == 3
    assert select(batch_of({1: (), 2: ()}, payloads=[2, 3])) == 2 + 4


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def __call__(self, tensors, non_tensors, time_card): ...", "is not a step: it has no output_shape"),
        ("pass", "is not a step: it has no output_shape"),
    ],
)
def test_a_class_that_is_no_step_of_any_kind(write: Write, body: str, message: str) -> None:
    module = write(f"class Thing:\n    {body}\n")
    with pytest.raises(ValueError, match=message):
        resolve(f"{module}.Thing")


CLONE = """
    class TimeCard:
        def __init__(self, id):
            self.timings, self.id, self.gpus = {}, id, []
            self.sub_id = self.num_parent_timings = None

        @staticmethod
        def merge(time_cards):
            first = time_cards[0]
            assert all(card.timings.keys() == first.timings.keys() for card in time_cards)
            assert all(card.num_parent_timings == first.num_parent_timings for card in time_cards)
            assert [card.sub_id for card in sorted(time_cards, key=lambda card: card.sub_id)] == [0, 1]
            return TimeCard(first.id)


    class TimeCardList:
        def __init__(self, time_cards):
            self.time_cards = time_cards


    class Joiner:
        def __init__(self, device, aggregate=1):
            self.aggregate, self.cards = aggregate, []

        @staticmethod
        def output_shape():
            return None

        def __call__(self, tensors, non_tensors, time_card):
            self.cards.append(time_card)
            if len(self.cards) < self.aggregate:
                return None, None, None
            return None, 7, TimeCard.merge(self.cards)


    class Packer:
        def __init__(self, device):
            self.cards = []

        @staticmethod
        def output_shape():
            return None

        def __call__(self, tensors, non_tensors, time_card):
            self.cards.append(time_card)
            return (None, None, None) if len(self.cards) < 2 else (None, None, TimeCardList(self.cards))


    class Forger(Packer):
        def __call__(self, tensors, non_tensors, time_card):
            return None, None, TimeCard(12)
"""
"""The time cards of a clone of snuspl/rnb, which are found before RnB's where a run is started in one."""


def test_an_aggregator_need_not_say_that_it_joins_segments(write: Write) -> None:
    module = write(CLONE)
    assert resolve(f"{module}.Joiner").joins_segments
    assert not resolve(f"{module}.Packer").joins_segments


def test_the_time_cards_of_a_clone_of_upstream_will_do(write: Write) -> None:
    module = write(CLONE)
    joiner: Any = make(resolve(f"{module}.Joiner"), {"aggregate": 2})
    segments = [Batch((Request(3, segment=number, num_segments=2),)) for number in (1, 0)]
    assert joiner(segments[0]) is None
    (joined,) = given(joiner, segments[1])
    assert joined.requests == (Request(3, 7),)
    packer = make(resolve(f"{module}.Packer"))
    assert packer(batch_of({7: ()})) is None
    (pair,) = given(packer, batch_of({9: ()}))
    assert pair.ids == [7, 9]


def test_a_time_card_of_no_request_is_refused(write: Write) -> None:
    step = make(resolve(f"{write(CLONE)}.Forger"))
    with pytest.raises(OutputError, match="is no time card that the step was given"):
        step(batch_of({7: ()}))


def test_what_a_step_notes_on_a_card_reaches_later_steps_and_selectors(write: Write) -> None:
    module = write("""
        from runner_model import RunnerModel
        from selector import QueueSelector

        class Notes(RunnerModel):
            @staticmethod
            def output_shape():
                return None

            def __call__(self, tensors, non_tensors, time_card):
                time_card.num_clips = getattr(time_card, "num_clips", 0) + 1
                return None, None, time_card

        class ByNote(QueueSelector):
            def select(self, tensors, non_tensors, time_card):
                return time_card.num_clips
    """)
    step = make(resolve(f"{module}.Notes"))
    (once,) = given(step, batch_of({0: ()}))
    (twice,) = given(step, pickle.loads(pickle.dumps(once)))
    select = make_selector(f"{module}.ByNote", 3, ())
    assert [select(once), select(twice)] == [1, 2]


def test_the_number_of_a_card_travels_as_a_number(write: Write) -> None:
    card = TimeCard(Request(7))
    assert type(pickle.loads(pickle.dumps(card.id))) is int


def test_what_else_upstreams_code_imports_is_found() -> None:
    import_class("rnb.pipeline.batcher.Batcher")
    control = importlib.import_module("control")
    assert [control.TerminationFlag(number).name for number in (-1, 0, 1, 2)] == [
        "UNSET", "TARGET_NUM_VIDEOS_REACHED", "FILENAME_QUEUE_FULL", "FRAME_QUEUE_FULL",
    ]  # fmt: skip
    load_class = importlib.import_module("utils.class_utils").load_class
    assert load_class("runner_model.RunnerModel").__name__ == "RunnerModel"
