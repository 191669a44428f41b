"""The contents of configs and secrets, and the files in containers that they become.

Secrets lie in memory only (tmpfs) and in no record; a version, which is a keyed digest, stands for
a content. One that was read from a file is read from there again when the machine has restarted;
one that a person gave by name is kept in a file that only root can read.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from anyio import to_thread

from orchestrator.aio.libc import is_tmpfs
from orchestrator.errors import Conflict, Failed, InvalidInput, NotFound
from orchestrator.model.container import GrantedFile, Mount
from orchestrator.model.observed import Container
from orchestrator.model.stack import Build, Stack, StackFile
from orchestrator.settings import Settings
from orchestrator.state.database import Database
from orchestrator.state.grants import Kept
from orchestrator.volumes.mounts import mount_into

_SHARED_MEMORY = Path("/dev/shm")


class Grants:
    """Every content that is kept for stacks, and for people by name."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._records = database.grants
        self._containers = database.containers
        self._stacks = database.stacks
        self._revisions = database.revisions
        self._held: Counter[str] = Counter()
        self._data = settings.data_dir / "contents"
        run = settings.run_dir
        run.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(str(run).encode()).hexdigest()[:12]
        # /run is memory on every usual machine; where it is not, /dev/shm is.
        self._memory = run / "granted" if is_tmpfs(run) else _SHARED_MEMORY / f"pystack-{digest}"
        self._key = _key(settings.data_dir / "key")

    # -- contents --------------------------------------------------------------------------

    def version_of(self, content: bytes) -> str:
        """What stands for the content; equal for equal contents on this machine alone."""
        return hmac.new(self._key, content, hashlib.sha256).hexdigest()[:32]

    def versioned(self, stack: Stack, contents: Mapping[str, bytes], *, keep: bool) -> Stack:
        """The stack with the version of each config and secret; with `keep` their contents are
        kept.

        Raises: NotFound: an external one is not with the engine.  InvalidInput: one has no content.
        """
        granted = [self._versioned(f, contents.get(f.source), keep=keep) for f in stack.granted]
        services = tuple(
            s if s.build is None else replace(s, build=self._without_values(s.build, keep=keep))
            for s in stack.services
        )
        return replace(stack, granted=tuple(granted), services=services)

    def _without_values(self, build: Build, *, keep: bool) -> Build:
        """The build with versions in place of the values of its secrets, which are kept."""
        secrets_of_it = []
        for secret in build.secrets:
            if secret.value and not secret.file:
                content = secret.value.encode()
                version = self.version_of(content)
                if keep:
                    self._keep(Kept(id=version, secret=True), content)
                secrets_of_it.append(replace(secret, value="", version=version))
            else:
                secrets_of_it.append(secret)
        return replace(build, secrets=tuple(secrets_of_it))

    def with_values(self, build: Build) -> Build:
        """The build with the values of its secrets again.  Raises: Failed: one is gone."""
        return replace(
            build,
            secrets=tuple(
                replace(s, value=self.content(s.version).decode(), version="") if s.version else s
                for s in build.secrets
            ),
        )

    def _versioned(self, file: StackFile, content: bytes | None, *, keep: bool) -> StackFile:
        secret = file.source.startswith("secrets/")
        if file.external:
            return replace(file, version=self.named(file.name, secret=secret).id)
        if content is None:
            raise InvalidInput(
                f"nothing was sent for {file.source}",
                code="no-content",
                about=file.source,
                hint="the client and the engine may be of different versions",
            )
        version = self.version_of(content)
        if keep:
            self._keep(Kept(id=version, secret=secret, path=file.path), content)
        return replace(file, version=version)

    def _keep(self, kept: Kept, content: bytes) -> None:
        known = self._records.get(kept.id)
        place = self._place(kept)
        if known is None or not place.exists():
            _write(place, content)
        if known is None or (known.path != kept.path and not known.name):
            self._records.put(kept)

    def _place(self, kept: Kept) -> Path:
        lasting = kept.name or not kept.secret
        return (self._data if lasting else self._memory / "contents") / kept.id

    def content(self, version: str) -> bytes:
        """The content that the version stands for.  Raises: Failed: it is not to be had."""
        kept = self._records.get(version)
        if kept is not None and self._place(kept).exists():
            return self._place(kept).read_bytes()
        if kept is not None and kept.path:
            try:
                content = Path(kept.path).read_bytes()
            except OSError:
                content = b""
            if self.version_of(content) == version:
                _write(self._place(kept), content)
                return content
        raise Failed(
            "the content of a secret or config is gone: secrets are kept in memory only",
            code="content-gone",
            about=kept.path if kept else version,
            hint="`pystack up` gives it again",
        )

    @contextmanager
    def held(self, stack: Stack) -> Generator[None]:
        """Nothing; while the block lasts, the stack's contents stay though no record of a stack or
        container refers to them yet."""
        versions = [f.version for f in stack.granted]
        self._held.update(versions)
        try:
            yield
        finally:
            self._held.subtract(versions)
            self._held = +self._held

    def collect(self) -> None:
        """Nothing; contents that no container, stack or revision of one refers to are gone."""
        used = {f.version for c in self._containers for f in c.spec.files} | set(self._held)
        used |= {f.version for s in self._stacks for f in s.desired.stack.granted}
        used |= {f.version for r in self._revisions for f in r.stack.granted}
        used |= {
            secret.version
            for s in self._stacks
            for service in s.desired.stack.services
            if service.build is not None
            for secret in service.build.secrets
        }
        for kept in self._records:
            if kept.id not in used and not kept.name:
                self._place(kept).unlink(missing_ok=True)
                self._records.delete(kept.id)

    # -- those that people keep by name ----------------------------------------------------

    def create(self, name: str, content: bytes, *, secret: bool, labels: Mapping[str, str]) -> Kept:
        """The content, kept under that name.  Raises: Conflict: the name is taken."""
        if any(k.name == name and k.secret == secret for k in self._records):
            kind = "secret" if secret else "config"
            raise Conflict(
                f"there is a {kind} {name} already",
                code="name-in-use",
                about=name,
                hint="remove it first, or choose another name",
            )
        # A nonce tells apart equal contents under two names.
        version = self.version_of(secrets.token_bytes(16) + content)
        kept = Kept(id=version, secret=secret, name=name, created_at=time.time(), labels=labels)
        _write(self._place(kept), content)
        return self._records.put(kept)

    def all(self, *, secret: bool) -> list[Kept]:
        """The named secrets, or configs, by name."""
        return sorted((k for k in self._records if k.name and k.secret == secret), key=_name)

    def named(self, name: str, *, secret: bool) -> Kept:
        """The secret or config with that name, id or beginning of one id.  Raises: NotFound."""
        every = self.all(secret=secret)
        for kept in every:
            if name in (kept.name, kept.id):
                return kept
        if name and len(begun := [kept for kept in every if kept.id.startswith(name)]) == 1:
            return begun[0]
        kind = "secret" if secret else "config"
        raise NotFound(
            f"no such {kind}: {name}",
            code=f"no-such-{kind}",
            about=name,
            hint=f"`pystack {kind} create {name} FILE` makes it",
        )

    def relabel(self, kept: Kept, index: int, labels: Mapping[str, str]) -> Kept:
        """The secret or config with these labels.  Raises: Conflict: `index` is not its last."""
        if index != kept.index:
            raise Conflict(
                f"update out of sequence: {kept.name} has been changed since",
                code="out-of-sequence",
                about=kept.name,
                hint="inspect it, and send its Version.Index",
            )
        return self._records.put(
            replace(kept, labels=labels, index=index + 1, updated_at=time.time())
        )

    def remove(self, name: str, *, secret: bool) -> None:
        """Nothing, once it is kept no more.  Raises: NotFound; Conflict: containers use it."""
        kept = self.named(name, secret=secret)
        users = [c.name for c in self._containers for f in c.spec.files if f.version == kept.id]
        if users:
            raise Conflict(
                f"{name} is in use by {', '.join(users)}",
                code="secret-in-use" if secret else "config-in-use",
                about=name,
                hint="remove these containers first",
            )
        self._records.delete(kept.id)
        self._place(kept).unlink(missing_ok=True)

    # -- files in containers ---------------------------------------------------------------

    async def place(self, container: Container) -> list[tuple[Mount, str]]:
        """The mounts that show a container its files, each with its host path."""
        return [
            (
                Mount(kind="bind", target=file.target, source=str(path), read_only=True),
                str(path),
            )
            for file, path in await to_thread.run_sync(self._written, container)
        ]

    def _written(self, container: Container) -> Iterable[tuple[GrantedFile, Path]]:
        found = []
        for number, file in enumerate(container.spec.files):
            path = self._memory / "containers" / container.id / f"{number}-{file.version}"
            _write(path, self.content(file.version))
            os.chown(path, _number(file.uid, file), _number(file.gid, file))
            path.chmod(file.mode)
            found.append((file, path))
        return found

    async def swap(self, container: Container, files: Sequence[GrantedFile]) -> list[GrantedFile]:
        """The files that have another content now than the running container was started with,
        once it sees that; nobody sees half of one.

        Raises: Failed: a content is gone, or the container cannot be given it.
        """
        changed = changed_files(container.spec.files, files)
        after = replace(container, spec=replace(container.spec, files=tuple(files)))
        written = await to_thread.run_sync(self._written, after)
        for file, path in written:
            if file in changed:
                place = path.with_name(f"{path.name}.place")
                try:
                    await to_thread.run_sync(
                        mount_into, container.state.pid, path, file.target, place
                    )
                except OSError as error:
                    raise Failed(
                        f"{file.source} cannot be given to {container.name}: {error.strerror}",
                        code="grant-failed",
                        about=file.source,
                        hint=f"`pystack restart {container.name}` gives it anew",
                    ) from error
        return changed

    def clear(self, identifier: str) -> None:
        """Nothing, once the container's files are gone (blocking)."""
        shutil.rmtree(self._memory / "containers" / identifier, ignore_errors=True)


def changed_files(before: Iterable[GrantedFile], after: Iterable[GrantedFile]) -> list[GrantedFile]:
    """Those of `after` whose content is another one than before."""
    versions = {(f.source, f.target): f.version for f in before}
    return [f for f in after if versions.get((f.source, f.target)) != f.version]


def _name(kept: Kept) -> str:
    return kept.name


def _number(text: str, file: GrantedFile) -> int:
    if not text.isdigit():
        raise InvalidInput(
            f"{file.source}: {text!r} is no number",
            code="bad-owner",
            about=file.source,
            hint="uid and gid of configs and secrets are numbers",
        )
    return int(text)


def _key(path: Path) -> bytes:
    """The key of the versions, made where there is none."""
    if not path.exists():
        _write(path, secrets.token_bytes(32))
    return path.read_bytes()


def _write(path: Path, content: bytes) -> None:
    """Writes the file whole or not at all, readable by root alone."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    new.replace(path)
