"""A store for tests that run many operations from synchronous code, as property tests do."""

import asyncio
from collections.abc import Iterator

import pytest
from scrubjay.store.connection import MilvusOptions
from scrubjay.store.milvus import MilvusStore

from tests.conftest import SMALL


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture
def sync_store(milvus: MilvusOptions, runner: asyncio.Runner) -> Iterator[MilvusStore]:
    opened = runner.run(MilvusStore.open(milvus, SMALL))
    yield opened
    runner.run(opened.aclose())
