"""The steps done before, and whether what they made is still there."""

from __future__ import annotations

import time
from dataclasses import replace

from orchestrator.images.content import ContentStore
from orchestrator.model.image import Layer
from orchestrator.state.buildcache import CachedStep
from orchestrator.state.records import Records


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
        return self._records.put(replace(step, last_used_at=time.time()))

    def remember(self, key: str, layer: Layer | None, description: str) -> CachedStep:
        """The record of a step just done."""
        now = time.time()
        return self._records.put(
            CachedStep(
                id=key, layer=layer, created_at=now, last_used_at=now, description=description
            )
        )

    def alias(self, key: str, step: CachedStep) -> CachedStep:
        """The same step under another key, which is quicker to come by."""
        return self._records.put(replace(step, id=key, last_used_at=time.time()))
