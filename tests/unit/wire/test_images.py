"""Images as Docker's JSON."""

from __future__ import annotations

import pytest

from orchestrator.model.image import Descriptor, History, Image, ImageConfig, Layer
from orchestrator.wire.images import familiar, image_history, image_inspect, image_summary


def layer(number: int, size_bytes: int) -> Layer:
    digest = f"sha256:{number:064x}"
    blob = Descriptor(media_type="x", digest=digest, size_bytes=1)
    return Layer(blob=blob, diff_id=digest, chain_id=digest, size_bytes=size_bytes)


def image(history: tuple[History, ...] = (), **fields: object) -> Image:
    return Image(
        id="sha256:" + "a" * 64,
        manifest_digest="",
        config=ImageConfig(created="2024-01-01T00:00:00Z", author="me", labels={"a": "b"}),
        layers=(layer(1, 10), layer(2, 20)),
        history=history,
        tags=("docker.io/library/app:1",),
        digests=("docker.io/library/app@sha256:" + "c" * 64,),
        created_at=1704067200.5,
        size_bytes=30,
        **fields,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("full", "short"),
    [
        ("docker.io/library/redis:7", "redis:7"),
        ("docker.io/user/app:1", "user/app:1"),
        ("docker.io/library/a/b:1", "library/a/b:1"),
        ("docker.io/library/redis@sha256:" + "1" * 64, "redis@sha256:" + "1" * 64),
        ("ghcr.io/library/app:1", "ghcr.io/library/app:1"),
        ("localhost:5000/app:1", "localhost:5000/app:1"),
    ],
)
def test_names_are_familiar(full: str, short: str) -> None:
    assert familiar(full) == short


def test_an_entry_of_the_list_is_whole() -> None:
    assert image_summary(image(), containers=2, shared_bytes=7) == {
        "Id": "sha256:" + "a" * 64,
        "ParentId": "",
        "RepoTags": ["app:1"],
        "RepoDigests": ["app@sha256:" + "c" * 64],
        "Created": 1704067200,
        "Size": 30,
        "SharedSize": 7,
        "VirtualSize": 30,
        "Labels": {"a": "b"},
        "Containers": 2,
    }


def test_history_shares_the_layers_out_among_its_lines() -> None:
    told = (
        History(created="2024-01-01T00:00:00Z", created_by="ADD root"),
        History(created_by="ENV A=1", empty=True),
        History(created_by="RUN x", comment="note"),
    )
    lines = image_history(image(told))
    assert [(line["CreatedBy"], line["Size"], line["Comment"]) for line in lines] == [
        ("RUN x", 20, "note"),
        ("ENV A=1", 0, ""),
        ("ADD root", 10, ""),
    ]
    assert [line["Id"] for line in lines] == ["sha256:" + "a" * 64, "<missing>", "<missing>"]
    assert lines[0]["Tags"] == ["app:1"]
    assert lines[2]["Created"] == 1704067200


def test_history_that_tells_too_little_or_too_much_hides_no_layer() -> None:
    assert [line["Size"] for line in image_history(image())] == [20, 10]
    short = image((History(created_by="only"),))
    assert [(line["CreatedBy"], line["Size"]) for line in image_history(short)] == [
        ("", 20),
        ("only", 10),
    ]
    long = image(tuple(History(created_by=str(n)) for n in range(3)))
    assert [line["Size"] for line in image_history(long)] == [0, 20, 10]


def test_inspect_shows_the_configuration_as_it_was_written() -> None:
    document = {
        "config": {"Healthcheck": {"Test": ["NONE"]}, "ArgsEscaped": True, "Env": ["A=1"]},
        "comment": "by hand",
        "docker_version": "26",
        "os.version": "10",
    }
    found = image_inspect(image(tagged_at=1704067200.0), document, ["/l/top", "/l/base"])
    assert found["Config"]["Healthcheck"] == {"Test": ["NONE"]}
    assert found["Config"]["ArgsEscaped"] is True
    assert (found["Config"]["Env"], found["Config"]["Cmd"]) == (["A=1"], None)
    assert (found["Comment"], found["DockerVersion"], found["OsVersion"]) == ("by hand", "26", "10")
    assert found["GraphDriver"] == {
        "Name": "overlay2",
        "Data": {"LowerDir": "/l/base", "UpperDir": "/l/top"},
    }
    assert found["Metadata"] == {"LastTagTime": "2024-01-01T00:00:00.000000000Z"}
    # What is damaged is no reason to show nothing.
    assert image_inspect(image(), {}, [])["Config"]["User"] == ""
    assert image_inspect(image(), {"config": 7}, [])["Config"]["User"] == ""
