"""The digest that tells whether a service's containers are still what the file says."""

from __future__ import annotations

from orchestrator.model.config_hash import config_hash
from orchestrator.model.container import ContainerSpec, Mount, Resources
from orchestrator.model.stack import Service


def of(**fields: object) -> str:
    spec = ContainerSpec(image="busybox", **fields)  # type: ignore[arg-type]
    return config_hash(Service(name="web", container=spec))


def test_what_is_as_by_default_does_not_count() -> None:
    assert of() == of(resources=Resources(), oom_score_adj=0, masked_paths=None)
    assert of(mounts=(Mount(kind="bind", source="/a", target="/b"),)) == of(
        mounts=(Mount(kind="bind", source="/a", target="/b", recursive=""),)
    )


def test_whatever_else_differs_counts() -> None:
    hashes = [
        of(),
        of(command=()),
        of(oom_score_adj=1),
        of(environment={"A": ""}),
        of(unset_environment=("A",)),
        of(resources=Resources(memory_bytes=1)),
        of(mounts=(Mount(kind="tmpfs", target="/b"),)),
        of(mounts=(Mount(kind="tmpfs", target="/b", read_only=True),)),
    ]
    assert len(set(hashes)) == len(hashes)
