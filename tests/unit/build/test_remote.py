"""What is a URL, what a repository, and what just a path."""

from __future__ import annotations

import pytest

from orchestrator.build.remote import GitPlace, file_name, git_place, is_git, is_remote


@pytest.mark.parametrize(
    ("text", "remote", "git"),
    [
        ("https://example.org/file.tgz", True, False),
        ("http://example.org/", True, False),
        ("https://example.org/project.git", True, True),
        ("https://example.org/project.git#v1:sub", True, True),
        ("git://example.org/project", True, True),
        ("ssh://git@example.org/project", True, True),
        ("git@example.org:group/project.git", True, True),
        ("github.com/owner/project", True, True),
        ("file", False, False),
        ("a/b:c", False, False),
        ("ftp://example.org/x", False, False),
        ("user@host", False, False),
    ],
)
def test_places_are_told_apart(text: str, remote: bool, git: bool) -> None:
    assert (is_remote(text), is_git(text)) == (remote, git)


def test_a_repository_has_a_ref_and_a_directory() -> None:
    url = "https://example.org/p.git"
    assert git_place(url) == GitPlace(url=url)
    assert git_place(f"{url}#main") == GitPlace(url=url, ref="main")
    assert git_place(f"{url}#:a/b/") == GitPlace(url=url, directory="a/b")
    assert git_place(f"{url}#v1:a") == GitPlace(url=url, ref="v1", directory="a")
    assert git_place("github.com/o/p#x").url == "https://github.com/o/p"


def test_a_download_is_named_for_the_end_of_its_address() -> None:
    assert file_name("https://example.org/a/b.tgz?x=/y#z") == "b.tgz"
    assert file_name("https://example.org/") == ""
    assert file_name("https://example.org/a/..") == ""
