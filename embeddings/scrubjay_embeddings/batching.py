"""Gathers concurrent requests into batches."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scrubjay_embeddings.base import Embedder, EmbeddingSpec, FloatArray, Kind
from scrubjay_embeddings.errors import EmbeddingError, EmbeddingRejected, EmbeddingUnavailable

QUEUE_MAX = 20_000


class _Waiting(NamedTuple):
    text: str
    vector: asyncio.Future[FloatArray]


class BatchingEmbedder:
    """Sends up to `batch_max` texts at once, from as many callers as wait.

    A batch leaves when it is full or `wait_s` after its first text. `workers` batches are under way at once: one
    for a model in this process, several for a remote provider. Queries and documents take turns, so a search
    waits for one batch of a long import, never for all of it. More than `queue_max` waiting texts are refused
    with `EmbeddingUnavailable`.
    """

    def __init__(
        self,
        inner: Embedder,
        *,
        batch_max: int = 32,
        wait_s: float = 0.001,
        workers: int = 1,
        queue_max: int = QUEUE_MAX,
    ) -> None:
        self._inner = inner
        self._batch_max = batch_max
        self._wait_s = wait_s
        self._workers_max = workers
        self._queue_max = queue_max
        self._queues: dict[Kind, deque[_Waiting]] = {"query": deque(), "document": deque()}
        self._arrived = asyncio.Event()
        self._workers: list[asyncio.Task[None]] = []
        self._last: Kind = "document"
        self._closed = False

    @property
    def spec(self) -> EmbeddingSpec:
        return self._inner.spec

    async def embed(self, texts: Sequence[str], *, kind: Kind) -> FloatArray:
        if self._closed:
            raise EmbeddingUnavailable("The embedding service is shutting down.")
        if not texts:
            return np.empty((0, self.spec.dimension), dtype=np.float32)
        if sum(map(len, self._queues.values())) + len(texts) > self._queue_max:
            raise EmbeddingUnavailable("Too many texts wait to be embedded.", retry_after_s=1.0)
        loop = asyncio.get_running_loop()
        waiting = [_Waiting(text, loop.create_future()) for text in texts]
        self._queues[kind].extend(waiting)
        self._arrived.set()
        if not self._workers:
            self._workers = [asyncio.create_task(self._work()) for _ in range(self._workers_max)]
        return np.stack(await asyncio.gather(*(item.vector for item in waiting)))

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            await asyncio.sleep(0 if self._full() else self._wait_s)
            kind, batch = self._take()
            if batch:
                await self._serve(kind, batch)

    def _full(self) -> bool:
        return any(len(queue) >= self._batch_max for queue in self._queues.values())

    def _take(self) -> tuple[Kind, list[_Waiting]]:
        """Take the next batch of one kind; the other kind goes first if both wait."""
        turn: Kind = "document" if self._last == "query" else "query"
        kind: Kind = turn if self._queues[turn] else self._last
        queue = self._queues[kind]
        batch: list[_Waiting] = []
        while queue and len(batch) < self._batch_max:
            item = queue.popleft()
            if not item.vector.done():  # A caller that gave up has cancelled its futures.
                batch.append(item)
        if not any(self._queues.values()):
            self._arrived.clear()
        self._last = kind
        return kind, batch

    async def _serve(self, kind: Kind, batch: list[_Waiting]) -> None:
        try:
            vectors = await self._inner.embed([item.text for item in batch], kind=kind)
        except EmbeddingRejected as error:
            if len(batch) == 1:
                _fail(batch, error)
                return
            for item in batch:  # One caller's bad text must not fail the others that share its batch.
                await self._serve(kind, [item])
        except EmbeddingError as error:
            _fail(batch, error)
        except asyncio.CancelledError:
            _fail(batch, EmbeddingUnavailable("The embedding service is shutting down."))
            raise
        except Exception as error:
            # Whatever it is, those who wait must hear of it, and the worker must live on.
            _fail(batch, error)
        else:
            for item, vector in zip(batch, vectors, strict=True):
                if not item.vector.done():
                    item.vector.set_result(vector)

    async def ping(self) -> None:
        await self._inner.ping()

    async def aclose(self) -> None:
        self._closed = True
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        for queue in self._queues.values():
            _fail(queue, EmbeddingUnavailable("The embedding service is shutting down."))
            queue.clear()
        await self._inner.aclose()


def _fail(items: Sequence[_Waiting] | deque[_Waiting], error: Exception) -> None:
    for item in items:
        if not item.vector.done():
            item.vector.set_exception(error)
