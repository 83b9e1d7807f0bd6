"""Search through HTTP, against the bare client with the same filter on the same data."""

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from pymilvus import MilvusClient
from scrubjay.model import Filter, Scope
from scrubjay.store.collections import load_fields
from scrubjay.store.connection import Connection, MilvusOptions
from scrubjay.store.filters import of_filter
from scrubjay.store.milvus import MilvusStore
from scrubjay.store.rows import to_row
from scrubjay_embeddings import EmbeddingSpec

from benchmarks.report import Figure
from benchmarks.workload import percentiles, records, sentences
from tests.servers.service import Service

SEARCHES = 300
WARM_UP = 30
LIMIT = 5
NOW = 1_790_000_000_000
LITE_ROWS = 10_000
LITE_USERS = [Scope("default", f"user{number}") for number in range(100)]
SERVER_ROWS = 100_000
SERVER_USERS = [Scope("default", f"user{number}") for number in range(1_000)]


def lite(folder: Path, spec: EmbeddingSpec) -> list[Figure]:
    """Measure on Milvus Lite, quiet and while memories are written."""
    options = MilvusOptions(uri=str(folder / "data" / "memories.db"))
    asyncio.run(fill(options, spec))
    before = bare_lite(options, spec)
    with Service(folder) as service:
        quiet = through_http(service)
        with writer(service):
            busy = through_http(service)
    after = bare_lite(options, spec)
    bare = percentiles(before["filter"] + after["filter"])
    hinted = percentiles(before["hint"] + after["hint"])
    mine, during = percentiles(quiet), percentiles(busy)
    what = f"Lite, {LITE_ROWS:,} memories: search through HTTP but the embedding, p50"
    return [
        Figure(what, f"{mine[0]:.1f} ms", f"bare search {bare[0]:.1f} ms", mine[0] / bare[0], "<= 2.5"),
        Figure(f"{what}, to the partition", "", f"bare, with hint {hinted[0]:.1f} ms", mine[0] / hinted[0]),
        Figure(
            "Lite: the same while one client writes without pause, p95",
            f"{during[1]:.1f} ms",
            f"quiet {mine[1]:.1f} ms",
            during[1] / mine[1],
            "<= 3.0",
        ),
    ]


def standalone(folder: Path, spec: EmbeddingSpec, uri: str) -> list[Figure]:
    """Measure on Milvus Standalone, turn by turn with the bare client at the same consistency."""
    options = MilvusOptions(uri=uri, profile="standalone", collection="bench", timeout_s=60)
    connection = Connection.open(options, spec)
    rows = [to_row(record) for record in records(SERVER_USERS, SERVER_ROWS, spec)]
    for start in range(0, len(rows), 5_000):
        connection.client.insert("bench", rows[start : start + 5_000])
    connection.client.flush("bench", timeout=120)
    wait_until_searchable(connection, spec)
    settings = {"milvus_uri": uri, "milvus_collection": "bench", "milvus_timeout_s": "30"}
    # No access is written meanwhile: it would move rows away from the bare search that reads one partition (2.3.5).
    settings["access_flush_s"] = "3600"
    session = {"consistency_level": "Session"}
    times: dict[str, list[float]] = {"service": [], "same": [], "pruned": []}
    with Service(folder, **settings) as service:
        for number, (user, query) in enumerate(turns(SERVER_USERS)):
            mine = service_search(service, user, query)
            took = {"service": mine}
            for name, prune in (("same", connection.capabilities.prunes_partitions), ("pruned", True)):
                took[name] = bare_search(connection.client, "bench", user, spec, {"ef": 64}, session, prune=prune)
            if number >= WARM_UP:
                for name, seconds in took.items():
                    times[name].append(seconds)
    connection.close()
    p50 = {name: percentiles(seconds)[0] for name, seconds in times.items()}
    what = f"Standalone, {SERVER_ROWS:,} memories: search through HTTP but the embedding, p50"
    return [
        Figure(
            what,
            f"{p50['service']:.1f} ms",
            f"bare search, same filter, {p50['same']:.1f} ms",
            p50["service"] / p50["same"],
            "<= 2.0",
        ),
        Figure(
            f"{what}, to `user_id ==`",
            "",
            f"bare search of one partition {p50['pruned']:.1f} ms",
            p50["service"] / p50["pruned"],
        ),
    ]


def wait_until_searchable(connection: Connection, spec: EmbeddingSpec) -> None:
    """Wait until the server has loaded what it flushed: until then 2.3.5 finds only part of it."""
    vector = np.random.default_rng(0).normal(size=spec.dimension).astype(np.float32)
    per_user = SERVER_ROWS // len(SERVER_USERS)
    for _ in range(120):
        found = [
            len(hits)
            for user in SERVER_USERS[::20]
            for hits in connection.client.search(
                "bench",
                data=[vector],
                filter=of_filter(user, Filter()),
                limit=per_user,
                output_fields=["id"],
                timeout=60,
            )
        ]
        if min(found) == per_user:
            return
        time.sleep(1)
    raise RuntimeError("The server does not find all rows.")


async def fill(options: MilvusOptions, spec: EmbeddingSpec) -> None:
    store = await MilvusStore.open(options, spec)
    made = records(LITE_USERS, LITE_ROWS, spec)
    for scope in LITE_USERS:
        await store.insert(scope, [record for record in made if record.memory.scope == scope])
    await store.aclose()


def through_http(service: Service) -> list[float]:
    times = [service_search(service, user, query) for user, query in turns(LITE_USERS)]
    return times[WARM_UP:]


def service_search(service: Service, user: Scope, query: str) -> float:
    """Return the seconds that a search takes at the client, less what the service says it embedded."""
    began = time.perf_counter()
    answer = service.client.get(f"/users/{user.user_id}/memories/search", params={"query": query, "limit": LIMIT})
    took = time.perf_counter() - began
    assert len(answer.raise_for_status().json()["matches"]) == LIMIT
    embedded = answer.headers["server-timing"].split("embed;dur=")[1].split(",")[0]
    return took - float(embedded) / 1000


def turns(users: Sequence[Scope]) -> Iterator[tuple[Scope, str]]:
    """Yield users and questions that were never asked before, so that no cache answers."""
    mixed = itertools.cycle([*users[::7], *users[3::7]])
    token = time.time_ns()
    for number in range(SEARCHES + WARM_UP):
        yield next(mixed), f"question {token} {number}: who likes old bicycles?"


def bare_lite(options: MilvusOptions, spec: EmbeddingSpec) -> dict[str, list[float]]:
    """Time the bare client, with the filter alone and with the partition named beside it."""
    connection = Connection.open(options, spec)
    store = MilvusStore(connection, None)  # type: ignore[arg-type]  # Only asked for the partition's name.
    times: dict[str, list[float]] = {"filter": [], "hint": []}
    for number, (user, _) in enumerate(turns(LITE_USERS)):
        hint = {"partition_names": [store._partition(user.user_id)]}
        for name, extra in (("filter", {}), ("hint", hint)):
            took = bare_search(connection.client, options.collection, user, spec, {}, extra)
            if number >= WARM_UP:
                times[name].append(took)
    connection.close()
    return times


def bare_search(
    client: MilvusClient,
    collection: str,
    user: Scope,
    spec: EmbeddingSpec,
    params: dict[str, int],
    extra: dict[str, Any],
    *,
    prune: bool = True,
) -> float:
    vector = np.random.default_rng().normal(size=spec.dimension).astype(np.float32)
    began = time.perf_counter()
    [hits] = client.search(
        collection,
        data=[vector],
        filter=of_filter(user, Filter(expired_before=NOW), prune=prune),
        limit=LIMIT,
        output_fields=load_fields().scalars,
        search_params={"metric_type": "COSINE", "params": params},
        timeout=30,
        **extra,
    )
    took = time.perf_counter() - began
    assert len(hits) == LIMIT
    return took


@contextmanager
def writer(service: Service) -> Iterator[None]:
    """Add memories one after the other, without pause, over all users."""
    stop = threading.Event()

    def write() -> None:
        with httpx2.Client(base_url=service.url, timeout=30) as client:
            for user, content in zip(itertools.cycle(LITE_USERS), sentences(), strict=False):
                if stop.is_set():
                    return
                body = {"user_id": user.user_id, "content": content, "memory_type": "preference"}
                client.post("/memories", json=body).raise_for_status()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
