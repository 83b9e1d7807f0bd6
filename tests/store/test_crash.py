"""kill -9 while memories are written: what was acknowledged is there afterwards."""

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path

from scrubjay.model import Memory
from scrubjay.ports import Key
from scrubjay.store.connection import MilvusOptions
from scrubjay.store.milvus import MilvusStore

from tests.conftest import ROOT, SMALL
from tests.store.test_contract import ALICE, ALL

ROUNDS = 5
WRITER = """
import asyncio, sys
from scrubjay.store.connection import MilvusOptions
from scrubjay.store.milvus import MilvusStore
from tests.conftest import SMALL
from tests.store.test_contract import ALICE, bump, record

async def write(store, seed):
    while True:
        item = record(seed=seed)
        await store.insert(ALICE, [item])
        await store.update({ALICE: {item.memory.id: bump}})
        sys.stdout.write(f"done {item.memory.id}\\n")
        sys.stdout.flush()

async def main():
    store = await MilvusStore.open(MilvusOptions(uri=sys.argv[1]), SMALL)
    await asyncio.gather(*(write(store, seed) for seed in range(8)))

asyncio.run(main())
"""


async def reopened(path: Path, ids: list[str]) -> tuple[list[Key], list[Memory]]:
    store = await MilvusStore.open(MilvusOptions(uri=str(path)), SMALL)
    try:
        return await store.keys(ALICE, where=ALL), await store.get(ALICE, ids)
    finally:
        await store.aclose()


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    path = tmp_path / "memories.db"
    acknowledged: list[str] = []
    for number in range(ROUNDS):
        output = tmp_path / f"written-{number}"
        with output.open("wb") as sink:
            writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=sink, cwd=ROOT)
        while b"done" not in output.read_bytes():
            assert writer.poll() is None
            time.sleep(0.01)
        time.sleep(chance.uniform(0.05, 1.0))
        writer.kill()
        writer.wait()
        # A line that was cut off was not acknowledged.
        lines = output.read_text().rpartition("\n")[0].split("\n")
        acknowledged += [line.removeprefix("done ") for line in lines if line.startswith("done ")]
        keys, there = asyncio.run(reopened(path, acknowledged))
        assert len(keys) == len({key.id for key in keys})
        assert [memory.id for memory in there] == acknowledged
        assert {memory.access_count for memory in there} == {1}
    assert len(acknowledged) > ROUNDS
