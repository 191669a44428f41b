"""Stacks as pytest fixtures: up before a test or before the session's first, down after.

    @pytest.mark.pystack("stack.yml")          # else `pystack_file` of the configuration
    def test_it(pystack_stack):
        host = pystack_stack.address("web", 80)

`pystack_session_stack` is one for all tests of a session. What the containers of a failed test
said is part of its report.
"""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import PystackError
from orchestrator.interface.blocking import Engine, Stack

_FIXTURES = ("pystack_stack", "pystack_session_stack")
_LOG_LINES = 100


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("pystack_file", "the stack file of the pystack fixtures", default="stack.yml")
    parser.addini("pystack_timeout", "seconds until a stack must be healthy", default="120")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "pystack(*files, **options): the stack of pystack_stack, as Engine.stack has it"
    )


@pytest.fixture(scope="session")
def pystack_engine() -> Iterator[Engine]:
    """The engine of this user and machine."""
    with Engine() as engine:
        yield engine


@pytest.fixture
def pystack_stack(request: pytest.FixtureRequest, pystack_engine: Engine) -> Iterator[Stack]:
    """A stack of this test's own, healthy."""
    marker = request.node.get_closest_marker("pystack")
    files = [request.path.parent / file for file in marker.args] if marker else []
    options: dict[str, Any] = {"name": _new_name(), "timeout_s": _timeout(request.config)}
    options |= marker.kwargs if marker else {}
    with pystack_engine.stack(*(files or [_file(request.config)]), **options) as stack:
        yield stack


@pytest.fixture(scope="session")
def pystack_session_stack(
    request: pytest.FixtureRequest, pystack_engine: Engine
) -> Iterator[Stack]:
    """One stack for all tests of the session, healthy."""
    config = request.config
    stack = pystack_engine.stack(_file(config), name=_new_name(), timeout_s=_timeout(config))
    with stack:
        yield stack


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and report.failed:
        values = getattr(item, "funcargs", {})
        for name in _FIXTURES:
            if isinstance(stack := values.get(name), Stack):
                report.sections.append((f"logs of stack {stack.name}", _said(stack)))
    return report


def _said(stack: Stack) -> str:
    try:
        return "\n".join(stack.logs(tail=_LOG_LINES))
    except PystackError as error:
        return error.message


def _file(config: pytest.Config) -> Path:
    return config.rootpath / str(config.getini("pystack_file"))


def _timeout(config: pytest.Config) -> float:
    return float(config.getini("pystack_timeout"))


def _new_name() -> str:
    """A name that no other run of tests on this machine has."""
    return f"test-{secrets.token_hex(4)}"
