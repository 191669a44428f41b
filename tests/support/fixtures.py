"""The fixtures for tests that use real parts."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import baseimages, leaks
from tests.support import registry as registries
from tests.support.engine import EngineUnderTest, Result
from tests.support.isolation import Isolation
from tests.support.leaks import CGROUP_PREFIX
from tests.support.oci import OciImage

# The network namespace is the session's own, so the ports are free.
REGISTRY_PORT = 5000
AUTH_REGISTRY_PORT = 5001

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def busybox_image(isolation: Isolation) -> OciImage:
    """A busybox image, with its applets in /bin and users in /etc/passwd."""
    return baseimages.busybox(isolation.work_dir / "busybox")


@pytest.fixture(scope="session")
def debian_image(isolation: Isolation) -> OciImage:
    """A minimal Debian bookworm image; made on first use, then cached for a month."""
    if not isolation.online:
        pytest.fail("the Debian image needs a way out: install slirp4netns", False)
    return baseimages.debian()


@pytest.fixture(scope="session")
def registry(isolation: Isolation) -> Iterator[registries.Registry]:
    """An anonymous registry, empty at first."""
    with registries.serve(isolation.work_dir / "registry", REGISTRY_PORT) as running:
        isolation.keep.add(running.pid)
        yield running


@pytest.fixture(scope="session")
def auth_registry(isolation: Isolation) -> Iterator[registries.Registry]:
    """A registry that wants its `user` and `password`, by basic authentication."""
    directory = isolation.work_dir / "auth-registry"
    with registries.serve(directory, AUTH_REGISTRY_PORT, with_auth=True) as running:
        isolation.keep.add(running.pid)
        yield running


@pytest.fixture(scope="session")
def hub(registry: registries.Registry, busybox_image: OciImage) -> registries.Registry:
    """The registry as the engines' mirror of docker.io, with library/busybox in it."""
    for tag in ("latest", "stable"):
        registry.push(busybox_image, "library/busybox", tag)
    return registry


@pytest.fixture(scope="session")
def debian_hub(hub: registries.Registry, debian_image: OciImage) -> registries.Registry:
    """The same with library/debian:bookworm-slim."""
    hub.push(debian_image, "library/debian", "bookworm-slim")
    return hub


@pytest.fixture
def cgroup_parent() -> str:
    """A name for the parent of a test's cgroups that the leak check looks below."""
    return f"{CGROUP_PREFIX}{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def place(
    isolation: Isolation, cgroup_parent: str, hub: registries.Registry
) -> Iterator[EngineUnderTest]:
    """Where an engine of this test's own can live; none runs. One that does is stopped after."""
    with _settled(isolation, cgroup_parent, hub) as engine:
        yield engine


@contextmanager
def _settled(
    isolation: Isolation, cgroup_parent: str, hub: registries.Registry
) -> Iterator[EngineUnderTest]:
    directory = isolation.work_dir / cgroup_parent.rpartition("-")[2]
    directory.mkdir()
    (directory / "settings.toml").write_text(
        f'cgroup_parent = "{cgroup_parent}"\n'
        f'docker_config = "{directory}/docker.json"\n'
        '[registries."docker.io"]\n'
        f'mirrors = ["{hub.host}"]\n'
        f'[registries."{hub.host}"]\n'
        "insecure = true\n"
    )
    engine = EngineUnderTest(directory, cgroup_parent)
    try:
        yield engine
    finally:
        engine.stop()


@pytest.fixture(scope="module")
def module_engine(isolation: Isolation, hub: registries.Registry) -> Iterator[EngineUnderTest]:
    """One engine for all the tests of a file; see `shared`."""
    parent = f"{CGROUP_PREFIX}{os.getpid()}-{next(_numbers)}"
    with _settled(isolation, parent, hub) as engine:
        engine.start()
        yield engine


@pytest.fixture
def shared(
    module_engine: EngineUnderTest, isolation: Isolation, request: pytest.FixtureRequest
) -> Iterator[EngineUnderTest]:
    """The file's one engine, with no container, no network and no volume before and after."""
    # What the engine is made of stays until the file's last test: it is no leak of this one.
    request.node.stash[leaks.BEFORE] = leaks.take(isolation)
    yield module_engine
    if left := [c["Id"] for c in module_engine.containers()]:
        module_engine.run("rm", "-f", "-v", *left)
    module_engine.run("network", "prune", "-f")
    module_engine.run("volume", "prune", "-a", "-f")


@pytest.fixture
def engine(place: EngineUnderTest) -> EngineUnderTest:
    """An engine that runs, with data, settings, socket and cgroups of its own."""
    place.start()
    return place


@pytest.fixture
def emptied(engine: EngineUnderTest) -> Iterator[EngineUnderTest]:
    """`engine`, whose containers are all removed after the test."""
    yield engine
    if engine.answers() and (left := [c["Id"] for c in engine.containers()]):
        engine.run("rm", "-f", *left)


@pytest.fixture
def pystack(engine: EngineUnderTest) -> Callable[..., Result]:
    """Runs the command line against `engine`; fails when the command fails."""
    return engine.cli


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty directory named "demo" for a stack file."""
    directory = tmp_path / "demo"
    directory.mkdir()
    return directory
