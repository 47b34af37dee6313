"""The network under upstream's names: its parts together are its whole."""

import importlib

import pytest
import torch

from models.r2p1d import network
from models.r2p1d.former_network import R2Plus1DClassifier, R2Plus1DLayerWrapper
from rnb.pipeline.importer import import_class


def test_parts_with_the_weights_of_the_whole_give_what_it_gives() -> None:
    torch.manual_seed(0)
    whole = R2Plus1DClassifier(20, [2, 1, 1, 1]).eval()
    rows = torch.rand(2, 3, 8, 32, 32)
    features = rows
    for start, end, sizes in ((1, 2, [9, 2]), (3, 5, [1, 1, 1])):
        part = R2Plus1DLayerWrapper(start, end, 20, sizes).eval()
        weights = whole.state_dict()
        part.load_state_dict({key: weights[key] for key in part.state_dict()})
        features = part(features)
    with torch.no_grad():
        torch.testing.assert_close(features, whole(rows))


def test_the_names_are_where_upstream_imports_them() -> None:
    import_class("rnb.pipeline.batcher.Batcher")
    submodule = importlib.import_module("R2Plus1D-PyTorch.network")
    assert submodule.R2Plus1DClassifier is R2Plus1DClassifier
    assert vars(network).get("R2Plus1DLayerWrapper") is None
    assert network.__getattr__("R2Plus1DLayerWrapper") is R2Plus1DLayerWrapper
    with pytest.raises(AttributeError, match=r"models\.r2p1d\.network' has no attribute 'Other'"):
        network.__getattr__("Other")
