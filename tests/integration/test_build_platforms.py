"""Images for other machines: built here, run there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.errors import Failed, InvalidInput
from orchestrator.model.stack import Build
from tests.support.builds import Place, build_place
from tests.support.isolation import Isolation
from tests.support.oci import OciImage

# The head of an ELF program for a machine that this is not (EM_PPC64).
FOREIGN = b"\x7fELF\x02\x02\x01" + bytes(9) + b"\0\x02\0\x15" + bytes(44)


@pytest.fixture
async def place(
    isolation: Isolation, busybox_image: OciImage, tmp_path: Path, cgroup_parent: str
) -> AsyncIterator[Place]:
    directory = isolation.work_dir / tmp_path.name
    async with build_place(directory, busybox_image, "busybox", cgroup_parent) as made:
        yield made


async def test_another_platform_is_built_for_without_running_its_programs(place: Place) -> None:
    (place.context / "sh").write_bytes(FOREIGN)
    (place.context / "sh").chmod(0o755)
    dockerfile = (
        "FROM --platform=$BUILDPLATFORM busybox AS make\nARG TARGETOS TARGETARCH TARGETVARIANT\n"
        "ARG BUILDARCH\n"
        'RUN mkdir /out && echo "$TARGETOS $TARGETARCH $TARGETVARIANT $BUILDARCH" > /out/made\n'
        "FROM scratch\nCOPY sh /bin/sh\nCOPY --from=make /out /out\n"
    )
    image = await place.build(dockerfile, platforms=("linux/arm64",))
    assert (image.config.os, image.config.architecture) == ("linux", "arm64")
    assert await place.files(image, "out") == {"made": "644 0:0 linux arm64  amd64\n"}
    # The stage that the result starts from is for that platform too.
    image = await place.build("FROM test\nENV A=1\n", "next", platforms=("linux/arm64",))
    assert image.config.architecture == "arm64"
    with pytest.raises(Failed) as caught:
        await place.build("FROM test\nRUN true\n", "run", platforms=("linux/arm64",))
    assert caught.value.code == "platform-not-runnable"
    assert "cannot run programs for linux/arm64" in caught.value.message
    assert caught.value.message.startswith("dockerfile_inline:2: RUN true: ")


async def test_platforms_that_make_no_sense_are_told(place: Place) -> None:
    with pytest.raises(InvalidInput, match="one platform at a time"):
        await place.build("FROM scratch\n", platforms=("linux/amd64", "linux/arm64"))
    with pytest.raises(InvalidInput, match=r"dockerfile_inline:1: .*is not a platform"):
        await place.build("FROM --platform=a/b/c/d busybox\n")
    build = Build(context="", dockerfile_inline="FROM --platform=linux/s390x scratch\nCMD x\n")
    image = await place.builds.build(build, ["x"], place.said.append)
    assert image.config.architecture == "s390x"
