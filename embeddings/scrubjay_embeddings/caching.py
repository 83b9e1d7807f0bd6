"""A bounded cache of vectors by the hash of the text."""

import hashlib
from collections.abc import Sequence

import numpy as np
from cachetools import LRUCache

from scrubjay_embeddings.base import Embedder, EmbeddingSpec, FloatArray, Kind

ENTRIES_MAX = 10_000


class CachingEmbedder:
    """Remembers the vectors of the last `entries_max` texts. Keys are digests, so no text is kept."""

    def __init__(self, inner: Embedder, *, entries_max: int = ENTRIES_MAX) -> None:
        self._inner = inner
        self._vectors: LRUCache[bytes, FloatArray] = LRUCache(entries_max)
        self.hits = 0
        self.misses = 0

    @property
    def spec(self) -> EmbeddingSpec:
        return self._inner.spec

    async def embed(self, texts: Sequence[str], *, kind: Kind) -> FloatArray:
        keys = [hashlib.sha256(f"{kind}\0{text}".encode()).digest() for text in texts]
        found = {key: self._vectors[key] for key in keys if key in self._vectors}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        self.hits += len(keys) - len(missing)
        self.misses += len(missing)
        if missing:
            vectors = await self._inner.embed(list(missing.values()), kind=kind)
            for key, vector in zip(missing, vectors, strict=True):
                # A copy, or one cached row would keep its whole batch alive.
                found[key] = self._vectors[key] = vector.copy()
        if not keys:
            return np.empty((0, self.spec.dimension), dtype=np.float32)
        return np.stack([found[key] for key in keys])

    async def ping(self) -> None:
        await self._inner.ping()

    async def aclose(self) -> None:
        await self._inner.aclose()
