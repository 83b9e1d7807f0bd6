"""What all tests share: the real model, Milvus Lite, and a real Milvus Standalone."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pymilvus import MilvusClient
from scrubjay.store.connection import MilvusOptions
from scrubjay.store.filters import of_ids
from scrubjay.store.milvus import MilvusStore
from scrubjay_embeddings import EmbeddingSpec, LocalEmbedder

from tests.servers.standalone import milvus_standalone

pytest_plugins = ["tests.callers"]

os.environ["HF_HUB_OFFLINE"] = "1"
for name in [name for name in os.environ if name.startswith("SCRUBJAY_") and not name.startswith("SCRUBJAY_TEST_")]:
    del os.environ[name]  # The settings of whoever runs the tests must not leak into them.

ROOT = Path(__file__).parents[1]
SMALL = EmbeddingSpec(model="test/small", dimension=8, revision="1", tokens_max=256)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def model() -> Iterator[LocalEmbedder]:
    """The default model, loaded once."""
    embedder = asyncio.run(LocalEmbedder.load())
    yield embedder
    asyncio.run(embedder.aclose())


@pytest.fixture(scope="session")
def standalone_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Milvus Standalone that runs for the whole session."""
    with milvus_standalone(tmp_path_factory.mktemp("milvus")) as uri:
        yield uri


@pytest.fixture(params=["lite", "standalone"])
def milvus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MilvusOptions]:
    """Options of an empty collection, on each Milvus in turn."""
    if request.param == "lite":
        yield MilvusOptions(uri=str(tmp_path / "memories.db"))
        return
    # Making a collection takes a server seconds, so the tests share one and empty it.
    uri = request.getfixturevalue("standalone_uri")
    yield MilvusOptions(uri=uri, profile="standalone", collection="t_shared", timeout_s=20)
    client = MilvusClient(uri=uri, timeout=20)
    if client.has_collection("t_shared"):
        rows = client.query("t_shared", filter='id != ""', output_fields=["id"], consistency_level="Strong")
        # Deleting by id is quick; opening the next store waits until it is seen.
        client.delete("t_shared", filter=of_ids(row["id"] for row in rows))
    client.close()


@pytest.fixture
async def store(milvus: MilvusOptions) -> AsyncIterator[MilvusStore]:
    """An empty store for vectors of 8 dimensions."""
    opened = await MilvusStore.open(milvus, SMALL)
    yield opened
    await opened.aclose()
