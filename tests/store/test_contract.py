"""What every store must do, on Milvus Lite and on a real Milvus Standalone."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scrubjay.errors import InvalidInput
from scrubjay.model import Filter, Memory, MemoryType, Scope, Status
from scrubjay.ports import Key, Record
from scrubjay.store.connection import MilvusOptions
from scrubjay.store.milvus import LIMIT_MAX, MilvusStore
from scrubjay_embeddings import FloatArray
from uuid_utils.compat import uuid7

from tests.conftest import SMALL

pytestmark = pytest.mark.anyio

ALICE = Scope("app", "alice")
OTHERS = [Scope("app", "bob"), Scope("other", "alice")]
ALL = Filter()


def unit(seed: int) -> FloatArray:
    vector = np.random.default_rng(seed).normal(size=SMALL.dimension).astype(np.float32)
    unit_vector: FloatArray = vector / np.linalg.norm(vector)
    return unit_vector


def record(scope: Scope = ALICE, *, seed: int = 0, **parts: Any) -> Record:
    content = str(parts.get("content", f"memory {seed}"))
    memory = Memory(
        id=str(uuid7()),
        app_id=scope.app_id,
        user_id=scope.user_id,
        content=content,
        content_hash=hashlib.sha256(content.encode()).hexdigest(),
        memory_type=MemoryType.FACT,
        category="other",
        importance=0.7,
        confidence=1.0,
        created_at=1_000 + seed,
        updated_at=1_000 + seed,
        last_accessed=1_000 + seed,
        embedding_model=SMALL.model,
    )
    return Record(replace(memory, **parts), unit(seed))


def ids(records: Sequence[Record]) -> list[str]:
    return [item.memory.id for item in records]


def bump(item: Record) -> Record:
    return replace(item, memory=replace(item.memory, access_count=item.memory.access_count + 1))


async def test_a_memory_comes_back_as_it_was_stored(store: MilvusStore) -> None:
    stored = record(
        content='He said "hi" \\ \n\t🦜',
        memory_type=MemoryType.PREFERENCE,
        importance=0.1 + 0.2,
        metadata={"a": [1, {"b": None}], "c": True, "d": 'q"\\'},
        expires_at=2**60,
        field="likes",
        value="🦜",
    )
    await store.insert(ALICE, [stored])
    assert await store.get(ALICE, [stored.memory.id]) == [stored.memory]


async def test_get_keeps_the_order_of_the_ids_and_leaves_unknown_ones_out(store: MilvusStore) -> None:
    records = [record(seed=seed) for seed in range(3)]
    await store.insert(ALICE, records)
    wanted = [records[2].memory.id, str(uuid7()), records[0].memory.id]
    assert [memory.id for memory in await store.get(ALICE, wanted)] == [wanted[0], wanted[2]]


async def test_search_orders_by_cosine_similarity(store: MilvusStore) -> None:
    records = [record(seed=seed) for seed in range(30)]
    await store.insert(ALICE, records)
    query = unit(7)
    [matches] = await store.search(ALICE, query[None], where=ALL, limit=5)
    cosines = {item.memory.id: float(item.embedding @ query) for item in records}
    best = sorted(cosines, key=lambda id_: -cosines[id_])[:5]
    assert [match.memory.id for match in matches] == best
    assert [match.similarity for match in matches] == pytest.approx([cosines[id_] for id_ in best], abs=1e-5)


async def test_search_takes_many_vectors_at_once(store: MilvusStore) -> None:
    records = [record(seed=seed) for seed in range(130)]
    await store.insert(ALICE, records)
    vectors = np.stack([item.embedding for item in records])
    found = await store.search(ALICE, vectors, where=ALL, limit=1)
    assert [matches[0].memory.id for matches in found] == ids(records)


@pytest.mark.parametrize("other", OTHERS, ids=["another user", "another app"])
async def test_nobody_else_sees_or_touches_a_memory(store: MilvusStore, other: Scope) -> None:
    mine = record()
    await store.insert(ALICE, [mine])
    id_ = mine.memory.id
    assert await store.get(other, [id_]) == []
    assert await store.search(other, mine.embedding[None], where=ALL, limit=5) == [[]]
    assert await store.keys(other, where=Filter(statuses=())) == []
    assert await store.update({other: {id_: bump}}) == []
    assert await store.delete(other, [id_]) == 0
    assert await store.forget(other) == 0
    assert await store.get(ALICE, [id_]) == [mine.memory]


async def test_a_record_of_another_scope_is_refused(store: MilvusStore) -> None:
    with pytest.raises(ValueError, match="another scope"):
        await store.insert(ALICE, [record(OTHERS[0])])
    assert await store.keys(OTHERS[0], where=ALL) == []


FILTERS = {
    "type": (Filter(memory_types=(MemoryType.TASK,)), [1]),
    "category": (Filter(categories=("work", "health")), [2, 3]),
    "status": (Filter(statuses=(Status.ARCHIVED,)), [4]),
    "importance": (Filter(importance_min=0.2, importance_max=0.4), [5]),
    "time": (Filter(created_from=6_000, created_to=6_001), [6]),
    "metadata text": (Filter(metadata={"k": 'v"\\'}), [7]),
    "metadata number": (Filter(metadata={"n": 1}), [8]),
    "metadata bool": (Filter(metadata={"b": True}), [9]),
    "expiry": (Filter(memory_types=(MemoryType.PREFERENCE,), expired_before=61_000), [11]),
}


@pytest.fixture
async def varied(store: MilvusStore) -> list[Record]:
    parts: list[dict[str, Any]] = [
        {},
        {"memory_type": MemoryType.TASK},
        {"category": "work"},
        {"category": "health"},
        {"status": Status.ARCHIVED},
        {"importance": 0.3},
        {"created_at": 6_000},
        {"metadata": {"k": 'v"\\'}},
        {"metadata": {"n": 1}},
        {"metadata": {"b": True}},
        {"memory_type": MemoryType.PREFERENCE, "expires_at": 60_500},
        {"memory_type": MemoryType.PREFERENCE, "expires_at": 120_001},
    ]
    records = [record(seed=seed, **part) for seed, part in enumerate(parts)]
    await store.insert(ALICE, records)
    return records


@pytest.mark.parametrize("name", FILTERS)
async def test_a_filter_keeps_what_fits(store: MilvusStore, varied: list[Record], name: str) -> None:
    where, expected = FILTERS[name]
    wanted = {varied[index].memory.id for index in expected}
    assert {key.id for key in await store.keys(ALICE, where=where)} == wanted
    [matches] = await store.search(ALICE, unit(0)[None], where=where, limit=100)
    assert {match.memory.id for match in matches} == wanted


async def test_keys_carry_the_time(store: MilvusStore) -> None:
    item = record(seed=5)
    await store.insert(ALICE, [item])
    assert await store.keys(ALICE, where=ALL) == [Key(1_005, item.memory.id)]


async def test_an_update_is_seen_at_once_and_keeps_the_vector(store: MilvusStore) -> None:
    item = record(metadata={"keep": 1})
    await store.insert(ALICE, [item])
    [updated] = await store.update({ALICE: {item.memory.id: bump}})
    assert updated == replace(item.memory, access_count=1)
    assert await store.get(ALICE, [item.memory.id]) == [updated]
    [matches] = await store.search(ALICE, item.embedding[None], where=ALL, limit=5)
    assert [match.memory for match in matches] == [updated]
    assert matches[0].similarity == pytest.approx(1.0, abs=1e-5)


async def test_concurrent_updates_lose_nothing(store: MilvusStore) -> None:
    items = [record(seed=seed) for seed in range(3)]
    await store.insert(ALICE, items)
    await asyncio.gather(*(store.update({ALICE: dict.fromkeys(ids(items), bump)}) for _ in range(10)))
    assert [memory.access_count for memory in await store.get(ALICE, ids(items))] == [10, 10, 10]


async def test_a_deleted_memory_is_gone_at_once(store: MilvusStore) -> None:
    items = [record(seed=seed) for seed in range(3)]
    await store.insert(ALICE, items)
    assert await store.delete(ALICE, [items[0].memory.id, str(uuid7())]) == 1
    assert await store.get(ALICE, ids(items)) == [items[1].memory, items[2].memory]
    [matches] = await store.search(ALICE, items[0].embedding[None], where=ALL, limit=5)
    assert items[0].memory.id not in {match.memory.id for match in matches}
    assert await store.delete(ALICE, [items[0].memory.id]) == 0


async def test_forget_deletes_every_status_of_one_scope(store: MilvusStore) -> None:
    mine = [record(seed=seed, status=status) for seed, status in enumerate(Status)]
    await store.insert(ALICE, mine)
    for other in OTHERS:
        await store.insert(other, [record(other)])
    assert await store.forget(ALICE) == len(mine)
    assert await store.keys(ALICE, where=Filter(statuses=())) == []
    assert [len(await store.keys(other, where=ALL)) for other in OTHERS] == [1, 1]


async def test_an_id_with_a_quote_matches_nothing(store: MilvusStore) -> None:
    item = record()
    await store.insert(ALICE, [item])
    for attack in ["x'] or id != '' or id in ['x", 'x"] or id != "" or id in ["x', "\\", '"']:
        assert await store.get(ALICE, [attack]) == []
        assert await store.delete(ALICE, [attack]) == 0
    assert len(await store.keys(ALICE, where=ALL)) == 1


async def test_a_text_of_too_many_bytes_is_refused_whole(store: MilvusStore) -> None:
    with pytest.raises(InvalidInput, match="content"):
        await store.insert(ALICE, [record(), record(seed=1, content="é" * 4_001)])
    assert await store.keys(ALICE, where=ALL) == []


async def test_everything_is_there_after_reopening(milvus: MilvusOptions) -> None:
    first = await MilvusStore.open(milvus, SMALL)
    items = [record(seed=seed) for seed in range(20)]
    await first.insert(ALICE, items)
    await first.delete(ALICE, [items[0].memory.id])
    await first.aclose()
    second = await MilvusStore.open(milvus, SMALL)
    try:
        assert await second.get(ALICE, ids(items)) == [item.memory for item in items[1:]]
    finally:
        await second.aclose()


async def test_concurrent_writers_lose_nothing(store: MilvusStore) -> None:
    scopes = [Scope("app", f"user {number}") for number in range(8)]

    async def write(scope: Scope) -> list[str]:
        stored: list[str] = []
        for seed in range(15):
            item = record(scope, seed=seed)
            await store.insert(scope, [item])
            stored.append(item.memory.id)
        return stored

    written = await asyncio.gather(*map(write, scopes))
    for scope, wanted in zip(scopes, written, strict=True):
        assert sorted(key.id for key in await store.keys(scope, where=ALL)) == sorted(wanted)


async def test_a_cancelled_caller_leaves_the_store_working(store: MilvusStore) -> None:
    tasks = [asyncio.create_task(store.insert(ALICE, [record(seed=seed)])) for seed in range(10)]
    await asyncio.sleep(0.005)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    item = record(seed=99)
    await store.insert(ALICE, [item])
    assert await store.get(ALICE, [item.memory.id]) == [item.memory]


async def test_a_scan_goes_past_the_limit_of_a_query(store: MilvusStore) -> None:
    many = [record(seed=seed) for seed in range(LIMIT_MAX + 100)]
    await store.insert(ALICE, many)
    keys = await store.keys(ALICE, where=ALL)
    assert len(keys) == len(many)
    assert {key.id for key in keys} == set(ids(many))
    assert await store.forget(ALICE) == len(many)
    assert await store.keys(ALICE, where=ALL) == []
