"""The contexts of a build: where its files come from, what `.dockerignore` leaves of them, and the
Dockerfile's text."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from orchestrator.aio.rooted import opened
from orchestrator.build.archive import is_archive, unpack
from orchestrator.build.digests import FileDigests
from orchestrator.build.fetch import check_out, commit_of, download
from orchestrator.build.grants import Grants, environment_for_git
from orchestrator.build.remote import git_place, is_git, is_remote
from orchestrator.build.tree import Tree
from orchestrator.build.workspace import Workspaces
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.model.ignore import IgnoreRules, parse_ignore
from orchestrator.model.image import Image
from orchestrator.model.stack import Build

_IMAGE = "docker-image://"
_LAYOUT = "oci-layout://"
_DOCKERFILE = "Dockerfile"
_DOCKERFILE_MAX = 16 << 20

ImageNamed = Callable[[str], Awaitable[Image]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a build is given: files, and the Dockerfile with the name messages give it."""

    tree: Tree
    dockerfile: str
    name: str


class Contexts:
    """The contexts of one build, as long as `stack` is open."""

    def __init__(
        self,
        build: Build,
        *,
        workspaces: Workspaces,
        grants: Grants,
        digests: Path,
        image: ImageNamed,
        layout: ImageNamed,
        stack: AsyncExitStack,
    ) -> None:
        self._build = build
        self._workspaces = workspaces
        self._grants = grants
        self._digests = digests
        self._image = image
        self._layout = layout
        self._stack = stack
        self._known: list[FileDigests] = []

    async def main(self) -> Context:
        """The build's own context and its Dockerfile.

        Raises: NotFound: no such directory, archive or Dockerfile.  InvalidInput: they cannot be
        read.  What fetching raises.
        Source: Docker's "Build context"; `NAME.dockerignore` goes before `.dockerignore`.
        """
        build = self._build
        root, text = await self._place(build.context)
        local = _is_local(build.context)
        if text is not None:
            tree = Tree(root)
            return Context(tree=tree, dockerfile=text, name=build.context)
        reader = _Reader(root, outside=local)
        inline = build.dockerfile_inline
        name = build.dockerfile if inline else await to_thread.run_sync(reader.named, build)
        rules = await to_thread.run_sync(reader.rules, name)
        tree = self._tree(root, rules, known=local)
        if inline:
            shown = "stdin" if build.dockerfile == "-" else "dockerfile_inline"
            return Context(tree=tree, dockerfile=inline, name=shown)
        return Context(tree=tree, dockerfile=await to_thread.run_sync(reader.text, name), name=name)

    async def named(self, name: str) -> Image | Tree:
        """What the build's named context is.  Raises: as `main`; what pulling an image raises."""
        value = self._build.contexts[name]
        if value.startswith(_IMAGE):
            return await self._image(value.removeprefix(_IMAGE))
        if value.startswith(_LAYOUT):
            return await self._layout(value.removeprefix(_LAYOUT))
        root, text = await self._place(value)
        if text is not None:
            return Tree(root)
        reader = _Reader(root, outside=False)
        rules = await to_thread.run_sync(reader.rules, "")
        return self._tree(root, rules, known=_is_local(value))

    def save(self) -> None:
        """Nothing; what was learned of files is kept for the next build. Blocking."""
        for known in self._known:
            known.save()

    def _tree(self, root: Path, rules: IgnoreRules | None, *, known: bool) -> Tree:
        digests = FileDigests(self._digests, root) if known else None
        if digests is not None:
            self._known.append(digests)
        tree = Tree(root, rules, digests)
        self._stack.callback(tree.close)
        return tree

    async def _place(self, context: str) -> tuple[Path, str | None]:
        """The directory of a context; and its text, where it is a Dockerfile alone."""
        if not context:
            return await self._stack.enter_async_context(self._workspaces.directory()), None
        if is_remote(context):
            return await self._fetched(context)
        path = Path(context)
        if path.is_dir():
            return path.resolve(), None
        if path.is_file():
            return await self._unpacked(path), None
        raise NotFound(
            f"{context}: no such directory",
            code="no-such-context",
            about=context,
            hint="a build's context must be a directory, an archive or a URL",
        )

    async def _fetched(self, url: str) -> tuple[Path, str | None]:
        directory = await self._stack.enter_async_context(self._workspaces.directory())
        if is_git(url):
            place = git_place(url)
            async with (
                self._workspaces.private() as private,
                environment_for_git(self._grants, private) as environment,
            ):
                commit = await commit_of(place, environment)
                return await check_out(place, commit, directory, environment), None
        got = await download(url, directory)
        path = directory / got.name
        if await to_thread.run_sync(_is_archive, path):
            return await self._unpacked(path), None
        reader = _Reader(directory, outside=False)
        text = await to_thread.run_sync(reader.text, got.name)
        return await self._stack.enter_async_context(self._workspaces.directory()), text

    async def _unpacked(self, path: Path) -> Path:
        if not await to_thread.run_sync(_is_archive, path):
            raise InvalidInput(
                f"{path}: neither a directory nor a tar archive",
                code="context-invalid",
                about=str(path),
                hint="give a directory, or a tar (plain, gzip, bzip2, xz or zstd)",
            )
        directory = await self._stack.enter_async_context(self._workspaces.directory())
        with path.open("rb") as file:
            await to_thread.run_sync(unpack, file, directory)
        return directory


class _Reader:
    """Small files of a context; `outside` says that links may lead out of it, as where the
    context is the caller's own directory. Blocking."""

    def __init__(self, root: Path, *, outside: bool) -> None:
        self._root = root
        self._outside = outside

    def named(self, build: Build) -> str:
        """The Dockerfile's name, in small letters where only that is there."""
        small = _DOCKERFILE.lower()
        if build.dockerfile == _DOCKERFILE and not (self._root / _DOCKERFILE).exists():
            return small if (self._root / small).exists() else _DOCKERFILE
        return build.dockerfile

    def text(self, name: str) -> str:
        path = self._root / name
        try:
            data = path.read_bytes() if self._outside else self._inside(name)
            return data.decode("utf-8", "surrogateescape")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise NotFound(
                f"{path}: no such Dockerfile",
                code="no-such-dockerfile",
                about=str(path),
                hint="write it, or name another with -f (in a stack file: build.dockerfile)",
            ) from None
        except OSError as error:
            raise InvalidInput(
                f"{path}: {error}",
                code="dockerfile-unreadable",
                about=str(path),
                hint="mend the file",
            ) from error

    def rules(self, dockerfile: str) -> IgnoreRules | None:
        """The rules beside the Dockerfile, else the context's."""
        names = [f"{dockerfile}.dockerignore"] if dockerfile and dockerfile != "-" else []
        for name in (*names, ".dockerignore"):
            if (self._root / name).is_file():
                try:
                    return parse_ignore(self.text(name))
                except re.error as error:
                    raise InvalidInput(
                        f"{self._root / name}: {error}",
                        code="dockerignore-invalid",
                        about=str(self._root / name),
                        hint="mend the pattern",
                    ) from error
        return None

    def _inside(self, name: str) -> bytes:
        with (
            opened(self._root, name, os.O_RDONLY | os.O_NONBLOCK) as fd,
            os.fdopen(os.dup(fd), "rb") as file,
        ):
            return file.read(_DOCKERFILE_MAX)


def _is_local(context: str) -> bool:
    return bool(context) and not is_remote(context) and Path(context).is_dir()


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return is_archive(file)
