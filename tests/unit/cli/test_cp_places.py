"""Where `cp` puts things: the list of cases in Docker's reference."""

from __future__ import annotations

import pytest

from orchestrator.cli.container.cp import Landing, Place, landing, place_of
from orchestrator.errors import InvalidInput


def test_an_argument_names_a_container_or_a_path_here() -> None:
    assert place_of("web:/etc") == Place("web", "/etc")
    assert place_of("web:") == Place("web", "")
    assert place_of("web:a:b") == Place("web", "a:b")
    for local in ("file", "/a:b", "./a:b", "../a:b", ":x", "-"):
        assert place_of(local) == Place("", local)


FILE, DIRECTORY = False, True


@pytest.mark.parametrize(
    ("target", "there", "source", "expected"),
    [
        ("/a/b", None, FILE, Landing("/a", "b")),
        ("/a/b", FILE, FILE, Landing("/a", "b")),
        ("/a/b", DIRECTORY, FILE, Landing("/a/b")),
        ("/a/b/", DIRECTORY, FILE, Landing("/a/b/")),
        ("/a/b", None, DIRECTORY, Landing("/a", "b")),
        ("/a/b/", None, DIRECTORY, Landing("/a", "b")),
        ("/a/b/.", None, DIRECTORY, Landing("/a", "b")),
        ("/a/b", DIRECTORY, DIRECTORY, Landing("/a/b")),
        ("/b", None, FILE, Landing("/", "b")),
        ("b", None, FILE, Landing(".", "b")),
        (".", DIRECTORY, FILE, Landing(".")),
    ],
)
def test_the_source_lands(target: str, there: bool | None, source: bool, expected: Landing) -> None:
    found = landing(
        target,
        exists=there is not None,
        is_directory=there is DIRECTORY,
        source_is_directory=source,
    )
    assert found == expected


@pytest.mark.parametrize(
    ("target", "there", "source"),
    [("/a/b", FILE, DIRECTORY), ("/a/b/", None, FILE), ("/a/b/", FILE, FILE)],
)
def test_what_cannot_be_is_refused(target: str, there: bool | None, source: bool) -> None:
    with pytest.raises(InvalidInput):
        landing(
            target,
            exists=there is not None,
            is_directory=there is DIRECTORY,
            source_is_directory=source,
        )
