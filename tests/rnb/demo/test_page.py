"""The page in a real browser: a picture with boxes, a video as a sequence, a face enrolled, live figures."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rnb.demo.marks import COLOURS
from tests.support.browser import Browser, find_browser, headless
from tests.support.images import encode, picture
from tests.support.running import ROOT
from tests.support.stand_in_server import STEP, StandIn, stand_in_server
from tests.support.videos import write_video

pytestmark = [pytest.mark.slow, pytest.mark.processes]

WAIT_S = 30.0
BUTTON = "[...document.querySelectorAll('button')].find(one => one.innerText.trim() === '{name}')"
IS_AT_REST = "document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"
UPLOADER = (
    "[...document.querySelectorAll('[data-testid=stFileUploader]')]"
    ".find(one => one.textContent.startsWith('{name}'))?.querySelector('input[type=file]')"
)
SHOWN = "[...document.querySelectorAll('[data-testid=stImage] img')].filter(one => one.naturalWidth)"
PIXEL = f"""
((x, y) => {{
  const canvas = document.createElement('canvas'), image = {SHOWN}[0];
  canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
  canvas.getContext('2d').drawImage(image, 0, 0);
  return [...canvas.getContext('2d').getImageData(x, y, 1, 1).data].slice(0, 3);
}})
"""


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with stand_in_server() as served:
        yield served


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gallery")


@pytest.fixture(scope="module")
def page(server: StandIn, gallery: Path) -> Iterator[str]:
    """The address of the page, from demo.py."""
    pytest.importorskip("streamlit", reason="streamlit is not installed: pip install -e '.[demo]'")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    flags = ["--server", server.url, "--port", str(port), "--gallery", str(gallery)]
    process = subprocess.Popen([sys.executable, "demo.py", *flags], cwd=ROOT, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: is_there(f"{address}/_stcore/health"), process)
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def opened(page: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The page in a browser."""
    path = find_browser()
    if path is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    with headless(path, tmp_path_factory.mktemp("browser")) as browser:
        browser.resize(1200)
        browser.call("Page.navigate", url=page)
        wait_for(lambda: "is ready" in text(browser))
        yield browser


def is_there(address: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def wait_for(is_so: Callable[[], Any], process: subprocess.Popen[bytes] | None = None) -> None:
    end = time.monotonic() + WAIT_S
    while not is_so():
        assert process is None or process.poll() is None, "the page has ended"
        assert time.monotonic() < end, f"not within {WAIT_S:.0f} s"
        time.sleep(0.1)


def text(browser: Browser) -> str:
    told: str = browser.evaluate("document.body?.innerText ?? ''")
    return told


def click(browser: Browser, name: str) -> None:
    button = BUTTON.format(name=name)
    wait_for(lambda: browser.evaluate(f"Boolean({button})"))
    browser.evaluate(f"{button}.click()")


def open_tab(browser: Browser, name: str) -> None:
    tabs = f"[...document.querySelectorAll('[role=tab]')].find(one => one.innerText.trim() === '{name}')"
    browser.evaluate(f"{tabs}.click()")
    wait_for(lambda: browser.evaluate(f"{tabs}.ariaSelected") == "true")


def upload(browser: Browser, name: str, path: Path) -> None:
    """Into the file input with this label, once the page has done what it was told before."""
    place = UPLOADER.format(name=name)
    wait_for(lambda: browser.evaluate(f"{IS_AT_REST} && Boolean({place})"))
    browser.evaluate(f"Object.assign({place}, {{id: 'upload {name}'}}) && null")
    root = browser.call("DOM.getDocument")["root"]["nodeId"]
    node = browser.call("DOM.querySelector", nodeId=root, selector=f"[id='upload {name}']")["nodeId"]
    browser.call("DOM.setFileInputFiles", files=[str(path)], nodeId=node)


def test_a_picture_is_shown_with_its_boxes(opened: Browser, server: StandIn, tmp_path: Path) -> None:
    (path := tmp_path / "red.png").write_bytes(encode(picture(480, 360), ".png"))
    upload(opened, "picture", path)
    wait_for(lambda: opened.evaluate(f"{SHOWN}.length"))
    assert server.num_served == 1
    blue, green, red = COLOURS[sum(b"rectangle") % len(COLOURS)]
    assert opened.evaluate(PIXEL + "(60, 120)") == pytest.approx([red, green, blue], abs=30)
    wait_for(lambda: STEP in text(opened))
    assert "1.00" in text(opened)
    assert "5.00" in text(opened)


def test_what_the_server_refuses_is_said(opened: Browser, tmp_path: Path) -> None:
    (path := tmp_path / "not.png").write_bytes(b"text")
    upload(opened, "picture", path)
    wait_for(lambda: "400: the image cannot be decoded" in text(opened))


def test_a_video_is_played_as_a_sequence(opened: Browser, server: StandIn, tmp_path: Path) -> None:
    path = write_video(tmp_path / "video.mp4", num_frames=35)
    before = server.num_served
    open_tab(opened, "A video")
    upload(opened, "video", path)
    wait_for(lambda: "video.mp4" in text(opened))
    click(opened, "Play")
    wait_for(lambda: "request 4 of 4" in text(opened))
    assert server.num_served == before + 4, "the picture is not sent again"
    told = server.parameters
    assert len({one["sequence_id"] for one in told}) == 1
    assert [one["sequence_start"] for one in told] == [True, False, False, False]
    assert [one["sequence_end"] for one in told] == [False, False, False, True]


def test_a_face_is_put_into_the_gallery(opened: Browser, gallery: Path, tmp_path: Path) -> None:
    (path := tmp_path / "face.png").write_bytes(encode(picture(), ".png"))
    open_tab(opened, "Enrol a face")
    opened.evaluate("document.querySelector('input[aria-label=name]').focus()")
    opened.call("Input.insertText", text="Ann Lee")
    for kind in ("keyDown", "keyUp"):
        opened.call("Input.dispatchKeyEvent", type=kind, key="Enter", windowsVirtualKeyCode=13)
    upload(opened, "face", path)
    wait_for(lambda: "face.png" in text(opened))
    click(opened, "Enrol")
    wait_for(lambda: "the server knows Ann Lee" in text(opened))
    (kept,) = gallery.glob("Ann Lee/*.png")
    assert kept.read_bytes() == path.read_bytes()


def test_the_dashboard_is_live(opened: Browser, server: StandIn) -> None:
    open_tab(opened, "Live")
    wait_for(lambda: "GPU GPU-1: 25%" in text(opened))
    server.num_served += 500
    wait_for(lambda: "9.9 ms" in text(opened) or "10.0 ms" in text(opened))
    assert "requests/s" in text(opened)


def test_it_shows_nothing_that_nobody_asked_for(opened: Browser) -> None:
    first, *_ = text(opened).replace("Skip to main content", "").split()
    assert first == "RnB"
