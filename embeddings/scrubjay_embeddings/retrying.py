"""Retries with backoff, within a deadline, for remote providers."""

import asyncio
import time
from collections.abc import Sequence

import stamina

from scrubjay_embeddings.base import Embedder, EmbeddingSpec, FloatArray, Kind
from scrubjay_embeddings.errors import EmbeddingUnavailable


class RetryingEmbedder:
    """Tries again what may succeed later, waits as long as the provider asks, and never exceeds `deadline_s`."""

    def __init__(self, inner: Embedder, *, attempts: int = 4, deadline_s: float = 20.0) -> None:
        self._inner = inner
        self._attempts = attempts
        self._deadline_s = deadline_s

    @property
    def spec(self) -> EmbeddingSpec:
        return self._inner.spec

    async def embed(self, texts: Sequence[str], *, kind: Kind) -> FloatArray:
        ends = time.monotonic() + self._deadline_s

        def backoff(error: Exception) -> bool | float:
            """Say whether to try again; a number is the wait in seconds that the provider asked for."""
            if not isinstance(error, EmbeddingUnavailable):
                return False
            if error.retry_after_s is None:
                return True
            return error.retry_after_s if time.monotonic() + error.retry_after_s < ends else False

        retries = stamina.retry_context(on=backoff, attempts=self._attempts, timeout=self._deadline_s, wait_max=2.0)
        try:
            async with asyncio.timeout(self._deadline_s):
                async for attempt in retries:
                    with attempt:
                        return await self._inner.embed(texts, kind=kind)
        except TimeoutError as error:
            raise EmbeddingUnavailable(f"No embedding within {self._deadline_s:g} s.") from error
        raise EmbeddingUnavailable("No attempt was made.")  # Not reached: stamina makes at least one.

    async def ping(self) -> None:
        await self._inner.ping()

    async def aclose(self) -> None:
        await self._inner.aclose()
