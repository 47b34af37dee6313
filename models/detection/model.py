"""Finding objects on images as steps: what each box of an SSD shows, and which of the boxes are objects.

models.images.model.ImageLoader comes before; docs/detection.md has what it must be told for each network.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, StrictInt

from models.class_names import read_class_names
from models.detection.network import NETWORKS, NetworkName, build_ssd
from models.detection.objects import DetectionResult, Rules, described, find_objects
from models.detection.torchvision_networks import import_detection
from models.suppression import MOST_BOXES
from rnb import contract
from rnb.contract import Batch, Context, Count, Device, Layout, RequestError, Step, TensorSpec

COCO_LABELS = str(Path(__file__).with_name("coco.txt"))
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
Share = Annotated[float, Field(ge=0, le=1)]


class BoxScorer(Step):
    """An SSD on the pictures of a loader: the probability of each class for each of its boxes, and the box.

    It hands on what the loader says of each request.
    """

    class Options(contract.Options):
        """A network and its weights: random ones, drawn from the seed, without a checkpoint."""

        network: NetworkName = "ssdlite320_mobilenet_v3_large"
        num_classes: Count = 91
        """With the background, which is class 0."""
        checkpoint: str | None = None
        """In the layout of torchvision's network of this name."""
        precision: Literal["fp32", "bf16", "fp16"] = "fp32"
        seed: StrictInt = 0

    batches_requests = True
    takes_turns = True

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self._dtype = PRECISIONS[options.precision]
        torch.backends.cudnn.allow_tf32 = False  # PyTorch's default would make fp32 another precision
        network: Any = build_ssd(options.network, options.num_classes, options.checkpoint, options.seed)
        self._ssd = network.to(context.device, memory_format=torch.channels_last)
        self._ssd.network.to(self._dtype)

    @classmethod
    def check_machine(cls, options: Any, device: Device) -> None:
        import_detection()

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        side, num_boxes = NETWORKS[options.network]
        is_fitting = len(inputs) == 1 and inputs[0].shape[1:] == (3, side, side)
        if not is_fitting or inputs[0].dtype == "uint8":
            raise ValueError(
                f"{options.network} takes normalized pictures of {side}x{side}, so ImageLoader with"
                f' "crop": [{side}, {side}] and floats must come before'
            )
        if options.checkpoint:
            build_ssd(options.network, options.num_classes, options.checkpoint, options.seed)
        rows = inputs[0].most_rows
        return TensorSpec((rows, num_boxes, options.num_classes)), TensorSpec((rows, num_boxes, 4))

    def __call__(self, batch: Batch) -> Batch:
        rows = [(count, count) for count in batch.num_rows()]
        return batch.give(tensors=self.infer(batch.tensors[0]), rows=rows, payloads=batch.payloads)

    @torch.inference_mode()
    def infer(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Ssd.forward`."""
        probabilities, boxes = self._ssd(pictures.to(self._dtype, memory_format=torch.channels_last))
        return probabilities, boxes

    def warm_up(self, row_counts: Sequence[int]) -> None:
        (pictures,) = self.context.inputs
        most_rows = max(row_counts, default=1)
        # On the CPU a size costs nothing extra when it is new.
        for count in row_counts if self.context.where.is_gpu else [most_rows]:
            self.infer(torch.zeros(count, *pictures.row, device=self.context.device))

    def facts(self) -> dict[str, Any]:
        return {"weights": self.options.checkpoint or f"random, of seed {self.options.seed}"}


class ObjectFinder(Step):
    """The objects among an SSD's boxes, as {"count", "objects": [{"class", "probability", "box"}]}."""

    class Options(contract.Options):
        labels: str = COCO_LABELS
        """A text file with the name of each class, one a line; the first is the background."""
        min_probability: Share = 0.5
        max_objects: Count = 100
        """Of a picture, the likeliest."""
        max_overlap: Share = 0.55
        """Two boxes of a class that have more of their union in common are of one object."""
        max_candidates: Annotated[StrictInt, Field(ge=1, le=MOST_BOXES)] = 300
        """Of a class in a picture, the likeliest, before overlaps are looked at."""
        max_pictures: Count = 4
        """Whose boxes are compared at once; it bounds the memory."""

    batches_requests = True
    result_kind = DetectionResult

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self._names = read_class_names(options.labels, None, "labels")
        self._rules = Rules(
            min_probability=options.min_probability,
            max_overlap=options.max_overlap,
            max_candidates=options.max_candidates,
            max_objects=options.max_objects,
        )

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        if len(inputs) != 2 or len(inputs[0].shape) != 3:
            raise ValueError("ObjectFinder takes scores and boxes, so BoxScorer must come before")
        num_classes = inputs[0].shape[2]
        num_names = len(read_class_names(options.labels, None, "labels"))
        if num_names != num_classes:
            raise ValueError(f"labels: {options.labels}: {num_names} names for {num_classes} classes")
        return ()

    @torch.inference_mode()
    def __call__(self, batch: Batch) -> Batch:
        if odd := [one.id for one in batch.requests if not _is_whole_image(one.payload)]:
            raise RequestError(
                "ObjectFinder takes images of models.images.model.ImageLoader, one a request", odd
            )
        probabilities, boxes = (tensor.split(self.options.max_pictures) for tensor in batch.tensors)
        objects = [
            found
            for pair in zip(probabilities, boxes, strict=True)
            for found in find_objects(*pair, self._rules)
        ]
        return batch.give(
            payloads=[
                described(found, self._names, cut) for found, cut in zip(objects, batch.payloads, strict=True)
            ]
        )


def _is_whole_image(payload: object) -> bool:
    return isinstance(payload, dict) and {"size", "resized", "crop", "mirrored"} <= payload.keys()
