"""The memory store: one adapter for Milvus Lite, Standalone, a cluster and Zilliz Cloud."""

import asyncio
import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import astuple
from typing import Any, Self, TypeVar

import structlog
from pymilvus.exceptions import MilvusException
from scrubjay_embeddings import EmbeddingSpec, FloatArray

from scrubjay.errors import StoreError
from scrubjay.memory.locks import KeyedLocks
from scrubjay.model import Filter, Match, Memory, Scope
from scrubjay.ports import Change, Key, Record
from scrubjay.store import filters
from scrubjay.store.calls import NOT_LOADED, Calls
from scrubjay.store.capabilities import Capabilities
from scrubjay.store.collections import load_fields
from scrubjay.store.connection import Connection, MilvusOptions
from scrubjay.store.rows import Row, to_memory, to_record, to_row

T = TypeVar("T")

_KEY_FIELDS = ["id"]

ROWS_MAX = 100
"""Rows in one write and vectors in one search: small enough that other calls get their turn in between."""
SCAN_ROWS = 5_000
LIMIT_MAX = 16_384
"""Milvus's bound on `limit`."""
DELETE_ROUNDS = 3
FLUSH_QUIET_S = 1.0
FLUSH_LATEST_S = 5.0

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class MilvusStore:
    """A `MemoryStore` over one open connection. Build it with `open`."""

    def __init__(self, connection: Connection, calls: Calls) -> None:
        self._connection = connection
        self._client = connection.client
        self._calls = calls
        self._locks = KeyedLocks()
        self._scalars = load_fields().scalars
        self._hint_holds: bool | None = None if connection.capabilities.partition_hint else False
        self._unflushed_since: float | None = None
        self._last_write = 0.0
        self._flusher: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, options: MilvusOptions, spec: EmbeddingSpec) -> Self:
        """Connect and prepare the collection. Raises `StoreError` or one of its kinds."""
        calls = Calls(1 if options.is_lite else options.threads)
        async with AsyncExitStack() as undo:
            undo.push_async_callback(calls.aclose)
            connection = await calls.run(Connection.open, options, spec)
            undo.push_async_callback(calls.run, connection.close)
            store = cls(connection, calls)
            began = time.perf_counter()
            await calls.run(store._settle)
            connection.timings_s["settle"] = time.perf_counter() - began
            undo.pop_all()
        if connection.capabilities.is_lite:
            store._flusher = asyncio.create_task(store._flush_when_quiet())
        return store

    @property
    def capabilities(self) -> Capabilities:
        return self._connection.capabilities

    @property
    def timings_s(self) -> Mapping[str, float]:
        """Where the time to open went, in seconds."""
        return self._connection.timings_s

    async def insert(self, scope: Scope, records: Sequence[Record]) -> None:
        rows = [to_row(record) for record in records]
        if any(record.memory.scope != scope for record in records):
            raise ValueError("A record belongs to another scope.")
        for chunk in _chunks(rows):
            await self._calls.run(self._insert, chunk)
        if self._hint_holds is None:
            await self._calls.run(self._check_hint)

    async def get(self, scope: Scope, ids: Sequence[str]) -> list[Memory]:
        rows: list[Row] = []
        for chunk in _chunks(ids):
            rows += await self._calls.run(self._by_ids, scope, chunk, self._scalars)
        memories = {row["id"]: to_memory(row) for row in rows}
        return [memories[id_] for id_ in ids if id_ in memories]

    async def search(self, scope: Scope, vectors: FloatArray, *, where: Filter, limit: int) -> list[list[Match]]:
        expression = self._expression(scope, where)
        found: list[list[Match]] = []
        for start in range(0, len(vectors), ROWS_MAX):
            chunk = vectors[start : start + ROWS_MAX]
            found += await self._calls.run(self._search, scope, chunk, expression, min(limit, LIMIT_MAX))
        now = where.expired_before
        if now is None:
            return found
        return [[match for match in matches if not 0 < match.memory.expires_at <= now] for matches in found]

    async def keys(self, scope: Scope, *, where: Filter) -> list[Key]:
        rows = await self._calls.run(
            self._scan, scope, self._expression(scope, where), ["id", "created_at", "expires_at"]
        )
        now = where.expired_before
        if now is not None:
            rows = [row for row in rows if not 0 < row["expires_at"] <= now]
        return list({Key(row["created_at"], row["id"]) for row in rows})

    async def update(self, changes: Mapping[Scope, Mapping[str, Change]]) -> list[Memory]:
        wanted = [(scope, id_, change) for scope, parts in changes.items() for id_, change in parts.items()]
        async with AsyncExitStack() as locks:
            # In one order, so that two updates never wait for each other.
            for scope in sorted(changes, key=astuple):
                await locks.enter_async_context(self._locks.hold(scope))
            return [memory for chunk in _chunks(wanted) for memory in await self._calls.run(self._rewrite, chunk)]

    async def delete(self, scope: Scope, ids: Sequence[str]) -> int:
        async with self._locks.hold(scope):
            return sum([await self._calls.run(self._delete_ids, scope, chunk) for chunk in _chunks(ids)])

    async def forget(self, scope: Scope) -> int:
        async with self._locks.hold(scope):
            return await self._calls.run(self._delete_all, scope)

    async def ping(self) -> None:
        await self._calls.run(self._connection.describe)

    async def aclose(self) -> None:
        if self._flusher:
            self._flusher.cancel()
            with suppress(asyncio.CancelledError):
                await self._flusher
            if self._unflushed_since is not None:
                with suppress(StoreError):
                    await self._calls.run(self._flush)
        await self._calls.run(self._connection.close)
        await self._calls.aclose()

    # What follows blocks and runs in the threads of `_calls`.

    def _insert(self, rows: list[Row]) -> None:
        self._loaded(self._client.insert, data=rows)
        self._wrote()

    def _rewrite(self, wanted: Sequence[tuple[Scope, str, Change]]) -> list[Memory]:
        change = {(scope, id_): change for scope, id_, change in wanted}
        scopes = {scope for scope, _, _ in wanted}
        options = self._read_options(*scopes) if len(scopes) == 1 else self._read_options()
        rows = self._rows([id_ for _, id_, _ in wanted], [*self._scalars, "embedding"], options)
        stored = ((record.memory.scope, record) for record in map(to_record, rows))
        records = [
            change[scope, record.memory.id](record) for scope, record in stored if (scope, record.memory.id) in change
        ]
        if records:
            # The whole row, vector included: servers before 2.6 know no partial upsert.
            self._loaded(self._client.upsert, data=[to_row(record) for record in records])
            self._wrote()
        return [record.memory for record in records]

    def _delete_ids(self, scope: Scope, ids: Sequence[str]) -> int:
        rows = self._by_ids(scope, ids, _KEY_FIELDS)
        self._remove(scope, [row["id"] for row in rows])
        # A server's Session reads do not see its own deletes. After a Strong read they do.
        if rows and self._by_ids(scope, [row["id"] for row in rows], _KEY_FIELDS, consistency="Strong"):
            raise StoreError("Milvus still shows a memory that was deleted. Delete it again.")
        return len(rows)

    def _delete_all(self, scope: Scope) -> int:
        """Delete what a Strong read finds until it finds nothing: others may be adding meanwhile."""
        everything = self._expression(scope, Filter(statuses=()))
        gone: set[str] = set()
        for _ in range(DELETE_ROUNDS):
            rows = self._scan(scope, everything, _KEY_FIELDS, consistency="Strong")
            if not rows:
                return len(gone)
            ids = [row["id"] for row in rows]
            self._remove(scope, ids)
            gone.update(ids)
        if self._scan(scope, everything, _KEY_FIELDS, consistency="Strong"):
            raise StoreError("Milvus still shows memories that were deleted. Forget the user again.")
        return len(gone)

    def _remove(self, scope: Scope, ids: Sequence[str]) -> None:
        """Delete rows that were just read within the scope; an id never changes its scope."""
        # Without its partition, Lite writes a delete into a file of each partition.
        options = {"partition_name": self._partition(scope.user_id)} if self._hint_holds else {}
        for chunk in _chunks(ids, SCAN_ROWS):
            self._loaded(self._client.delete, filter=filters.of_ids(chunk), **options)
            self._wrote()

    def _by_ids(self, scope: Scope, ids: Sequence[str], fields: Sequence[str], *, consistency: str = "") -> list[Row]:
        """Return the rows of the scope with these ids."""
        rows = self._rows(ids, [*fields, "user_id", "app_id"], self._read_options(scope, consistency=consistency))
        return [row for row in rows if row["user_id"] == scope.user_id and row["app_id"] == scope.app_id]

    def _rows(self, ids: Sequence[str], fields: list[str], options: Mapping[str, Any]) -> list[Row]:
        """Return the rows with these ids, of any scope: the caller must check it."""
        expression = filters.of_ids(ids)
        return _unique(self._loaded(self._client.query, filter=expression, output_fields=fields, **options))

    def _expression(self, scope: Scope, where: Filter) -> str:
        return filters.of_filter(scope, where, prune=self.capabilities.prunes_partitions)

    def _scan(self, scope: Scope, expression: str, fields: list[str], *, consistency: str = "") -> list[Row]:
        """Return all rows: one query where its limit suffices, else an iterator, which goes past it."""
        options = self._read_options(scope, consistency=consistency)
        rows = self._loaded(self._client.query, filter=expression, output_fields=fields, limit=LIMIT_MAX, **options)
        if len(rows) < LIMIT_MAX:
            return _unique(rows)
        iterator = self._loaded(
            self._client.query_iterator, filter=expression, output_fields=fields, batch_size=SCAN_ROWS, **options
        )
        rows = []
        try:
            while batch := iterator.next():
                rows += batch
        finally:
            iterator.close()
        return _unique(rows)

    def _search(self, scope: Scope, vectors: FloatArray, expression: str, limit: int) -> list[list[Match]]:
        params = dict(self._connection.profile.search_params)
        if "ef" in params:
            params["ef"] = max(params["ef"], limit)
        found = self._loaded(
            self._client.search,
            data=list(vectors),
            filter=expression,
            limit=limit,
            output_fields=self._scalars,
            search_params={"metric_type": self._connection.profile.metric, "params": params},
            **self._read_options(scope),
        )
        return [[Match(to_memory(row["entity"]), float(row["distance"])) for row in _unique(hits)] for hits in found]

    def _read_options(self, scope: Scope | None = None, *, consistency: str = "") -> dict[str, Any]:
        options: dict[str, Any] = {}
        if self._hint_holds and scope:
            options["partition_names"] = [self._partition(scope.user_id)]
        if self.capabilities.session_reads:
            options["consistency_level"] = consistency or self._connection.options.consistency
        return options

    def _partition(self, user_id: str) -> str:
        """The partition that Milvus Lite keeps a user in: its own hash, checked against a real row."""
        number = int(hashlib.md5(user_id.encode(), usedforsecurity=False).hexdigest(), 16)
        return f"_pk_{number % self._connection.profile.partitions}"

    def _check_hint(self) -> None:
        if self._hint_holds is not None:
            return
        rows = self._loaded(self._client.query, filter='id != ""', output_fields=["id", "user_id"], limit=1)
        if not rows:
            return  # An empty collection: the first insert asks again.
        row = rows[0]
        try:
            there = self._loaded(
                self._client.query,
                filter=filters.in_list("id", [row["id"]]),
                output_fields=["id"],
                partition_names=[self._partition(row["user_id"])],
            )
        except MilvusException:
            there = []
        self._hint_holds = bool(there)

    def _settle(self) -> None:
        """Make the first calls as quick and as right as the later ones."""
        if self.capabilities.is_lite:
            # Rows that a crash left in the log are scanned in Python until they are flushed.
            self._flush()
        if self.capabilities.session_reads:
            # A new process's first Session read may see nothing at all; after a Strong one it sees everything.
            self._loaded(
                self._client.query, filter='id != ""', output_fields=["id"], limit=1, consistency_level="Strong"
            )
        self._check_hint()

    def _loaded(self, call: Any, **arguments: Any) -> Any:
        """Call with the alias and the time-out; load the collection again if a server has released it."""
        arguments |= {"collection_name": self._connection.alias, "timeout": self._connection.options.timeout_s}
        try:
            return call(**arguments)
        except MilvusException as error:
            if error.code != NOT_LOADED:
                raise
            log.warning("collection_not_loaded", collection=self._connection.alias)
            self._connection.load()
            return call(**arguments)

    def _wrote(self) -> None:
        self._last_write = time.monotonic()
        if self._unflushed_since is None:
            self._unflushed_since = self._last_write

    def _flush(self) -> None:
        self._unflushed_since = None
        self._client.flush(self._connection.alias, timeout=60.0)

    async def _flush_when_quiet(self) -> None:
        """On Lite, flush when writes have paused, or at the latest after a while."""
        while True:
            await asyncio.sleep(FLUSH_QUIET_S / 2)
            if self._unflushed_since is None:
                continue
            now = time.monotonic()
            if now - self._last_write >= FLUSH_QUIET_S or now - self._unflushed_since >= FLUSH_LATEST_S:
                try:
                    await self._calls.run(self._flush)
                except StoreError as error:
                    log.warning("flush_failed", error=type(error).__name__)


def _unique(rows: Iterable[Any]) -> list[Row]:
    """Drop rows whose id came before: a crash, or an insert that was sent twice, can leave two."""
    return list({row["id"]: row for row in reversed(list(rows))}.values())[::-1]


def _chunks(items: Sequence[T], size: int = ROWS_MAX) -> Iterable[list[T]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
