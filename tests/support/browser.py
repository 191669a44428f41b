"""A headless Chromium, driven over its debugging protocol: no library and no driver is needed.

Source: Chrome DevTools Protocol, domains Page and Runtime.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

_START_S = 30.0
_ANSWER_S = 30.0
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--remote-debugging-port=0",
    "--window-size=1000,900",
)


def missing() -> str:
    """Why no page can be opened here, "" when one can."""
    return "" if shutil.which("chromium") else "needs the package chromium"


class Page:
    """One page that is open."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    async def goto(self, url: str) -> None:
        await self._call("Page.enable")
        await self._call("Page.navigate", url=url)

    async def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        answer = await self._call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def click(self, element: str) -> None:
        """Presses the mouse on the element that a JavaScript expression gives."""
        place = await self.evaluate(
            f"(e => {{ e.scrollIntoView({{block: 'nearest'}}); const r = e.getBoundingClientRect();"
            f" return [r.x + r.width / 2, r.y + r.height / 2] }})({element})"
        )
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            await self._call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=place[0],
                y=place[1],
                button="none" if kind == "mouseMoved" else "left",
                clickCount=0 if kind == "mouseMoved" else 1,
            )

    async def until(self, script: str, seconds: float) -> Any:
        """The value of the expression, once it is true.  Raises: AssertionError: it never is."""
        deadline = time.monotonic() + seconds
        # Before the page is there, the expression may fail.
        attempt = f"(() => {{ try {{ return {script} }} catch {{ return null }} }})()"
        while not (value := await self.evaluate(attempt)):
            if time.monotonic() > deadline:
                text = await self.evaluate("document.body.innerText")
                raise AssertionError(f"not within {seconds} s: {script}\n{text}")
            await asyncio.sleep(0.1)
        return value

    async def screenshot(self, path: Path) -> None:
        answer = await self._call("Page.captureScreenshot", format="png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    async def _call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(_ANSWER_S):
            async for message in self._socket:
                answer = json.loads(message.data)
                if answer.get("id") == number:
                    assert "error" not in answer, answer
                    return dict(answer["result"])
        raise AssertionError("the browser went away")


@asynccontextmanager
async def opened() -> AsyncIterator[Page]:
    """An empty page in a browser of its own, gone after the block."""
    with tempfile.TemporaryDirectory(
        prefix="pystack-chromium-", ignore_cleanup_errors=True
    ) as profile:
        process = _started(profile)
        try:
            port = await _port(process, Path(profile, "DevToolsActivePort"))
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    pages = [p for p in await answer.json(content_type=None) if p["type"] == "page"]
                url = pages[0]["webSocketDebuggerUrl"]
                async with session.ws_connect(url, max_msg_size=64 << 20) as socket:
                    yield Page(socket)
        finally:
            # Its helpers too, or they would go on writing to the profile.
            os.killpg(process.pid, signal.SIGKILL)
            await asyncio.to_thread(process.wait)


def _started(profile: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["chromium", *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


async def _port(process: subprocess.Popen[bytes], file: Path) -> int:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        lines = file.read_text().split() if file.exists() else []
        if lines:
            return int(lines[0])
        await asyncio.sleep(0.05)
    raise AssertionError("chromium did not start")
