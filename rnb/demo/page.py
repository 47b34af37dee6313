"""The page, which Streamlit runs from top to bottom at each click; what it does is in the files beside it."""

from __future__ import annotations

import argparse
import math
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from rnb.demo.gallery import enrol
from rnb.demo.marks import draw, marks_of
from rnb.demo.metrics import Figures, Reading, figures, parse
from rnb.demo.server import NoAnswer, Server
from rnb.demo.step_times import step_times
from rnb.demo.video import frames_of, sequence_parameters

PERIOD_S = 2
NUM_SHOWN = 60
"""Points of a chart of the dashboard."""
PICTURES, VIDEOS = ["jpg", "jpeg", "png"], ["mp4"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--gallery", type=Path)
    args = parser.parse_args()
    server = Server(url=args.server, api_key=os.environ.get("RNB_API_KEY"))
    st.set_page_config(page_title="RnB", layout="wide")
    st.title("RnB")
    st.caption(f"{server.url} is {'ready' if server.is_ready() else 'not ready'}")
    picture, video, enrolment, live = st.tabs(["A picture", "A video", "Enrol a face", "Live"])
    with picture:
        part(lambda: show_picture(server))
    with video:
        part(lambda: show_video(server))
    with enrolment:
        part(lambda: show_enrolment(server, args.gallery))
    with live:
        part(lambda: show_dashboard(server), every_s=PERIOD_S)


def part(show: Callable[[], None], every_s: float | None = None) -> None:
    """Show a part of the page, which runs by itself when something in it is touched, or every so often."""

    def guarded() -> None:
        try:
            show()
        except (NoAnswer, ValueError) as error:
            st.error(str(error))

    st.fragment(guarded, run_every=every_s)()


def show_picture(server: Server) -> None:
    """A picture and what is on it."""
    picture = _picture("picture")
    if picture is None:
        return
    before = server.statistics()
    start = time.perf_counter()
    result = server.predict(*picture)
    total_ms = (time.perf_counter() - start) * 1000
    steps = step_times(before, server.statistics())
    marks = marks_of(result)
    left, right = st.columns([2, 1])
    left.image(draw(picture[0], marks))
    right.metric("found", len(marks))
    right.metric("answer", f"{total_ms:.1f} ms")
    right.table(
        {
            "step": [one.name for one in steps],
            "wait, ms": [f"{one.queue_ms:.2f}" for one in steps],
            "work, ms": [f"{one.compute_ms:.2f}" for one in steps],
        }
    )
    right.json(result, expanded=False)


def show_video(server: Server) -> None:
    """A video as a sequence: each request starts it, is in its midst, or ends it."""
    file = st.file_uploader("video", VIDEOS)
    as_pictures = st.toggle("send its frames as pictures", value=True)
    every = st.number_input("every so many frames", 1, 1000, 10) if as_pictures else 1
    count = int(st.number_input("requests", 1, 1000, 8))
    if file is None or not st.button("Play"):
        return
    video, model = file.getvalue(), server.model()
    requests = list(frames_of(video, int(every), count)) if as_pictures else [video] * count
    sequence_id, shown, told = time.time_ns(), st.empty(), st.empty()
    results = []
    for number, data in enumerate(requests):
        start = time.perf_counter()
        result = server.infer(model, data, sequence_parameters(sequence_id, number, len(requests)))
        results.append(result)
        told.caption(
            f"request {number + 1} of {len(requests)}: {(time.perf_counter() - start) * 1000:.1f} ms"
        )
        if as_pictures:
            shown.image(draw(data, marks_of(result)))
    st.json(results, expanded=False)


def show_enrolment(server: Server, gallery: Path | None) -> None:
    """A face and a name for the gallery of the server."""
    if gallery is None:
        st.info("Say where the server's gallery is: demo.py --gallery FOLDER")
        return
    name, picture = st.text_input("name"), _picture("face")
    if picture is None or not st.button("Enrol"):
        return
    num_faces = len(marks_of(server.predict(*picture)))
    if num_faces != 1:
        raise ValueError(f"{num_faces} faces are found on it; there must be one")
    path = enrol(gallery, name, picture[0])
    st.success(f"{path}: the server knows {name} once it has looked at its gallery")


def show_dashboard(server: Server) -> None:
    """What the server does now."""
    reading = Reading(time_s=time.monotonic(), samples=parse(server.metrics()))
    before = st.session_state.get("reading")
    st.session_state["reading"] = reading
    history: deque[Figures] = st.session_state.setdefault("history", deque(maxlen=NUM_SHOWN))
    if before is None or reading.time_s - before.time_s < PERIOD_S / 2:
        st.caption("first figures come in a moment")
        return
    history.append(now := figures(before, reading))
    columns = st.columns(3)
    for column, (name, value) in zip(columns, _headline(now).items(), strict=True):
        column.metric(name, value)
    st.line_chart({"requests/s": [one.rate for one in history]})
    st.line_chart({"p50, ms": [one.p50_ms for one in history], "p99, ms": [one.p99_ms for one in history]})
    st.bar_chart({"waiting": now.queue_depths})
    for gpu, share in now.gpu_shares.items():
        st.progress(min(share, 1.0), f"GPU {gpu}: {share:.0%}")


def _headline(now: Figures) -> dict[str, str]:
    return {"requests/s": f"{now.rate:.1f}", "p50": _ms(now.p50_ms), "p99": _ms(now.p99_ms)}


def _ms(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f} ms"


def _picture(name: str) -> tuple[bytes, str] | None:
    """The bytes of a picture, uploaded or taken, and their media type."""
    file: Any = st.file_uploader(name, PICTURES)
    if st.toggle("camera", key=f"camera {name}"):
        file = st.camera_input("camera", key=f"input {name}") or file
    return None if file is None else (file.getvalue(), file.type)


main()
