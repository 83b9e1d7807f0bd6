"""Start-up on an existing folder, and memory."""

import asyncio
import time
from pathlib import Path

import psutil
from scrubjay.store.connection import MilvusOptions
from scrubjay_embeddings import EmbeddingSpec

from benchmarks.report import Figure
from benchmarks.search import LITE_ROWS, LITE_USERS, fill
from tests.servers.service import Service


def start(folder: Path, spec: EmbeddingSpec) -> list[Figure]:
    """Report the parts of a start and the resident memory, empty and with 10,000 memories."""
    with Service(folder / "empty") as service:
        empty = rss_mib(service)
    asyncio.run(fill(MilvusOptions(uri=str(folder / "full" / "data" / "memories.db")), spec))
    began = time.perf_counter()
    with Service(folder / "full") as service:
        total = time.perf_counter() - began
        events = {str(entry["event"]): entry for entry in service.logged()}
        started = rss_mib(service)
        for user in LITE_USERS:
            path = f"/users/{user.user_id}/memories/search"
            service.client.get(path, params={"query": "old bicycles"}).raise_for_status()
        used = rss_mib(service)
    store = events["store_ready"]
    model_s, ready_s = float(str(events["model_ready"]["seconds"])), float(str(events["ready"]["seconds"]))
    milvus = {name: float(str(store[f"{name}_s"])) for name in ("connect", "verify", "load", "settle")}
    parts = [f"imports of the service {total - ready_s:.1f}", f"model {model_s:.1f}"]
    parts += [f"Milvus {name} {took:.2f}" for name, took in milvus.items()]
    return [
        Figure(f"Start to ready on {LITE_ROWS:,} memories", f"{total:.1f} s", ", ".join(parts)),
        Figure("Resident memory after the start, empty folder", f"{empty:.0f} MiB"),
        Figure(f"Resident memory after the start, {LITE_ROWS:,} memories", f"{started:.0f} MiB"),
        Figure("Resident memory after a search of each of the 100 users", f"{used:.0f} MiB"),
    ]


def rss_mib(service: Service) -> float:
    return float(psutil.Process(service.pid).memory_info().rss) / 2**20
