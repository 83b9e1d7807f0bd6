"""Counts accesses in the background, so that no search waits for a write."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog

from scrubjay.errors import Overloaded, ScrubjayError, StoreUnavailable
from scrubjay.model import Scope
from scrubjay.ports import Change, Clock, MemoryStore, Record

PENDING_MAX = 10_000
BATCH_MAX = 100

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Pending:
    count: int = 0
    last: int = 0


class Accesses:
    """Gathers accesses and writes them every `flush_s` seconds, when half of `PENDING_MAX` wait, and on `aclose`.

    Counts that are gathered but not yet written are lost if the process is killed; memories never are.
    """

    def __init__(self, store: MemoryStore, clock: Clock, *, flush_s: float) -> None:
        self._store = store
        self._clock = clock
        self._flush_s = flush_s
        self._pending: dict[Scope, dict[str, _Pending]] = defaultdict(lambda: defaultdict(_Pending))
        self._size = 0
        self._full = asyncio.Event()
        self._flushing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    def record(self, scope: Scope, ids: Iterable[str]) -> None:
        """Note one access of each memory, now. Beyond the bound, accesses go uncounted."""
        now = self._clock()
        for id_ in ids:
            self._note(scope, id_, 1, now)

    def forget(self, scope: Scope) -> None:
        """Drop what waits to be written for a scope."""
        self._size -= len(self._pending.pop(scope, {}))

    async def flush(self) -> None:
        """Write what waits. If the store is away it waits on."""
        async with self._flushing:
            pending, self._pending, self._size = self._pending, defaultdict(lambda: defaultdict(_Pending)), 0
            self._full.clear()
            every = [(scope, id_, entry) for scope, entries in pending.items() for id_, entry in entries.items()]
            for start in range(0, len(every), BATCH_MAX):
                await self._write(every[start : start + BATCH_MAX])

    async def aclose(self) -> None:
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self.flush()

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), self._flush_s)
            # Shielded, so that closing waits for a write under way instead of losing its counts.
            await asyncio.shield(self.flush())

    async def _write(self, batch: list[tuple[Scope, str, _Pending]]) -> None:
        changes: dict[Scope, dict[str, Change]] = defaultdict(dict)
        for scope, id_, entry in batch:
            changes[scope][id_] = _bump(entry)
        try:
            await self._store.update(changes)
        except (StoreUnavailable, Overloaded):
            for scope, id_, entry in batch:
                self._note(scope, id_, entry.count, entry.last)
        except ScrubjayError as error:
            log.warning("accesses_not_counted", count=len(batch), error=type(error).__name__)

    def _note(self, scope: Scope, id_: str, count: int, at: int) -> None:
        entries = self._pending[scope]
        if id_ not in entries:
            if self._size >= PENDING_MAX:
                return
            self._size += 1
            if self._size * 2 >= PENDING_MAX:
                self._full.set()
        entries[id_].count += count
        entries[id_].last = max(entries[id_].last, at)


def _bump(entry: _Pending) -> Change:
    def change(record: Record) -> Record:
        memory = record.memory
        accessed = max(memory.last_accessed, entry.last)
        return replace(
            record, memory=replace(memory, access_count=memory.access_count + entry.count, last_accessed=accessed)
        )

    return change
