# mypy: ignore-errors
# ruff: noqa: B006, B007, I001, RUF005, RUF012, UP008
"""snuspl/rnb's steps, sampler, selector and iterator of videos, written anew from their interface.

The imports, signatures and calls are theirs. Where they have a path of their own cluster, these ask the
environment; they run on whatever device they are given; clips are small, and networks do not learn.
"""

import os
import random
import sys
from itertools import cycle

import nvvl
import torch
from models.r2p1d.network import R2Plus1DLayerWrapper
from models.r2p1d.sampler import R2P1DSampler
from rnb_logging import TimeCard, TimeCardList
from runner_model import RunnerModel
from selector import QueueSelector
from utils.class_utils import load_class
from video_path_provider import VideoPathIterator

r2p1d_network = __import__(
    "R2Plus1D-PyTorch.network", fromlist=("SpatioTemporalResBlock", "R2Plus1DClassifier")
)
SpatioTemporalResBlock = r2p1d_network.SpatioTemporalResBlock
R2Plus1DClassifier = r2p1d_network.R2Plus1DClassifier

assert load_class("rnb_logging.TimeCard") is TimeCard

SIZE, FRAMES, CLASSES, MOST_CLIPS = 32, 8, 400, 15


def checkpoint(device):
    return torch.load(os.environ["UPSTREAM_CHECKPOINT"], map_location=device)["state_dict"]


def sample_videos():
    root = os.environ["UPSTREAM_VIDEOS"]
    return sorted(
        os.path.join(root, label, name)
        for label in os.listdir(root)
        for name in os.listdir(os.path.join(root, label))
    )


class OwnSampler(nvvl.Sampler):
    """Like upstream's, it does not call its base and draws from Python's own generator."""

    def __init__(self, clip_length=8, num_clips=10, num_clips_population=[1, 15], num_clips_weights=[10, 1]):
        self.clip_length = clip_length
        self.population, self.weights = num_clips_population, num_clips_weights

    def sample(self, length):
        num_clips = min(random.choices(self.population, self.weights)[0], length // self.clip_length)
        return [clip * self.clip_length for clip in range(num_clips)] or None


def loader_of(device, sampler):
    return nvvl.RnBLoader(
        width=SIZE, height=SIZE, consecutive_frames=FRAMES, device_id=device.index, sampler=sampler
    )


def clips(loader, filename):
    loader.loadfile(filename)
    for frames in loader:
        pass
    loader.flush()
    return frames


class R2P1DVideoPathIterator(VideoPathIterator):
    def __init__(self):
        super(R2P1DVideoPathIterator, self).__init__()
        self.videos_iter = cycle(sample_videos())

    def __iter__(self):
        return self.videos_iter


class R2P1DLoader(RunnerModel):
    def __init__(self, device, num_clips_population=[1, 15], num_clips_weights=[10, 1]):
        sampler = R2P1DSampler(
            clip_length=FRAMES, num_clips_population=num_clips_population, num_clips_weights=num_clips_weights
        )
        self.loader = loader_of(device, sampler)
        for sample in sample_videos():
            self.loader.loadfile(sample)
        for frames in self.loader:
            pass
        self.loader.flush()

    def __call__(self, tensors, non_tensors, time_card):
        frames = clips(self.loader, non_tensors)
        time_card.num_clips = frames.shape[0]
        return (frames.float().permute(0, 2, 1, 3, 4),), None, time_card

    def input_shape(self):
        return None

    @staticmethod
    def output_shape():
        return ((MOST_CLIPS, 3, FRAMES, SIZE, SIZE),)


class R2P1DRunner(RunnerModel):
    input_dict = {1: (10, 3, FRAMES, SIZE, SIZE), 5: (10, 256, 2, 4, 4)}

    def __init__(
        self,
        device,
        start_index=1,
        end_index=5,
        num_classes=400,
        layer_sizes=None,
        block_type=SpatioTemporalResBlock,
    ):
        super(R2P1DRunner, self).__init__(device)
        if end_index > 5:
            print("[ERROR] Wrong layer index for the ending layer!")
            sys.exit()
        if layer_sizes is None:
            layer_sizes = [2 for _ in range(start_index, end_index + 1)]
        self.start_index = start_index
        self.model = R2Plus1DLayerWrapper(start_index, end_index, num_classes, layer_sizes, block_type).to(
            device
        )
        self.model.eval()
        names = tuple(f"res2plus1d.conv{part}" for part in range(start_index, end_index + 1))
        names += ("linear",) if end_index == 5 else ()
        self.model.load_state_dict(
            {key: value for key, value in checkpoint(device).items() if key.startswith(names)}
        )
        self.model(torch.randn(*self.input_shape()[0], dtype=torch.float32).to(device))

    def input_shape(self):
        return (self.input_dict[self.start_index],)

    @staticmethod
    def output_shape():
        return ((10, CLASSES),)

    def __call__(self, tensors, non_tensors, time_card):
        tensor = tensors[0]
        return (self.model(tensor),), None, time_card


class R2P1DSingleStep(RunnerModel):
    input_tensor_shape = (10, 3, FRAMES, SIZE, SIZE)

    def __init__(
        self,
        device,
        num_classes=400,
        layer_sizes=[2, 2, 2, 2],
        block_type=SpatioTemporalResBlock,
        num_clips_population=[1, 15],
        num_clips_weights=[10, 1],
    ):
        super(R2P1DSingleStep, self).__init__(device)
        self.model = R2Plus1DClassifier(num_classes, layer_sizes, block_type).to(device).eval()
        self.model.load_state_dict(checkpoint(device))
        sampler = OwnSampler(
            clip_length=FRAMES, num_clips_population=num_clips_population, num_clips_weights=num_clips_weights
        )
        self.loader = loader_of(device, sampler)

    def __call__(self, tensors, non_tensors, time_card):
        frames = clips(self.loader, non_tensors)
        time_card.num_clips = frames.shape[0]
        return (self.model(frames.float().permute(0, 2, 1, 3, 4)),), None, time_card

    def input_shape(self):
        return None

    @staticmethod
    def output_shape():
        return ((15, 400),)


class Batcher(RunnerModel):
    def __init__(self, device, batch=1):
        super(Batcher, self).__init__(device)
        self.tensors, self.cards, self.batch = [], [], batch

    @staticmethod
    def output_shape():
        return ((MOST_CLIPS, 3, FRAMES, SIZE, SIZE),)

    def __call__(self, tensors, non_tensors, time_card):
        if self.batch <= 1:
            return tensors, non_tensors, time_card
        self.tensors.append(tensors[0])
        self.cards.append(time_card)
        if len(self.cards) < self.batch:
            return None, None, None
        stacked, cards = torch.cat(self.tensors, dim=0), TimeCardList(self.cards)
        self.tensors, self.cards = [], []
        return (stacked,), None, cards


class R2P1DAggregator(RunnerModel):
    def __init__(self, device, aggregate=1):
        super(R2P1DAggregator, self).__init__(device)
        self.aggregate, self.results = aggregate, {}

    def __call__(self, tensors, non_tensors, time_card):
        result = tensors[0].cpu().numpy().sum(axis=0)
        if self.aggregate == 1:
            return None, result.argmax(), time_card
        before, cards = self.results.get(time_card.id, (0, []))
        self.results[time_card.id] = result, cards = before + result, cards + [time_card]
        if len(cards) < self.aggregate:
            return None, None, None
        return None, result.argmax(), TimeCard.merge(cards)

    def input_shape(self):
        return ((10, 400),)

    @staticmethod
    def output_shape():
        return None


class LargeSmallSelector(QueueSelector):
    def __init__(self, num_queues):
        assert num_queues == 2

    def select(self, tensors, non_tensors, time_card):
        return 1 if hasattr(time_card, "num_clips") and time_card.num_clips == 15 else 0
