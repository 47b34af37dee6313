"""A plain PyTorch loop whose decoders are PyNvVideoCodec's, in threads, and the network in the same process.

By the package's samples: a SimpleDecoder a thread, reconfigured for each file and on a stream of its own; RGB
that stays on the GPU and becomes tensors without a copy; two threads for each of an H200's seven engines,
as its benchmarks ask for a multiple of them. The main thread runs the network on all clips that are there.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import interpolate
from torch.utils.dlpack import from_dlpack

from benchmarks.peers.classifier import Classifier
from benchmarks.peers.peer import CannotRun, Peer, Played, need, wait_until
from benchmarks.peers.work import Arrival, Work

NUM_ENGINES = 7
LARGEST = 2048
END_TIMEOUT_S = 5.0

Decoded = tuple[int, torch.Tensor | Exception]


class NvdecDecoder:
    """Decodes on the calling thread, with an engine of the GPU."""

    def __init__(self, work: Work) -> None:
        self._work, self._sampler = work, work.loader.sampler(work.row[1])
        self._stream = torch.cuda.Stream()
        self._decoder: Any = None

    def clips(self, request: int) -> torch.Tensor:
        """uint8 (num_clips, 3, frames, height, width) on the GPU, and there by now."""
        with torch.cuda.stream(self._stream):
            self._open(self._work.video(request))
            self._sampler.seed(self._work.seed, request)
            starts = self._sampler.sample(len(self._decoder))
            _, length, height, width = self._work.row
            wanted = [start + place for start in starts for place in range(length)]
            frames = self._decoder.get_batch_frames_by_index(wanted)
            pictures = torch.stack([from_dlpack(frame) for frame in frames])
            scaled = interpolate(pictures.permute(0, 3, 1, 2).float(), (height, width), mode="bilinear")
            rows = scaled.add_(0.5).clamp_(0, 255).byte().view(len(starts), length, 3, height, width)
            clips = rows.transpose(1, 2).contiguous()
        self._stream.synchronize()
        return clips

    def _open(self, video: str) -> None:
        if self._decoder is not None:
            self._decoder.reconfigure_decoder(video)
            return
        import PyNvVideoCodec as codec

        self._decoder = codec.SimpleDecoder(
            video,
            gpu_id=0,
            cuda_stream=self._stream.cuda_stream,
            use_device_memory=True,
            max_width=LARGEST,
            max_height=LARGEST,
            output_color_type=codec.OutputColorType.RGB,
        )


class TorchNvdec(Peer):
    decoder = "PyNvVideoCodec"

    def start(self) -> None:
        if self.work.device != "cuda":
            raise CannotRun("needs an NVIDIA GPU")
        need("PyNvVideoCodec", "PyNvVideoCodec")
        self._classifier = Classifier(self.work)
        self._asked: queue.SimpleQueue[tuple[int, int] | None] = queue.SimpleQueue()
        self._decoded: queue.SimpleQueue[Decoded] = queue.SimpleQueue()
        num_threads = min(2 * NUM_ENGINES, len(self.work.cores))
        threads = [threading.Thread(target=self._decode, daemon=True) for _ in range(num_threads)]
        for thread in threads:
            thread.start()
            self.ending.callback(thread.join, END_TIMEOUT_S)
        for _ in threads:
            self.ending.callback(self._asked.put, None)  # called first
        for _ in threads:
            _, opened = self._decoded.get()
            if isinstance(opened, Exception):
                raise opened

    def _decode(self) -> None:
        decoder = NvdecDecoder(self.work)
        self._answer(decoder, -1, self.work.warm_up[0].request)
        while asked := self._asked.get():
            self._answer(decoder, *asked)

    def _answer(self, decoder: NvdecDecoder, place: int, request: int) -> None:
        try:
            self._decoded.put((place, decoder.clips(request)))
        except Exception as error:
            self._decoded.put((place, error))

    def play(self, arrivals: Sequence[Arrival]) -> Played:
        played = Played.nothing(len(arrivals))
        start_s = time.monotonic()
        threading.Thread(target=self._ask, args=(arrivals, start_s), daemon=True).start()
        num_open = len(arrivals)
        while num_open:
            there = self._there()
            num_open -= len(there)
            self._classify(there, played, start_s)
        return played

    def _ask(self, arrivals: Sequence[Arrival], start_s: float) -> None:
        for place, arrival in enumerate(arrivals):
            wait_until(arrival.due_s, start_s)
            self._asked.put((place, arrival.request))

    def _there(self) -> list[Decoded]:
        """All that are decoded by now, one at least."""
        there = [self._decoded.get()]
        while (
            sum(1 if isinstance(clips, Exception) else len(clips) for _, clips in there) < self.work.most_rows
        ):
            try:
                there.append(self._decoded.get_nowait())
            except queue.Empty:
                break
        return there

    def _classify(self, there: Sequence[Decoded], played: Played, start_s: float) -> None:
        good = [(place, clips) for place, clips in there if isinstance(clips, torch.Tensor)]
        for _, error in there:
            if isinstance(error, Exception):
                print(f"{type(error).__name__}: {error}", flush=True)
        labels = self._classifier.labels([clips for _, clips in good])
        for (place, _), label in zip(good, labels, strict=True):
            played.finish_s[place] = time.monotonic() - start_s
            played.labels[place] = label
