"""What can be done with memories. Every operation takes its scope."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scrubjay_embeddings import FloatArray
from uuid_utils.compat import uuid7

from scrubjay.errors import MemoryNotFound
from scrubjay.memory import cursor as cursors
from scrubjay.memory.accesses import Accesses
from scrubjay.memory.locks import KeyedLocks
from scrubjay.memory.ranking import Ranked, Weights, rank
from scrubjay.memory.sameness import known
from scrubjay.model import JSON, Draft, Event, Filter, Match, Memory, MemoryType, Scope
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


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a draft: the memory that now holds it, and how similar a known memory was."""

    event: Event
    memory: Memory
    similarity: float | None = None


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
        async with self._writing.hold(scope):
            neighbours = await self._neighbours(scope, drafts, vectors)
            intake = _Intake(self._clock(), self._policy.dedup_similarity, self._embedder)
            for draft, vector, matches in zip(drafts, vectors, neighbours, strict=True):
                intake.take(scope, draft, vector, matches)
            if intake.new:
                await self._store.insert(scope, list(intake.new.values()))
            if intake.changes:
                for memory in await self._store.update(scope, intake.changes):
                    intake.settled[memory.id] = memory
        return intake.results()

    async def _neighbours(self, scope: Scope, drafts: Sequence[Draft], vectors: FloatArray) -> list[list[Match]]:
        """Return the active neighbours of the same type, a list a draft."""
        found: list[list[Match]] = [[] for _ in drafts]
        for memory_type in {draft.memory_type for draft in drafts}:
            rows = [index for index, draft in enumerate(drafts) if draft.memory_type == memory_type]
            where = Filter(memory_types=(memory_type,), expired_before=self._clock())
            lists = await self._store.search(scope, vectors[rows], where=where, limit=NEIGHBOURS)
            for row, matches in zip(rows, lists, strict=True):
                found[row] = matches
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
            updated = await self._store.update(scope, {id_: _patched(patch, vector, self._clock())})
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


class _Intake:
    """Sorts drafts into new records and changes of known ones. No I/O."""

    def __init__(self, now: int, similarity_min: float, embedder: Embedder) -> None:
        self._now = now
        self._similarity_min = similarity_min
        self._spec = embedder.spec
        self._outcomes: list[tuple[Event, str, float | None]] = []
        self._bumps: dict[str, tuple[int, float]] = {}
        self.new: dict[str, Record] = {}
        self.settled: dict[str, Memory] = {}

    def take(self, scope: Scope, draft: Draft, vector: FloatArray, neighbours: Sequence[Match]) -> None:
        match = known(
            draft.content,
            [*neighbours, *self._fellows(draft, vector)],
            similarity_min=self._similarity_min,
            tokens_max=self._spec.tokens_max,
        )
        if match is None:
            record = Record(_created(scope, draft, self._now, self._spec.model), vector)
            self.new[record.memory.id] = record
            self._outcomes.append((Event.ADD, record.memory.id, None))
            return
        id_ = match.memory.id
        importance = max(match.memory.importance, self._bumps.get(id_, (0, 0.0))[1])
        event = Event.UPDATE if draft.importance > importance else Event.SKIP
        if id_ in self.new:
            self.new[id_] = _accessed(self.new[id_], 1, draft.importance, self._now)
        else:
            self.settled[id_] = match.memory
            self._bumps[id_] = (self._bumps.get(id_, (0, 0.0))[0] + 1, max(importance, draft.importance))
        self._outcomes.append((event, id_, match.similarity))

    def _fellows(self, draft: Draft, vector: FloatArray) -> list[Match]:
        """Earlier drafts of this batch that are near and of the same type."""
        same = [record for record in self.new.values() if record.memory.memory_type == draft.memory_type]
        if not same:
            return []
        cosines = np.stack([record.embedding for record in same]) @ vector
        near = np.flatnonzero(cosines >= self._similarity_min)
        return [Match(same[index].memory, float(cosines[index])) for index in near]

    @property
    def changes(self) -> dict[str, Change]:
        now = self._now

        def change(count: int, importance: float) -> Change:
            return lambda record: _accessed(record, count, importance, now)

        return {id_: change(*bump) for id_, bump in self._bumps.items()}

    def results(self) -> list[Added]:
        memories = {id_: record.memory for id_, record in self.new.items()} | self.settled
        return [Added(event, memories[id_], similarity) for event, id_, similarity in self._outcomes]


def _created(scope: Scope, draft: Draft, now: int, model: str) -> Memory:
    return Memory(
        id=str(uuid7()),
        app_id=scope.app_id,
        user_id=scope.user_id,
        content=draft.content,
        content_hash=_hash(draft.content),
        memory_type=draft.memory_type,
        category=draft.category,
        importance=draft.importance,
        confidence=draft.confidence,
        created_at=now,
        updated_at=now,
        last_accessed=now,
        embedding_model=model,
        field=draft.field,
        value=draft.value,
        chat_id=draft.chat_id,
        message_id=draft.message_id,
        valid_from=now,
        expires_at=draft.expires_at,
        metadata=draft.metadata,
    )


def _accessed(record: Record, count: int, importance: float, now: int) -> Record:
    memory = record.memory
    risen = importance > memory.importance
    return replace(
        record,
        memory=replace(
            memory,
            access_count=memory.access_count + count,
            last_accessed=max(memory.last_accessed, now),
            importance=max(memory.importance, importance),
            updated_at=now if risen else memory.updated_at,
        ),
    )


def _patched(patch: Patch, vector: FloatArray | None, now: int) -> Change:
    parts = {name: value for name in Patch.__slots__ if (value := getattr(patch, name)) is not None}
    if patch.content is not None:
        parts["content_hash"] = _hash(patch.content)

    def change(record: Record) -> Record:
        embedding = record.embedding if vector is None else vector
        return Record(replace(record.memory, **parts, updated_at=now), embedding)

    return change


def _hash(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()
