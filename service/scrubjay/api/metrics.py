"""What Prometheus is told, and how long the stages of a request took."""

import time
from collections.abc import Sequence
from contextvars import ContextVar

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from scrubjay_embeddings import EmbeddingSpec, FloatArray, Kind

from scrubjay.ports import Embedder

stages: ContextVar[dict[str, float] | None] = ContextVar("stages", default=None)
"""Seconds by stage of the request that is being served."""

_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class Metrics:
    """The counters of one service. Labels never hold user ids or content."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "scrubjay_http_requests", "Requests served.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "scrubjay_http_request_seconds",
            "Time to serve a request.",
            ["route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.embedding_seconds = Histogram(
            "scrubjay_embedding_seconds",
            "Time to embed, waiting included.",
            ["kind"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.added = Counter("scrubjay_memories_added", "Drafts taken in, by event.", ["event"], registry=self.registry)

    def text(self) -> bytes:
        return generate_latest(self.registry)


class TimedEmbedder:
    """Measures embedding for the metrics and for the request's `Server-Timing` header."""

    def __init__(self, inner: Embedder, metrics: Metrics) -> None:
        self._inner = inner
        self._metrics = metrics

    @property
    def spec(self) -> EmbeddingSpec:
        return self._inner.spec

    async def embed(self, texts: Sequence[str], *, kind: Kind) -> FloatArray:
        began = time.perf_counter()
        try:
            return await self._inner.embed(texts, kind=kind)
        finally:
            took = time.perf_counter() - began
            self._metrics.embedding_seconds.labels(kind).observe(took)
            if (current := stages.get()) is not None:
                current["embed"] = current.get("embed", 0.0) + took

    async def ping(self) -> None:
        await self._inner.ping()

    async def aclose(self) -> None:
        await self._inner.aclose()
