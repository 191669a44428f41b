from __future__ import annotations

import json
import platform as machine
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import Failed, InvalidInput, NotFound, PystackError
from orchestrator.images.manifest import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
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


CONFIG = Descriptor(media_type=OCI_CONFIG, digest="sha256:" + "c" * 64, size_bytes=7)
LAYER = Descriptor(media_type=OCI_LAYER + "+gzip", digest="sha512:" + "a" * 128, size_bytes=9)


def test_a_manifest_survives_being_written_and_read() -> None:
    assert parse_manifest(encode_manifest(CONFIG, [LAYER])) == Manifest(CONFIG, (LAYER,))


def test_a_manifest_in_dockers_format_speaks_of_dockers_types() -> None:
    written = parse_manifest(encode_manifest(CONFIG, [LAYER], DOCKER_MANIFEST))
    assert written == Manifest(
        replace(CONFIG, media_type=DOCKER_CONFIG),
        (replace(LAYER, media_type=DOCKER_LAYER),),
        DOCKER_MANIFEST,
    )


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        None,
        {"manifests": [{}]},
        {"config": 1},
        {"config": {"digest": "sha256:../../etc", "size": 1}, "layers": []},
        {"config": {"digest": CONFIG.digest, "size": -1}, "layers": []},
        {"config": {"digest": CONFIG.digest, "size": True}, "layers": []},
        {"config": {"digest": CONFIG.digest, "size": 1.5}, "layers": []},
        {"config": {"digest": CONFIG.digest, "size": 1}, "layers": 3},
    ],
)
def test_what_is_no_manifest_is_refused(document: object) -> None:
    with pytest.raises(Failed) as caught:
        parse_manifest(json.dumps(document).encode())
    assert caught.value.code in ("image-manifest-invalid", "digest-invalid")


@pytest.mark.parametrize(
    "document",
    [
        {"schemaVersion": 1, "fsLayers": []},
        {"mediaType": "application/vnd.docker.distribution.manifest.v1+prettyjws"},
    ],
)
def test_the_withdrawn_format_is_refused_by_name(document: object) -> None:
    with pytest.raises(Failed) as caught:
        parse_manifest(json.dumps(document).encode())
    assert (caught.value.code, "schema 1" in caught.value.message) == ("image-schema-1", True)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
DIGESTS = st.sampled_from([CONFIG.digest, LAYER.digest, "sha256:", "md5:00", ""])
DESCRIPTORS = st.fixed_dictionaries(
    {},
    optional={
        "mediaType": st.sampled_from([OCI_CONFIG, OCI_LAYER]) | VALUES,
        "digest": DIGESTS | VALUES,
        "size": st.integers(0, 1 << 40) | VALUES,
        "platform": st.fixed_dictionaries(
            {}, optional={"os": VALUES, "architecture": VALUES, "variant": VALUES}
        )
        | VALUES,
    },
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "schemaVersion": st.just(2) | VALUES,
        "mediaType": st.just(DOCKER_MANIFEST) | VALUES,
        "config": DESCRIPTORS | VALUES,
        "layers": st.lists(DESCRIPTORS | VALUES, max_size=3) | VALUES,
        "manifests": st.lists(DESCRIPTORS | VALUES, max_size=3) | VALUES,
    },
)


@given(DOCUMENTS | VALUES, st.sampled_from(["", "linux/arm/v7", "linux/amd64"]))
def test_a_manifest_with_missing_or_wrong_members_is_read_or_refused(
    document: object, platform: str
) -> None:
    with suppress(PystackError):
        found = parse_manifest(json.dumps(document).encode())
        if isinstance(found, Index):
            choose(found, parse_platform(platform), "app")
        else:
            assert parse_manifest(encode_manifest(found.config, found.layers, found.media_type))


@given(st.binary(max_size=200))
def test_bytes_that_are_no_manifest_are_refused(data: bytes) -> None:
    with pytest.raises(PystackError):
        parse_manifest(data)


def test_a_manifest_that_is_nested_without_end_is_refused() -> None:
    with pytest.raises(Failed):
        parse_manifest(b"[" * 200_000)
