import os
import pickle
import re
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from models.checkpoint_file import CheckpointError
from models.r2p1d.checkpoint import read_checkpoint
from models.r2p1d.network import RES2PLUS1D, TORCHVISION, R2P1DPart, Variant
from models.r2p1d.parts import input_shape
from models.r2p1d.weights import build_part

State = dict[str, torch.Tensor]
SMALL: dict[str, Any] = {"num_classes": 5, "layer_sizes": (1, 2, 1, 1)}


def trained(variant: Variant) -> R2P1DPart:
    """A small network whose every tensor differs from its initial value, as after training."""
    torch.manual_seed(0)
    network = R2P1DPart(variant=variant, **SMALL).eval()
    for key, tensor in network.state_dict().items():
        if key.endswith(("bn.weight", "bn1.weight", "bn2.weight", "running_var")):
            tensor.uniform_(0.5, 1.5)
        elif key.endswith(("bias", "running_mean")):
            tensor.normal_(std=0.1)
    return network


def torchvision_key(key: str) -> str:
    """The other way round than the code under test, written down independently of it."""
    key = key.replace("linear.", "fc.")
    key = re.sub(r"^res2plus1d\.conv1\.", "stem.", key)
    key = re.sub(r"^res2plus1d\.conv(\d)\.", lambda match: f"layer{int(match[1]) - 1}.", key)
    key = key.replace(".block1.", ".0.")
    key = re.sub(r"\.blocks\.(\d)\.", lambda match: f".{int(match[1]) + 1}.", key)
    key = re.sub(r"\.bn([12])\.", r".conv\1.1.", key)
    key = key.replace(".downsampleconv.", ".downsample.0.").replace(".downsamplebn.", ".downsample.1.")
    names = {"spatial_conv": "0", "bn": "1", "temporal_conv": "3", "outbn": "4"}
    for name, index in names.items():
        key = re.sub(rf"^stem\.{name}\.", f"stem.{index}.", key)
        key = re.sub(rf"\.conv([12])\.{name}\.", rf".conv\1.0.{index}.", key)
    return key


def in_layout(network: R2P1DPart, variant: Variant) -> State:
    state = network.state_dict()
    return (
        {torchvision_key(key): tensor for key, tensor in state.items()} if variant is TORCHVISION else state
    )


@pytest.fixture(params=[RES2PLUS1D, TORCHVISION], ids=lambda variant: str(variant.name))
def variant(request: pytest.FixtureRequest) -> Variant:
    chosen: Variant = request.param
    return chosen


@pytest.fixture(scope="module")
def trained_state() -> State:
    return dict(trained(RES2PLUS1D).state_dict())


def alike(variant: Variant) -> State:
    """The keys and shapes of a network in its layout, all ones, which take no room in memory or in a file."""
    with torch.device("meta"):
        network = R2P1DPart(variant=variant, **SMALL)
    state = in_layout(network, variant)
    return {key: torch.ones((), dtype=tensor.dtype).expand(tensor.shape) for key, tensor in state.items()}


@pytest.fixture
def own_state() -> State:
    return alike(RES2PLUS1D)


def saved(folder: Path, content: object) -> Path:
    path = folder / "model_data.pth.tar"
    torch.save(content, path)
    return path


@pytest.mark.parametrize("is_wrapped", [True, False])
def test_whole_and_split_give_the_logits_of_the_network_that_was_saved(
    variant: Variant, is_wrapped: bool, tmp_path: Path
) -> None:
    network = trained(variant)
    state = in_layout(network, variant)
    path = saved(
        tmp_path, {"epoch": 45, "acc": 0.5, "state_dict": state} if is_wrapped else OrderedDict(state)
    )
    checkpoint = read_checkpoint(path)
    clips = torch.rand(2, *input_shape(num_frames=2, height=16, width=16))
    expected = network(clips)
    assert checkpoint.variant is variant
    for ranges in ([(1, 5)], [(1, 2), (3, 5)], [(index, index) for index in range(1, 6)]):
        out = clips
        for start, end in ranges:
            out = build_part(start, end, checkpoint=checkpoint, **SMALL)(out)
        assert torch.equal(out, expected)


def test_torchvision_keys_are_those_of_torchvision() -> None:
    keys = {torchvision_key(key) for key in R2P1DPart(variant=TORCHVISION).state_dict()}
    assert {
        "stem.0.weight",
        "stem.4.running_mean",
        "layer1.0.conv1.0.3.weight",
        "layer1.1.conv2.1.bias",
    } <= keys
    assert {"layer2.0.downsample.1.num_batches_tracked", "layer4.0.downsample.0.weight", "fc.bias"} <= keys


def test_a_part_needs_the_keys_of_no_other_part(trained_state: State, tmp_path: Path) -> None:
    only_conv3 = {key: tensor for key, tensor in trained_state.items() if ".conv3." in key}
    part = build_part(3, 3, checkpoint=read_checkpoint(saved(tmp_path, only_conv3)), **SMALL)
    assert all(torch.equal(tensor, trained_state[key]) for key, tensor in part.state_dict().items())


def test_half_precision_weights_are_widened(trained_state: State, tmp_path: Path) -> None:
    half = {
        key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in trained_state.items()
    }
    part = build_part(1, 1, checkpoint=read_checkpoint(saved(tmp_path, half)), **SMALL)
    assert {parameter.dtype for parameter in part.parameters()} == {torch.float32}


def test_files_without_counters_are_fine(trained_state: State, tmp_path: Path) -> None:
    without = {
        key: tensor for key, tensor in trained_state.items() if not key.endswith("num_batches_tracked")
    }
    assert len(without) < len(trained_state)
    path = saved(tmp_path, without)
    part = build_part(checkpoint=read_checkpoint(path), **SMALL)
    weights = part.state_dict()
    assert all(torch.equal(weights[key], tensor) for key, tensor in without.items())


def refusal(path: Path, start: int = 1, end: int = 5, **options: object) -> str:
    with pytest.raises(CheckpointError) as caught:
        build_part(start, end, checkpoint=read_checkpoint(path), **{**SMALL, **options})
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "nowhere.pth")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "is a folder, not a PyTorch checkpoint" in refusal(tmp_path)


def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert "is no regular file" in refusal(tmp_path / "fifo")


NO_ZIP = "not a PyTorch checkpoint: a zip archive of other things, damaged or cut short"
NO_PICKLE = "not a PyTorch checkpoint: a pickle of other things, damaged or cut short"
NEITHER = "not a PyTorch checkpoint: neither a zip archive nor a pickle"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty, not a PyTorch checkpoint"),
        (b"not a checkpoint at all", NEITHER),
        ("Gewichte für R(2+1)D\n".encode(), NEITHER),
        (b"\x80\x02}q\x00.", NO_PICKLE),
        (pickle.dumps({"linear.bias": 1})[:-3], NO_PICKLE),
        (b"PK\x03\x04 torn zip", NO_ZIP),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_plain_words(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "file.pth"
    path.write_bytes(content)
    assert refusal(path) == f"checkpoint {path}: {reason}"


def test_a_torn_checkpoint_is_refused(trained_state: State, tmp_path: Path) -> None:
    path = saved(tmp_path, trained_state)
    path.write_bytes(path.read_bytes()[:-1000])
    assert refusal(path) == f"checkpoint {path}: {NO_ZIP}"


def test_a_zip_archive_of_other_things_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("words.txt", "nothing to load")
    assert refusal(path) == f"checkpoint {path}: {NO_ZIP}"


class RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, ("never",)


def test_a_checkpoint_that_runs_code_is_refused_and_runs_none(tmp_path: Path) -> None:
    path = saved(tmp_path, {"state_dict": RunsCode()})
    assert "holds objects of code, which is not run; save tensors alone" in refusal(path)
    path = saved(tmp_path, torch.nn.Linear(2, 2))
    assert "holds objects of code, which is not run; save tensors alone" in refusal(path)
    raw = tmp_path / "raw.pth"
    raw.write_bytes(pickle.dumps(RunsCode()))
    assert NO_PICKLE in refusal(raw)
    assert not Path("never").exists()


@pytest.mark.parametrize(
    "content", [[1, 2], {}, {"state_dict": {}}, {"epoch": 3}, {"state_dict": {"linear.bias": 1}}]
)
def test_a_file_without_a_state_dict_is_refused(content: object, tmp_path: Path) -> None:
    assert "not a" in refusal(saved(tmp_path, content))


def test_an_unknown_layout_is_refused_with_the_choices(tmp_path: Path) -> None:
    message = refusal(saved(tmp_path, {"encoder.weight": torch.zeros(1)}))
    assert "encoder.weight" in message
    assert "res2plus1d.conv1" in message
    assert "layer1" in message


def test_missing_keys_are_named(own_state: State, tmp_path: Path) -> None:
    del own_state["linear.bias"]
    path = saved(tmp_path, own_state)
    assert "1 missing key: linear.bias" in refusal(path)
    build_part(1, 4, checkpoint=read_checkpoint(path), **SMALL)


def test_many_missing_keys_are_counted(own_state: State, tmp_path: Path) -> None:
    without = {key: tensor for key, tensor in own_state.items() if ".conv2." not in key}
    message = refusal(saved(tmp_path, without))
    assert re.search(r"\d+ missing keys: res2plus1d\.conv2\..* and \d+ more", message)


def test_unexpected_keys_of_the_part_are_named(own_state: State, tmp_path: Path) -> None:
    path = saved(tmp_path, own_state)
    message = refusal(path, layer_sizes=(1, 1, 1, 1))
    assert "unexpected keys: res2plus1d.conv3.blocks.0." in message
    assert "layer_sizes" in message


@pytest.mark.parametrize("key", ["head.weight", "res2plus1d.conv6.block1.bn1.weight"])
def test_unexpected_keys_of_no_part_are_named(key: str, own_state: State, tmp_path: Path) -> None:
    path = saved(tmp_path, {**own_state, key: torch.zeros(1)})
    assert f"1 unexpected key: {key}" in refusal(path)


@pytest.mark.parametrize("key", ["stem.2.weight", "layer1.0.conv3.0.weight", "layer5.0.conv1.0.0.weight"])
def test_unexpected_keys_in_torchvisions_layout_are_named(key: str, tmp_path: Path) -> None:
    path = saved(tmp_path, {**alike(TORCHVISION), key: torch.zeros(1)})
    assert f"1 unexpected key: {key}" in refusal(path)


def test_wrong_shapes_are_named(own_state: State, tmp_path: Path) -> None:
    message = refusal(saved(tmp_path, own_state), num_classes=6)
    assert "linear.weight is (5, 512) instead of (6, 512)" in message
    assert "linear.bias is (5,) instead of (6,)" in message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_named(value: float, variant: Variant, tmp_path: Path) -> None:
    own_key = "res2plus1d.conv3.block1.conv1.bn.running_var"
    key = torchvision_key(own_key) if variant is TORCHVISION else own_key
    state = alike(variant)
    state[key] = state[key].clone()
    state[key][1] = value
    path = saved(tmp_path, state)
    named = f"NaN or infinite values in {own_key}"
    assert refusal(path) == f"checkpoint {path}: {named}"
    assert named in refusal(path, 3, 4)
    build_part(1, 2, checkpoint=read_checkpoint(path), **SMALL)


def test_weights_too_large_for_their_type_are_named(own_state: State, tmp_path: Path) -> None:
    large = own_state["linear.bias"].double() + 1e300
    path = saved(tmp_path, {**own_state, "linear.bias": large})
    assert "NaN or infinite values in linear.bias" in refusal(path)


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (torch.zeros(5, dtype=torch.complex64), "linear.bias is torch.complex64"),
        (torch.zeros(5).to_sparse(), "linear.bias is torch.float32, torch.sparse_coo"),
        (torch.zeros(5, device="meta"), "linear.bias is torch.float32, torch.strided, on meta"),
    ],
)
def test_tensors_of_other_kinds_are_named(
    odd: torch.Tensor, words: str, own_state: State, tmp_path: Path
) -> None:
    path = saved(tmp_path, {**own_state, "linear.bias": odd})
    assert words in refusal(path)
