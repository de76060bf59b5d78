"""A real Chromium, driven over its DevTools protocol, so keys, sizes and time are real."""

from __future__ import annotations

import base64
import itertools
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from browser import QUIET, program
from websockets.sync.client import connect

PHONE = (390, 844)
DESK = (1400, 900)
CODES = {"ArrowRight": 39, "ArrowLeft": 37, "Enter": 13, "Escape": 27, "Tab": 9, " ": 32}


class Tab:
    """One page. Every error of its scripts and every address that it loads is kept."""

    def __init__(self, address: str) -> None:
        self._socket = connect(address, max_size=None)
        self._numbers = itertools.count(1)
        self.errors: list[str] = []
        self.loaded: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the protocol and its result."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=60))
            if message.get("id") == number:
                assert "error" not in message, message
                found: dict[str, Any] = message["result"]
                return found
            self._hear(message)

    def _hear(self, message: dict[str, Any]) -> None:
        said = message.get("params", {})
        if message["method"] == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(said["exceptionDetails"])[:600])
        elif message["method"] == "Log.entryAdded" and said["entry"]["level"] == "error":
            self.errors.append(said["entry"]["text"])
        elif message["method"] == "Network.requestWillBeSent":
            self.loaded.append(said["request"]["url"])

    def open(self, address: str, size: tuple[int, int] = DESK, dark: bool = False) -> None:
        """Go to an address in a window of a size and wait until all of it is loaded."""
        width, height = size
        mobile = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self.call("Emulation.setTouchEmulationEnabled", enabled=mobile)
        look = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=look)
        self.call("Page.navigate", url="about:blank")  # another hash alone would not load the page again
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def js(self, expression: str) -> Any:
        """The value of an expression in the page, or of the promise that it gives."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, expression: str, seconds: float = 20) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.js(f"Boolean({expression})"):
            assert time.monotonic() < end, f"never true: {expression}"
            time.sleep(0.02)

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, as a person does."""
        for key in keys:
            code = CODES.get(key, ord(key.upper()) if len(key) == 1 else 0)
            text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
            self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
            self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def mouse(self, *places: tuple[float, float]) -> None:
        """Press the button at the first place, move to the others, and release it."""
        for kind, (x, y) in (
            ("mousePressed", places[0]),
            *(("mouseMoved", p) for p in places[1:]),
            ("mouseReleased", places[-1]),
        ):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def picture(self, path: Path, whole: bool = False) -> Path:
        """A PNG of what the window shows, or of the whole page."""
        more: dict[str, Any] = {}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            more = {
                "captureBeyondViewport": True,
                "clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1},
            }
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", **more)["data"]))
        return path


@contextmanager
def tab(folder: Path) -> Iterator[Tab]:
    """A tab of a Chromium whose profile lies in `folder`; skips the test where there is none."""
    profile = folder / "browser"
    command = [program(), *QUIET, f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield Tab(_address(profile / "DevToolsActivePort", process))
    finally:
        process.kill()
        process.wait()


def _address(port_file: Path, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + 60
    while not (port_file.exists() and port_file.read_text().count("\n")):
        assert process.poll() is None and time.monotonic() < end, "Chromium did not start"
        time.sleep(0.05)
    port = port_file.read_text().splitlines()[0]
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
            for tab in json.load(answer):
                if tab["type"] == "page":
                    return str(tab["webSocketDebuggerUrl"])
        time.sleep(0.05)
