"""Batching and caching, over a provider that is real code behind a local server."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
from scrubjay_embeddings import (
    BatchingEmbedder,
    CachingEmbedder,
    EmbeddingInvalid,
    EmbeddingRejected,
    EmbeddingUnavailable,
    OpenAIEmbedder,
    unit_vectors,
)

from tests.servers.openai_server import Answer, OpenAIServer

pytestmark = pytest.mark.anyio


@pytest.fixture
def server() -> OpenAIServer:
    return OpenAIServer()


@pytest.fixture
async def provider(server: OpenAIServer) -> AsyncIterator[OpenAIEmbedder]:
    with server:
        embedder = await OpenAIEmbedder.connect("m", api_key=server.key, base_url=server.base_url, dimensions=4)
        yield embedder
        await embedder.aclose()


async def test_concurrent_requests_share_batches(server: OpenAIServer, provider: OpenAIEmbedder) -> None:
    batching = BatchingEmbedder(provider, batch_max=16, wait_s=0.05)
    texts = [f"text {number}" for number in range(40)]
    answers = await asyncio.gather(*(batching.embed([text], kind="query") for text in texts))
    assert [len(request["input"]) for request in server.requests] == [16, 16, 8]
    alone = await provider.embed(texts, kind="query")
    np.testing.assert_allclose(np.concatenate(answers), alone, atol=1e-6)
    await batching.aclose()


async def test_a_query_waits_for_one_batch_of_an_import_only(server: OpenAIServer, provider: OpenAIEmbedder) -> None:
    batching = BatchingEmbedder(provider, batch_max=8)
    long = asyncio.create_task(batching.embed([f"document {number}" for number in range(80)], kind="document"))
    await asyncio.to_thread(server.arrived.wait, 5)
    await batching.embed(["a query"], kind="query")
    assert not long.done()
    await long
    order = [request["input"][0] for request in server.requests]
    assert order.index("a query") <= 3
    await batching.aclose()


async def test_one_bad_text_fails_alone(server: OpenAIServer, provider: OpenAIEmbedder) -> None:
    batching = BatchingEmbedder(provider, batch_max=8, wait_s=0.05)
    server.script.extend([Answer(status=400), Answer(status=400)])  # The batch, then its first text alone.
    texts = ["bad", "good", "fine"]
    results = await asyncio.gather(*(batching.embed([text], kind="document") for text in texts), return_exceptions=True)
    assert isinstance(results[0], EmbeddingRejected)
    assert all(isinstance(result, np.ndarray) for result in results[1:])
    await batching.aclose()


async def test_an_outage_reaches_every_caller_and_passes(server: OpenAIServer, provider: OpenAIEmbedder) -> None:
    batching = BatchingEmbedder(provider, batch_max=8, wait_s=0.02)
    server.script.append(Answer(status=503))
    results = await asyncio.gather(*(batching.embed([text], kind="query") for text in "abc"), return_exceptions=True)
    assert all(isinstance(result, EmbeddingUnavailable) for result in results)
    assert (await batching.embed(["d"], kind="query")).shape == (1, 4)
    await batching.aclose()


async def test_the_queue_is_bounded(provider: OpenAIEmbedder) -> None:
    batching = BatchingEmbedder(provider, queue_max=10)
    with pytest.raises(EmbeddingUnavailable, match="wait"):
        await batching.embed(["x"] * 11, kind="query")
    await batching.aclose()


async def test_closing_answers_those_who_wait(server: OpenAIServer, provider: OpenAIEmbedder) -> None:
    batching = BatchingEmbedder(provider)
    server.script.append(Answer(delay_s=0.5))
    waiting = asyncio.create_task(batching.embed(["x"], kind="query"))
    await asyncio.sleep(0.1)
    await batching.aclose()
    with pytest.raises(EmbeddingUnavailable, match="shutting down"):
        await waiting
    with pytest.raises(EmbeddingUnavailable, match="shutting down"):
        await batching.embed(["y"], kind="query")


async def test_a_text_is_embedded_once_while_it_is_cached(server: OpenAIServer, provider: OpenAIEmbedder) -> None:
    caching = CachingEmbedder(provider, entries_max=2)
    first = await caching.embed(["a", "b", "a"], kind="document")
    second = await caching.embed(["b", "a"], kind="document")
    np.testing.assert_array_equal(second, first[[1, 0]])
    assert [request["input"] for request in server.requests] == [["a", "b"]]
    await caching.embed(["a"], kind="query")  # Another kind is another vector.
    await caching.embed(["c"], kind="document")
    await caching.embed(["b"], kind="document")  # Pushed out by the two before.
    assert [request["input"] for request in server.requests[1:]] == [["a"], ["c"], ["b"]]
    assert (caching.hits, caching.misses) == (3, 5)


@pytest.mark.parametrize("raw", [[[1.0, float("nan")]], [[0.0, 0.0]], [[1.0]], [1.0, 2.0], [["a", "b"]], [[1e39, 0.0]]])
def test_vectors_that_cannot_be_stored_are_refused(raw: object) -> None:
    with pytest.raises(EmbeddingInvalid), np.errstate(over="ignore"):
        unit_vectors(raw, count=1, dimension=2)  # type: ignore[arg-type]  # Wrong on purpose.
