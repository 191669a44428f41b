"""What is not on this machine, fetched: files by HTTP, and the files of repositories by git.

Everything is put into a directory of the caller's, and nowhere else. Programs are told to ask
nobody anything, and a repository's hooks and the user's own settings are left out.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp
import anyio
from anyio import to_thread

from orchestrator.build.remote import GitPlace, file_name
from orchestrator.errors import Failed, InvalidInput, NotFound, Unavailable

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=20, sock_read=60)
_PIECE = 1 << 20
_GIT_TIMEOUT_S = 1800
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DISPOSITION = re.compile(r'filename="?([^";/]+)"?')


@dataclass(frozen=True, slots=True)
class Download:
    """A file that was fetched: its name in the directory, and the sha256 of what it holds."""

    name: str
    digest: str


async def download(url: str, directory: Path, checksum: str = "") -> Download:
    """The file at url, now in directory; its time is the server's.

    Raises: NotFound, Unavailable: the server has none, or does not answer.  InvalidInput: checksum
    is malformed.  Failed: the content has another checksum.
    """
    if checksum and not re.fullmatch(r"sha256:[0-9a-f]{64}", checksum):
        raise InvalidInput(
            f"checksum {checksum} is not understood",
            code="checksum-invalid",
            about=url,
            hint="write it as sha256: and 64 hexadecimal digits",
        )
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=True) as session,
            session.get(url) as response,
        ):
            if response.status >= 400:
                raise NotFound(
                    f"{url}: the server answers {response.status} {response.reason}",
                    code="no-such-download",
                    about=url,
                    hint="check the address",
                )
            name = _named(response) or file_name(url) or "download"
            path = directory / name
            sha = hashlib.sha256()
            async with await anyio.open_file(path, "wb") as file:
                async for piece in response.content.iter_chunked(_PIECE):
                    sha.update(piece)
                    await file.write(piece)
            path.chmod(0o600)
            _set_time(path, response.headers.get("Last-Modified", ""))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise Unavailable(
            f"{url} cannot be fetched: {str(error) or type(error).__name__}",
            code="download-failed",
            about=url,
            hint="check the address and the network",
        ) from error
    digest = f"sha256:{sha.hexdigest()}"
    if checksum and digest != checksum:
        raise Failed(
            f"{url} has the checksum {digest}, not {checksum}",
            code="checksum-mismatch",
            about=url,
            hint="the file has changed, or somebody meddles with it",
        )
    return Download(name, digest)


async def commit_of(place: GitPlace, environment: Mapping[str, str]) -> str:
    """The commit that the place's ref means now.

    Raises: NotFound: no such ref.  Unavailable: the repository cannot be read, or git is missing.
    """
    if _COMMIT.fullmatch(place.ref):
        return place.ref
    listed = await _git(["ls-remote", "--", place.url], environment, place.url)
    lines = (line.partition("\t") for line in listed.splitlines())
    names = {name: commit for commit, _, name in lines}
    wanted = [place.ref] if place.ref else ["HEAD"]
    if place.ref:
        # An annotated tag is an object of its own; what it points to has ^{} after its name.
        wanted = [
            f"refs/tags/{place.ref}^{{}}",
            f"refs/heads/{place.ref}",
            f"refs/tags/{place.ref}",
            place.ref,
        ]
    for name in wanted:
        if name in names:
            return names[name]
    raise NotFound(
        f"{place.url} has no branch or tag {place.ref}",
        code="no-such-ref",
        about=place.url,
        hint="list them with: git ls-remote",
    )


async def check_out(
    place: GitPlace,
    commit: str,
    directory: Path,
    environment: Mapping[str, str],
    *,
    keep_git_dir: bool = False,
) -> Path:
    """The directory of the place at that commit, below directory; submodules are there too, and
    all times are the commit's.

    Raises: NotFound, Unavailable: as `commit_of`; NotFound: the commit has no such directory.
    """
    about = place.url
    git = ["-C", str(directory)]
    await _git([*git, "init", "--quiet", "--template="], environment, about)
    await _git([*git, "remote", "add", "origin", place.url], environment, about)
    try:
        refs = [commit, f"+{place.ref}"] if place.ref and place.ref != commit else [commit]
        await _fetched(git, refs, environment, about)
    except Unavailable:
        # A server that gives no single commits, or nothing shallow.
        spec = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]
        await _git([*git, "fetch", "--quiet", "origin", *spec], environment, about)
    await _git([*git, "checkout", "--quiet", "--force", "--detach", commit], environment, about)
    if (directory / ".gitmodules").exists():
        update = ["submodule", "update", "--quiet", "--init", "--recursive", "--depth=1"]
        await _git([*git, *update], environment, about)
    when = await _git([*git, "show", "-s", "--format=%ct", commit], environment, about)
    found = directory / place.directory if place.directory else directory
    if not found.resolve().is_relative_to(directory.resolve()) or not found.is_dir():
        raise NotFound(
            f"{place.url} has no directory {place.directory}",
            code="no-such-directory",
            about=place.url,
            hint="check what follows the : after #",
        )
    await to_thread.run_sync(_tidy, directory, int(when.strip() or 0), keep_git_dir)
    return found


async def _fetched(
    git: Sequence[str], refs: Sequence[str], environment: Mapping[str, str], about: str
) -> None:
    """Nothing, once one of the refs is here, alone; many servers give tags and branches only."""
    for number, ref in enumerate(refs, 1):
        try:
            await _git(
                [*git, "fetch", "--quiet", "--depth=1", "--no-tags", "origin", ref],
                environment,
                about,
            )
            return
        except Unavailable:
            if number == len(refs):
                raise


async def _git(arguments: Sequence[str], environment: Mapping[str, str], about: str) -> str:
    settings = ("core.hooksPath=/dev/null", "advice.detachedHead=false", "gc.auto=0")
    command = ["git", *(word for setting in settings for word in ("-c", setting)), *arguments]
    variables = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=accept-new"
        " -o UserKnownHostsFile=/dev/null",
        "LC_ALL": "C",
        **{name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")},
        **environment,
    }
    try:
        with anyio.fail_after(_GIT_TIMEOUT_S):
            done = await anyio.run_process(
                command, stdin=subprocess.DEVNULL, check=False, env=variables, umask=0o022
            )
    except FileNotFoundError:
        raise Unavailable(
            "git is not installed, and fetches repositories",
            code="git-missing",
            about=about,
            hint="install the package git",
        ) from None
    except TimeoutError:
        raise Unavailable(
            f"{about}: git did not end in time",
            code="git-failed",
            about=about,
            hint="check the network",
        ) from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        reason = said[-1] if said else f"git ends with {done.returncode}"
        raise Unavailable(
            f"{about} cannot be fetched: {reason}",
            code="git-failed",
            about=about,
            hint="check the address, and that no password is needed",
        )
    return done.stdout.decode(errors="replace")


def _tidy(directory: Path, when: int, keep_git_dir: bool) -> None:
    if not keep_git_dir:
        for path in [directory / ".git", *directory.rglob(".git")]:
            _remove(path)
    for above, directories, files in os.walk(directory):
        for name in (*directories, *files):
            os.utime(Path(above, name), (when, when), follow_symlinks=False)
    os.utime(directory, (when, when))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _named(response: aiohttp.ClientResponse) -> str:
    match = _DISPOSITION.search(response.headers.get("Content-Disposition", ""))
    name = match[1].strip() if match else ""
    return "" if name in (".", "..") else name


def _set_time(path: Path, text: str) -> None:
    try:
        when = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError):
        return
    os.utime(path, (when, when))
