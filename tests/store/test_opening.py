"""Opening a store: what is missing is made, what is there is verified, and errors say what to do."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from milvus_lite.server_manager import server_manager_instance
from pymilvus import DataType, MilvusClient
from scrubjay.errors import CollectionDrift, StoreError, StoreLocked, StoreUnavailable
from scrubjay.model import Filter
from scrubjay.store.capabilities import detect
from scrubjay.store.collections import load_fields, load_profile
from scrubjay.store.connection import MilvusOptions, physical_name
from scrubjay.store.milvus import MilvusStore

from tests.conftest import SMALL
from tests.servers.forwarder import Forwarder
from tests.store.test_contract import ALICE, ALL, record

pytestmark = pytest.mark.anyio


@pytest.fixture
def lite(tmp_path: Path) -> MilvusOptions:
    return MilvusOptions(uri=str(tmp_path / "memories.db"))


async def opened_and_closed(options: MilvusOptions, spec: object = SMALL) -> None:
    await (await MilvusStore.open(options, spec)).aclose()  # type: ignore[arg-type]


async def test_the_collection_stands_behind_an_alias_and_is_named_after_its_model(milvus: MilvusOptions) -> None:
    store = await MilvusStore.open(milvus, SMALL)
    described = store._connection.describe()
    await store.aclose()
    assert described["collection_name"] == physical_name(milvus.collection, SMALL)
    assert {field["name"] for field in described["fields"]} == {field.name for field in load_fields().all}


DRIFTS = {
    "model": ({"model": "other/model"}, "other/model", "SCRUBJAY_EMBEDDING_MODEL=test/small"),
    "dimension": ({"dimension": 16}, "8 dimensions", "SCRUBJAY_EMBEDDING_DIMENSIONS=8"),
    "revision": ({"revision": "2"}, "revision '1'", "SCRUBJAY_EMBEDDING_REVISION=1"),
}


@pytest.mark.parametrize("name", DRIFTS)
async def test_another_model_is_refused_with_the_difference_and_a_command(milvus: MilvusOptions, name: str) -> None:
    change, difference, command = DRIFTS[name]
    await opened_and_closed(milvus)
    with pytest.raises(CollectionDrift) as caught:
        await opened_and_closed(milvus, replace(SMALL, **change))  # type: ignore[arg-type]
    assert difference in str(caught.value)
    assert command in str(caught.value)
    assert "SCRUBJAY_MILVUS_COLLECTION=" in str(caught.value)
    await opened_and_closed(milvus)  # The failed opening has let go of the folder.


async def test_a_missing_field_is_refused(lite: MilvusOptions) -> None:
    client = MilvusClient(lite.uri)
    schema = client.create_schema(enable_dynamic_field=False)
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=36)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=8)
    index = client.prepare_index_params()
    index.add_index("embedding", index_type="FLAT", metric_type="COSINE")
    identity = '{"model": "test/small", "dimension": 8, "revision": "1"}'
    client.create_collection("old", schema=schema, index_params=index, properties={"scrubjay.identity": identity})
    client.create_alias("old", lite.collection)
    client.close()
    server_manager_instance.release_server(lite.uri)
    with pytest.raises(CollectionDrift, match="'user_id' is missing"):
        await opened_and_closed(lite)


async def test_a_collection_whose_alias_a_crash_prevented_is_taken_up(lite: MilvusOptions) -> None:
    store = await MilvusStore.open(lite, SMALL)
    item = record()
    await store.insert(ALICE, [item])
    store._client.drop_alias(lite.collection)
    await store.aclose()
    again = await MilvusStore.open(lite, SMALL)
    assert await again.get(ALICE, [item.memory.id]) == [item.memory]
    await again.aclose()


async def test_one_process_opens_a_folder_once(lite: MilvusOptions) -> None:
    store = await MilvusStore.open(lite, SMALL)
    with pytest.raises(StoreLocked, match="in this process"):
        await MilvusStore.open(lite, SMALL)
    await store.aclose()
    await opened_and_closed(lite)


async def test_another_process_gets_the_plain_message(lite: MilvusOptions) -> None:
    store = await MilvusStore.open(lite, SMALL)
    code = (
        "import asyncio, sys; from scrubjay.store.milvus import MilvusStore; from tests.conftest import SMALL;"
        "from scrubjay.store.connection import MilvusOptions;"
        "asyncio.run(MilvusStore.open(MilvusOptions(uri=sys.argv[1]), SMALL))"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code, lite.uri]
    result = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, env=environment)
    await store.aclose()
    assert "StoreLocked: Another process owns" in result.stderr
    assert result.stdout == ""


async def test_a_file_of_the_old_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    path.write_bytes(b"SQLite format 3\0")
    with pytest.raises(StoreError, match=r"2\.x"):
        await opened_and_closed(MilvusOptions(uri=str(path)))


async def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(StoreUnavailable, match="http://127.0.0.1:9 cannot be reached") as caught:
        await opened_and_closed(MilvusOptions(uri="http://root:secret@127.0.0.1:9", profile="standalone", timeout_s=2))
    assert "secret" not in str(caught.value)


@pytest.fixture
async def behind(standalone_uri: str) -> AsyncIterator[tuple[MilvusStore, Forwarder]]:
    """A store on the Standalone, through a connection that can be cut."""
    address = urlsplit(standalone_uri)
    assert address.hostname
    assert address.port
    forwarder = Forwarder((address.hostname, address.port))
    options = MilvusOptions(
        uri=f"http://127.0.0.1:{forwarder.port}", profile="standalone", collection="t_behind", timeout_s=3
    )
    store = await MilvusStore.open(options, SMALL)
    yield store, forwarder
    await store.aclose()
    forwarder.cut()


async def test_a_server_that_goes_away_is_unavailable_and_comes_back(behind: tuple[MilvusStore, Forwarder]) -> None:
    store, forwarder = behind
    item = record()
    await store.insert(ALICE, [item])
    forwarder.cut()
    for call in (
        store.get(ALICE, [item.memory.id]),
        store.search(ALICE, item.embedding[None], where=ALL, limit=1),
        store.insert(ALICE, [record(seed=1)]),
        store.delete(ALICE, [item.memory.id]),
        store.ping(),
    ):
        with pytest.raises(StoreUnavailable):
            await call
    forwarder.open()
    for _ in range(40):
        try:
            assert await store.get(ALICE, [item.memory.id]) == [item.memory]
            break
        except StoreUnavailable:
            await asyncio.sleep(0.5)
    else:
        pytest.fail("The store did not come back.")
    await store.forget(ALICE)


async def test_a_released_collection_is_loaded_again(behind: tuple[MilvusStore, Forwarder]) -> None:
    store, _ = behind
    await store.insert(ALICE, [record()])
    store._client.release_collection("t_behind")
    assert len(await store.keys(ALICE, where=Filter())) == 1
    await store.forget(ALICE)


def test_every_profile_fits_its_milvus() -> None:
    assert load_profile("lite").index_type == "FLAT"
    assert load_profile("standalone").index_type == "HNSW"
    assert load_profile("cluster").index_type == "AUTOINDEX"
    assert {load_profile(name).metric for name in ("lite", "standalone", "cluster")} == {"COSINE"}


@pytest.mark.parametrize(
    ("version", "is_lite", "parsed", "prunes", "defect"),
    [
        ("milvus_lite-3.2.2", True, (3, 2, 2), True, False),
        ("v2.3.5-lite", False, (2, 3, 5), False, True),
        ("v2.6.4", False, (2, 6, 4), True, False),
        ("v3.0.0", False, (3, 0, 0), True, True),
        ("3.0.2-gpu", False, (3, 0, 2), True, False),
    ],
)
def test_capabilities_follow_the_version(
    version: str, is_lite: bool, parsed: tuple[int, int, int], prunes: bool, defect: bool
) -> None:
    capabilities = detect(version, is_lite=is_lite)
    assert capabilities.version == parsed
    assert capabilities.prunes_partitions is prunes
    assert (capabilities.defect is not None) is defect


async def test_the_partition_hint_is_dropped_where_it_fails(lite: MilvusOptions) -> None:
    store = await MilvusStore.open(lite, SMALL)
    item = record()
    await store.insert(ALICE, [item])
    assert store._hint_holds is True
    await store.aclose()
    again = await MilvusStore.open(lite, SMALL)
    again._hint_holds = None
    again._partition = lambda user_id: "_pk_99"  # type: ignore[method-assign]  # A Lite with another hash.
    again._check_hint()
    assert again._hint_holds is False
    assert await again.get(ALICE, [item.memory.id]) == [item.memory]
    await again.aclose()
