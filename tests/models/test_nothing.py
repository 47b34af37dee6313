"""Steps that do nothing: they hand on, and load no torch where they need none."""

from __future__ import annotations

import subprocess
import sys

import torch

from models.nothing.model import Consume, Nothing, Produce
from rnb.contract import Batch, Context, Request, TensorSpec
from tests.support.running import ROOT

ONE = Batch((Request(3, "a.mp4"),))


def test_nothing_hands_a_request_on() -> None:
    output = Nothing(Nothing.Options(), Context())(ONE)
    assert (output.ids, output.payloads, output.tensors) == ([3], [0], ())


def test_produce_hands_a_slot_on_without_writing_to_it() -> None:
    options = Produce.Options(shape=(4, 2))
    assert Produce.output(options, ()) == (TensorSpec((4, 2)),)
    step = Produce(options, Context())
    slot = torch.full((4, 2), 7.0)
    output = step(ONE, out=(slot,))
    assert output.tensors[0].data_ptr() == slot.data_ptr()
    assert slot.eq(7).all()
    assert output.num_rows() == [4]
    assert step(ONE).tensors[0].shape == (4, 2), "where no slot is free it has one of its own"


def test_by_default_it_is_as_large_as_15_clips() -> None:
    assert Produce.output(Produce.Options(), ()) == (TensorSpec((15, 3, 8, 112, 112)),)


def test_consume_takes_a_slot() -> None:
    batch = Batch((Request(3),), (torch.zeros(4, 2),), rows=((4,),))
    assert Consume(Consume.Options(), Context())(batch).payloads == [0]


def test_nothing_needs_no_torch() -> None:
    script = "import sys, models.nothing.model; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0
