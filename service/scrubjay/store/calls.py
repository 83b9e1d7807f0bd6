"""Runs blocking Milvus calls in a bounded set of threads and translates their errors."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import grpc
from pymilvus.exceptions import MilvusException

from scrubjay.errors import Overloaded, StoreError, StoreUnavailable

WAITING_MAX = 512
NOT_LOADED = 101
_AWAY_CODES = {1, 2}  # pymilvus: UNEXPECTED_ERROR wraps a deadline, CONNECT_FAILED a missing server.

P = ParamSpec("P")
T = TypeVar("T")


class Calls:
    """A thread pool for one Milvus connection.

    One thread makes it the lock that Milvus Lite needs: concurrent writers corrupt its log, and reads during a
    flush miss rows. A call that has begun is always waited for, also by a caller who is cancelled, so a lock that
    the caller holds is never released while the call still runs.
    """

    def __init__(self, threads: int, *, waiting_max: int = WAITING_MAX) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="milvus")
        self._waiting_max = waiting_max
        self._waiting = 0

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `call` in a thread. Raises `Overloaded`, `StoreUnavailable` or `StoreError`."""
        if self._waiting >= self._waiting_max:
            raise Overloaded("Too many requests wait for Milvus.")
        self._waiting += 1
        try:
            return await self._finish(call, *args, **kwargs)
        except (MilvusException, grpc.RpcError, grpc.FutureTimeoutError) as error:
            raise translated(error) from error
        finally:
            self._waiting -= 1

    async def _finish(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            submitted = self._pool.submit(call, *args, **kwargs)
        except RuntimeError as error:  # The pool has been shut down.
            raise StoreUnavailable("The store has been closed.") from error
        running = asyncio.wrap_future(submitted)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if not submitted.cancel():
                await asyncio.wait([running])
                running.cancelled() or running.exception()  # Seen, so that asyncio does not report it.
            raise

    async def aclose(self) -> None:
        await asyncio.to_thread(self._pool.shutdown, wait=True)


def translated(error: Exception) -> StoreError:
    """Return our error for one of pymilvus or gRPC. The server's text may quote values, so it goes no further."""
    code = getattr(error, "code", None)
    if not isinstance(error, MilvusException):
        return StoreUnavailable("Milvus is away or did not answer in time.")
    if code in _AWAY_CODES or isinstance(error.__cause__, grpc.RpcError):
        return StoreUnavailable("Milvus is away or did not answer in time.")
    if code == NOT_LOADED:
        return StoreUnavailable("The collection is not loaded in Milvus; it is being loaded again.")
    return StoreError(f"Milvus refused the request with code {code}.")
