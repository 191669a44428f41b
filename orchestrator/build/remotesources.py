"""The remote sources of an ADD: told from local ones, known by checksum or commit, and fetched."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from orchestrator.build.fetch import check_out, commit_of, download
from orchestrator.build.grants import Grants, environment_for_git
from orchestrator.build.operations import CopyOperation
from orchestrator.build.remote import git_place, is_git, is_remote
from orchestrator.build.selection import Source
from orchestrator.build.tree import Tree
from orchestrator.build.workspace import Workspaces
from orchestrator.errors import PystackError


class RemoteSources:
    """The remote sources of one build's operations."""

    def __init__(self, workspaces: Workspaces, grants: Grants) -> None:
        self._workspaces = workspaces
        self._grants = grants

    def split(self, operation: CopyOperation) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The operation's local sources and its remote ones."""
        if not operation.remote:
            return operation.sources, ()
        remote = tuple(source for source in operation.sources if is_remote(source))
        return tuple(s for s in operation.sources if s not in remote), remote

    async def identities(
        self, operation: CopyOperation, remote: Sequence[str]
    ) -> tuple[str, ...] | None:
        """What each source holds, in a word: a commit, or the checksum that it must have; None
        where only fetching can tell.  Raises: InvalidInput, naming the place."""
        found: list[str] = []
        for source in remote:
            if is_git(source):
                found.append(f"{source} {await self._commit(operation, source)}")
            elif operation.checksum:
                found.append(f"{source} {operation.checksum}")
            else:
                return None
        return tuple(found)

    @asynccontextmanager
    async def fetched(
        self,
        operation: CopyOperation,
        remote: Sequence[str],
        identities: Sequence[str] | None,
        say: Callable[[str], None],
    ) -> AsyncGenerator[list[Source]]:
        """The sources, on this machine while the block lasts."""
        async with AsyncExitStack() as stack:
            found: list[Source] = []
            for number, source in enumerate(remote):
                say(f"fetching {source}")
                directory = await stack.enter_async_context(self._workspaces.directory())
                try:
                    if is_git(source):
                        known = identities[number].rpartition(" ")[2] if identities else ""
                        commit = known or await self._commit(operation, source)
                        place = await stack.enter_async_context(self._workspaces.private())
                        git = environment_for_git(self._grants, place)
                        top = await check_out(
                            git_place(source),
                            commit,
                            directory,
                            await stack.enter_async_context(git),
                            keep_git_dir=operation.keep_git_dir,
                        )
                        found.append(Source(Tree(top), ("/",), literal=True))
                    else:
                        got = await download(source, directory, operation.checksum)
                        unpack = operation.unpack is True
                        found.append(Source(Tree(directory), (got.name,), unpack, literal=True))
                except PystackError as error:
                    raise operation.where.failed(error) from error
            yield found

    async def _commit(self, operation: CopyOperation, source: str) -> str:
        async with self._workspaces.private() as place:
            try:
                async with environment_for_git(self._grants, place) as environment:
                    commit = await commit_of(git_place(source), environment)
            except PystackError as error:
                raise operation.where.failed(error) from error
        wanted = operation.checksum.removeprefix("sha1:")
        if wanted and not commit.startswith(wanted):
            raise operation.where.invalid(
                f"{source} is at commit {commit}, not {wanted}",
                "the branch or tag has moved: name the commit that you mean",
            )
        return commit
