from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InvalidInput
from orchestrator.images.reference import Reference, parse_reference

DIGEST = "sha256:" + "ab" * 32


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
