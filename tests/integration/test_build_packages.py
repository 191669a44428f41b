"""The quickstart's images, built from a real distribution's packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.model.stack import Build
from tests.support.builds import build_place
from tests.support.isolation import Isolation
from tests.support.oci import OciImage

QUICKSTART = Path(__file__).resolve().parents[2] / "examples/compose/quickstart"


@pytest.mark.timeout(600)
async def test_packages_are_installed_from_the_distribution(
    isolation: Isolation, debian_image: OciImage, tmp_path: Path, cgroup_parent: str
) -> None:
    directory = isolation.work_dir / tmp_path.name
    async with build_place(directory, debian_image, "debian:bookworm-slim", cgroup_parent) as place:
        web = await place.builds.build(
            Build(context=str(QUICKSTART / "web")), ["web"], place.said.append
        )
        async with place.root(web) as root:
            assert (root / "usr/bin/python3").exists()
            assert (root / "app/app.py").exists()
            assert list((root / "var/lib/apt/lists").iterdir()) == []
        assert web.config.entrypoint == ("python3", "-u", "app.py")
        assert any("Setting up python3" in line for line in place.details())
        await place.build("FROM web\nUSER root\nRUN python3 -c 'import http.server'\n")
        redis = await place.builds.build(
            Build(context=str(QUICKSTART / "redis")), ["redis"], place.said.append
        )
        assert redis.config.volumes == ("/data",)
        async with place.root(redis) as root:
            assert (root / "data").stat().st_uid != 0
