"""Content is freed when nobody needs it and never before: the real store beside a small model."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from orchestrator.engine.images import Images
from orchestrator.errors import Conflict, NotFound
from orchestrator.images.built import adopt_layer, write_image
from orchestrator.images.content import ContentStore
from orchestrator.model.container import ContainerSpec
from orchestrator.model.image import Image, ImageConfig, Layer
from orchestrator.model.observed import Container, State
from orchestrator.settings import Settings
from orchestrator.state.buildcache import CachedStep
from orchestrator.state.database import Database, open_database
from orchestrator.wire.filters import Filters
from tests.support.isolation import Isolation

T = TypeVar("T")
TEXTS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3)
TAGS = st.sampled_from([f"docker.io/library/{name}:{tag}" for name in "xy" for tag in "12"])
_numbers = itertools.count()


@dataclass
class Known:
    """An image of the model."""

    chains: tuple[str, ...]
    blobs: frozenset[str]
    tags: set[str] = field(default_factory=set)
    retired: bool = False


class Counting(RuleBasedStateMachine):
    """Everything that gives or takes a reference, in any order."""

    place: Path  # set by the test

    def __init__(self) -> None:
        super().__init__()
        self.directory = self.place / str(next(_numbers))
        self.runner = asyncio.Runner()
        self.holds: list[AsyncExitStack] = []
        self.model: dict[str, Known] = {}
        self.containers: dict[str, str] = {}
        self.steps: dict[str, str] = {}

    @initialize()
    def open(self) -> None:
        self.opened = ExitStack()
        self.database: Database = self.opened.enter_context(
            open_database(self.directory / "state.db")
        )
        self.store = ContentStore(self.directory / "content")
        options = Settings(
            data_dir=self.directory,
            run_dir=self.directory,
            socket=self.directory / "s",
            log_file=self.directory / "l",
        )
        self.images = Images(self.database, self.store, options, lambda _event: None)

    def do(self, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        async def working() -> T:
            return await work(*args)

        return self.runner.run(working())

    # -- giving references

    @rule(texts=TEXTS, tag=st.none() | TAGS)
    def build(self, texts: list[str], tag: str | None) -> None:
        async def make() -> Image:
            async with self.images.holding():
                layers: list[Layer] = []
                for text in texts:
                    tree = self.store.begin_layer()
                    (tree / text).write_text(text)
                    os.utime(tree / text, (1, 1))
                    parent = layers[-1].chain_id if layers else ""
                    layers.append(await adopt_layer(self.store, tree, parent))
                made = await write_image(self.store, ImageConfig(author="".join(texts)), layers)
                return self.images.register(made, [tag] if tag else [])

        image = self.do(make)
        chains = tuple(layer.chain_id for layer in image.layers)
        known = self.model.setdefault(
            image.id, Known(chains, frozenset({image.id, image.manifest_digest}))
        )
        known.retired = False
        if tag:
            self._moved(image.id, tag)

    def _moved(self, identifier: str, tag: str) -> None:
        for known in self.model.values():
            known.tags.discard(tag)
        self.model[identifier].tags.add(tag)

    @rule(data=st.data(), tag=TAGS)
    def tag(self, data: st.DataObject, tag: str) -> None:
        if identifier := self._some(data):
            self.images.tag(identifier, tag)
            self._moved(identifier, tag)

    @rule(data=st.data(), running=st.booleans())
    def create_container(self, data: st.DataObject, running: bool) -> None:
        if identifier := self._some(data):
            name = f"c{next(_numbers)}"
            self.database.containers.put(
                Container(
                    id=name * 16,
                    name=name,
                    spec=ContainerSpec(image="x"),
                    image_id=identifier,
                    created_at=1,
                    state=State(status="running" if running else "exited"),
                )
            )
            self.containers[name * 16] = identifier

    @rule(data=st.data())
    def remember_a_step(self, data: st.DataObject) -> None:
        if identifier := self._some(data):
            image = self.images.get(identifier)
            layer = data.draw(st.sampled_from(image.layers))
            key = f"k{next(_numbers)}"
            step = CachedStep(id=key, layer=layer, created_at=1, last_used_at=1)
            self.database.build_cache.put(step)
            self.steps[key] = layer.chain_id

    @rule()
    def begin_a_pull(self) -> None:
        if len(self.holds) < 2:
            stack = AsyncExitStack()
            self.do(stack.enter_async_context, self.images.holding())
            self.holds.append(stack)

    # -- taking them

    @rule()
    def end_a_pull(self) -> None:
        if self.holds:
            self.do(self.holds.pop().aclose)

    @rule(tag=TAGS, force=st.booleans())
    def remove_by_name(self, tag: str, force: bool) -> None:
        owner = next((i for i, known in self.model.items() if tag in known.tags), None)
        if owner is None:
            with pytest.raises(NotFound):
                self.do(self.images.remove, tag)
            return
        known, users = self.model[owner], self._users(owner)
        if users and len(known.tags) == 1 and not force:
            with pytest.raises(Conflict):
                self.do(self.images.remove, tag)
            return
        self.do(lambda: self.images.remove(tag, force=force))
        known.tags.discard(tag)
        running = any(self.database.containers.get(user).running for user in users)  # type: ignore[union-attr]
        if not known.tags and not running:
            self._gone(owner)

    @rule(data=st.data(), force=st.booleans())
    def remove_by_id(self, data: st.DataObject, force: bool) -> None:
        if not (identifier := self._some(data)):
            return
        users = [self.database.containers.get(user) for user in self._users(identifier)]
        known = self.model[identifier]
        refused = any(user and user.running for user in users)
        refused = refused or (not force and (bool(users) or len(known.tags) > 1))
        if refused:
            with pytest.raises(Conflict):
                self.do(lambda: self.images.remove(identifier, force=force))
            return
        self.do(lambda: self.images.remove(identifier, force=force))
        self._gone(identifier)

    @rule(tagged=st.booleans())
    def prune(self, tagged: bool) -> None:
        self.do(self.images.prune, Filters({"dangling": ("false",)} if tagged else {}))
        for identifier, known in list(self.model.items()):
            if not known.retired and not self._users(identifier) and (tagged or not known.tags):
                del self.model[identifier]

    @rule(data=st.data())
    def remove_container(self, data: st.DataObject) -> None:
        if not self.containers:
            return
        name = data.draw(st.sampled_from(sorted(self.containers)))
        identifier = self.containers.pop(name)
        self.database.containers.delete(name)
        self.do(self.images.release, identifier)
        if self.model[identifier].retired and not self._users(identifier):
            del self.model[identifier]

    @rule(data=st.data())
    def forget_a_step(self, data: st.DataObject) -> None:
        if self.steps:
            key = data.draw(st.sampled_from(sorted(self.steps)))
            del self.steps[key]
            self.database.build_cache.delete(key)
            self.do(self.images.collect)

    @rule()
    def restart(self) -> None:
        """The engine is killed, whatever was under way, and the next one starts."""
        for stack in self.holds:
            with suppress(Exception):
                self.do(stack.aclose)
        self.holds.clear()
        self.opened.close()
        self.open()
        self.do(self.images.recover)

    # -- what must hold

    @invariant()
    def exactly_what_is_needed_is_here(self) -> None:
        if not hasattr(self, "store"):
            return
        chains = {chain for known in self.model.values() for chain in known.chains}
        chains |= set(self.steps.values())
        blobs = {digest for known in self.model.values() for digest in known.blobs}
        here = {record.chain_id for record in self.store.layers()}
        assert chains <= here
        assert blobs <= set(self.store.blobs())
        if not self.holds:
            assert here == chains
            assert set(self.store.blobs()) == blobs
            assert list((self.store.root / "tmp").iterdir()) == []
            assert len(list((self.store.root / "l").iterdir())) == len(chains)

    @invariant()
    def the_records_say_the_same(self) -> None:
        if not hasattr(self, "store"):
            return
        shown = {image.id: set(image.tags) for image in self.images.all()}
        assert shown == {i: known.tags for i, known in self.model.items() if not known.retired}
        for identifier in set(self.containers.values()):
            assert all(path.is_dir() for path in self.images.lowers(self.images.get(identifier)))

    def teardown(self) -> None:
        for stack in self.holds:
            self.do(stack.aclose)
        self.opened.close()
        self.runner.close()

    # -- within

    def _some(self, data: st.DataObject) -> str | None:
        here = sorted(i for i, known in self.model.items() if not known.retired)
        return data.draw(st.sampled_from(here)) if here else None

    def _users(self, identifier: str) -> list[str]:
        return [name for name, image in self.containers.items() if image == identifier]

    def _gone(self, identifier: str) -> None:
        known = self.model[identifier]
        if self._users(identifier):
            known.retired, known.tags = True, set()
        else:
            del self.model[identifier]


def test_content_is_kept_exactly_as_long_as_it_is_needed(
    isolation: Isolation, tmp_path: Path
) -> None:
    class Here(Counting):
        place = isolation.work_dir / tmp_path.name

    options = settings(
        max_examples=60,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Here, settings=options)
