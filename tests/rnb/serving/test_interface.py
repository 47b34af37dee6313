"""What goes into a pipeline and what comes out."""

from __future__ import annotations

import pytest

from rnb.pipeline.config import read_config
from rnb.serving.interface import interface_of
from rnb.serving.media import types_of
from rnb.spec import Placement, RunSpec, serving_plan_of


@pytest.mark.parametrize(
    ("config", "gives_classes", "takes"),
    [
        ("r2p1d-cpu", True, "video/mp4"),
        ("images-classify", True, "image/png"),
        ("faces-mtcnn", False, "image/png"),
    ],
)
def test_the_configs_say_so(config: str, gives_classes: bool, takes: str) -> None:
    spec = RunSpec(config=read_config(f"config/{config}.json"), placement=Placement(device="cpu"))
    interface = interface_of(spec, serving_plan_of(spec, most_pending=1))
    assert interface.gives_classes is gives_classes
    types = types_of(interface.extensions)
    assert takes in types
    assert len({one.partition("/")[0] for one in types}) == 1
