"""The steps done before, here or elsewhere, and whether what they made is still there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from orchestrator.images.content import ContentStore
from orchestrator.model.image import Layer
from orchestrator.state.buildcache import CachedStep
from orchestrator.state.records import Records

# How often a use is written down: finer would cost a write for every step of every build.
_USE_S = 60.0


class ImportedSteps(Protocol):
    """Steps that were done on another machine."""

    async def find(self, key: str) -> Layer | bool | None:
        """The step's layer, now in the store; None where the step made none; False: unknown."""


class StepCache:
    """Records of steps by cache key. A record whose layer is gone counts for nothing."""

    def __init__(self, records: Records[CachedStep], store: ContentStore) -> None:
        self._records = records
        self._store = store

    def find(self, key: str) -> CachedStep | None:
        """The step with this key, if its layer can be used."""
        step = self._records.get(key)
        if step is None:
            return None
        if step.layer is not None and self._store.layer(step.layer.chain_id) is None:
            self._records.delete(key)
            return None
        now = time.time()
        if now - step.last_used_at < _USE_S:
            return step
        return self._records.put(replace(step, last_used_at=now))

    async def find_imported(
        self, key: str, imports: Sequence[ImportedSteps], description: str
    ) -> CachedStep | None:
        """The step with this key from one of the imports, remembered as if it were done here.

        Raises: what fetching its layer raises.
        """
        for imported in imports:
            found = await imported.find(key)
            if not isinstance(found, bool):
                return self.remember(key, found, description)
        return None

    def remember(self, key: str, layer: Layer | None, description: str) -> CachedStep:
        """The record of a step just done."""
        now = time.time()
        return self._records.put(
            CachedStep(
                id=key, layer=layer, created_at=now, last_used_at=now, description=description
            )
        )

    def offer(self, key: str, layer: Layer | None) -> None:
        """Nothing; a step that an image tells of is known, where it was not."""
        if self._records.get(key) is None:
            self.remember(key, layer, "from an image")

    def alias(self, key: str, step: CachedStep) -> CachedStep:
        """The same step under another key, which is quicker to come by."""
        if self._records.get(key) is not None and self.find(key) is not None:
            return step
        self._records.put(replace(step, id=key, last_used_at=time.time()))
        return step
