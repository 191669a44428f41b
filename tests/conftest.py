"""Puts the test process in namespaces of its own, and fails what leaves something behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

from tests.support import isolation as namespaces
from tests.support import leaks

pytest_plugins = ["tests.support.fixtures", "tests.support.confined"]

KERNEL_DIRECTORIES = ("integration", "e2e")
ISOLATION = pytest.StashKey[namespaces.Isolation | None]()


def pytest_configure(config: pytest.Config) -> None:
    # A shell that runs the tests in the background has them ignore it, and what they start too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The same examples each time, so that a run tells of the change and not of its luck. To look
    # for new ones: ./test --hypothesis-profile=searching tests/unit
    hypothesis.settings.register_profile("fixed", derandomize=True)
    hypothesis.settings.register_profile("searching", derandomize=False)
    hypothesis.settings.load_profile(config.getoption("--hypothesis-profile") or "fixed")
    # A worker of pytest-xdist would have threads already; the kernel tests take turns anyway.
    config.stash[ISOLATION] = namespaces.enter() if os.geteuid() == 0 else None


def pytest_unconfigure(config: pytest.Config) -> None:
    if isolation := config.stash.get(ISOLATION, None):
        namespaces.leave(isolation)


def pytest_report_header(config: pytest.Config) -> str:
    isolation = config.stash.get(ISOLATION, None)
    if isolation is None:
        return "namespaces: none, tests of the kernel will fail (run as root)"
    outside = "with a way out" if isolation.online else "offline (install slirp4netns)"
    return f"namespaces: private net and mount, {outside}; files in {isolation.work_dir}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if set(KERNEL_DIRECTORIES) & set(Path(item.path).parts):
            item.add_marker(pytest.mark.kernel)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("kernel") is None:
        return
    isolation = item.config.stash[ISOLATION]
    if isolation is None:
        pytest.fail("this test needs root: it makes namespaces, mounts and interfaces", False)
    item.stash[leaks.BEFORE] = leaks.take(isolation)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    # Around the teardown, not in a fixture: every fixture of the test has let go by then.
    yield
    isolation = item.config.stash[ISOLATION]
    before = item.stash.get(leaks.BEFORE, None)
    if isolation is None or before is None:
        return
    if left := leaks.wait_for_none(isolation, before):
        leaks.sweep(isolation, before)
        pytest.fail("left behind:\n  " + "\n  ".join(left), False)


@pytest.fixture(scope="session")
def isolation(pytestconfig: pytest.Config) -> namespaces.Isolation:
    """The namespaces that the tests run in."""
    found = pytestconfig.stash[ISOLATION]
    if found is None:
        pytest.fail("this fixture needs root", False)
    return found
