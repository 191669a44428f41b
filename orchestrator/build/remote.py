"""Places that are not on this machine, as ADD and a build's context may name them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_SCP = re.compile(r"(?P<user>[\w.-]+)@(?P<host>[\w.-]+):(?P<path>.+)")
_GITHUB = re.compile(r"github\.com/[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class GitPlace:
    """A directory of a repository: `ref` is a branch, tag or commit, "" the default branch."""

    url: str
    ref: str = ""
    directory: str = ""


def is_remote(text: str) -> bool:
    """Whether text names something to be fetched, rather than a path."""
    return is_git(text) or text.startswith(("http://", "https://"))


def is_git(text: str) -> bool:
    """Whether text names a repository.  Source: Docker's "Build context", "Git repositories"."""
    if text.startswith(("git://", "ssh://")):
        return True
    if text.startswith(("http://", "https://")):
        return urlsplit(text).path.endswith(".git")
    return _SCP.fullmatch(text) is not None or (_GITHUB.match(text) is not None)


def git_place(text: str) -> GitPlace:
    """What a repository's address `URL[#ref[:directory]]` means."""
    url, _, fragment = text.partition("#")
    ref, _, directory = fragment.partition(":")
    if _GITHUB.match(url):
        url = f"https://{url}"
    return GitPlace(url=url, ref=ref, directory=directory.strip("/"))


def file_name(url: str) -> str:
    """The name that a downloaded file gets: the last part of the address's path, "" for none."""
    name = urlsplit(url).path.rpartition("/")[2]
    return "" if name in (".", "..") else name
