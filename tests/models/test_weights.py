import subprocess
import sys
import time

import pytest
import torch

from models.r2p1d.weights import build_part


def test_each_part_has_the_weights_that_it_has_in_the_whole() -> None:
    whole = build_part(seed=3).state_dict()
    for index in range(1, 6):
        part = build_part(index, index, seed=3).state_dict()
        assert all(torch.equal(tensor, whole[key]) for key, tensor in part.items())


def test_seeds_and_parameters_differ() -> None:
    one, other = (build_part(2, 2, seed=seed).state_dict() for seed in (0, 1))
    key = "res2plus1d.conv2.{}.conv1.spatial_conv.weight"
    assert not torch.equal(one[key.format("block1")], other[key.format("block1")])
    assert not torch.equal(one[key.format("block1")], one[key.format("blocks.0")])


@pytest.mark.processes
def test_another_process_draws_the_same_weights() -> None:
    code = (
        "from models.r2p1d.weights import build_part\n"
        "weights = build_part(1, 1, seed=9).state_dict().values()\n"
        "print(sum(tensor.double().abs().sum().item() for tensor in weights).hex())"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    here = sum(
        tensor.double().abs().sum().item() for tensor in build_part(1, 1, seed=9).state_dict().values()
    )
    assert printed.strip() == float(here).hex()


def test_parts_are_ready_for_inference() -> None:
    part = build_part(1, 2)
    assert not any(module.training for module in part.modules())
    assert not any(parameter.requires_grad for parameter in part.parameters())
    assert {tensor.device.type for tensor in part.state_dict().values()} == {"cpu"}


def test_activations_neither_vanish_nor_explode() -> None:
    x = torch.rand(1, 3, 4, 56, 56, generator=torch.Generator().manual_seed(0))
    x = (x - x.mean()) / x.std()
    for index in range(1, 6):
        x = build_part(index, index)(x)
        assert 0.3 < x.std() < 20, f"after part {index}"


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_different_clips_get_different_classes(seed: int) -> None:
    generator = torch.Generator().manual_seed(0)
    ramp = torch.linspace(0, 255, 64)
    clips = torch.stack(
        [
            torch.rand(3, 4, 64, 64, generator=generator) * 255,
            ramp.expand(3, 4, 64, 64),
            ((ramp[:, None] // 32 + ramp // 32) % 2 * 255).expand(3, 4, 64, 64),
            torch.cat([ramp.expand(1, 4, 64, 64), ramp.flip(0)[:, None].expand(2, 4, 64, 64)]),
        ]
    )
    assert len(set(build_part(seed=seed)(clips).argmax(dim=1).tolist())) >= 3


def test_building_the_whole_network_takes_under_a_second_of_cpu_time() -> None:
    start_s = time.process_time()
    build_part()
    assert time.process_time() - start_s < 1
