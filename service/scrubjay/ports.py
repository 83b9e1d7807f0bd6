"""What the domain needs of the outside. Adapters are named in `bootstrap.py` alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from scrubjay_embeddings import Embedder, FloatArray

from scrubjay.model import Filter, Match, Memory, Scope

__all__ = ["Change", "Clock", "Embedder", "Key", "MemoryStore", "Record"]

Clock = Callable[[], int]
"""Returns the time in UTC milliseconds."""


@dataclass(frozen=True, slots=True)
class Record:
    """A memory with its unit vector, float32, of shape (dimension,)."""

    memory: Memory
    embedding: FloatArray


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """A memory's place in time; keys sort by it."""

    created_at: int
    id: str


Change = Callable[[Record], Record]
"""Makes the new record of the stored one. It may run again, so it must be pure."""


class MemoryStore(Protocol):
    """Keeps the memories of all scopes; each call sees one scope only.

    A caller reads its own writes: what a call acknowledged, every later call of this process sees. Every method
    raises `StoreUnavailable` if the store is away.
    """

    async def insert(self, scope: Scope, records: Sequence[Record]) -> None:
        """Store new records of this scope."""
        ...

    async def get(self, scope: Scope, ids: Sequence[str]) -> list[Memory]:
        """Return the memories with these ids, in the order of the ids; unknown ids are left out."""
        ...

    async def search(self, scope: Scope, vectors: FloatArray, *, where: Filter, limit: int) -> list[list[Match]]:
        """Return for each row of `vectors` (shape (n, dimension)) up to `limit` matches, most similar first."""
        ...

    async def keys(self, scope: Scope, *, where: Filter) -> list[Key]:
        """Return the keys of all memories that match, in no order."""
        ...

    async def update(self, changes: Mapping[Scope, Mapping[str, Change]]) -> list[Memory]:
        """Read, change and write whole rows, under the locks of their scopes.

        Ids that are unknown in their scope are left out. Takes several scopes, because a batch costs a server
        little more than one row.
        """
        ...

    async def delete(self, scope: Scope, ids: Sequence[str]) -> int:
        """Delete the memories with these ids, verify that they are gone, and return how many there were."""
        ...

    async def forget(self, scope: Scope) -> int:
        """Delete every memory of the scope, verify that none is left, and return how many there were."""
        ...

    async def ping(self) -> None: ...

    async def aclose(self) -> None: ...
