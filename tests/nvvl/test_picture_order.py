"""Whether streams are shown as they are stored, read off streams whose encoder was told."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from nvvl import indexing
from nvvl.bitstream import NalFormat, heads_of
from nvvl.picture_order import is_stored_as_shown
from nvvl.video_file import VideoFile
from tests.support import numbered_videos as nv
from tests.support.numbered_videos import H264, HEVC, Coded, x264, x265

POC_TYPE_0 = Coded(
    "libx264", options=x264(keyint=12, bframes=0, nal_hrd="vbr", vbv_maxrate=900, vbv_bufsize=900)
)
LONG_LOW_DELAY = Coded("libx265", options=x265(keyint=300, bframes=0, ref=4))
MANY_PLANES = Coded(
    "libx264",
    "yuv444p",
    x264(keyint=12, bframes=0, cqm="jvt", nal_hrd="vbr", vbv_maxrate=900, vbv_bufsize=900),
)

AS_SHOWN = {
    "without reordering by type": H264["b0"],
    "h264 that could reorder": POC_TYPE_0,
    "scaling lists, 4:4:4": MANY_PLANES,
    "keyframes alone": H264["intra"],
    "hevc": HEVC["b0"],
    "hevc, order counts that wrap": LONG_LOW_DELAY,
}
REORDERED = {
    "b-frames": H264["b3"],
    "one b-frame": H264["b1"],
    "open groups": H264["open"],
    "several slices": H264["slices"],
    "hevc b-frames": HEVC["b3"],
    "hevc open groups": HEVC["open"],
    "hevc layers": HEVC["layers"],
}


def is_as_shown(path: Path) -> bool:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context.name
        nal_format = NalFormat.of(codec, bytes(stream.codec_context.extradata or b""))
        packets = [
            heads_of(nal_format.units(bytes(packet)), codec)
            for packet in container.demux(stream)
            if packet.size
        ]
    return is_stored_as_shown(codec, nal_format.parameter_units, packets)


@pytest.mark.parametrize("suffix", [".mp4", ".ts"])
@pytest.mark.parametrize("kind", AS_SHOWN)
def test_stored_as_shown(tmp_path: Path, kind: str, suffix: str) -> None:
    path = nv.encode(tmp_path / f"a{suffix}", AS_SHOWN[kind], range(280 if "wrap" in kind else 40))
    assert is_as_shown(path)


@pytest.mark.parametrize("kind", REORDERED)
def test_reordered(tmp_path: Path, kind: str) -> None:
    assert not is_as_shown(nv.encode(tmp_path / "a.mp4", REORDERED[kind]))


def test_cut_off_headers_are_not_believed() -> None:
    assert not is_stored_as_shown("h264", [b"\x67"], [[b"\x65\x88"]])
    assert not is_stored_as_shown("hevc", [], [[b"\x26\x01\xaf"]])
    assert not is_stored_as_shown("h264", [], [[]])


@pytest.mark.parametrize("kind", AS_SHOWN)
def test_a_stream_without_reordering_is_not_decoded_to_be_indexed(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = nv.encode(tmp_path / "a.mp4", AS_SHOWN[kind])
    monkeypatch.delattr(indexing, "_index_by_decoding")
    with VideoFile(str(path)) as file:
        assert indexing.index_of(file).num_frames == nv.NUM_FRAMES
