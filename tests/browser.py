"""Headless Chromium by the DevTools protocol over two pipes: nothing to install but the browser.

playwright and selenium were the losers: 45 MB with a Node.js of its own, and a driver that must
have the browser's version, for the ten commands that these tests send.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

# So many seconds may an answer take.
_PATIENCE = 300
# The browser reads commands from its third descriptor and answers on the fourth.
_START = (
    "import os, sys; r, w, *command = sys.argv[1:]; "
    "os.dup2(int(r), 3); os.dup2(int(w), 4); os.execvp(command[0], command)"
)
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
    "--disable-extensions", "--disable-dev-shm-usage", "--remote-debugging-pipe",
)  # fmt: skip


def find_browser() -> str | None:
    """The path of a Chromium or Chrome; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """A browser and one page of it; close it when done."""

    def __init__(self, path: str, profile: Path) -> None:
        ours_r, theirs_w = map(_high, os.pipe())
        theirs_r, ours_w = map(_high, os.pipe())
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-c", _START, str(theirs_r), str(theirs_w)),
                *(path, *_FLAGS, f"--user-data-dir={profile}", "about:blank"),
            ],
            pass_fds=(theirs_r, theirs_w),
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_r)
        os.close(theirs_w)
        self._in, self._out, self._buffer, self._id = ours_r, ours_w, b"", 0
        self._session: str | None = None
        #: What the browser reported: console messages, exceptions, loads.
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        found = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        self._id += 1
        message = {"id": self._id, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._id:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def show(self, width: int, *, dark: bool = False, height: int = 900) -> None:
        """Give the page a width in pixels, and a scheme of colours."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1}
        self.call("Emulation.setDeviceMetricsOverride", mobile=width < 500, **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, path: Path, *, scripts: bool = True) -> None:
        """Load a file, with or without its scripts, and wait until it is there."""
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def eval(self, expression: str) -> Any:
        """The value of an expression of JavaScript on the page; a promise is awaited."""
        found = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(json.dumps(found["exceptionDetails"])[:2000])
        return found["result"].get("value")

    def press(self, key: str, text: str = "") -> None:
        """Press and release a key."""
        code = {"Enter": 13, "Tab": 9, " ": 32}[key]
        shared = {"key": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **shared)
        self.call("Input.dispatchKeyEvent", type="keyUp", **shared)

    def screenshot(self) -> bytes:
        """The whole page as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {**size, "x": 0, "y": 0, "scale": 1}
        found = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(found["data"])

    @property
    def complaints(self) -> list[str]:
        """What stands in the console since the page was opened, and what it asked others for."""
        found = []
        for event in self.events:
            method, params = event.get("method", ""), event.get("params", {})
            if method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
                found.append(json.dumps(params)[:500])
            if method == "Network.requestWillBeSent" and params["type"] != "Document":
                found.append(f"request of {params['request']['url'][:200]}")
        return found

    def close(self) -> None:
        """End the browser."""
        self._session = None
        try:
            self.call("Browser.close")
        finally:
            os.close(self._in)
            os.close(self._out)
            self._process.wait(_PATIENCE)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], _PATIENCE)
            data = os.read(self._in, 1 << 20) if ready else b""
            if not data:
                raise RuntimeError("the browser does not answer")
            self._buffer += data
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)


def _high(descriptor: int) -> int:
    """The same pipe under a number that is not the browser's third or fourth."""
    import fcntl

    found = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return found
