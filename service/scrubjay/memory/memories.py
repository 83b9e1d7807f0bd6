"""What can be done with memories. Every operation takes its scope."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scrubjay_embeddings import FloatArray

from scrubjay.errors import MemoryNotFound
from scrubjay.memory import cursor as cursors
from scrubjay.memory.accesses import Accesses
from scrubjay.memory.intake import Added, Intake, content_hash
from scrubjay.memory.locks import KeyedLocks
from scrubjay.memory.ranking import Ranked, Weights, rank
from scrubjay.memory.sameness import Sameness
from scrubjay.model import JSON, Draft, Filter, Match, Memory, MemoryType, Scope
from scrubjay.ports import Change, Clock, Embedder, MemoryStore, Record

DRAFTS_MAX = 1_000
LIMIT_MAX = 100
NEIGHBOURS = 5
"""Neighbours that are compared with a new statement: the nearest may differ in a number where the next is the same."""
OVERFETCH = 3
"""Candidates for each result, so that recency and importance have something to choose from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How memories are recognised and ranked."""

    dedup_similarity: float = 0.9
    weights: Weights = Weights()
    half_life_days: float = 30.0
    access_flush_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """New values for parts of a memory; None leaves a part as it is. `metadata` replaces all of it."""

    content: str | None = None
    memory_type: MemoryType | None = None
    category: str | None = None
    importance: float | None = None
    confidence: float | None = None
    field: str | None = None
    value: str | None = None
    expires_at: int | None = None
    metadata: Mapping[str, JSON] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    memories: list[Memory]
    next_cursor: str | None


class Memories:
    """The memories of all apps and users, over one store and one embedding model."""

    def __init__(self, store: MemoryStore, embedder: Embedder, clock: Clock, policy: Policy) -> None:
        self._store = store
        self._embedder = embedder
        self._clock = clock
        self._policy = policy
        self._sameness = Sameness(policy.dedup_similarity, embedder.spec.tokens_max)
        self._writing = KeyedLocks()
        self._accesses = Accesses(store, clock, flush_s=policy.access_flush_s)

    def start(self) -> None:
        self._accesses.start()

    async def aclose(self) -> None:
        """Write what the background still holds. The store and the embedder belong to the caller."""
        await self._accesses.aclose()

    async def add(self, scope: Scope, drafts: Sequence[Draft]) -> list[Added]:
        """Store what is new, count an access of what is known, and say of each draft which it was.

        Embedding comes first, so nothing is stored if it fails. One user's adds run one after the other, so that
        the same statement sent twice at once is stored once. Running it again stores nothing twice.
        """
        vectors = await self._embedder.embed([draft.content for draft in drafts], kind="document")
        cosines = await asyncio.to_thread(np.matmul, vectors, vectors.T)
        async with self._writing.hold(scope):
            neighbours = await self._neighbours(scope, drafts, vectors)
            intake = Intake(scope, self._clock(), self._sameness, self._embedder.spec.model)
            for row, draft in enumerate(drafts):
                intake.take(draft, vectors[row], neighbours[row], cosines[row])
            if intake.new:
                await self._store.insert(scope, intake.new)
            if intake.changes:
                intake.settle(await self._store.update({scope: intake.changes}))
        return intake.results()

    async def _neighbours(self, scope: Scope, drafts: Sequence[Draft], vectors: FloatArray) -> list[list[Match]]:
        """Return the active neighbours of the same type that matter, a list a draft.

        Each match costs more than the search, so the nearest one comes first, and more only where it is near but
        says something else.
        """
        found: list[list[Match]] = [[] for _ in drafts]

        async def search(rows: Sequence[int], memory_type: MemoryType, limit: int) -> None:
            where = Filter(memory_types=(memory_type,), expired_before=self._clock())
            lists = await self._store.search(scope, vectors[rows], where=where, limit=limit)
            for row, matches in zip(rows, lists, strict=True):
                found[row] = matches

        for memory_type in {draft.memory_type for draft in drafts}:
            rows = [row for row, draft in enumerate(drafts) if draft.memory_type == memory_type]
            await search(rows, memory_type, 1)
            unclear = [row for row in rows if self._sameness.is_unclear(drafts[row].content, found[row])]
            if unclear:
                await search(unclear, memory_type, NEIGHBOURS)
        return found

    async def get(self, scope: Scope, id_: str) -> Memory:
        """Return one memory, whatever its status. Raises `MemoryNotFound`."""
        memories = await self._store.get(scope, [id_])
        if not memories:
            raise MemoryNotFound("There is no such memory.")
        return memories[0]

    async def page(self, scope: Scope, *, where: Filter, limit: int, cursor: str | None = None) -> Page:
        """Return up to `limit` memories, newest first, from after `cursor`. Raises `InvalidCursor`."""
        after = cursors.decode(cursor, scope, where) if cursor else None
        where = replace(where, expired_before=self._clock())
        keys = sorted(await self._store.keys(scope, where=where), reverse=True)
        if after:
            keys = [key for key in keys if key < after]
        page = keys[:limit]
        memories = await self._store.get(scope, [key.id for key in page])
        last = cursors.encode(page[-1], scope, where) if len(keys) > limit else None
        return Page(memories, last)

    async def update(self, scope: Scope, id_: str, patch: Patch) -> Memory:
        """Change parts of a memory; new content is embedded again. Raises `MemoryNotFound`."""
        vector = None
        if patch.content is not None:
            await self.get(scope, id_)  # Someone else's id must not cost an embedding.
            [vector] = await self._embedder.embed([patch.content], kind="document")
        async with self._writing.hold(scope):
            updated = await self._store.update({scope: {id_: _patched(patch, vector, self._clock())}})
        if not updated:
            raise MemoryNotFound("There is no such memory.")
        return updated[0]

    async def delete(self, scope: Scope, id_: str) -> None:
        """Delete one memory for good. Raises `MemoryNotFound`."""
        async with self._writing.hold(scope):
            deleted = await self._store.delete(scope, [id_])
        if not deleted:
            raise MemoryNotFound("There is no such memory.")

    async def forget(self, scope: Scope) -> int:
        """Delete every memory of the scope for good and return how many there were."""
        async with self._writing.hold(scope):
            self._accesses.forget(scope)
            return await self._store.forget(scope)

    async def search(
        self,
        scope: Scope,
        query: str,
        *,
        where: Filter,
        limit: int,
        similarity_min: float = -1.0,
        weights: Weights | None = None,
    ) -> list[Ranked]:
        """Return the `limit` best memories for `query`, ranked by similarity, recency and importance.

        Each result counts as an access, in the background.
        """
        vectors = await self._embedder.embed([query], kind="query")
        now = self._clock()
        where = replace(where, expired_before=now)
        [matches] = await self._store.search(scope, vectors, where=where, limit=limit * OVERFETCH)
        close = [match for match in matches if match.similarity >= similarity_min]
        weights = weights or self._policy.weights
        best = rank(close, weights=weights, half_life_days=self._policy.half_life_days, now=now)[:limit]
        self._accesses.record(scope, [item.memory.id for item in best])
        return best


def _patched(patch: Patch, vector: FloatArray | None, now: int) -> Change:
    parts = {name: value for name in Patch.__slots__ if (value := getattr(patch, name)) is not None}
    if patch.content is not None:
        parts["content_hash"] = content_hash(patch.content)

    def change(record: Record) -> Record:
        embedding = record.embedding if vector is None else vector
        return Record(replace(record.memory, **parts, updated_at=now), embedding)

    return change
