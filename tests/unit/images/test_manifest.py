from __future__ import annotations

import json
import platform as machine

import pytest

from orchestrator.errors import Failed, InvalidInput, NotFound
from orchestrator.images.manifest import (
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER,
    Index,
    Manifest,
    Platform,
    choose,
    encode_manifest,
    host_platform,
    parse_manifest,
    parse_platform,
)
from orchestrator.model.image import Descriptor


def descriptor(name: str, kind: str = DOCKER_MANIFEST) -> Descriptor:
    return Descriptor(media_type=kind, digest=f"sha256:{name}", size_bytes=len(name))


def index(*platforms: str | None) -> Index:
    return Index(
        tuple(
            (descriptor(text or "none"), Platform(*text.split("/")) if text else None)
            for text in platforms
        )
    )


def chosen(wanted: str, *offered: str | None) -> str:
    return choose(index(*offered), parse_platform(wanted), "app").digest.removeprefix("sha256:")


def test_the_entry_for_the_platform_is_chosen() -> None:
    assert chosen("linux/amd64", "linux/arm64", "linux/amd64") == "linux/amd64"


def test_the_exact_variant_goes_before_an_older_one() -> None:
    assert chosen("linux/arm/v7", "linux/arm/v5", "linux/arm/v6", "linux/arm/v7") == "linux/arm/v7"


def test_the_nearest_older_variant_serves_where_the_exact_one_is_missing() -> None:
    assert chosen("linux/arm/v7", "linux/arm/v5", "linux/arm/v6") == "linux/arm/v6"


def test_a_newer_variant_does_not_serve() -> None:
    with pytest.raises(NotFound):
        chosen("linux/arm/v6", "linux/arm/v7")
    assert chosen("linux/amd64", "linux/amd64/v3", "linux/amd64") == "linux/amd64"


def test_no_variant_means_the_usual_one() -> None:
    assert chosen("linux/arm64/v8", "linux/arm64") == "linux/arm64"
    assert chosen("linux/arm64", "linux/arm64/v8") == "linux/arm64/v8"


def test_attestations_are_never_chosen_or_listed() -> None:
    with pytest.raises(NotFound) as caught:
        chosen("linux/s390x", "linux/amd64", "unknown/unknown", "linux/arm/v7")
    assert caught.value.code == "no-such-platform"
    assert "linux/amd64, linux/arm/v7;" in caught.value.hint


def test_a_single_entry_without_a_platform_is_taken() -> None:
    assert chosen("linux/amd64", None) == "none"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", Platform("linux", "amd64")),
        ("amd64", Platform("linux", "amd64")),
        ("Linux/x86_64", Platform("linux", "amd64")),
        ("linux/aarch64", Platform("linux", "arm64", "v8")),
        ("linux/arm/v7", Platform("linux", "arm", "v7")),
    ],
)
def test_a_platform_is_understood(text: str, expected: Platform) -> None:
    assert parse_platform(text) == expected


@pytest.mark.parametrize("text", ["linux/", "/amd64", "a/b/c/d"])
def test_a_malformed_platform_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_platform(text)


def test_no_platform_means_this_machine() -> None:
    assert parse_platform("") == host_platform()
    if machine.machine() == "x86_64":
        assert host_platform() == Platform("linux", "amd64")


def test_a_manifest_survives_being_written_and_read() -> None:
    config, layer = descriptor("c", OCI_CONFIG), descriptor("l", OCI_LAYER)
    assert parse_manifest(encode_manifest(config, [layer])) == Manifest(config, (layer,))


@pytest.mark.parametrize(
    "document", [{}, [], {"schemaVersion": 1, "fsLayers": []}, {"manifests": [{}]}, {"config": 1}]
)
def test_what_is_no_manifest_is_refused(document: object) -> None:
    with pytest.raises(Failed) as caught:
        parse_manifest(json.dumps(document).encode())
    assert caught.value.code == "image-manifest-invalid"
