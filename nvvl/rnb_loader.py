"""RnBLoader: video files in, clips of frames in a tensor on a device out.

The interface is that of the NVVL fork that RnB was written for; the decoders behind it are today's.
"""

from __future__ import annotations

import os
from collections import deque
from types import TracebackType

import torch
from torch import Tensor

from nvvl import backends
from nvvl.clips import Clips, MissingFrames
from nvvl.errors import VideoError
from nvvl.index import VideoIndex
from nvvl.index_cache import IndexFolder, IndexKey
from nvvl.indexed_file import IndexedFile
from nvvl.indexing import index_of, remember_index, whole_index_of
from nvvl.pace import Pace
from nvvl.picked_clips import picked_clips
from nvvl.sampler import AllSampler, Sampler
from nvvl.video_file import VideoFile
from nvvl.window import Window

OUTPUT_DTYPES = (torch.uint8, torch.float32)


class RnBLoader:
    """Decodes the clips that a sampler picks, as pictures of `width` x `height`. For use by one thread.

    Two ways to use it: `loadfile` some files and iterate, or `decode_into` a tensor of one's own.

    Args:
        width, height: size of the output in pixels.
        consecutive_frames: frames in a clip.
        device_id: the index of a GPU; None or -1 for the CPU.
        sampler: says where the clips of a video begin; None: AllSampler.
        backend: 'nvdec' (a GPU's video engine), 'pyav' (FFmpeg on the CPU), 'nvvl' (the original package,
            where it is installed), or 'auto': nvdec where it can be had, and PyAV for what it cannot decode.
        conceal: give out frames that a decoder made up in part because the file is damaged, and say in
            `notes` how many; without it, a file is refused when such a frame is wanted.
        resize: scale to this width and height, and give out the middle of that; None: all of the picture,
            scaled to the output.
        frame_step, frame_rate: what a clip has: every `frame_step`-th frame, or so many frames a second. The
            sampler sees the video as if it had no others.
        max_pixels: refuse videos with larger pictures.
        index_cache: a folder in which the indexes of files are kept.

    Raises:
        ValueError, ImportError: an option cannot be had, in one line.

    `notes` are lines on the file that was decoded last: what is odd about it, but no reason to refuse it.
    `size` is the width and height of its pictures, `codec` how they are encoded, by FFmpeg's name.
    """

    def __init__(
        self,
        width: int,
        height: int,
        consecutive_frames: int,
        device_id: int | None = 0,
        sampler: Sampler | None = None,
        *,
        backend: str = "auto",
        conceal: bool = False,
        resize: tuple[int, int] | None = None,
        frame_step: int = 1,
        frame_rate: float | None = None,
        max_pixels: int | None = None,
        index_cache: str | None = None,
    ) -> None:
        self.width, self.height = width, height
        self.consecutive_frames = consecutive_frames
        self.sampler = AllSampler() if sampler is None else sampler
        self.device = _device(device_id)
        self.notes: tuple[str, ...] = ()
        self.size, self.codec = (0, 0), ""
        self._pace = Pace(frame_step, frame_rate)
        self._index_folder = None if index_cache is None else IndexFolder(index_cache)
        window = Window.centred(width, height, resize)
        self._conceal, self._max_pixels = conceal, max_pixels
        self._backend = backends.choose(backend, self.device, window, conceal=conceal)
        self._loaded: deque[tuple[str, Clips]] = deque()

    @property
    def decoder(self) -> str:
        """The backend that was chosen: one of `backends.NAMES`, or 'nvdec, pyav', as the backend says it."""
        return self._backend.name

    def loadfile(self, filename: str | os.PathLike[str]) -> None:
        """Pick the clips of a file; the next iteration decodes them.

        Raises:
            VideoError: the file cannot be used. The loader goes on with the next one.
        """
        with self._open(filename) as file:
            index = index_of(file, self._index_folder)
            self._check_size(index)
            self._loaded.append(
                (file.filename, picked_clips(index, self.sampler, self._pace, self.consecutive_frames))
            )

    def __iter__(self) -> RnBLoader:
        return self

    def __next__(self) -> Tensor:
        """The clips of the next loaded file.

        Returns:
            float32 (num_clips, consecutive_frames, 3, height, width), RGB in 0..255, on the loader's device.

        Raises:
            VideoError: the file cannot be decoded. It is dropped, and the loader goes on with the next one.
        """
        if not self._loaded:
            raise StopIteration
        filename, frames = self._loaded.popleft()
        shape = (len(frames), self.consecutive_frames, 3, self.height, self.width)
        clips = torch.empty(shape, dtype=torch.float32, device=self.device)
        with self._open(filename) as file:
            self._decode(file, index_of(file, self._index_folder), frames, clips.transpose(1, 2))
        return clips

    def decode_into(self, filename: str | os.PathLike[str], out: Tensor) -> int:
        """Decode a file's clips into the first rows of `out`.

        Args:
            filename: where it is an `nvvl.indexed_file.IndexedFile`, its index is used.
            out: (max_clips, 3, consecutive_frames, height, width), uint8 or float32, on the loader's device,
                with any strides. On a GPU it is written in the order of the current stream.

        Returns:
            The number of clips; further rows of `out` are left as they are.

        Raises:
            VideoError: the file cannot be used; `out` may be partly written. The loader goes on with the next
            one. ValueError: `out` does not fit the loader, or is too small for what the sampler picked.
        """
        self._check_out(out)
        if isinstance(filename, IndexedFile):
            remember_index(filename.key, filename.frames)
        with self._open(filename) as file, self._state_of(file).held(file.filename):
            index = index_of(file, self._index_folder)
            self._check_size(index)
            clips = picked_clips(index, self.sampler, self._pace, self.consecutive_frames)
            if len(clips) > len(out):
                raise ValueError(f"the sampler picked {len(clips)} clips, but out has room for {len(out)}")
            self._decode(file, index, clips, out[: len(clips)])
        return len(clips)

    def flush(self) -> None:
        """Forget the files that were loaded and not yet iterated over."""
        self._loaded.clear()

    def close(self) -> None:
        """Give back the decoder. May be called twice."""
        self.flush()
        self._backend.close()

    def __enter__(self) -> RnBLoader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, filename: str | os.PathLike[str]) -> VideoFile:
        name = str(os.fsdecode(filename))  # without the index that it may bring along
        return VideoFile(name, conceal=self._conceal)

    def _state_of(self, file: VideoFile) -> IndexKey:
        return IndexKey.of(file.filename, conceal=self._conceal, decode_all=False)

    def _check_size(self, index: VideoIndex) -> None:
        width, height = index.info.width, index.info.height
        if self._max_pixels is not None and width * height > self._max_pixels:
            most = f"max_pixels allows {self._max_pixels:,}"
            raise VideoError(
                index.filename, f"has pictures of {width}x{height}, {width * height:,} pixels; {most}"
            )

    def _decode(self, file: VideoFile, index: VideoIndex, clips: Clips, out: Tensor) -> None:
        self.size, self.codec = (index.info.width, index.info.height), index.info.codec
        try:
            num_concealed = self._backend.decode(file, index, clips, out)
        except MissingFrames as missing:
            num_concealed = self._decode_from_the_beginning(file, clips, out, missing)
        concealed = f"{num_concealed} of its frames are concealed where it is damaged"
        self.notes = (*index.notes, concealed) if num_concealed else index.notes

    def _decode_from_the_beginning(
        self, file: VideoFile, clips: Clips, out: Tensor, missing: MissingFrames
    ) -> int:
        """Before a file is called damaged: an intact one gives all its frames when it is played."""
        index = whole_index_of(file, self._index_folder)
        try:
            if index.is_damaged or max(map(max, clips)) >= index.num_frames:
                raise missing
            return self._backend.decode(file, index, clips, out)
        except MissingFrames as error:
            raise VideoError(file.filename, f"is damaged: {error} cannot be decoded") from error

    def _check_out(self, out: Tensor) -> None:
        expected = (3, self.consecutive_frames, self.height, self.width)
        if out.dim() != 5 or tuple(out.shape[1:]) != expected:
            raise ValueError(f"out is {tuple(out.shape)}; it must be (max_clips, {str(expected)[1:]}")
        if out.dtype not in OUTPUT_DTYPES:
            raise ValueError(f"out is {out.dtype}; it must be one of {', '.join(map(str, OUTPUT_DTYPES))}")
        if out.device != self.device:
            raise ValueError(f"out is on {out.device}; it must be on {self.device}")


def _device(device_id: int | None) -> torch.device:
    if device_id is None or device_id < 0:
        return torch.device("cpu")
    return torch.device("cuda", device_id)
