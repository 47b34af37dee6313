"""Images as steps: loading a part of an image, and finding its class."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from models.images import backends
from models.images.cut import Cut, cut_of
from models.images.encoded import Encoded, read_encoded
from models.images.errors import ImageError
from models.images.header import read_header
from models.images.options import ClassifierOptions, LoaderOptions
from rnb.contract import (
    Batch,
    ClassAndScore,
    ClassResult,
    Context,
    Device,
    Layout,
    RequestError,
    Step,
    TensorSpec,
)
from rnb.contract.top1 import top1_of_each

if TYPE_CHECKING:
    import torch

NUM_WARM_UP_IMAGES = 8


class ImageLoader(Step):
    """Decodes images, scales them, cuts a part out, mirrors it or not, and normalizes it.

    It gives a row a request, (1, 3, height, width), RGB, and says what it took: the sizes and the place of
    the crop in pixels, and the class where a record names one.
    """

    class Options(LoaderOptions):
        pass

    batches_requests = True
    decodes = True
    needs_torch = True

    def __init__(self, options: Any, context: Context) -> None:
        import torch

        super().__init__(options, context)
        torch.set_num_threads(1)  # an image is too small for several; more workers use more cores
        self._loading = backends.choose(options, context.device, context.batch_size)

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        return options.rows()  # type: ignore[no-any-return]

    @classmethod
    def check_machine(cls, options: Any, device: Device) -> None:
        backends.check(options.backend)

    def __call__(self, batch: Batch) -> Batch:
        images, cuts = [], []
        for request in batch.requests:
            try:
                image, cut = self._read(request.payload, request.id)
            except ImageError as error:
                raise RequestError(str(error), [request.id]) from None
            self.context.note_size(request.id, *cut.upright)
            images.append(image)
            cuts.append(cut)
        rows = self._load(batch.ids, images, cuts)
        payloads = [_described(image, cut) for image, cut in zip(images, cuts, strict=True)]
        return batch.give(tensors=[rows], rows=[1] * len(batch), payloads=payloads)

    def _read(self, payload: str, request_id: int) -> tuple[Encoded, Cut]:
        """Raises ImageError."""
        image = read_encoded(payload)
        return image, cut_of(image.name, read_header(image.name, image.data), self.options, request_id)

    def _load(self, ids: Sequence[int], images: Sequence[Encoded], cuts: Sequence[Cut]) -> torch.Tensor:
        """The rows of all. Raises RequestError for those that cannot be decoded, found one by one."""
        try:
            return self._loading.load(images, cuts)
        except ImageError as error:
            problem = error
        for request_id, image, cut in zip(ids, images, cuts, strict=True):
            try:
                self._loading.load([image], [cut])
            except ImageError as error:
                raise RequestError(str(error), [request_id]) from None
        raise RequestError(str(problem), list(ids))

    def warm_up(self, row_counts: Sequence[int]) -> None:
        for payload in self.context.samples[:NUM_WARM_UP_IMAGES]:
            try:
                image, cut = self._read(payload, 0)
                num_images = self.context.batch_size
                self._loading.load([image] * num_images, [cut] * num_images)
            except ImageError:
                continue  # it fails again, and is counted, when its turn comes

    def facts(self) -> dict[str, Any]:
        return {"decoder": self.options.backend}

    def close(self) -> None:
        self._loading.close()


def _described(image: Encoded, cut: Cut) -> dict[str, object]:
    """As JSON."""
    of_record = {"label": image.label, "text": image.text}
    return cut.described() | {name: value for name, value in of_record.items() if value is not None}


class ImageClassifier(Step):
    """ResNet-50 on the rows of a loader. Bytes are normalized here; floats are taken as normalized."""

    class Options(ClassifierOptions):
        pass

    batches_requests = True
    takes_turns = True
    needs_torch = True
    result_kind = ClassResult

    def __init__(self, options: Any, context: Context) -> None:
        import torch

        from models.images.classification import Classification

        super().__init__(options, context)
        torch.backends.cudnn.allow_tf32 = False  # PyTorch's default would make fp32 another precision
        # A graph serves any thread, but those that only have cuDNN's plans have them per thread.
        has_graphs = options.cuda_graphs and context.where.is_gpu
        make = partial(Classification, options, context.inputs[0], context.device)
        self._classify = context.share(make) if has_graphs else make()

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[1] != 3:
            raise ValueError(
                "ImageClassifier takes pictures (rows, 3, height, width), so a loader must come before"
            )
        if options.checkpoint:
            from models.images.resnet import build_resnet50

            build_resnet50(options.num_classes, options.checkpoint, options.seed)
        return (TensorSpec((inputs[0].most_rows, options.num_classes)),)

    def __call__(self, batch: Batch) -> Batch:
        return batch.give(tensors=[self.infer(batch.tensors[0])], rows=batch.num_rows())

    def infer(self, pictures: torch.Tensor) -> torch.Tensor:
        """Logits, (rows, num_classes), float32, of pictures (rows, 3, height, width)."""
        return self._classify(pictures)

    def results(self, output: Batch) -> Sequence[ClassAndScore]:
        return top1_of_each(output.tensors[0], output.num_rows())

    def warm_up(self, row_counts: Sequence[int]) -> None:
        self._classify.warm_up(row_counts)
