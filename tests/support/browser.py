"""A headless Chromium, driven over the pipe of its DevTools protocol: no package and no port is needed."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
TIMEOUT_S = 60.0


def find_browser() -> str | None:
    """The path of a Chromium, or None."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


@dataclass(kw_only=True)
class Browser:
    """One tab. Commands and events are those of the Chrome DevTools Protocol."""

    read_fd: int
    write_fd: int
    events: list[dict[str, Any]] = field(default_factory=list)
    _session: str | None = None
    _num_sent: int = 0
    _unread: bytes = b""

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its result; what happens meanwhile is added to `events`."""
        self._num_sent += 1
        message: dict[str, Any] = {"id": self._num_sent, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self.write_fd, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._num_sent:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def attach(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def open(self, page: Path, *, theme: str = "light", width: int = 1200, scripts: bool = True) -> None:
        """Open a file, in the light or the dark theme, and wait until it has loaded."""
        self.events.clear()
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.resize(width)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        self.call("Page.navigate", url=page.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive())

    def resize(self, width: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def text(self) -> str:
        """All text of the page, as it is in the document; needs no scripts in it."""
        root = self.call("DOM.getDocument", depth=-1)["root"]
        return "\n".join(_texts(root))

    def screenshot(self, path: Path, *, top: float = 0, height: float | None = None) -> None:
        """All of the page, or the part of this height from `top` on."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {
            "x": 0,
            "y": top,
            "width": size["width"],
            "height": min(height or size["height"], size["height"] - top),
            "scale": 1,
        }
        picture = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(picture))

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            chunk = os.read(self.read_fd, 1 << 16)
            if not chunk:
                raise RuntimeError("the browser ended")
            self._unread += chunk
        text, _, self._unread = self._unread.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message


def _texts(node: dict[str, Any]) -> Iterator[str]:
    """Of a node of the DOM domain and all below it, but not of scripts and styles."""
    if node["nodeName"] in ("SCRIPT", "STYLE"):
        return
    if node["nodeName"] == "#text" and node["nodeValue"].strip():
        yield node["nodeValue"]
    for child in node.get("children", ()):
        yield from _texts(child)


@contextlib.contextmanager
def headless(path: str, profile: Path) -> Iterator[Browser]:
    """Start the browser with an empty profile; it is ended with its children."""
    to_browser, from_us = os.pipe()
    from_browser, to_us = os.pipe()
    # It reads from descriptor 3 and writes to 4, whatever ours are.
    command = ["bash", "-c", f'exec "$0" "$@" 3<&{to_browser} 4>&{to_us}', path, *FLAGS]
    process = subprocess.Popen(
        [*command, f"--user-data-dir={profile}"],
        pass_fds=(to_browser, to_us),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(to_browser)
    os.close(to_us)
    browser = Browser(read_fd=from_browser, write_fd=from_us)
    try:
        browser.attach()
        yield browser
    finally:
        with contextlib.suppress(RuntimeError, OSError):
            browser._session = None
            browser.call("Browser.close")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its children, too, where it hangs
        process.wait()
        os.close(from_us)
        os.close(from_browser)
