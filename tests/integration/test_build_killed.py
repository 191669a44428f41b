"""An engine that is killed in the middle of a build, and the one after it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from anyio import to_thread

from tests.support.builds import build_place
from tests.support.isolation import Isolation, descendants
from tests.support.oci import OciImage
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = "FROM busybox\nRUN echo 1 > /one\nRUN echo under way; sleep 1000; echo 2 > /two\n"
CHILD = """
import anyio, sys
from pathlib import Path
from tests.support.builds import build_until_killed
from tests.support.oci import OciImage
directory, base, cgroups = sys.argv[1:]
anyio.run(build_until_killed, Path(directory), OciImage(Path(base)), cgroups)
"""


async def test_a_killed_build_leaves_nothing_visible_and_its_steps_are_reused(
    isolation: Isolation, busybox_image: OciImage, tmp_path: Path, cgroup_parent: str
) -> None:
    directory = isolation.work_dir / tmp_path.name
    (directory / "context").mkdir(parents=True)
    (directory / "context/Dockerfile").write_text(DOCKERFILE)
    before = descendants(isolation.reaper)
    build_and_kill(directory, busybox_image, cgroup_parent)
    assert list((directory / "run/builds").iterdir()) != []

    async with build_place(directory, busybox_image, "busybox", cgroup_parent) as place:
        assert place.leftovers() == []
        await to_thread.run_sync(
            wait_until, lambda: descendants(isolation.reaper) <= before, "no process is left"
        )
        assert place.images.find("killed") is None
        await place.build(DOCKERFILE.replace("sleep 1000", "true"))
        assert place.cached() == ["RUN echo 1 > /one"]


def build_and_kill(directory: Path, base: OciImage, cgroup_parent: str) -> None:
    # In a mount namespace of its own, as an engine is.
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", CHILD]
    with subprocess.Popen(
        [*command, str(directory), str(base.directory), cgroup_parent],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert any(line == "under way\n" for line in child.stdout)
        child.kill()
