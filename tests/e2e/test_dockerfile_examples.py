"""The examples' images are built and their stacks run; the page is opened in a real browser."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import browser, remains
from tests.support.engine import EngineUnderTest
from tests.support.isolation import Isolation
from tests.support.registry import Registry
from tests.support.web import get

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples/compose"
SCREENSHOTS = ROOT / "build/test-artefacts"
# What goes by the name of the slim Python image here: Debian's Python, under a label that says so.
STAND_IN = """
FROM debian:bookworm-slim
LABEL stand-in="Debian's python3 in place of the image of this name"
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        ca-certificates python3 python3-pip >/dev/null \
    && ln -s python3 /usr/bin/python
# The certificates that this machine trusts, for networks whose way out has one of its own.
COPY --from=certificates ca-certificates.crt /etc/ssl/certs/machine.crt
ENV PIP_CERT=/etc/ssl/certs/machine.crt PIP_BREAK_SYSTEM_PACKAGES=1
ENV PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1
"""


@pytest.mark.timeout(900)
@pytest.mark.skipif(bool(browser.missing()), reason=browser.missing())
async def test_every_example_is_built_and_does_what_it_says(
    engine: EngineUnderTest, debian_hub: Registry, isolation: Isolation
) -> None:
    engine.cli(
        "build", "-q", "-t", "python:3.11-slim", "--build-context", "certificates=/etc/ssl/certs",
        "-", stdin=STAND_IN, timeout_s=280,
    )  # fmt: skip

    def stack(name: str, *args: str, timeout_s: float = 60) -> str:
        file = str(EXAMPLES / name / "stack.yml")
        # The example's own port is a registry's here.
        env = {"APP_PORT": "5080"}
        return engine.cli("-f", file, *args, timeout_s=timeout_s, env=env).output

    # A script that runs once, and has git.
    assert "1: first" in stack("script", "up", timeout_s=280)
    stack("script", "down")

    # An application with its requirements.
    stack("application", "up", "-d", "--wait", timeout_s=280)
    assert get("http://127.0.0.1:5080/?name=there") == "Hello, there!\n"
    assert get("http://127.0.0.1:5080/") == "Hello, pystack!\n"
    stack("application", "down")

    # Streamlit, in a browser.
    stack("streamlit", "up", "-d", "--wait", timeout_s=400)
    async with browser.opened() as page:
        await page.goto("http://127.0.0.1:8501/")
        await page.until("document.body.innerText.includes('Pressed 0 times')", 90)
        assert await page.until("document.title === 'Squares'", 20)
        assert await page.evaluate("document.querySelector('h1').innerText") == "Squares"
        # Parts of the page are fetched when they are first needed.
        button = "document.querySelector('[data-testid=stButton] button')"
        await page.until(f"!!{button} && !!document.querySelector('[role=graphics-document]')", 30)
        for count in (1, 2):
            await page.click(button)
            await page.until(f"document.body.innerText.includes('Pressed {count} times')", 30)
        await page.screenshot(SCREENSHOTS / "streamlit.png")
    assert (SCREENSHOTS / "streamlit.png").stat().st_size > 5_000
    stack("streamlit", "down")
    assert remains.of(engine, isolation) == []

    labels = json.loads(engine.cli("image", "inspect", "python:3.11-slim").stdout)
    assert "stand-in" in labels[0]["Config"]["Labels"]


def test_the_conda_variant_is_checked_where_its_site_is_not_reached(
    engine: EngineUnderTest,
) -> None:
    checked = engine.cli(
        "build", "--check", "-f", str(ROOT / "Dockerfile.examples"), "--target", "streamlit-conda",
        str(ROOT),
    )  # fmt: skip
    assert checked.stdout == "Check complete, no warnings found.\n"
