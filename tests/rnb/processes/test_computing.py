"""A worker's device: what is current while its step runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from rnb.contract.device import CPU
from rnb.processes.computing import Computing


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_no_gradients_are_kept_inside() -> None:
    computing, weight = Computing(CPU, num_threads=1), torch.ones(1, requires_grad=True)
    with computing.current():
        assert not (weight * 2).requires_grad
    assert (weight * 2).requires_grad
    computing.synchronize()


def test_torch_has_as_many_threads_as_told() -> None:
    Computing(CPU, num_threads=3)
    assert torch.get_num_threads() == 3


@pytest.mark.processes
def test_a_step_that_imports_torch_later_finds_it_set_up() -> None:
    code = (
        "import sys\n"
        "from rnb.contract.device import CPU\n"
        "from rnb.processes.computing import Computing\n"
        "with Computing(CPU, num_threads=3, needs_torch=True).current():\n"
        "    torch = sys.modules['torch']\n"
        "    print(torch.get_num_threads(), torch.is_inference_mode_enabled())\n"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert told == "3 True\n"


def test_a_step_that_does_not_use_torch_needs_none() -> None:
    code = (
        "import sys\n"
        "from rnb.contract.device import CPU\n"
        "from rnb.processes.computing import Computing\n"
        "computing = Computing(CPU, num_threads=1)\n"
        "with computing.current():\n"
        "    computing.synchronize()\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
