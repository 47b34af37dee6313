import itertools
from typing import Any

import pytest
import torch

from models.r2p1d.module import SpatioTemporalConv, num_mid_channels
from models.r2p1d.network import RES2PLUS1D, TORCHVISION, R2P1DPart, Variant
from models.r2p1d.parts import input_shape, output_shape
from models.r2p1d.weights import build_part

VARIANTS = pytest.mark.parametrize("variant", [RES2PLUS1D, TORCHVISION], ids=lambda variant: variant.name)
RANGES = [(start, end) for start in range(1, 6) for end in range(start, 6)]
# All 16 ways to cut five parts into connected ranges: a set of places after which to cut.
CUTS = [cuts for size in range(5) for cuts in itertools.combinations(range(1, 5), size)]
SMALL: dict[str, Any] = {"num_classes": 7, "layer_sizes": (1, 2, 1, 1)}


def on_meta(variant: Variant, start_index: int = 1, end_index: int = 5, num_classes: int = 400) -> R2P1DPart:
    with torch.device("meta"):
        return R2P1DPart(start_index, end_index, num_classes=num_classes, variant=variant).eval()


def num_parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def ranges_of(cuts: tuple[int, ...]) -> list[tuple[int, int]]:
    starts = [1, *(cut + 1 for cut in cuts)]
    return list(zip(starts, [*cuts, 5], strict=True))


@pytest.fixture(scope="module")
def small_parts() -> dict[tuple[int, int], R2P1DPart]:
    return {(start, end): build_part(start, end, seed=5, **SMALL) for start, end in RANGES}


@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_every_split_gives_the_same_logits_as_the_whole(
    cuts: tuple[int, ...], small_parts: dict[tuple[int, int], R2P1DPart]
) -> None:
    clips = torch.rand(
        2, *input_shape(num_frames=3, height=24, width=20), generator=torch.Generator().manual_seed(1)
    )
    whole = small_parts[1, 5](clips)
    out = clips
    for part_range in ranges_of(cuts):
        out = small_parts[part_range](out)
    assert torch.equal(out, whole)
    assert whole.abs().max() > 0


def test_the_splits_use_all_connected_ranges() -> None:
    assert {part_range for cuts in CUTS for part_range in ranges_of(cuts)} == set(RANGES)
    assert len(RANGES) == 15


@VARIANTS
@pytest.mark.parametrize(("start", "end"), RANGES)
def test_a_part_has_the_shapes_that_are_promised(variant: Variant, start: int, end: int) -> None:
    rows = torch.empty(2, *input_shape(start), device="meta")
    out = on_meta(variant, start, end)(rows)
    assert tuple(out.shape) == (2, *output_shape(input_shape(start), start, end))


@VARIANTS
@pytest.mark.parametrize("end", range(1, 6))
@pytest.mark.parametrize(("num_frames", "height", "width"), [(1, 1, 1), (5, 33, 50), (16, 171, 128)])
def test_shapes_hold_for_odd_sizes(
    variant: Variant, end: int, num_frames: int, height: int, width: int
) -> None:
    size = {"num_frames": num_frames, "height": height, "width": width}
    out = on_meta(variant, 1, end, num_classes=9)(torch.empty(1, *input_shape(**size), device="meta"))
    assert tuple(out.shape[1:]) == output_shape(input_shape(**size), 1, end, num_classes=9)


@pytest.mark.parametrize(
    ("start", "shape"),
    [
        (1, (3, 8, 112, 112)),
        (2, (64, 8, 56, 56)),
        (3, (64, 8, 56, 56)),
        (4, (128, 4, 28, 28)),
        (5, (256, 2, 14, 14)),
    ],
)
def test_input_shapes_of_rnb(start: int, shape: tuple[int, ...]) -> None:
    assert input_shape(start) == shape
    if start > 1:
        assert output_shape(input_shape(), 1, start - 1) == shape


def test_torchvision_variant_has_as_many_parameters_as_torchvision_says() -> None:
    assert num_parameters(on_meta(TORCHVISION)) == 31_505_325


def test_own_variant_has_the_parameters_of_the_papers_formula() -> None:
    def factored(num_in: int, num_out: int, frames: int, pixels: int) -> int:
        mid = frames * pixels * num_in * num_out // (pixels * num_in + frames * num_out)
        spatial, norm, temporal = mid * (pixels * num_in + 1), 2 * mid, num_out * (frames * mid + 1)
        return spatial + norm + temporal

    def block(num_in: int, num_out: int) -> int:
        shortcut = factored(num_in, num_out, 1, 1) + 2 * num_out if num_in != num_out else 0
        return factored(num_in, num_out, 3, 9) + factored(num_out, num_out, 3, 9) + 4 * num_out + shortcut

    stem = factored(3, 64, 3, 49)
    layers = sum(
        block(num_in, num_out) + block(num_out, num_out)
        for num_in, num_out in [(64, 64), (64, 128), (128, 256), (256, 512)]
    )
    assert num_parameters(on_meta(RES2PLUS1D)) == stem + layers + 512 * 400 + 400 == 33_396_910


@VARIANTS
def test_parts_share_out_the_parameters_of_the_whole(variant: Variant) -> None:
    whole = on_meta(variant).state_dict()
    parts = [on_meta(variant, index, index).state_dict() for index in range(1, 6)]
    assert [key for part in parts for key in part] == list(whole)


def test_own_keys_are_those_of_rnbs_checkpoints() -> None:
    keys = on_meta(RES2PLUS1D).state_dict()
    shapes = {key: tuple(tensor.shape) for key, tensor in keys.items()}
    assert shapes["res2plus1d.conv1.spatial_conv.weight"] == (83, 3, 1, 7, 7)
    assert shapes["res2plus1d.conv1.temporal_conv.bias"] == (64,)
    assert shapes["res2plus1d.conv2.blocks.0.conv2.temporal_conv.weight"] == (64, 144, 3, 1, 1)
    assert shapes["res2plus1d.conv3.block1.conv1.spatial_conv.weight"] == (230, 64, 1, 3, 3)
    assert shapes["res2plus1d.conv3.block1.downsampleconv.spatial_conv.weight"] == (42, 64, 1, 1, 1)
    assert shapes["res2plus1d.conv5.block1.downsamplebn.running_var"] == (512,)
    assert shapes["linear.weight"] == (400, 512)
    assert not any(key.startswith("res2plus1d.conv1.outbn") for key in keys)


def test_mid_channels_of_the_paper() -> None:
    assert num_mid_channels(64, 64, (3, 3, 3)) == 144
    assert num_mid_channels(512, 512, (3, 3, 3)) == 1152


def test_factored_convolution_is_a_3d_convolution_when_its_kernels_are_an_outer_product() -> None:
    generator = torch.Generator().manual_seed(0)
    factored = SpatioTemporalConv(2, 1, (3, 5, 5), stride=(2, 2, 2), mid_channels=1, bias=False).eval()
    spatial, temporal = (
        torch.rand(1, 2, 1, 5, 5, generator=generator),
        torch.rand(1, 1, 3, 1, 1, generator=generator),
    )
    factored.spatial_conv.weight.data.copy_(spatial)
    factored.temporal_conv.weight.data.copy_(temporal)
    clips = torch.rand(2, 2, 7, 9, 11, generator=generator)  # positive all over, so the ReLU passes all of it
    full = torch.nn.functional.conv3d(clips, spatial * temporal, stride=2, padding=(1, 2, 2))
    torch.testing.assert_close(factored(clips), full, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start_index": 0}, "start_index 0"),
        ({"end_index": 6}, "end_index 6"),
        ({"start_index": 4, "end_index": 3}, "1 <= start_index <= end_index <= 5"),
        ({"layer_sizes": (2, 2)}, r"layer_sizes is \[2, 2\]"),
        ({"layer_sizes": (2, 2, 0, 2)}, "at least 1"),
        ({"num_classes": 0}, "num_classes is 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message), torch.device("meta"):
        R2P1DPart(**options)


@pytest.mark.parametrize("index", [0, 6])
def test_shapes_of_parts_that_do_not_exist_are_refused(index: int) -> None:
    with pytest.raises(ValueError, match=f"{index}"):
        input_shape(index)
    with pytest.raises(ValueError, match=f"{index}"):
        output_shape(input_shape(), 1, index)
