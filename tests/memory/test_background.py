"""Accesses in the background, and races, over a real Milvus Lite."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from scrubjay.errors import MemoryNotFound, StoreUnavailable
from scrubjay.memory.accesses import Accesses
from scrubjay.memory.memories import Memories, Policy
from scrubjay.model import Draft, Filter, Memory, Scope
from scrubjay.ports import Change
from scrubjay.store.connection import MilvusOptions
from scrubjay.store.milvus import MilvusStore
from scrubjay_embeddings import LocalEmbedder

pytestmark = pytest.mark.anyio

ALICE = Scope("app", "alice")


def clock() -> int:
    return 1_700_000_000_000


@pytest.fixture
async def store(model: LocalEmbedder, tmp_path: Path) -> AsyncIterator[MilvusStore]:
    opened = await MilvusStore.open(MilvusOptions(uri=str(tmp_path / "memories.db")), model.spec)
    yield opened
    await opened.aclose()


@pytest.fixture
async def memories(store: MilvusStore, model: LocalEmbedder) -> AsyncIterator[Memories]:
    domain = Memories(store, model, clock, Policy(access_flush_s=0.01))
    domain.start()
    yield domain
    await domain.aclose()


async def test_a_deleted_memory_does_not_come_back_by_an_access(memories: Memories) -> None:
    for number in range(20):
        [added] = await memories.add(ALICE, [Draft(f"My {number} th locker is number {number}")])
        await memories.search(ALICE, "locker", where=Filter(), limit=5)
        await asyncio.sleep(0.002 * (number % 10))
        await memories.delete(ALICE, added.memory.id)
        await asyncio.sleep(0.02)
        with pytest.raises(MemoryNotFound):
            await memories.get(ALICE, added.memory.id)
    assert (await memories.page(ALICE, where=Filter(), limit=10)).memories == []


async def test_adding_while_forgetting_leaves_all_or_nothing_of_each_add(memories: Memories) -> None:
    contents = ["I live in New York", "I work as a nurse", "I have 3 cats"]

    async def add() -> None:
        for content in contents:
            await memories.add(ALICE, [Draft(content)])

    for _ in range(5):
        await asyncio.gather(add(), memories.forget(ALICE), add(), memories.forget(ALICE))
        listed = (await memories.page(ALICE, where=Filter(), limit=10)).memories
        assert len({memory.content for memory in listed}) == len(listed)
    await memories.forget(ALICE)
    assert (await memories.page(ALICE, where=Filter(), limit=10)).memories == []


class Away:
    """The real store behind a connection that can be away."""

    def __init__(self, store: MilvusStore) -> None:
        self.store = store
        self.away = True

    async def update(self, changes: dict[Scope, dict[str, Change]]) -> list[Memory]:
        if self.away:
            raise StoreUnavailable("away")
        return await self.store.update(changes)


async def test_accesses_wait_for_a_store_that_is_away(store: MilvusStore, model: LocalEmbedder) -> None:
    domain = Memories(store, model, clock, Policy())
    [added] = await domain.add(ALICE, [Draft("I live in New York")])
    behind = Away(store)
    accesses = Accesses(behind, clock, flush_s=60)  # type: ignore[arg-type]  # It needs `update` alone.
    accesses.record(ALICE, [added.memory.id] * 3)
    await accesses.flush()
    assert (await domain.get(ALICE, added.memory.id)).access_count == 0
    behind.away = False
    await accesses.aclose()
    assert (await domain.get(ALICE, added.memory.id)).access_count == 3
