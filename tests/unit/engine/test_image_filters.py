"""Which images a list shows and a prune removes."""

from __future__ import annotations

import pytest

from orchestrator.engine.image_filters import LISTING, listed, unused
from orchestrator.errors import InvalidInput
from orchestrator.model.image import Image, ImageConfig
from orchestrator.wire.filters import Filters


def image(
    number: int, *tags: str, created_at: float = 0.0, labels: dict[str, str] | None = None
) -> Image:
    return Image(
        id=f"sha256:{number:064x}",
        manifest_digest="",
        config=ImageConfig(labels=labels or {}),
        tags=tags,
        digests=tuple(f"{tag.rpartition(':')[0]}@sha256:{'1' * 64}" for tag in tags[:1]),
        created_at=created_at or float(number),
    )


BUSYBOX = image(1, "docker.io/library/busybox:1", "docker.io/library/busybox:latest")
TEAM = image(2, "r.example:5000/team/app:v1.2", labels={"stage": "test"})
USER = image(3, "docker.io/user/app:1", labels={"stage": "live", "keep": ""})
LOOSE = image(4, created_at=2_000_000_000.0)
EVERY = [BUSYBOX, TEAM, USER, LOOSE]


def get(name: str) -> Image:
    return {"first": BUSYBOX, "second": TEAM}[name]


def shown(**filters: str) -> list[str]:
    given = Filters({name.replace("_not", "!"): (value,) for name, value in filters.items()})
    return [
        tag.removeprefix("docker.io/").removeprefix("library/")
        for found in listed(EVERY, given, get)
        for tag in found.tags or ("<none>",)
    ]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("busybox", ["busybox:1", "busybox:latest"]),
        ("busybox:1", ["busybox:1"]),
        ("docker.io/library/busybox", ["busybox:1", "busybox:latest"]),
        ("busy*", ["busybox:1", "busybox:latest"]),
        ("*:latest", ["busybox:latest"]),
        ("*/app", ["user/app:1"]),
        ("*/*/app", ["r.example:5000/team/app:v1.2"]),
        ("r.example:5000/team/app", ["r.example:5000/team/app:v1.2"]),
        ("*app", []),
        ("busybo?", ["busybox:1", "busybox:latest"]),
        ("busybo[xy]:[0-9]", ["busybox:1"]),
        ("BUSYBOX", []),
        ("bus.box", []),
        ("[", []),
    ],
)
def test_a_reference_is_a_pattern_whose_stars_stop_at_slashes(
    pattern: str, names: list[str]
) -> None:
    assert shown(reference=pattern) == names


def test_filters_narrow_the_list() -> None:
    assert shown(dangling="true") == ["<none>"]
    assert "<none>" not in shown(dangling="false")
    assert shown(before="second") == ["busybox:1", "busybox:latest"]
    assert shown(since="second") == ["user/app:1", "<none>"]
    assert shown(label="stage") == ["r.example:5000/team/app:v1.2", "user/app:1"]
    assert shown(label="stage=live") == ["user/app:1"]
    assert shown(label="keep=") == ["user/app:1"]
    assert shown(label_not="stage=test", label="stage") == ["user/app:1"]
    assert shown(until="3") == ["busybox:1", "busybox:latest", "r.example:5000/team/app:v1.2"]
    assert "<none>" in shown(until="2033-05-18T03:33:30+00:00")
    assert "<none>" not in shown(until="2033-05-18T03:33:10+00:00")
    assert len(shown(until="24h")) == 4


def test_a_wrong_value_is_told() -> None:
    for name, value in {"dangling": "perhaps", "until": "yesterday"}.items():
        with pytest.raises(InvalidInput) as caught:
            shown(**{name: value})
        assert caught.value.code == "filter-invalid"
    with pytest.raises(InvalidInput):
        Filters.parse('{"colour": ["blue"]}', LISTING)


def test_pruning_takes_what_nobody_uses() -> None:
    def pruned(**filters: str) -> list[Image]:
        given = Filters({name: (value,) for name, value in filters.items()})
        return unused(EVERY, given, lambda image: ["web"] if image is TEAM else [])

    assert pruned() == [LOOSE]
    assert pruned(dangling="true") == [LOOSE]
    assert pruned(dangling="false") == [BUSYBOX, USER, LOOSE]
    assert pruned(dangling="false", label="stage") == [USER]
    assert pruned(dangling="false", until="2") == [BUSYBOX]
