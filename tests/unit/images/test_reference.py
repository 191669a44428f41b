from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.image.names import split
from orchestrator.errors import InvalidInput
from orchestrator.images.reference import Reference, parse_reference
from orchestrator.wire.credentials import domain_of

DIGEST = "sha256:" + "ab" * 32
LONG = "sha512:" + "ab" * 64


@pytest.mark.parametrize(
    ("typed", "full", "familiar"),
    [
        ("redis", "docker.io/library/redis:latest", "redis:latest"),
        ("redis:7", "docker.io/library/redis:7", "redis:7"),
        ("bitnami/redis", "docker.io/bitnami/redis:latest", "bitnami/redis:latest"),
        ("docker.io/redis", "docker.io/library/redis:latest", "redis:latest"),
        ("index.docker.io/library/redis", "docker.io/library/redis:latest", "redis:latest"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("localhost:5000/app:1", "localhost:5000/app:1", "localhost:5000/app:1"),
        ("ghcr.io/a/b/c:v1.2-x_y", "ghcr.io/a/b/c:v1.2-x_y", "ghcr.io/a/b/c:v1.2-x_y"),
        ("[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"),
        (f"redis@{DIGEST}", f"docker.io/library/redis@{DIGEST}", f"redis@{DIGEST}"),
        (f"redis:7@{DIGEST}", f"docker.io/library/redis:7@{DIGEST}", f"redis:7@{DIGEST}"),
        (f"r.example/a@{LONG}", f"r.example/a@{LONG}", f"r.example/a@{LONG}"),
    ],
)
def test_a_short_form_means_the_full_one(typed: str, full: str, familiar: str) -> None:
    reference = parse_reference(typed)
    assert (str(reference), reference.familiar) == (full, familiar)


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("", '"library/" is not a repository name'),
        ("Redis", "must be lower case"),
        ("redis:", '"" is not a tag'),
        ("redis:-x", '"-x" is not a tag'),
        ("redis:" + "x" * 129, "is not a tag"),
        ("redis@sha256:abc", "the digest is not"),
        ("redis@", "the digest is not"),
        ("redis@sha512:" + "ab" * 32, "the digest is not"),
        ("ab" * 32, "an image's id"),
        ("a//b", "is not a repository name"),
        ("-host.example/app", "is not a registry host"),
        ("../etc/passwd", "is not a registry host"),
        ("host.example/../app", "is not a repository name"),
        ("a/" + "b" * 260, "longer than 255"),
    ],
)
def test_what_is_no_reference_is_refused_with_the_reason(typed: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_reference(typed)
    assert problem in caught.value.message
    assert caught.value.code == "image-reference-invalid"


def test_with_a_tag_and_a_digest_the_digest_is_asked_for() -> None:
    assert parse_reference(f"redis:7@{DIGEST}").wanted == DIGEST
    assert parse_reference("redis:7").wanted == "7"


NAMES = st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+){0,2}", fullmatch=True)
TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
DOMAINS = st.sampled_from(["docker.io", "localhost", "localhost:5000", "r.example", "10.0.0.1:80"])


@given(
    DOMAINS,
    st.lists(NAMES, min_size=1, max_size=3).map("/".join),
    TAGS,
    st.sampled_from(["", DIGEST]),
)
def test_the_full_and_the_familiar_form_mean_the_same(
    domain: str, path: str, tag: str, digest: str
) -> None:
    if domain == "docker.io" and "/" not in path:
        path = f"library/{path}"
    reference = Reference(domain, path, tag, digest)
    assert parse_reference(str(reference)) == reference
    first, slash, _ = path.removeprefix("library/").partition("/")
    # A first part with a dot would read as a host, so only the full form can say it.
    if domain != "docker.io" or not (slash and ("." in first or first == "localhost")):
        assert parse_reference(reference.familiar) == reference


PARTS = st.sampled_from(
    [
        *("redis", "a", "A", ".", "..", "/", ":", "@", "-", "_", "__", "localhost", "r.example"),
        *("5000", DIGEST, "sha256:", LONG, "ab" * 32, "[::1]", "ö", "\n", " ", "%", "\x00"),
    ]
)


@given(st.text(max_size=40) | st.lists(PARTS, max_size=8).map("".join))
def test_any_text_is_a_reference_or_is_refused(text: str) -> None:
    try:
        reference = parse_reference(text)
    except InvalidInput as error:
        said = (error.code, bool(error.hint))
        assert said == ("image-reference-invalid", True)
        return
    # What was understood can be said in full, and means the same; once in full, always in full.
    assert parse_reference(str(reference)) == reference
    assert reference.wanted
    assert reference.name == f"{reference.domain}/{reference.path}"
    assert parse_reference(reference.name).path == reference.path
    assert parse_reference(str(reference.with_tag("x"))).wanted == "x"


@given(st.lists(PARTS, max_size=6).map("".join))
def test_the_command_line_takes_names_apart_as_the_engine_does(text: str) -> None:
    try:
        reference = parse_reference(text)
    except InvalidInput:
        return
    name = split(text)
    assert name.canonical == reference.name
    assert name.wanted in (reference.wanted, "")
    assert domain_of(name.repository) == reference.domain
    assert parse_reference(name.written(name.wanted or "latest")).wanted == reference.wanted
