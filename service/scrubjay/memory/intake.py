"""Sorts statements into new memories and changes of known ones. No I/O."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scrubjay_embeddings import FloatArray
from uuid_utils.compat import uuid7

from scrubjay.memory.sameness import Sameness
from scrubjay.model import Draft, Event, Match, Memory, Scope
from scrubjay.ports import Change, Record


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a draft: the memory that now holds it, and how similar a known memory was."""

    event: Event
    memory: Memory
    similarity: float | None = None


class Intake:
    """Takes the drafts of one request in their order; then `new` is to be inserted and `changes` to be applied."""

    def __init__(self, scope: Scope, now: int, sameness: Sameness, model: str) -> None:
        self._scope = scope
        self._now = now
        self._sameness = sameness
        self._model = model
        self._created: dict[int, Record] = {}
        self._settled: dict[str, Memory] = {}
        self._bumps: dict[str, tuple[int, float]] = {}
        self._outcomes: list[tuple[Event, str, float | None]] = []

    def take(self, draft: Draft, vector: FloatArray, neighbours: Sequence[Match], cosines: FloatArray) -> None:
        """Decide on the next draft. `cosines` holds its similarity to every draft of the request, in their order."""
        match = self._sameness.known(draft.content, [*neighbours, *self._fellows(draft, cosines)])
        if match is None:
            record = Record(_created(self._scope, draft, self._now, self._model), vector)
            self._created[len(self._outcomes)] = record
            self._outcomes.append((Event.ADD, record.memory.id, None))
            return
        id_ = match.memory.id
        row = next((row for row, record in self._created.items() if record.memory.id == id_), None)
        count, importance = self._bumps.get(id_, (0, match.memory.importance))
        event = Event.UPDATE if draft.importance > importance else Event.SKIP
        if row is None:
            self._settled[id_] = match.memory
            self._bumps[id_] = (count + 1, max(importance, draft.importance))
        else:
            self._created[row] = _accessed(self._created[row], 1, draft.importance, self._now)
        self._outcomes.append((event, id_, match.similarity))

    def _fellows(self, draft: Draft, cosines: FloatArray) -> list[Match]:
        """The new memories of this request that are near and of the same type."""
        return [
            Match(self._created[row].memory, float(cosines[row]))
            for row in np.flatnonzero(cosines >= self._sameness.similarity_min).tolist()
            if row in self._created and self._created[row].memory.memory_type == draft.memory_type
        ]

    @property
    def new(self) -> list[Record]:
        return list(self._created.values())

    @property
    def changes(self) -> dict[str, Change]:
        now = self._now

        def change(count: int, importance: float) -> Change:
            return lambda record: _accessed(record, count, importance, now)

        return {id_: change(*bump) for id_, bump in self._bumps.items()}

    def settle(self, updated: Sequence[Memory]) -> None:
        """Note the known memories as they are after the changes."""
        self._settled |= {memory.id: memory for memory in updated}

    def results(self) -> list[Added]:
        memories = {record.memory.id: record.memory for record in self.new} | self._settled
        return [Added(event, memories[id_], similarity) for event, id_, similarity in self._outcomes]


def content_hash(content: str) -> str:
    """Return the SHA-256 of the content, in hex."""
    return hashlib.sha256(content.encode()).hexdigest()


def _created(scope: Scope, draft: Draft, now: int, model: str) -> Memory:
    return Memory(
        id=str(uuid7()),
        app_id=scope.app_id,
        user_id=scope.user_id,
        content=draft.content,
        content_hash=content_hash(draft.content),
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
