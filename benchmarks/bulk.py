"""Bulk add through HTTP, against embedding alone in batches plus bare inserts."""

import asyncio
import itertools
import time
from pathlib import Path

from scrubjay.model import Scope
from scrubjay.store.connection import Connection, MilvusOptions
from scrubjay.store.rows import to_row
from scrubjay_embeddings import LocalEmbedder

from benchmarks.report import Figure
from benchmarks.workload import records, sentences
from tests.servers.service import Service

MEMORIES = 5_000
REQUEST = 500
EMBED_BATCH = 32
INSERT_BATCH = 500


def bulk(folder: Path, model: LocalEmbedder) -> list[Figure]:
    """Add different statements of five users; the baseline runs before and after, and their mean counts."""
    texts = list(itertools.islice(sentences(), MEMORIES))
    first = baseline(folder / "first.db", model, texts)
    with Service(folder) as service:
        began = time.perf_counter()
        stored = 0
        for number, start in enumerate(range(0, MEMORIES, REQUEST)):
            drafts = [{"content": text} for text in texts[start : start + REQUEST]]
            body = {"user_id": f"user{number % 5}", "memories": drafts}
            answer = service.client.post("/memories/batch", json=body, timeout=300).raise_for_status().json()
            stored += sum(item["event"] == "ADD" for item in answer["results"])
        took = time.perf_counter() - began
    second = baseline(folder / "second.db", model, texts)
    mean = (first + second) / 2
    return [
        Figure(
            f"Lite: bulk add of {MEMORIES:,} memories, speed ({stored:,} new, the others were known)",
            f"{MEMORIES / took:.0f}/s",
            f"embedding + bare inserts {MEMORIES / mean:.0f}/s",
            mean / took,
            ">= 0.7",
        )
    ]


def baseline(path: Path, model: LocalEmbedder, texts: list[str]) -> float:
    """Return the seconds to embed all texts in batches and to insert as many rows with the bare client."""
    connection = Connection.open(MilvusOptions(uri=str(path)), model.spec)
    rows = [to_row(record) for record in records([Scope("default", "user")], len(texts), model.spec)]

    async def embed() -> None:
        for start in range(0, len(texts), EMBED_BATCH):
            await model.embed(texts[start : start + EMBED_BATCH], kind="document")

    began = time.perf_counter()
    asyncio.run(embed())
    for start in range(0, len(rows), INSERT_BATCH):
        connection.client.insert(connection.alias, rows[start : start + INSERT_BATCH])
    took = time.perf_counter() - began
    connection.close()
    return took
