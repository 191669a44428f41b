"""What removing an image comes to, and what is refused, as docker has it."""

from __future__ import annotations

import pytest

from orchestrator.engine.image_removal import Removal, by_id, by_reference
from orchestrator.errors import Conflict
from orchestrator.model.container import ContainerSpec
from orchestrator.model.image import Image, ImageConfig
from orchestrator.model.observed import Container, State, Status

A1, A2, B1 = "docker.io/library/a:1", "docker.io/library/a:2", "docker.io/library/b:1"
A_DIGEST, B_DIGEST = (f"docker.io/library/{name}@sha256:{'1' * 64}" for name in "ab")
ID = "sha256:" + "f" * 64


def image(*names: str) -> Image:
    return Image(
        id=ID,
        manifest_digest="",
        config=ImageConfig(),
        tags=tuple(name for name in names if "@" not in name),
        digests=tuple(name for name in names if "@" in name),
    )


def container(status: Status) -> Container:
    return Container(
        id="c" * 64,
        name="web",
        spec=ContainerSpec(image="a"),
        image_id=ID,
        created_at=1,
        state=State(status=status),
    )


STOPPED, RUNNING = container("exited"), container("running")


@pytest.mark.parametrize(
    ("names", "reference", "gone", "whole"),
    [
        ((A1,), A1, (A1,), True),
        ((A1, A2), A1, (A1,), False),
        ((A1, B1), A1, (A1,), False),
        ((A1, A_DIGEST), A1, (A1, A_DIGEST), True),
        ((A1, A2, A_DIGEST), A1, (A1,), False),
        ((A1, B_DIGEST), A1, (A1,), False),
        ((A1, A_DIGEST), A_DIGEST, (A_DIGEST,), False),
        ((A_DIGEST,), A_DIGEST, (A_DIGEST,), True),
    ],
)
def test_a_name_goes_and_the_image_with_its_last(
    names: tuple[str, ...], reference: str, gone: tuple[str, ...], whole: bool
) -> None:
    assert by_reference(image(*names), reference, (), force=False) == Removal(gone, whole)


def test_the_last_name_of_an_image_in_use_needs_force() -> None:
    with pytest.raises(Conflict) as caught:
        by_reference(image(A1), A1, [STOPPED], force=False)
    assert caught.value.message == (
        'conflict: unable to remove repository reference "a:1" (must force)'
        " - container cccccccccccc is using its referenced image ffffffffffff"
    )
    assert by_reference(image(A1, A2), A1, [RUNNING], force=False) == Removal((A1,), image=False)
    assert by_reference(image(A1), A1, [STOPPED], force=True) == Removal((A1,), image=True)
    assert by_reference(image(A1), A1, [RUNNING], force=True) == Removal((A1,), image=False)


@pytest.mark.parametrize(
    ("names", "users", "force", "problem"),
    [
        ((A1,), [RUNNING], True, "(cannot be forced) - image is being used by running container"),
        ((A1,), [STOPPED], False, "(must be forced) - image is being used by stopped container"),
        ((A1, A2), [], False, "(must be forced) - image is referenced in multiple repositories"),
        ((A1, B1), [], False, "(must be forced) - image is referenced in multiple repositories"),
        ((A1,), [], False, ""),
        ((A1, A_DIGEST), [], False, ""),
        ((A1, B_DIGEST), [], False, "(must be forced) - image is referenced in multiple"),
        ((), [], False, ""),
        ((A1, A2, B_DIGEST), [STOPPED], True, ""),
    ],
)
def test_an_id_stands_for_all_names(
    names: tuple[str, ...], users: list[Container], force: bool, problem: str
) -> None:
    if not problem:
        assert by_id(image(*names), users, force=force) == Removal(names, image=True)
        return
    with pytest.raises(Conflict) as caught:
        by_id(image(*names), users, force=force)
    assert caught.value.message.startswith(f"conflict: unable to delete ffffffffffff {problem}")
