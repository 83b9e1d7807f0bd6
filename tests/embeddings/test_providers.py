"""The OpenAI provider against a local server that speaks its protocol, and the local provider for real."""

import asyncio
import json
import time
from pathlib import Path

import numpy as np
import pytest
from scrubjay_embeddings import (
    AzureOptions,
    EmbeddingInvalid,
    EmbeddingRejected,
    EmbeddingUnavailable,
    LocalEmbedder,
    ModelNotFound,
    OpenAIEmbedder,
    RetryingEmbedder,
)

from tests.servers.openai_server import Answer, OpenAIServer, vector

pytestmark = pytest.mark.anyio

TEXTS = ["I live in New York", "I like tea", "I have 3 cats"]


@pytest.fixture
def server() -> "OpenAIServer":
    return OpenAIServer()


async def connect(server: OpenAIServer, **options: object) -> OpenAIEmbedder:
    given = {"model": "test-embedding", "api_key": server.key, "base_url": server.base_url, "timeout_s": 2.0}
    return await OpenAIEmbedder.connect(**given | options)  # type: ignore[arg-type]  # Any option may be given.


async def test_vectors_are_unit_float32_and_in_the_order_of_the_texts(server: OpenAIServer) -> None:
    with server:
        embedder = await connect(server)
        vectors = await embedder.embed(TEXTS, kind="document")
        await embedder.aclose()
    expected = np.array([vector(text, 16) for text in TEXTS])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


async def test_the_dimension_of_an_unknown_model_is_asked_for(server: OpenAIServer) -> None:
    with server:
        embedder = await connect(server)
        assert embedder.spec.dimension == 16
        await embedder.aclose()


async def test_dimensions_are_sent_and_must_come_back(server: OpenAIServer) -> None:
    with server:
        embedder = await connect(server, dimensions=8)
        assert (await embedder.embed(["x"], kind="query")).shape == (1, 8)
        assert server.requests[-1]["dimensions"] == 8
        server.script.append(Answer(dimension=16))
        with pytest.raises(EmbeddingInvalid, match="shape"):
            await embedder.embed(["x"], kind="query")
        await embedder.aclose()


async def test_many_texts_go_in_bounded_requests(server: OpenAIServer) -> None:
    with server:
        embedder = await connect(server, dimensions=4)
        vectors = await embedder.embed([f"text {number}" for number in range(600)], kind="document")
        await embedder.aclose()
    assert vectors.shape == (600, 4)
    assert [len(request["input"]) for request in server.requests] == [256, 256, 88]


async def test_an_overlong_text_is_cut_to_what_the_model_reads(server: OpenAIServer) -> None:
    with server:
        embedder = await connect(server, dimensions=4)
        await embedder.embed(["é" * 10_000], kind="document")
        await embedder.aclose()
    assert len(server.requests[-1]["input"][0].encode()) <= 8191


async def test_each_model_gets_its_own_prefixes(server: OpenAIServer) -> None:
    with server:
        embedder = await connect(server, model="intfloat/multilingual-e5-small", dimensions=4)
        await embedder.embed(["x"], kind="query")
        await embedder.embed(["x"], kind="document")
        await embedder.aclose()
    assert [request["input"] for request in server.requests] == [["query: x"], ["passage: x"]]


async def test_azure_uses_its_own_address_and_header(server: OpenAIServer) -> None:
    endpoint = server.base_url.removesuffix("/v1")
    with server:
        embedder = await connect(server, model="mine", base_url=None, azure=AzureOptions(endpoint), dimensions=4)
        assert (await embedder.embed(["x"], kind="query")).shape == (1, 4)
        await embedder.aclose()
    assert server.paths[-1] == "/openai/deployments/mine/embeddings?api-version=2024-10-21"


def embeddings(*vectors: list[object]) -> bytes:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return json.dumps({"object": "list", "model": "m", "data": data}).encode()


BAD_BODIES = {
    "no json": b"<html>",
    "no data": embeddings(),
    "null": b"null",
    "NaN": embeddings([float("nan"), 1]),
    "zero": embeddings([0, 0]),
    "text": embeddings(["a", 1]),
    "two": embeddings([1, 0], [0, 1]),
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_answer_is_an_error(server: OpenAIServer, name: str) -> None:
    with server:
        embedder = await connect(server, dimensions=2)
        server.script.append(Answer(body=BAD_BODIES[name]))
        with pytest.raises(EmbeddingInvalid):
            await embedder.embed(["x"], kind="query")
        await embedder.aclose()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, EmbeddingRejected),
        (401, EmbeddingRejected),
        (404, EmbeddingRejected),
        (429, EmbeddingUnavailable),
        (500, EmbeddingUnavailable),
        (503, EmbeddingUnavailable),
    ],
)
async def test_a_status_becomes_its_error(server: OpenAIServer, status: int, error: type[Exception]) -> None:
    with server:
        embedder = await connect(server, dimensions=2)
        server.script.append(Answer(status=status))
        with pytest.raises(error, match=str(status)):
            await embedder.embed(["x"], kind="query")
        await embedder.aclose()


async def test_a_slow_or_missing_server_is_unavailable(server: OpenAIServer) -> None:
    with server:
        embedder = await connect(server, dimensions=2, timeout_s=0.2)
        server.script.append(Answer(delay_s=1.0))
        with pytest.raises(EmbeddingUnavailable):
            await embedder.embed(["x"], kind="query")
    with pytest.raises(EmbeddingUnavailable):
        await embedder.embed(["x"], kind="query")
    await embedder.aclose()


async def test_retries_wait_as_long_as_the_provider_asks(server: OpenAIServer) -> None:
    with server:
        embedder = RetryingEmbedder(await connect(server, dimensions=4))
        server.script.extend([Answer(status=429, headers={"Retry-After": "0.5"}), Answer(status=500)])
        began = time.monotonic()
        assert (await embedder.embed(["x"], kind="query")).shape == (1, 4)
        assert time.monotonic() - began >= 0.5
        assert len(server.requests) == 3
        await embedder.aclose()


async def test_retries_stop_at_the_deadline_and_at_the_last_attempt(server: OpenAIServer) -> None:
    with server:
        embedder = RetryingEmbedder(await connect(server, dimensions=4), attempts=3, deadline_s=0.5)
        server.script.append(Answer(status=429, headers={"Retry-After": "60"}))
        began = time.monotonic()
        with pytest.raises(EmbeddingUnavailable, match="429"):
            await embedder.embed(["x"], kind="query")
        server.script.append(Answer(delay_s=1.5))
        with pytest.raises(EmbeddingUnavailable, match="within"):
            await embedder.embed(["x"], kind="query")
        assert time.monotonic() - began < 1.4
        await embedder.aclose()
        patient = RetryingEmbedder(await connect(server, dimensions=4), attempts=2, deadline_s=10)
        before = len(server.requests)
        server.script.extend([Answer(status=500)] * 2)
        with pytest.raises(EmbeddingUnavailable, match="500"):
            await patient.embed(["x"], kind="query")
        assert len(server.requests) - before == 2
        await patient.aclose()


async def test_what_cannot_succeed_is_not_tried_again(server: OpenAIServer) -> None:
    with server:
        embedder = RetryingEmbedder(await connect(server, dimensions=4, api_key="wrong"))
        with pytest.raises(EmbeddingRejected, match="API key"):
            await embedder.embed(["x"], kind="query")
        assert len(server.requests) == 1
        await embedder.aclose()


async def test_the_installed_model_finds_meaning(model: LocalEmbedder) -> None:
    documents = await model.embed(["I live in New York", "I love hiking", "My cat is called Tom"], kind="document")
    [query] = await model.embed(["Where do I live?"], kind="query")
    assert model.spec.model == "all-MiniLM-L6-v2"
    assert documents.shape == (3, 384)
    assert documents.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(documents, axis=1), 1.0, atol=1e-6)
    assert int(np.argmax(documents @ query)) == 0
    assert (await model.embed([], kind="query")).shape == (0, 384)


async def test_the_model_leaves_the_event_loop_free(model: LocalEmbedder) -> None:
    running = asyncio.create_task(model.embed(["a longer text " * 20] * 128, kind="document"))
    turns = 0
    while not running.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 50


async def test_a_model_in_a_folder_loads_and_is_told_apart_by_its_weights(model: LocalEmbedder, tmp_path: Path) -> None:
    from_folder = tmp_path / "my-model"
    model._model.save(str(from_folder))
    loaded = await LocalEmbedder.load(str(from_folder))
    assert (loaded.spec.model, loaded.spec.dimension) == ("my-model", 384)
    assert len(loaded.spec.revision) == 12
    await loaded.aclose()
    with pytest.raises(EmbeddingUnavailable, match="closed"):
        await loaded.embed(["x"], kind="query")


@pytest.mark.parametrize("name", ["no-such/model-anywhere", "/no/such/folder"])
async def test_a_model_that_cannot_be_had_says_what_to_do(name: str) -> None:
    with pytest.raises(ModelNotFound, match="preset"):
        await LocalEmbedder.load(name)
